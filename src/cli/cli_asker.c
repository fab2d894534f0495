/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli_asker.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/cli_kept.h"
#include "cli/cli_secret.h"

const char *asker_text(enum asker_kind kind)
{
    static const char *const texts[] = {
        [ASKER_NOBODY] = "nobody",
        [ASKER_TOKEN_FILE] = "the token of --token-file",
        [ASKER_USER] = "the name and password",
        [ASKER_TOKEN_VARIABLE] = "the token in EBB_TOKEN",
        [ASKER_USER_VARIABLE] = "EBB_USER and EBB_PASSWORD",
        [ASKER_LOGIN] = "the token that `ebb login` kept",
    };
    return texts[kind];
}

/* ---- headers --------------------------------------------------------------------------------- */

/* Of a header's value: no blanks, nothing that ends a line. */
static bool is_token(str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] <= ' ' || s.ptr[i] > '~')
            return false;
    return s.len > 0 && s.len <= ASKER_TOKEN_MAX;
}

enum st asker_bearer(str token, struct asker *out, struct err *err)
{
    if (!is_token(token))
        return err_set(
            err, ST_INVALID,
            "what is given as a token is none: it is empty, too long, or holds blanks or "
            "other characters than ASCII");
    (void)snprintf(out->header, sizeof(out->header), "Authorization: Bearer %.*s", STR_FMT(token));
    return ST_OK;
}

/* RFC 4648, with padding. */
static void add_base64(char *out, size_t size, const char *bytes, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *u = (const unsigned char *)bytes;
    size_t at = strlen(out);
    assert(at + (len + 2) / 3 * 4 < size);
    for (size_t i = 0; i < len; i += 3) {
        unsigned group = (unsigned)u[i] << 16 | (i + 1 < len ? (unsigned)u[i + 1] << 8 : 0) |
                         (i + 2 < len ? (unsigned)u[i + 2] : 0);
        out[at++] = digits[group >> 18];
        out[at++] = digits[group >> 12 & 63];
        out[at++] = i + 1 < len ? digits[group >> 6 & 63] : '=';
        out[at++] = i + 2 < len ? digits[group & 63] : '=';
    }
    out[at] = '\0';
}

enum st asker_basic(str user, str password, struct asker *out, struct err *err)
{
    char pair[ASKER_USER_MAX + 1 + SECRET_MAX + 1];
    if (user.len == 0 || user.len > ASKER_USER_MAX || memchr(user.ptr, ':', user.len) != NULL)
        return err_set(err, ST_INVALID,
                       "\"%.*s\" is no name of an account: it is empty, too long or has a colon",
                       (int)MIN(user.len, 64), user.ptr == NULL ? "" : user.ptr);
    if (password.len == 0 || password.len > SECRET_MAX)
        return err_set(err, ST_INVALID, "the password is empty or too long");
    int len = snprintf(pair, sizeof(pair), "%.*s:%.*s", STR_FMT(user), STR_FMT(password));
    (void)snprintf(out->header, sizeof(out->header), "Authorization: Basic ");
    add_base64(out->header, sizeof(out->header), pair, (size_t)len);
    explicit_bzero(pair, sizeof(pair));
    (void)str_copy(user, out->user, sizeof(out->user));
    return ST_OK;
}

enum st asker_read_token(const char *path, char out[static ASKER_TOKEN_MAX + 2], struct err *err)
{
    AUTO(file_close_auto) int fd = -1;
    size_t len = 0;
    enum st st = file_open(AT_FDCWD, path, O_RDONLY, 0, &fd, err);
    /* A pipe has no offsets, so read() and not file_read_at(). */
    for (ssize_t n = 1; st == ST_OK && n > 0 && len <= ASKER_TOKEN_MAX; len += (size_t)n) {
        n = read(fd, out + len, ASKER_TOKEN_MAX + 1 - len);
        if (n < 0)
            return err_sys(err, "--token-file %s", path);
    }
    if (st != ST_OK)
        return err_wrap(err, "--token-file");
    out[len] = '\0';
    out[strcspn(out, "\r\n")] = '\0';
    return ST_OK;
}

/* ---- where they may go ----------------------------------------------------------------------- */

static str host_of(const char *base)
{
    const char *host = strstr(base, "://");
    host = host == NULL ? base : host + 3;
    if (host[0] == '[')
        return (str){ host + 1, strcspn(host + 1, "]/") };
    return (str){ host, strcspn(host, ":/") };
}

