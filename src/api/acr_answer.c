/* SPDX-License-Identifier: Apache-2.0
 *
 * What the answers of Azure's API have in common: errors, refusals, times, pages.
 */
#include "api/acr_int.h"

#include "base/clock.h"
#include "base/json.h"
#include "meta/registry_time.h"

#define ANSWER_BYTES_MAX (64 * MIB)
#define PAGE_BYTES_MAX   (64 * MIB)
#define JSON_TYPE        STR("application/json; charset=utf-8")

/* ---- errors -------------------------------------------------------------------------------- */

/* What az adds to the text of an error. */
static void add_correlation(struct http_request *rq)
{
    http_answer_header(rq, "X-Ms-Correlation-Request-Id", rq->id);
}

void acr_error(struct http_request *rq, int http, const char *code, str message, str detail)
{
    oci_answer_json(rq, http, JSON_TYPE, oci_error_text(rq, code, message, detail));
    add_correlation(rq);
}

/* What every request can meet. */
static const struct answer_status shared_statuses[] = {
    { ST_DENIED, 405, "REGISTRY_DISALLOWED_OPERATION" },
    { ST_INVALID, 400, "UNSUPPORTED" },
    { ST_TOO_LARGE, 413, "SIZE_INVALID" },
    { ST_FULL, 507, "DENIED" },
    { ST_BUSY, 503, "UNAVAILABLE" },
    { ST_STOPPING, 503, "UNAVAILABLE" },
    { ST_NO_MEMORY, 503, "UNAVAILABLE" },
    { ST_OK, 500, "UNKNOWN" },
};

void acr_fail(struct http_request *rq, const struct answer_status *table, const struct err *err)
{
    str text = STR_NONE;
    const struct answer_status *said = answer_status_of(rq, table, shared_statuses, err, &text);
    acr_error(rq, said->http, said->word, text,
              err->st == ST_DENIED && said->http == 405 ? STR("{}") : STR_NONE);
    if (said->http == 503)
        http_answer_header(rq, "Retry-After", STR("1"));
}

void acr_no_page(struct http_request *rq)
{
    api_call_of(rq)->failure = STR("404 page not found");
    oci_answer_json(rq, 404, STR("text/plain; charset=utf-8"), STR("404 page not found\n"));
}

/* ---- refusals ------------------------------------------------------------------------------ */

/* "detail" of a 401: what would be needed. */
static str needed(struct http_request *rq, const struct gate_need *need)
{
    char actions[ACTIONS_TEXT_MAX];
    if (need->type == CLAIM_CATALOG)
        return STR("[{\"Type\":\"registry\",\"Name\":\"catalog\",\"Action\":\"*\"}]");
    if (need->type == CLAIM_DELETED_CATALOG)
        return STR("[{\"Type\":\"registry\",\"Name\":\"deleted_catalog\",\"Action\":\"*\"}]");
    if (need->action == 0 || name_check(need->path, NULL) != ST_OK)
        return STR_NONE;
    return arena_printf(&rq->arena,
                        "[{\"Type\":\"repository\",\"Name\":\"%.*s\",\"Action\":\"%s\"}]",
                        STR_FMT(need->path), actions_text(need->action, actions));
}

/* Azure knows no 403: whoever may not is asked for a token that may. */
static void refuse(struct http_request *rq, const struct gate_refused *why)
{
    if (why->why == GATE_SLOWED) {
        acr_error(rq, 429, "TOOMANYREQUESTS", why->text, STR_NONE);
        http_answer_header(rq, "Retry-After",
                           arena_printf(&rq->arena, "%lld", (long long)why->retry_after_s));
        return;
    }
    /* The same text whatever is there. */
    bool wrong = why->why == GATE_BAD_CREDENTIALS;
    acr_error(rq, 401, "UNAUTHORIZED",
              wrong ? why->text
                    : STR("authentication required, visit the token service for a token with the"
                          " action that is needed"),
              needed(rq, why->need));
    gate_challenge(rq, why);
}

const struct gate_family acr_family = { .door = "azure", .refuse = refuse };

/* ---- answers ------------------------------------------------------------------------------- */

static void fail_without_memory(struct http_request *rq)
{
    struct err err = { 0 };
    (void)err_no_memory(&err);
    acr_fail(rq, NULL, &err);
}

bool acr_begin(struct http_request *rq, struct json_out *out)
{
    struct buf *b = answer_buf(rq, ANSWER_BYTES_MAX);
    if (b == NULL) {
        fail_without_memory(rq);
        return false;
    }
    *out = (struct json_out){ .b = b };
    return true;
}

void acr_end(struct http_request *rq, int http, struct json_out *out)
{
    struct err err = { 0 };
    buf_add_byte(out->b, '\n');
    if (buf_status(out->b, &err) != ST_OK) {
        acr_fail(rq, NULL, &err);
        return;
    }
    oci_answer_json(rq, http, JSON_TYPE, buf_str(out->b));
    add_correlation(rq);
}

void acr_accepted(struct http_request *rq)
{
    oci_answer_empty(rq, 202);
    add_correlation(rq);
}

struct arena *acr_arena(struct http_request *rq)
{
    struct arena *a = answer_arena(rq, PAGE_BYTES_MAX);
    if (a == NULL)
        fail_without_memory(rq);
    return a;
}

