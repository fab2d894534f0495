/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/secret.h"

#include <errno.h>
#include <sys/random.h>

#define SLICES_MAX 6

void secret_random(void *bytes, size_t len)
{
    uint8_t *to = bytes;
    while (len > 0) {
        ssize_t got = getrandom(to, MIN(len, (size_t)256), 0);
        if (got < 0 && errno != EINTR)
            abort();
        if (got > 0) {
            to += got;
            len -= (size_t)got;
        }
    }
}

/* Of each random byte the low bits: no character is likelier than another. */
static void random_text(const char *alphabet, size_t letters, char *out, size_t len)
{
    for (size_t i = 0; i < len;) {
        uint8_t raw[64];
        secret_random(raw, sizeof(raw));
        for (size_t k = 0; k < sizeof(raw) && i < len; k++)
            if ((raw[k] & 63u) < letters)
                out[i++] = alphabet[raw[k] & 63u];
    }
    out[len] = '\0';
}

void secret_token(char out[static SECRET_TOKEN_LEN + 1])
{
    size_t prefix = sizeof(SECRET_TOKEN_PREFIX) - 1;
    memcpy(out, SECRET_TOKEN_PREFIX, prefix);
    random_text("abcdefghijklmnopqrstuvwxyz234567", 32, out + prefix, SECRET_TOKEN_LEN - prefix);
}

void secret_password(char out[static SECRET_PASSWORD_LEN + 1])
{
    static const char letters[] = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    random_text(letters, sizeof(letters) - 1, out, SECRET_PASSWORD_LEN);
}

bool secret_is_token(str text)
{
    return str_starts(text, STR(SECRET_TOKEN_PREFIX));
}

void secret_hash(str text, uint8_t out[static HASH256_BYTES])
{
    hash256(&text, 1, out);
}

void secret_keyed(const uint8_t key[static SECRET_KEYED_BYTES], const str *slices, size_t n,
                  uint8_t out[static HASH256_BYTES])
{
    uint8_t pad[SECRET_KEYED_BYTES];
    uint64_t lengths[SLICES_MAX];
    str inner[1 + 2 * SLICES_MAX] = { { (const char *)pad, sizeof(pad) } };
    assert(n <= SLICES_MAX);
    for (size_t i = 0; i < sizeof(pad); i++)
        pad[i] = key[i] ^ 0x36;
    for (size_t i = 0; i < n; i++) {
        lengths[i] = slices[i].len;
        inner[1 + 2 * i] = (str){ (const char *)&lengths[i], sizeof(lengths[i]) };
        inner[2 + 2 * i] = slices[i];
    }
    hash256(inner, 1 + 2 * n, out);
    for (size_t i = 0; i < sizeof(pad); i++)
        pad[i] ^= 0x36 ^ 0x5c;
    str outer[] = { { (const char *)pad, sizeof(pad) }, { (const char *)out, HASH256_BYTES } };
    hash256(outer, 2, out);
}
