/* SPDX-License-Identifier: Apache-2.0
 *
 * The Authorization header (RFC 9110, 11.6.2; RFC 7617; RFC 6750).
 */
#include "auth/auth.h"
#include "auth/base64.h"

#define HEADER_MAX ((size_t)32 * KIB)

static enum st refuse(struct err *err, const char *why)
{
    return err_set(err, ST_INVALID, "the Authorization header %s", why);
}

static bool has_controls(str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] < 0x20 || s.ptr[i] == 0x7f)
            return true;
    return false;
}

static enum st parse_basic(str text, struct arena *a, struct credentials *out, struct err *err)
{
    str plain = { NULL, 0 };
    char *room = arena_alloc(a, text.len + 1);
    if (room == NULL)
        return err_no_memory(err);
    if (!base64_decode(text, room, &plain.len))
        return refuse(err, "holds no base64 after Basic");
    plain.ptr = room;
    if (!str_is_utf8(plain) || has_controls(plain))
        return refuse(err, "holds bytes after Basic that are not UTF-8 text");
    if (!str_cut(plain, ':', &out->user, &out->secret))
        return refuse(err, "holds no colon between name and password");
    /* Clients without credentials send ":" to the token service. */
    out->kind = out->user.len == 0 && out->secret.len == 0 ? CREDENTIAL_NONE : CREDENTIAL_BASIC;
    return ST_OK;
}

/* Without an early end, so that it runs many bytes at a time: it is each request's. */
static bool is_token_text(str s)
{
    unsigned bad = 0;
    for (size_t i = 0; i < s.len; i++)
        bad |= (unsigned char)(s.ptr[i] - '!') > '~' - '!';
    return s.len > 0 && bad == 0;
}

enum st credentials_parse(str header, str peer, struct arena *a, struct credentials *out,
                          struct err *err)
{
    struct credentials c = { .kind = CREDENTIAL_NONE, .peer = peer };
    str scheme = header, rest = STR_NONE;
    enum st st = ST_OK;
    if (header.ptr != NULL) {
        if (header.len > HEADER_MAX)
            return refuse(err, "is too long");
        (void)str_cut(str_trim(header), ' ', &scheme, &rest);
        rest = str_trim(rest);
        if (str_eq_nocase(scheme, STR("Basic"))) {
            st = parse_basic(rest, a, &c, err);
        } else if (str_eq_nocase(scheme, STR("Bearer"))) {
            c.kind = CREDENTIAL_BEARER;
            c.secret = arena_dup(a, rest);
            if (!is_token_text(rest))
                st = refuse(err, "holds no token after Bearer");
            else if (c.secret.ptr == NULL)
                st = err_no_memory(err);
        } else {
            st = refuse(err, "is neither Basic nor Bearer");
        }
    }
    if (st == ST_OK)
        *out = c;
    return st;
}
