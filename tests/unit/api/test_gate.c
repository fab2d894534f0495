/* SPDX-License-Identifier: Apache-2.0
 *
 * Lists through the gate: page after page it is what somebody may pull, all of it and nothing else,
 * in order, however roles, visibility and caps lie over the names.
 */
#include "api/api_int.h"
#include "base/rng.h"
#include "world_test.h"

#define PATHS_MAX 12

static const char *const parts[] = { "a", "a-b", "a.b", "ab", "b", "z" };

struct rig {
    struct api api;
    struct api_call call;
    struct http_request rq;
};

static uint64_t next(void)
{
    static uint64_t state = 5;
    return rng_next(&state);
}

/* Of one to three parts. */
static str make_path(struct arena *a, unsigned n)
{
    str path = STR("");
    for (unsigned depth = 1 + n % 3; depth > 0; depth--) {
        n /= 3;
        path = arena_printf(a, "%.*s%s%s", STR_FMT(path), path.len > 0 ? "/" : "",
                            parts[n % ARRAY_LEN(parts)]);
        n /= (unsigned)ARRAY_LEN(parts);
    }
    return path;
}

static int by_name(const void *a, const void *b)
{
    return str_cmp(*(const str *)a, *(const str *)b);
}

/* Different paths, in order. */
static size_t make_paths(struct arena *a, size_t most, str out[static PATHS_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < most; i++)
        out[i] = i == 0 && next() % 4 == 0 ? STR("") : make_path(a, (unsigned)(next() % 5000));
    qsort(out, most, sizeof(out[0]), by_name);
    for (size_t i = 0; i < most; i++)
        if (count == 0 || !str_eq(out[count - 1], out[i]))
            out[count++] = out[i];
    return count;
}

static void make_access(struct arena *a, struct access *out)
{
    str paths[PATHS_MAX];
    struct access_member *members = arena_alloc(a, PATHS_MAX * sizeof(*members));
    struct access_visibility *visibility = arena_alloc(a, PATHS_MAX * sizeof(*visibility));
    *out =
        (struct access){ .members = members, .visibility = visibility, .cap_rights = RIGHTS_ALL };
    out->member_count = make_paths(a, next() % 5, paths);
    for (size_t i = 0; i < out->member_count; i++)
        members[i] = (struct access_member){ paths[i], ROLE_GUEST };
    out->visibility_count = make_paths(a, next() % 6, paths);
    for (size_t i = 0; i < out->visibility_count; i++)
        visibility[i] = (struct access_visibility){ paths[i], next() % 2 == 0 };
    if (next() % 4 == 0)
        out->cap_prefix = make_path(a, (unsigned)(next() % 5000));
    if (next() % 16 == 0)
        out->cap_rights = RIGHT_PUSH;
    out->administrator = next() % 16 == 0;
}

static void compare(struct rig *r, const struct name_page *all, size_t limit)
{
    const struct access *access = &r->call.who.access;
    struct err err = { 0 };
    str last = STR_NONE;
    size_t at = 0;
    for (bool more = true; more;) {
        struct name_page page = { 0 };
        assert_int_equal(ST_OK, gate_list_repositories(&r->rq, last, limit, &page, &err));
        assert_true(page.count <= limit && (!page.more || page.count == limit));
        for (size_t i = 0; i < page.count; i++, at++) {
            while (at < all->count && (access_rights(access, all->names[at]) & RIGHT_PULL) == 0)
                at++;
            assert_true(at < all->count && str_eq(all->names[at], page.names[i]));
            last = page.names[i];
        }
        more = page.more;
    }
    for (; at < all->count; at++)
        assert_int_equal(0, access_rights(access, all->names[at]) & RIGHT_PULL);
}

static void lists_hold_what_may_be_pulled(void **state)
{
    struct world *w = *state;
    AUTO(arena_release) struct arena names = { .limit_bytes = 16 * MIB };
    struct name_page all = { 0 };
    struct made image;
    for (unsigned n = 0; n < 120; n++) {
        str path = make_path(&names, n * 31);
        push_image(w, path.ptr, "one", "v1", &image);
    }
    OK(registry_list_repositories(&w->r, STR_NONE, 1000, &names, &all, &w->err));
    assert_true(all.count > 60);
    for (int i = 0; i < 2000; i++) {
        struct rig r = { .api = { .registry = &w->r, .accounts = true } };
        r.call.api = &r.api;
        r.rq = (struct http_request){ .state = &r.call, .arena = { .limit_bytes = 16 * MIB } };
        make_access(&r.rq.arena, &r.call.who.access);
        compare(&r, &all, 1 + next() % 20);
        arena_release(&r.rq.arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(lists_hold_what_may_be_pulled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
