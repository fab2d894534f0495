/* SPDX-License-Identifier: Apache-2.0
 *
 * What the answers of /api/v4 have in common: errors, times, pages.
 */
#include "api/gitlab_int.h"
#include "base/json.h"
#include "meta/registry_time.h"

#define MESSAGE_BYTES_MAX (16 * KIB)

/* ---- errors -------------------------------------------------------------------------------- */

static void answer_text(struct http_request *rq, int http, const char *key, str text)
{
    AUTO(buf_release) struct buf b = { .max_bytes = MESSAGE_BYTES_MAX };
    struct api_call *call = api_call_of(rq);
    buf_printf(&b, "{\"%s\":", key);
    json_add_string(&b, text);
    buf_add_byte(&b, '}');
    str body =
        b.failed == ST_OK && text.ptr != NULL ? arena_dup(&rq->arena, buf_str(&b)) : STR_NONE;
    if (body.ptr == NULL)
        body = STR("{\"message\":\"503 Service Unavailable\"}");
    if (call != NULL)
        call->failure = text;
    http_answer(rq, http);
    http_answer_header(rq, "Content-Type", STR("application/json"));
    http_answer_header(rq, "Cache-Control", STR("no-store"));
    http_answer_bytes(rq, body);
    if (http == 503)
        http_answer_header(rq, "Retry-After", STR("1"));
}

void gitlab_message(struct http_request *rq, int http, str text)
{
    answer_text(rq, http, "message", text);
}

void gitlab_error(struct http_request *rq, int http, str text)
{
    answer_text(rq, http, "error", text);
}

void gitlab_absent(struct http_request *rq, const char *text)
{
    const struct identity *who = gate_who(rq);
    /* As the gate answers what may not be pulled: nobody with a JWT is not asked for credentials.
     */
    if (who->kind == IDENTITY_ANONYMOUS && !who->has_claims && !who->access.administrator)
        gitlab_message(rq, 401, STR("401 Unauthorized"));
    else
        gitlab_message(rq, 404, str_of(text));
}

void gitlab_fail(struct http_request *rq, const struct err *err)
{
    static const struct answer_status statuses[] = {
        { ST_INVALID, 400, "400 Bad request" },
        { ST_UNSUPPORTED, 400, "400 Bad request" },
        { ST_TOO_LARGE, 400, "400 Bad request" },
        { ST_DENIED, 403, "403 Forbidden" },
        { ST_NOT_FOUND, 404, "404 Not found" },
        { ST_FULL, 507, "507 Insufficient Storage" },
        { ST_BUSY, 503, "503 Service Unavailable" },
        { ST_STOPPING, 503, "503 Service Unavailable" },
        { ST_NO_MEMORY, 503, "503 Service Unavailable" },
        { ST_OK, 500, "500 Internal Server Error" },
    };
    str why = STR_NONE;
    const struct answer_status *said = answer_status_of(rq, NULL, statuses, err, &why);
    str text = str_of(said->word);
    if (said->http == 400 || said->http == 403)
        text = arena_printf(&rq->arena, "%s - %.*s", said->word, STR_FMT(why));
    gitlab_message(rq, said->http, text);
}

bool gitlab_params_ok(struct http_request *rq)
{
    const struct gitlab_params *p = &gitlab_call_of(rq)->params;
    if (p->error[0] == '\0')
        return true;
    gitlab_error(rq, 400, str_of(p->error));
    return false;
}

bool gitlab_is_mine(str path)
{
    str root = STR(GITLAB_ROOT);
    return str_starts(path, root) && (path.len == root.len || path.ptr[root.len] == '/');
}

void gitlab_refuse(struct http_request *rq, const struct http_refusal *why)
{
    gitlab_error(rq, why->code, arena_printf(&rq->arena, "%d: %s", why->code, why->text));
}

/* ---- answers ------------------------------------------------------------------------------- */

