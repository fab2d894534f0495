/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/base64.h"

static int digit_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+' || c == '-')
        return 62;
    return c == '/' || c == '_' ? 63 : -1;
}

bool base64_decode(str text, char *out, size_t *len)
{
    size_t n = text.len;
    for (int i = 0; i < 2 && n > 0 && n % 4 != 1 && text.ptr[n - 1] == '='; i++)
        n--;
    if (n % 4 == 1 || (n != text.len && text.len % 4 != 0))
        return false;
    uint32_t bits = 0;
    unsigned held = 0;
    *len = 0;
    for (size_t i = 0; i < n; i++) {
        int digit = digit_of(text.ptr[i]);
        if (digit < 0)
            return false;
        bits = (bits << 6 | (uint32_t)digit) & 0xffff;
        held += 6;
        if (held >= 8) {
            held -= 8;
            out[(*len)++] = (char)(bits >> held & 0xff);
        }
    }
    return (bits & ((1u << held) - 1)) == 0;
}
