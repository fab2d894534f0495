/* SPDX-License-Identifier: Apache-2.0
 *
 * Which path and method is whose: paths are read from the right, since a repository's name may hold
 * any of the words that paths are made of.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/api_int.h"
#include "base/fault.h"
#include "net/http_int.h"

static struct registry registry;
static struct api *api;
static struct http_exchange *x;

static int setup(void **state)
{
    (void)state;
    const struct api_options options = { .manifest = { .bytes_max = 12345 } };
    struct err err;
    x = calloc(1, sizeof(*x));
    return api_new(&registry, NULL, NULL, &options, &api, &err) == ST_OK && x != NULL ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    arena_release(&x->rq.arena);
    free(x);
    api_free(api);
    return 0;
}

static const struct http_route *route(enum http_method method, const char *target)
{
    const struct http_app app = api_app(api);
    arena_release(&x->rq.arena);
    memset(x, 0, sizeof(*x));
    http_answer_init(x);
    x->rq.method = method;
    x->rq.path = str_of(target);
    x->rq.app_ctx = app.ctx;
    (void)str_cut(x->rq.path, '?', &x->rq.path, &x->rq.query);
    const struct http_route *found = app.route(&x->rq);
    assert_non_null(found);
    return found;
}

static void is(const char *target, enum http_method method, const char *name, const char *repo,
               const char *reference)
{
    const struct http_route *r = route(method, target);
    const struct api_call *call = api_call_of(&x->rq);
    if (strcmp(r->name, name) == 0 && str_eq(call->repo, str_of(repo)) &&
        str_eq(call->reference, str_of(reference)))
        return;
    fail_msg("%s: route %s, repository \"%.*s\", reference \"%.*s\"", target, r->name,
             STR_FMT(call->repo), STR_FMT(call->reference));
}

static void paths(void **state)
{
    (void)state;
    static const struct {
        const char *target;
        enum http_method method;
        const char *name, *repo, *reference;
    } cases[] = {
        { "/v2", HTTP_GET, "ping", "", "" },
        { "/v2/", HTTP_HEAD, "ping", "", "" },
        { "/v2/_catalog", HTTP_GET, "catalog", "", "" },
        { "/v2/a/tags/list", HTTP_GET, "tags", "a", "" },
        { "/v2/a/tags/list?n=1", HTTP_HEAD, "tags", "a", "" },
        { "/v2/a/b/c/tags/list", HTTP_GET, "tags", "a/b/c", "" },
        { "/v2/tags/list/tags/list", HTTP_GET, "tags", "tags/list", "" },
        { "/v2/a/manifests/tags/list", HTTP_GET, "tags", "a/manifests", "" },
        { "/v2/a/manifests/v1", HTTP_GET, "manifest_get", "a", "v1" },
        { "/v2/a/manifests/v1", HTTP_HEAD, "manifest_head", "a", "v1" },
        { "/v2/a/manifests/v1", HTTP_DELETE, "manifest_delete", "a", "v1" },
        { "/v2/a/manifests/v1?tag=x", HTTP_PUT, "manifest_put", "a", "v1" },
        { "/v2/a/manifests/list", HTTP_GET, "manifest_get", "a", "list" },
        { "/v2/a/tags/manifests/list", HTTP_GET, "manifest_get", "a/tags", "list" },
        { "/v2/a/manifests/uploads", HTTP_GET, "manifest_get", "a", "uploads" },
        { "/v2/manifests/manifests/manifests", HTTP_GET, "manifest_get", "manifests", "manifests" },
        { "/v2/a/blobs/uploads/manifests/x", HTTP_GET, "manifest_get", "a/blobs/uploads", "x" },
        { "/v2/a/manifests/", HTTP_GET, "manifest_get", "a", "" },
        { "/v2/a/manifests/sha256:ab", HTTP_GET, "manifest_get", "a", "sha256:ab" },
        { "/v2/a/manifests/sha256%3Aab", HTTP_GET, "manifest_get", "a", "sha256:ab" },
        { "/v2/a%2Fb/manifests/v1", HTTP_GET, "manifest_get", "a/b", "v1" },
        { "/v2/a%252Fb/manifests/v1", HTTP_GET, "manifest_get", "a%2Fb", "v1" }, /* once */
        { "/v2/a/blobs/sha256:ab", HTTP_GET, "blob_get", "a", "sha256:ab" },
        { "/v2/a/blobs/sha256:ab", HTTP_HEAD, "blob_head", "a", "sha256:ab" },
        { "/v2/a/blobs/sha256:ab", HTTP_DELETE, "blob_delete", "a", "sha256:ab" },
        { "/v2/blobs/blobs/x", HTTP_GET, "blob_get", "blobs", "x" },
        { "/v2/a/blobs/uploads", HTTP_POST, "upload_start", "a", "" },
        { "/v2/a/blobs/uploads/", HTTP_POST, "upload_start", "a", "" },
        { "/v2/a/blobs/uploads/?mount=d&from=b", HTTP_POST, "upload_start", "a", "" },
        { "/v2/a/blobs/uploads/?digest=d", HTTP_POST, "upload_single", "a", "" },
        { "/v2/a/blobs/uploads/?%64igest=d", HTTP_POST, "upload_single", "a", "" },
        { "/v2/a/blobs/uploads/?digest=d&mount=e", HTTP_POST, "upload_start", "a", "" },
        { "/v2/a/blobs/uploads/blobs/uploads/", HTTP_POST, "upload_start", "a/blobs/uploads", "" },
        { "/v2/a/blobs/uploads/17", HTTP_GET, "upload_status", "a", "17" },
        { "/v2/a/blobs/uploads/17?digest=d", HTTP_GET, "upload_status", "a", "17" },
        { "/v2/a/blobs/uploads/17", HTTP_PATCH, "upload_patch", "a", "17" },
        { "/v2/a/blobs/uploads/17", HTTP_PUT, "upload_put", "a", "17" },
        { "/v2/a/blobs/uploads/17", HTTP_DELETE, "upload_cancel", "a", "17" },
        { "/v2/a/referrers/sha256:ab", HTTP_GET, "referrers", "a", "sha256:ab" },
        { "/v2/referrers/referrers/x", HTTP_GET, "referrers", "referrers", "x" },
        { "/v2//tags/list", HTTP_GET, "tags", "", "" }, /* refused as a name later */
        { "/v2/a//manifests/x", HTTP_GET, "manifest_get", "a/", "x" },
        { "/v2/../manifests/x", HTTP_GET, "manifest_get", "..", "x" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        is(cases[i].target, cases[i].method, cases[i].name, cases[i].repo, cases[i].reference);
}