int64_t acr_now(const struct http_request *rq)
{
    return registry_now(api_call_of(rq)->api->registry);
}

void acr_add_time(struct http_request *rq, struct json_out *o, const char *key, int64_t r)
{
    char text[CLOCK_RFC3339_SIZE];
    clock_rfc3339(registry_utc(api_call_of(rq)->api->registry, r), text);
    size_t len = strlen(text) - 1; /* without the Z */
    while (len > 0 && text[len - 1] == '0' && memchr(text, '.', len) != NULL)
        len--;
    if (len > 0 && text[len - 1] == '.')
        len--;
    text[len++] = 'Z';
    json_out_text(o, key, (str){ text, len });
}

void acr_add_attributes(struct json_out *o, unsigned may)
{
    json_out_open(o, "changeableAttributes", '{');
    json_out_flag(o, "deleteEnabled", (may & LOCK_MAY_DELETE) != 0);
    json_out_flag(o, "writeEnabled", (may & LOCK_MAY_WRITE) != 0);
    json_out_flag(o, "readEnabled", (may & LOCK_MAY_READ) != 0);
    json_out_flag(o, "listEnabled", (may & LOCK_MAY_LIST) != 0);
    json_out_close(o, '}');
}

str acr_host(struct http_request *rq)
{
    str url = gate_url(rq);
    for (size_t i = 0; i + 3 <= url.len; i++)
        if (memcmp(url.ptr + i, "://", 3) == 0) {
            url = str_slice(url, i + 3, url.len);
            break;
        }
    str host = url;
    (void)str_cut(url, '/', &host, &(str){ 0 });
    return host;
}

void acr_add_text(struct json_out *o, const char *key, str text)
{
    if (text.ptr == NULL && o->b->failed == ST_OK)
        o->b->failed = ST_NO_MEMORY;
    json_out_text(o, key, text);
}

void acr_add_names(struct http_request *rq, struct json_out *o)
{
    acr_add_text(o, "registry", acr_host(rq));
    acr_add_text(o, "imageName", api_call_of(rq)->repo);
}

/* ---- pages --------------------------------------------------------------------------------- */

static bool refuse_query(struct http_request *rq, const char *code, const char *text)
{
    acr_error(rq, 400, code, str_of(text), STR_NONE);
    return false;
}

static bool read_order(struct http_request *rq, struct acr_page *out)
{
    str text = STR("");
    (void)http_query(rq, "orderby", &text);
    out->orderby = text;
    out->order = ARTIFACTS_BY_NAME;
    if (text.len == 0 || str_eq(text, STR("none")))
        return true;
    if (str_eq(text, STR("timeasc")))
        out->order = ARTIFACTS_OLDEST;
    else if (str_eq(text, STR("timedesc")))
        out->order = ARTIFACTS_NEWEST;
    else
        return refuse_query(rq, "UNSUPPORTED", "orderby must be timeasc, timedesc, none or empty");
    return true;
}

/* Ours is "~<time>~<name>", which no tag, digest or repository can be; all else is a bare name. */
static bool read_last(struct http_request *rq, struct acr_page *out)
{
    str time = STR_NONE;
    uint64_t ms = 0;
    out->last = STR_NONE;
    if (!http_query(rq, "last", &out->last) || out->last.len == 0) {
        out->last = STR_NONE;
        return true;
    }
    out->name = out->last;
    if (!str_starts(out->last, STR("~")))
        return true;
    out->has_time = true;
    if (!str_cut(str_slice(out->last, 1, out->last.len), '~', &time, &out->name) ||
        !str_to_u64(time, INT64_MAX, &ms))
        return refuse_query(rq, "UNSUPPORTED", "last must be an entry's name or come from a Link");
    out->time = (int64_t)ms;
    return true;
}

bool acr_read_page(struct http_request *rq, struct acr_page *out)
{
    size_t most = api_call_of(rq)->api->options.page_max;
    struct err err = { 0 };
    str n = STR_NONE;
    uint64_t wanted = ACR_PAGE;
    *out = (struct acr_page){ 0 };
    if (http_query_check(rq, &err) != ST_OK)
        return refuse_query(rq, "UNSUPPORTED", err.text);
    if (http_query(rq, "n", &n) && !str_to_u64(n, UINT64_MAX, &wanted))
        return refuse_query(rq, "PAGINATION_NUMBER_INVALID",
                            "n must be a number of entries: decimal digits only");
    if (wanted == 0)
        wanted = ACR_PAGE;
    out->limit = (size_t)MIN(wanted, (uint64_t)most);
    return read_order(rq, out) && read_last(rq, out);
}

/* Always with these three keys in this order: there are clients that take the query apart. */
void acr_answer_next(struct http_request *rq, const struct acr_page *page, int64_t time, str name,
                     str more)
{
    str last = name;
    if (time != 0)
        last = arena_printf(&rq->arena, "~%lld~%.*s", (long long)time, STR_FMT(name));
    last = http_escape(&rq->arena, last);
    oci_answer_next(rq, rq->path,
                    arena_printf(&rq->arena, "last=%.*s&n=%zu&orderby=%.*s%.*s", STR_FMT(last),
                                 page->limit, STR_FMT(page->orderby), STR_FMT(more)));
}
