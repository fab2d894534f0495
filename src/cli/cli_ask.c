/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli_ask.h"

#include "net/http_client.h"

#define ANSWER_MAX_BYTES ((size_t)(64 * MIB))
#define TIMEOUT_MS       ((int64_t)600000) /* a plan of a large registry takes its time */

/* Where the authority of a URL ends. */
static size_t authority_end(str url)
{
    size_t at = str_starts(url, STR("https://")) ? 8 : 7;
    while (at < url.len && url.ptr[at] != '/')
        at++;
    return at;
}

/* One registry is to have one spelling, because what `ebb login` keeps is found by it: small
 * letters, no port where it is the usual one. */
static void normalize(struct ask_server *s)
{
    size_t end = authority_end(str_of(s->base));
    bool tls = strncmp(s->base, "https://", 8) == 0;
    str port = tls ? STR(":443") : STR(":80");
    for (size_t i = 0; i < end; i++)
        if (s->base[i] >= 'A' && s->base[i] <= 'Z')
            s->base[i] = (char)(s->base[i] - 'A' + 'a');
    if (str_ends((str){ s->base, end }, port))
        memmove(s->base + end - port.len, s->base + end, strlen(s->base + end) + 1);
}

enum st ask_server_find(struct ask_server *s, const struct cli_common *common, struct err *err)
{
    const char *given = common->server;
    const char *from = "--server";
    *s = (struct ask_server){ 0 };
    if (given == NULL) {
        given = getenv("EBB_SERVER");
        from = "EBB_SERVER";
    }
    if (given == NULL || given[0] == '\0')
        given = "http://127.0.0.1:5000";
    str url = str_of(given);
    while (str_ends(url, STR("/")))
        url.len--;
    bool has_scheme = strstr(given, "://") != NULL;
    if (has_scheme && !str_starts(url, STR("http://")) && !str_starts(url, STR("https://")))
        return err_set(err, ST_INVALID,
                       "%s: \"%.200s\" is no URL that can be asked; allowed are http:// and "
                       "https://",
                       from, given);
    for (size_t i = 0; i < url.len; i++)
        if ((unsigned char)url.ptr[i] <= ' ' || strchr("?#\\", url.ptr[i]) != NULL)
            return err_set(err, ST_INVALID,
                           "%s: \"%.200s\" is no URL of a registry, such as http://127.0.0.1:5000",
                           from, given);
    if (url.len == 0 || url.len + 8 > sizeof(s->base))
        return err_set(err, ST_INVALID, "%s: the URL is empty or too long", from);
    (void)snprintf(s->base, sizeof(s->base), "%s%.*s", has_scheme ? "" : "http://", STR_FMT(url));
    /* Not shown: what stands before the @ is a password. */
    if (memchr(s->base, '@', authority_end(str_of(s->base))) != NULL)
        return err_set(err, ST_INVALID,
                       "%s: no name or password stands in a URL; see `ebb login --help`", from);
    normalize(s);
    s->ca = common->ca != NULL ? common->ca : getenv("EBB_CA");
    if (s->ca != NULL && s->ca[0] == '\0')
        s->ca = NULL;
    return ST_OK;
}

enum st ask_server_init(struct ask_server *s, const struct cli_common *common, struct err *err)
{
    enum st st = ask_server_find(s, common, err);
    return st == ST_OK ? asker_choose(common, s->base, &s->who, err) : st;
}

/* ---- paths ----------------------------------------------------------------------------------- */

static void add_raw(struct ask_path *p, const char *text)
{
    size_t len = strlen(p->text);
    if (len + strlen(text) + 1 > sizeof(p->text))
        p->too_long = true;
    else
        (void)snprintf(p->text + len, sizeof(p->text) - len, "%s", text);
}

static void add_encoded(struct ask_path *p, str s)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    for (size_t i = 0; i < s.len; i++) {
        char c[4] = { s.ptr[i] };
        if (s.ptr[i] == '\0' || strchr(plain, s.ptr[i]) == NULL)
            (void)snprintf(c, sizeof(c), "%%%02X", (unsigned)(unsigned char)s.ptr[i]);
        add_raw(p, c);
    }
}

struct ask_path ask_path(const char *path)
{
    struct ask_path p = { 0 };
    add_raw(&p, path);
    return p;
}