static int answer_of(enum http_method method, const char *target, char fields[static 1024])
{
    const struct http_route *r = route(method, target);
    assert_non_null(r->handle);
    assert_false(r->worker);
    x->rq.route = r;
    r->handle(&x->rq);
    assert_false(x->answer.failed);
    assert_true(str_copy((str){ x->answer.fields, x->answer.fields_len }, fields, 1024));
    assert_non_null(strstr(fields, "Content-Type: application/json\r\n"));
    assert_true(str_starts((str){ x->answer.segments[0].ptr, x->answer.segments[0].len },
                           STR("{\"errors\":[{\"code\":\"")));
    return x->rq.answer_code;
}

static void unknown_paths(void **state)
{
    (void)state;
    static const char *const targets[] = {
        "/",
        "/v1/",
        "/v2x",
        "/V2/",
        "/v2/a",
        "/v2/a/tags",
        "/v2/tags/list",
        "/v2/a/tags/list/",
        "/v2/_catalog/",
        "/v2/manifests/x",
        "/v2/a/b/c",
        "/v2//",
    };
    char fields[1024];
    for (size_t i = 0; i < ARRAY_LEN(targets); i++)
        if (answer_of(HTTP_GET, targets[i], fields) != 404)
            fail_msg("%s: %d", targets[i], x->rq.answer_code);
    static const char *const broken[] = { "/v2/a%2/tags/list", "/v2/%zz/", "/v2/a%00b/tags/list",
                                          "/v2/a%" };
    for (size_t i = 0; i < ARRAY_LEN(broken); i++)
        if (answer_of(HTTP_GET, broken[i], fields) != 400)
            fail_msg("%s: %d", broken[i], x->rq.answer_code);
}

