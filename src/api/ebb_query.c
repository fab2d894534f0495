/* SPDX-License-Identifier: Apache-2.0
 *
 * What requests of /api/ebb/v1 ask: parameters, ids in paths, bodies.
 */
#include "api/ebb_int.h"
#include "base/mem.h"

static bool refuse(struct http_request *rq, str detail)
{
    ebb_problem(rq, 400, "invalid", detail.ptr == NULL ? STR("the request is not valid") : detail,
                STR_NONE);
    return false;
}

bool ebb_page(struct http_request *rq, struct ebb_page *out)
{
    size_t most = api_call_of(rq)->api->options.page_max;
    uint64_t wanted = most;
    str n = STR_NONE;
    if (http_query(rq, "n", &n) && (!str_to_u64(n, JSON_IN_NUMBER_MAX, &wanted) || wanted == 0))
        return refuse(rq, arena_printf(&rq->arena,
                                       "?n= is a number of items from 1 on, of which up to %zu are"
                                       " given",
                                       most));
    *out = (struct ebb_page){ .limit = (size_t)MIN(wanted, (uint64_t)most) };
    (void)http_query(rq, "after", &out->after);
    return true;
}

bool ebb_page_number(struct http_request *rq, size_t *limit, uint64_t *after)
{
    struct ebb_page page;
    uint64_t number = 0;
    if (!ebb_page(rq, &page))
        return false;
    if (page.after.ptr != NULL && !str_to_u64(page.after, INT64_MAX, &number))
        return refuse(rq, STR("?after= is the \"next\" of the page before"));
    *limit = page.limit;
    *after = number;
    return true;
}

bool ebb_prefix(struct http_request *rq, str *out)
{
    struct err err = { 0 };
    str prefix = STR("");
    if (http_query(rq, "prefix", &prefix) && prefix.len > 0 && name_check(prefix, &err) != ST_OK)
        return refuse(rq, arena_printf(&rq->arena,
                                       "?prefix= is the path of a repository or of what is above:"
                                       " %s",
                                       err.text));
    *out = prefix;
    return true;
}

bool ebb_id(struct http_request *rq, const char *type, int64_t *out)
{
    uint64_t id = 0;
    if (str_to_u64(api_call_of(rq)->reference, INT64_MAX, &id) && id > 0) {
        *out = (int64_t)id;
        return true;
    }
    ebb_problem(rq, 404, type, STR("there is none with this id: ids are numbers from 1 on"),
                STR_NONE);
    return false;
}

bool ebb_reference(struct http_request *rq, int allowed, str *text, struct ebb_reference *out)
{
    struct err err = { 0 };
    str given = STR("");
    (void)http_query(rq, "reference", &given);
    if (ebb_reference_parse(given, allowed, out, &err) != ST_OK) {
        (void)err_wrap(&err, "?reference=");
        ebb_fail(rq, NULL, &err);
        return false;
    }
    *text = given;
    api_call_of(rq)->repo = out->repo;
    api_call_of(rq)->reference = given;
    return true;
}

/* ---- bodies -------------------------------------------------------------------------------- */

static void release_body(void *arg)
{
    json_in_release(arg);
}

bool ebb_read(struct http_request *rq, struct json_in *out)
{
    const struct ebb_door *door = api_call_of(rq)->door;
    struct err err = { 0 };
    struct json_in_body *body = arena_alloc(&rq->arena, sizeof(*body));
    struct arena *a = body == NULL ? NULL : ebb_arena(rq, 16 * JSON_IN_BYTES_MAX);
    if (body == NULL) {
        (void)err_no_memory(&err);
        ebb_fail(rq, NULL, &err);
    }
    if (a == NULL)
        return false;
    enum st st = json_in_read(body, rq->body, door->body == EBB_MAY_BODY, a, out, &err);
    http_on_end(rq, release_body, body);
    if (st == ST_INVALID && door->body == EBB_SECRET_BODY) /* a parser repeats where it stopped */
        (void)err_set(&err, st, "the body is no JSON that can be read");
    if (st != ST_OK)
        ebb_fail(rq, NULL, &err);
    return st == ST_OK;
}

bool ebb_read_end(struct http_request *rq, struct json_in *in)
{
    struct err err = { 0 };
    if (json_in_close(in, &err) == ST_OK)
        return true;
    ebb_fail(rq, NULL, &err);
    return false;
}
