/* SPDX-License-Identifier: Apache-2.0
 *
 * world_test - what the cmocka tests on a world share: set-up, and checks that name what failed.
 */
#ifndef EBB_WORLD_TEST_H
#define EBB_WORLD_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "invariants.h"
#include "world.h"

static inline void expect_status(struct world *w, enum st want, enum st got, const char *call,
                                 const char *file, int line)
{
    if (want == got)
        return;
    print_error("%s\n  gave \"%s\" (%s), not \"%s\"\n", call, st_text(got),
                got == ST_OK ? "" : w->err.text, want == ST_OK ? "ok" : st_text(want));
    _fail(file, line);
}

/* The call on the world `w` gives this status. */
#define IS(status, call)   expect_status(w, status, call, #call, __FILE__, __LINE__)
#define OK(call)           IS(ST_OK, call)
/* All invariants hold. */
#define SOUND()            OK(check_invariants(w->r.db, w->mem, w->r.sparse_index, w->now, &w->err))
/* The statement counts this many. */
#define COUNT(number, sql) assert_int_equal(world_count(w, sql), number)

/* Nothing is left of anything: no row, no name in the store. */
#define EMPTY()                                                                                    \
    do {                                                                                           \
        COUNT(0, "SELECT count(*) FROM repository");                                               \
        COUNT(0, "SELECT count(*) FROM blob");                                                     \
        COUNT(0, "SELECT count(*) FROM repo_blob");                                                \
        COUNT(0, "SELECT count(*) FROM manifest");                                                 \
        COUNT(0, "SELECT count(*) FROM manifest_blob");                                            \
        COUNT(0, "SELECT count(*) FROM manifest_child");                                           \
        COUNT(0, "SELECT count(*) FROM tag");                                                      \
        COUNT(0, "SELECT count(*) FROM upload");                                                   \
        COUNT(0, "SELECT count(*) FROM doomed");                                                   \
        assert_int_equal(world_names(w), 0);                                                       \
    } while (0)

static inline int world_setup(void **state)
{
    static struct world world;
    if (!world_open(&world, "")) {
        print_error("%s\n", world.err.text);
        return -1;
    }
    *state = &world;
    return 0;
}

static inline int world_teardown(void **state)
{
    world_close(*state);
    return 0;
}

#define WORLD_TEST(fn) cmocka_unit_test_setup_teardown(fn, world_setup, world_teardown)

/* Uploads the blobs "<name>/config" and "<name>/layer", makes the image that names them, and pushes
 * it when `tag` is not NULL. */
static inline void push_image(struct world *w, const char *repo, const char *name, const char *tag,
                              struct made *m)
{
    made_image(m, name);
    static const char *const parts[] = { "config", "layer" };
    for (size_t i = 0; i < 2; i++) {
        char text[80];
        (void)snprintf(text, sizeof(text), "%s/%s", name, parts[i]);
        struct digest d = world_digest(text);
        made_add_blob(m, &d, false);
        OK(world_upload(w, repo, text));
    }
    if (tag != NULL)
        OK(world_push(w, repo, m, tag));
}

#endif