void ask_path_add(struct ask_path *p, str component)
{
    add_raw(p, "/");
    add_encoded(p, component);
}

void ask_query(struct ask_path *p, const char *key, str value)
{
    if (value.ptr == NULL)
        return;
    add_raw(p, p->has_query ? "&" : "?");
    p->has_query = true;
    add_raw(p, key);
    add_raw(p, "=");
    add_encoded(p, value);
}

void ask_query_number(struct ask_path *p, const char *key, uint64_t value)
{
    char text[32];
    (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
    ask_query(p, key, str_of(text));
}

/* ---- asking ---------------------------------------------------------------------------------- */

void ask_answer_release(struct ask_answer *a)
{
    json_decref(a->body);
    a->body = NULL;
}

/* What a refusal says: of a problem document, or of the distribution API's errors. */
static str refusal_text(const struct ask_answer *a)
{
    str text = ask_text(a->body, "detail");
    if (text.len == 0)
        text = ask_text(a->body, "title");
    if (text.len == 0)
        text = ask_text(json_array_get(json_object_get(a->body, "errors"), 0), "message");
    return text;
}

/* "--server URL" where it is not found without */
static const char *login_text(const struct ask_server *s, char out[static 1100])
{
    (void)snprintf(out, 1100, "`ebb login%s%s`",
                   strcmp(s->base, "http://127.0.0.1:5000") == 0 ? "" : " --server ",
                   strcmp(s->base, "http://127.0.0.1:5000") == 0 ? "" : s->base);
    return out;
}

/* 401: who asks is not known. */
static enum st refused_unknown(const struct ask_server *s, const struct ask_answer *a,
                               struct err *err)
{
    char login[1100];
    str text = refusal_text(a);
    if (text.len == 0)
        text = STR("401");
    if (s->who.kind == ASKER_NOBODY)
        return err_set(err, ST_DENIED, "%s wants to know who asks: %s, or set EBB_TOKEN (%.*s)",
                       s->base, login_text(s, login), STR_FMT(text));
    return err_set(err, ST_DENIED, "%s does not accept %s (%.*s); log in again with %s", s->base,
                   asker_text(s->who.kind), STR_FMT(text), login_text(s, login));
}

static enum st refused(const struct ask_server *s, const struct ask_answer *a, int64_t wait_s,
                       struct err *err)
{
    static const struct {
        int code;
        enum st st;
    } codes[] = {
        { 403, ST_DENIED },  { 404, ST_NOT_FOUND }, { 409, ST_BUSY },
        { 410, ST_EXPIRED }, { 413, ST_TOO_LARGE }, { 429, ST_BUSY },
    };
    enum st st = a->code < 500 ? ST_INVALID : ST_IO;
    for (size_t i = 0; i < ARRAY_LEN(codes); i++)
        if (codes[i].code == a->code)
            st = codes[i].st;
    str text = refusal_text(a);
    if (a->code == 401)
        return refused_unknown(s, a, err);
    if (wait_s > 0 && ask_refused_as(a, "slowed"))
        return err_set(err, st, "too many log-ins failed; try again in %lld s", (long long)wait_s);
    if (text.len > 0 && wait_s > 0)
        return err_set(err, st, "%.*s; try again in %lld s", STR_FMT(text), (long long)wait_s);
    if (text.len > 0)
        return err_set(err, st, "%.*s", STR_FMT(text));
    return err_set(err, st == ST_NOT_FOUND ? ST_UNSUPPORTED : st,
                   "%s answers %d without saying why: this is no Ebb registry, or an older one",
                   s->base, a->code);
}

/* No answer at all. */
static enum st unreachable(const struct ask_server *s, struct err *err)
{
    char why[ERR_TEXT_MAX];
    const char *behind = strstr(err->text, ": "); /* the URL */
    (void)str_copy(str_of(behind == NULL ? err->text : behind + 2), why, sizeof(why));
    bool certificate = strncmp(s->base, "https://", 8) == 0 && strstr(why, "ertificate") != NULL;
    return err_set(err, ST_GONE, "there is no answer from %s (%s); %s", s->base, why,
                   certificate ? "trust its certificate with --ca FILE or EBB_CA"
                               : "say where the registry is with --server URL or EBB_SERVER");
}

static struct http_session session; /* of this process, to its end */

static enum st ask_text_body(const struct ask_server *s, const char *method,
                             const struct ask_path *path, str body, struct ask_answer *out,
                             struct err *err)
{
    const char *const headers[] = { "Content-Type: application/json",
                                    "Accept: application/json, application/problem+json",
                                    s->who.header[0] == '\0' ? NULL : s->who.header, NULL };
    AUTO(http_reply_release) struct http_reply reply = { 0 };
    char url[sizeof(s->base) + sizeof(path->text) + 16];
    (void)snprintf(url, sizeof(url), "%s/api/ebb/v1%s", s->base, path->text);
    const struct http_ask question = { .method = method,
                                       .url = url,
                                       .headers = headers,
                                       .body = body,
                                       .ca = s->ca,
                                       .direct = asker_is_loopback(s->base),
                                       .answer_max_bytes = ANSWER_MAX_BYTES,
                                       .timeout_ms = TIMEOUT_MS,
                                       .session = &session };
    enum st st = path->too_long ? err_set(err, ST_INVALID, "a name on the command line is too long")
                                : http_client_ask(&question, &reply, err);
    if (st == ST_GONE)
        return unreachable(s, err);
    if (st != ST_OK)
        return st;
    out->code = reply.code;
    if (reply.body.len > 0)
        out->body = json_loadb(reply.body.ptr, reply.body.len, 0, NULL);
    if (out->code < 200 || out->code > 299)
        return refused(s, out, reply.retry_after_s, err);
    if (out->code != 204 && !json_is_object(out->body))
        return err_set(err, ST_INVALID,
                       "%s answers what is no JSON object: this is no Ebb registry", s->base);
    return ST_OK;
}

enum st ask(const struct ask_server *s, const char *method, const struct ask_path *path,
            const json_t *body, struct ask_answer *out, struct err *err)
{
    *out = (struct ask_answer){ 0 };
    char *text = body == NULL ? NULL : json_dumps(body, JSON_COMPACT);
    if (body != NULL && text == NULL)
        return err_no_memory(err);
    enum st st = ask_text_body(s, method, path, str_of(text), out, err);
    free(text); /* jansson's */
    return st;
}

bool ask_refused_as(const struct ask_answer *a, const char *name)
{
    str type = ask_text(a->body, "type");
    str urn = STR("urn:ebb:");
    return str_starts(type, urn) && str_eq(str_slice(type, urn.len, type.len), str_of(name));
}

/* The path of the page behind this one; ST_END when it is the last. */
static enum st next_place(const struct ask_path *path, const json_t *page, struct ask_path *out)
{
    const json_t *next = json_object_get(page, "next");
    struct ask_path p = *path;
    if (json_is_integer(next))
        ask_query_number(&p, "after", (uint64_t)json_integer_value(next));
    else if (json_is_string(next))
        ask_query(&p, "after", (str){ json_string_value(next), json_string_length(next) });
    else
        return ST_END;
    *out = p;
    return ST_OK;
}

enum st ask_each(const struct ask_server *s, const struct ask_path *path, ask_item_fn fn, void *ctx,
                 struct err *err)
{
    struct ask_path at = *path;
    for (;;) {
        AUTO(ask_answer_release) struct ask_answer page = { 0 };
        struct ask_path before = at;
        enum st st = ask(s, "GET", &at, NULL, &page, err);
        const json_t *items = json_object_get(page.body, "items");
        if (st == ST_OK && !json_is_array(items))
            st = err_set(err, ST_INVALID, "%s answers what is no list", s->base);
        for (size_t i = 0; st == ST_OK && i < json_array_size(items); i++)
            st = fn(json_array_get(items, i), ctx, err);
        if (st == ST_OK)
            st = next_place(path, page.body, &at);
        if (st != ST_OK)
            return st == ST_END ? ST_OK : st;
        if (strcmp(at.text, before.text) == 0)
            return err_set(err, ST_INVALID, "%s answers a list without an end", s->base);
    }
}

/* ---- members --------------------------------------------------------------------------------- */

str ask_text(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_string(value) ? (str){ json_string_value(value), json_string_length(value) }
                                 : STR("");
}

uint64_t ask_count(const json_t *object, const char *key)
{
    json_int_t value = json_integer_value(json_object_get(object, key));
    return value < 0 ? 0 : (uint64_t)value;
}

bool ask_has(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return value != NULL && !json_is_null(value);
}