bool gitlab_begin(struct http_request *rq, struct json_out *out)
{
    struct err err = { 0 };
    struct buf *b = answer_buf(rq, GITLAB_ANSWER_MAX);
    if (b == NULL) {
        (void)err_no_memory(&err);
        gitlab_fail(rq, &err);
        return false;
    }
    *out = (struct json_out){ .b = b };
    return true;
}

void gitlab_end(struct http_request *rq, int http, struct json_out *out)
{
    struct err err = { 0 };
    if (buf_status(out->b, &err) != ST_OK) {
        gitlab_fail(rq, &err);
        return;
    }
    http_answer(rq, http);
    http_answer_header(rq, "Content-Type", STR("application/json"));
    http_answer_header(rq, "Cache-Control", STR("no-store"));
    http_answer_bytes(rq, buf_str(out->b));
}

void gitlab_answer_code(struct http_request *rq, int http)
{
    http_answer(rq, http);
    http_answer_header(rq, "Content-Type", STR("application/json"));
    http_answer_header(rq, "Cache-Control", STR("no-store"));
    http_answer_bytes(rq, arena_printf(&rq->arena, "%d", http));
}

int64_t gitlab_now(const struct http_request *rq)
{
    return registry_now(api_call_of(rq)->api->registry);
}

void gitlab_add_time(struct http_request *rq, struct json_out *out, const char *key, int64_t t)
{
    json_out_utc(out, key, t == 0 ? 0 : registry_utc(api_call_of(rq)->api->registry, t));
}

static str base_url(struct http_request *rq)
{
    struct gitlab_call *call = gitlab_call_of(rq);
    if (call->url.ptr == NULL)
        call->url = gate_url(rq);
    if (call->url.ptr == NULL)
        call->url = STR("");
    return call->url;
}

static str host(struct http_request *rq)
{
    str url = base_url(rq);
    if (str_starts(url, STR("https://")))
        return str_slice(url, 8, url.len);
    return str_starts(url, STR("http://")) ? str_slice(url, 7, url.len) : url;
}

str gitlab_url(struct http_request *rq, str path)
{
    str url = base_url(rq);
    return arena_printf(&rq->arena, "%.*s" GITLAB_ROOT "%.*s", STR_FMT(url), STR_FMT(path));
}

str gitlab_location(struct http_request *rq, str name)
{
    str at = host(rq);
    return arena_printf(&rq->arena, "%.*s/%.*s", STR_FMT(at), STR_FMT(name));
}

void gitlab_add_made(struct json_out *out, const char *key, str text)
{
    if (text.ptr == NULL && out->b->failed == ST_OK)
        out->b->failed = ST_NO_MEMORY;
    json_out_text(out, key, text);
}

void gitlab_add_tag(struct http_request *rq, struct json_out *out, str repo, str tag)
{
    AUTO(buf_release) struct buf b = { .max_bytes = 16 * KIB };
    str at = host(rq);
    buf_printf(&b, "%.*s/%.*s:%.*s", STR_FMT(at), STR_FMT(repo), STR_FMT(tag));
    json_out_text(out, "name", tag);
    json_out_text(out, "path", str_slice(buf_str(&b), at.len + 1, b.len));
    json_out_text(out, "location", buf_str(&b));
    if (b.failed != ST_OK && out->b->failed == ST_OK)
        out->b->failed = b.failed;
}

/* ---- pages --------------------------------------------------------------------------------- */

#define PER_PAGE_DEFAULT 20
#define PER_PAGE_MAX     100
#define PAGE_MAX         ((int64_t)100000000)

bool gitlab_page(struct http_request *rq, struct gitlab_page *out)
{
    struct gitlab_params *p = &gitlab_call_of(rq)->params;
    int64_t page = 1;
    int64_t per_page = PER_PAGE_DEFAULT;
    (void)gitlab_param_number(p, "page", &page);
    if (gitlab_param_number(p, "per_page", &per_page) && per_page == 0)
        gitlab_param_refuse(p, "per_page", "has a value not allowed");
    if (per_page < 0)
        per_page = PER_PAGE_DEFAULT;
    out->page = (uint64_t)MIN(MAX(page, (int64_t)1), PAGE_MAX);
    out->per_page = (uint64_t)MIN(per_page, (int64_t)PER_PAGE_MAX);
    return gitlab_params_ok(rq);
}

