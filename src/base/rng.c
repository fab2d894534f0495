/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rng.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

void rng_id(char out[static RNG_ID_LEN + 1])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char raw[RNG_ID_LEN / 2];
    ssize_t got;
    do {
        got = getrandom(raw, sizeof(raw), 0);
    } while (got < 0 && errno == EINTR); /* possible while the pool fills, at boot */
    if (got != (ssize_t)sizeof(raw))
        abort(); /* never short for up to 256 bytes */
    for (size_t i = 0; i < sizeof(raw); i++) {
        out[2 * i] = digits[raw[i] >> 4];
        out[2 * i + 1] = digits[raw[i] & 15];
    }
    out[RNG_ID_LEN] = '\0';
}

uint64_t rng_next(uint64_t *state)
{
    assert(*state != 0);
    uint64_t x = *state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return x * 0x2545f4914f6cdd1dULL;
}