static void other_methods(void **state)
{
    (void)state;
    static const struct {
        enum http_method method;
        const char *target;
        const char *allow;
    } cases[] = {
        { HTTP_POST, "/v2/", "GET, HEAD" },
        { HTTP_OTHER, "/v2", "GET, HEAD" },
        { HTTP_DELETE, "/v2/_catalog", "GET, HEAD" },
        { HTTP_PUT, "/v2/a/tags/list", "GET, HEAD" },
        { HTTP_DELETE, "/v2/a/referrers/x", "GET, HEAD" },
        { HTTP_GET, "/v2/a/blobs/uploads/", "POST" },
        { HTTP_OPTIONS, "/v2/a/blobs/uploads", "POST" },
        { HTTP_POST, "/v2/a/blobs/uploads/17", "GET, HEAD, PUT, PATCH, DELETE" },
        { HTTP_PUT, "/v2/a/blobs/x", "GET, HEAD, DELETE" },
        { HTTP_PATCH, "/v2/a/manifests/x", "GET, HEAD, PUT, DELETE" },
        { HTTP_POST, "/v2/a/manifests/x", "GET, HEAD, PUT, DELETE" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char fields[1024];
        char want[80];
        (void)snprintf(want, sizeof(want), "Allow: %s\r\n", cases[i].allow);
        if (answer_of(cases[i].method, cases[i].target, fields) != 405 ||
            strstr(fields, want) == NULL)
            fail_msg("%s: %d\n%s", cases[i].target, x->rq.answer_code, fields);
    }
}

static void the_limit_on_a_manifest_is_the_configured_one(void **state)
{
    (void)state;
    assert_int_equal(route(HTTP_PUT, "/v2/a/manifests/x")->body_max, 12345);
}

/* Without memory nothing may look as if it were not there: a client would push or delete by that.
 */
static void without_memory(void **state)
{
    (void)state;
#ifdef EBB_FAULTS
    char fields[1024];
    fault_arm(FAULT_ALLOC, 1, false);
    assert_int_equal(answer_of(HTTP_GET, "/v2/a/manifests/x", fields), 503);
    fault_disarm();
    assert_non_null(strstr(fields, "Retry-After: 1\r\n"));
#else
    skip();
#endif
}

static void a_query_that_cannot_be_read_is_not_absent(void **state)
{
    (void)state;
    str value = STR("untouched");
    (void)route(HTTP_POST, "/v2/a/blobs/uploads/?mount=d&from=b%2Fc");
    assert_true(http_query(&x->rq, "from", &value));
    assert_true(str_eq(value, STR("b/c")));
    assert_false(x->rq.misread);
    while (arena_alloc(&x->rq.arena, 1024) != NULL)
        continue;
    while (arena_alloc(&x->rq.arena, 1) != NULL)
        continue;
    assert_true(http_query(&x->rq, "mount", &value)); /* needs no decoding */
    assert_true(str_eq(value, STR("d")));
    assert_false(x->rq.misread);
    assert_true(http_query(&x->rq, "from", &value));
    assert_int_equal(value.len, 0);
    assert_true(x->rq.misread);
}

static void text_without_memory_fails_the_answer(void **state)
{
    (void)state;
    (void)route(HTTP_GET, "/v2/");
    http_answer(&x->rq, 200);
    http_answer_header(&x->rq, "Location", STR(""));
    http_answer_bytes(&x->rq, STR(""));
    assert_false(x->answer.failed);
    http_answer_header(&x->rq, "Location", STR_NONE);
    assert_true(x->answer.failed);
    http_answer(&x->rq, 200);
    http_answer_bytes(&x->rq, STR_NONE);
    assert_true(x->answer.failed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(paths, setup, teardown),
        cmocka_unit_test_setup_teardown(unknown_paths, setup, teardown),
        cmocka_unit_test_setup_teardown(other_methods, setup, teardown),
        cmocka_unit_test_setup_teardown(the_limit_on_a_manifest_is_the_configured_one, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(without_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(text_without_memory_fails_the_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(a_query_that_cannot_be_read_is_not_absent, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
