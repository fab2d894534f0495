/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli_ask.h"

#include "net/http_client.h"

#define ANSWER_MAX_BYTES ((size_t)(64 * MIB))
#define TIMEOUT_MS       ((int64_t)600000) /* a plan of a large registry takes its time */

enum st ask_server_init(struct ask_server *s, const char *given, struct err *err)
{
    const char *from = "--server";
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
        if ((unsigned char)url.ptr[i] <= ' ' || url.ptr[i] == '?' || url.ptr[i] == '#')
            return err_set(err, ST_INVALID,
                           "%s: \"%.200s\" is no URL of a registry, such as http://127.0.0.1:5000",
                           from, given);
    if (url.len == 0 || url.len + 8 > sizeof(s->base))
        return err_set(err, ST_INVALID, "%s: the URL is empty or too long", from);
    (void)snprintf(s->base, sizeof(s->base), "%s%.*s", has_scheme ? "" : "http://", STR_FMT(url));
    return ST_OK;
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

/* The sentence of a refusal: of a problem document, or of the distribution API's errors. */
static enum st refused(const struct ask_server *s, const struct ask_answer *a, struct err *err)
{
    static const struct {
        int code;
        enum st st;
    } codes[] = {
        { 403, ST_DENIED },  { 404, ST_NOT_FOUND }, { 409, ST_BUSY },
        { 410, ST_EXPIRED }, { 413, ST_TOO_LARGE },
    };
    enum st st = a->code < 500 ? ST_INVALID : ST_IO;
    for (size_t i = 0; i < ARRAY_LEN(codes); i++)
        if (codes[i].code == a->code)
            st = codes[i].st;
    str text = ask_text(a->body, "detail");
    if (text.len == 0)
        text = ask_text(a->body, "title");
    if (text.len == 0)
        text = ask_text(json_array_get(json_object_get(a->body, "errors"), 0), "message");
    if (text.len > 0)
        return err_set(err, st, "%.*s", STR_FMT(text));
    return err_set(err, st == ST_NOT_FOUND ? ST_UNSUPPORTED : st,
                   "%s answers %d without saying why: this is no Ebb registry, or an older one",
                   s->base, a->code);
}

static struct http_session session; /* of this process, to its end */

static enum st ask_text_body(const struct ask_server *s, const char *method,
                             const struct ask_path *path, str body, struct ask_answer *out,
                             struct err *err)
{
    static const char *const headers[] = { "Content-Type: application/json",
                                           "Accept: application/json, application/problem+json",
                                           NULL };
    AUTO(http_reply_release) struct http_reply reply = { 0 };
    char url[sizeof(s->base) + sizeof(path->text) + 16];
    (void)snprintf(url, sizeof(url), "%s/api/ebb/v1%s", s->base, path->text);
    const struct http_ask question = { .method = method,
                                       .url = url,
                                       .headers = headers,
                                       .body = body,
                                       .answer_max_bytes = ANSWER_MAX_BYTES,
                                       .timeout_ms = TIMEOUT_MS,
                                       .session = &session };
    enum st st = path->too_long ? err_set(err, ST_INVALID, "a name on the command line is too long")
                                : http_client_ask(&question, &reply, err);
    if (st == ST_GONE)
        return err_set(err, st,
                       "there is no answer from %s (%s); say where the registry is with --server "
                       "URL or EBB_SERVER",
                       s->base,
                       strstr(err->text, ": ") == NULL ? err->text : strstr(err->text, ": ") + 2);
    if (st != ST_OK)
        return st;
    out->code = reply.code;
    if (reply.body.len > 0)
        out->body = json_loadb(reply.body.ptr, reply.body.len, 0, NULL);
    if (out->code < 200 || out->code > 299)
        return refused(s, out, err);
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