/* Not to be repeated in a link: what the link sets anew, and secrets. */
static bool is_dropped(str pair)
{
    static const char *const names[] = {
        "page",       "per_page",      "last",      "sort",
        "pagination", "private_token", "job_token", "access_token"
    };
    str name = pair;
    str value = STR_NONE;
    (void)str_cut(pair, '=', &name, &value);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq(name, str_of(names[i])))
            return true;
    return memchr(name.ptr, '%', name.len) != NULL; /* it could be spelt in another way */
}

/* The request's own address with other numbers: "https://.../tags?tags=true&" */
static void add_base(struct http_request *rq, struct buf *b)
{
    str url = base_url(rq);
    buf_printf(b, "<%.*s%.*s?", STR_FMT(url), STR_FMT(rq->path));
    for (str rest = rq->query; rest.len > 0;) {
        str pair = rest;
        if (!str_cut(rest, '&', &pair, &rest))
            rest = STR("");
        bool is_safe = memchr(pair.ptr, '>', pair.len) == NULL;
        if (pair.len > 0 && is_safe && !is_dropped(pair))
            buf_printf(b, "%.*s&", STR_FMT(pair));
    }
}

static void add_link(struct http_request *rq, struct buf *b, const struct gitlab_page *p,
                     uint64_t page, const char *rel)
{
    if (b->len > 0)
        buf_add(b, STR(", "));
    add_base(rq, b);
    buf_printf(b, "page=%llu&per_page=%llu>; rel=\"%s\"", (unsigned long long)page,
               (unsigned long long)p->per_page, rel);
}

static void add_number(struct http_request *rq, const char *name, uint64_t n)
{
    http_answer_header(rq, name,
                       n == 0 && strcmp(name, "x-total") != 0
                           ? STR("")
                           : arena_printf(&rq->arena, "%llu", (unsigned long long)n));
}

void gitlab_answer_page(struct http_request *rq, const struct gitlab_page *p, uint64_t total,
                        bool more)
{
    AUTO(buf_release) struct buf b = { .max_bytes = MESSAGE_BYTES_MAX };
    bool totals = total <= GITLAB_TOTAL_MAX;
    uint64_t pages = MAX((total + p->per_page - 1) / p->per_page, (uint64_t)1);
    add_number(rq, "x-next-page", more ? p->page + 1 : 0);
    add_number(rq, "x-page", p->page);
    add_number(rq, "x-per-page", p->per_page);
    add_number(rq, "x-prev-page", p->page - 1);
    if (totals) {
        add_number(rq, "x-total", total);
        add_number(rq, "x-total-pages", pages);
    }
    if (p->page > 1)
        add_link(rq, &b, p, p->page - 1, "prev");
    if (more)
        add_link(rq, &b, p, p->page + 1, "next");
    add_link(rq, &b, p, 1, "first");
    if (totals)
        add_link(rq, &b, p, pages, "last");
    http_answer_header(rq, "Link",
                       b.failed == ST_OK ? arena_dup(&rq->arena, buf_str(&b)) : STR_NONE);
}

void gitlab_answer_keyset(struct http_request *rq, uint64_t per_page, bool descending, str last)
{
    AUTO(buf_release) struct buf b = { .max_bytes = MESSAGE_BYTES_MAX };
    add_base(rq, &b);
    buf_printf(&b, "last=%.*s&pagination=keyset&per_page=%llu&sort=%s>; rel=\"next\"",
               STR_FMT(last), (unsigned long long)per_page, descending ? "desc" : "asc");
    http_answer_header(rq, "Link",
                       b.failed == ST_OK ? arena_dup(&rq->arena, buf_str(&b)) : STR_NONE);
}