/* Names below localhost are this machine (RFC 6761, 6.3); of numbers only whole addresses are. */
bool asker_is_loopback(const char *base)
{
    char host[256];
    struct in_addr four;
    struct in6_addr six;
    if (!str_copy(host_of(base), host, sizeof(host)))
        return false;
    if (inet_pton(AF_INET, host, &four) == 1)
        return ntohl(four.s_addr) >> 24 == 127;
    if (inet_pton(AF_INET6, host, &six) == 1)
        return IN6_IS_ADDR_LOOPBACK(&six);
    return str_eq_nocase(str_of(host), STR("localhost"));
}

enum st asker_allow(const char *base, bool insecure_http, struct err *err)
{
    if (insecure_http || strncmp(base, "https://", 8) == 0 || asker_is_loopback(base))
        return ST_OK;
    return err_set(err, ST_DENIED,
                   "%s is neither encrypted nor this machine, so no password or token is sent "
                   "there; use https://, or --insecure-http where the network is trusted",
                   base);
}

/* ---- choosing -------------------------------------------------------------------------------- */

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value == NULL || value[0] == '\0' ? NULL : value;
}

static enum st by_name(const char *name, const char *base, struct asker *out, struct err *err)
{
    char asked[SECRET_MAX + 1] = "";
    char question[ASKER_USER_MAX + 1200];
    const char *password = variable("EBB_PASSWORD");
    if (password == NULL) {
        (void)snprintf(question, sizeof(question), "Password of %.*s at %s:", (int)ASKER_USER_MAX,
                       name, base);
        enum st st = secret_ask(question, asked, sizeof(asked), err);
        if (st == ST_NOT_FOUND)
            return err_set(err, st, "the password of %.64s: %s; set EBB_PASSWORD", name,
                           "there is no terminal to ask on");
        if (st != ST_OK)
            return st;
        password = asked;
    }
    enum st st = asker_basic(str_of(name), str_of(password), out, err);
    explicit_bzero(asked, sizeof(asked));
    return st;
}

static enum st by_file(const char *path, struct asker *out, struct err *err)
{
    char token[ASKER_TOKEN_MAX + 2];
    enum st st = asker_read_token(path, token, err);
    if (st == ST_OK)
        st = asker_bearer(str_of(token), out, err);
    explicit_bzero(token, sizeof(token));
    return st == ST_INVALID ? err_wrap(err, "--token-file %s", path) : st;
}

static enum st by_login(const char *base, struct asker *out, struct err *err)
{
    struct kept_login kept;
    enum st st = kept_find(base, &kept, err);
    if (st != ST_OK)
        return st;
    st = asker_bearer(str_of(kept.token), out, err);
    (void)str_copy(str_of(kept.user), out->user, sizeof(out->user));
    explicit_bzero(&kept, sizeof(kept));
    return st;
}

enum st asker_choose(const struct cli_common *common, const char *base, struct asker *out,
                     struct err *err)
{
    const char *token = variable("EBB_TOKEN");
    const char *user = variable("EBB_USER");
    enum st st;
    *out = (struct asker){ 0 };
    if (common->token_file != NULL && common->user != NULL)
        return err_set(err, ST_INVALID, "--token-file and --user exclude each other");
    out->kind = common->token_file != NULL ? ASKER_TOKEN_FILE
                : common->user != NULL     ? ASKER_USER
                : token != NULL            ? ASKER_TOKEN_VARIABLE
                : user != NULL             ? ASKER_USER_VARIABLE
                                           : ASKER_LOGIN;
    if (out->kind != ASKER_LOGIN) { /* before anybody is asked for a password */
        st = asker_allow(base, common->insecure_http, err);
        if (st != ST_OK)
            return st;
    }
    switch (out->kind) {
    case ASKER_TOKEN_FILE:
        return by_file(common->token_file, out, err);
    case ASKER_USER:
        return by_name(common->user, base, out, err);
    case ASKER_TOKEN_VARIABLE:
        st = asker_bearer(str_of(token), out, err);
        return st == ST_OK ? st : err_wrap(err, "EBB_TOKEN");
    case ASKER_USER_VARIABLE:
        return by_name(user, base, out, err);
    default:
        st = by_login(base, out, err);
        if (st == ST_NOT_FOUND) {
            out->kind = ASKER_NOBODY;
            return ST_OK;
        }
        return st == ST_OK ? asker_allow(base, common->insecure_http, err) : st;
    }
}
