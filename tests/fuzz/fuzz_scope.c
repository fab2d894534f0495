/* SPDX-License-Identifier: Apache-2.0
 *
 * Scopes: whatever a client asks for, what comes out is safe to write into a token and comes back
 * the same.
 */
#include "auth/scope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct claim *c, struct arena *a)
{
    char actions[ACTIONS_TEXT_MAX];
    static struct claims again;
    assert(c->name.len > 0 && str_is_utf8(c->name));
    assert(memchr(c->name.ptr, ' ', c->name.len) == NULL);
    assert(memchr(c->name.ptr, '"', c->name.len) == NULL);
    assert(memchr(c->name.ptr, '*', c->name.len) == NULL || c->name.len == 1);
    assert(c->actions != 0);
    assert((actions_within(c->actions, RIGHT_PULL) & ~(ACTION_PULL | ACTION_METADATA_READ)) == 0);
    assert(actions_within(c->actions, 0) == 0);
    assert(c->type == CLAIM_REPOSITORY || c->name.len > 1);
    str text =
        arena_printf(a, "%s:%.*s:%s", c->type == CLAIM_REPOSITORY ? "repository" : "registry",
                     STR_FMT(c->name), actions_text(c->actions, actions));
    again.count = 0;
    assert(scope_add(&again, text, a, NULL) == ST_OK);
    assert(again.count == 1 && again.items[0].type == c->type &&
           again.items[0].actions == c->actions && str_eq(again.items[0].name, c->name));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct claims c;
    struct arena a = { .limit_bytes = 16 * MIB };
    struct err err = { .st = ST_OK };
    c.count = 0;
    enum st st = scope_add(&c, (str){ (const char *)data, size }, &a, &err);
    assert(st == ST_OK || st == ST_TOO_LARGE || st == ST_NO_MEMORY);
    assert(err.st == st && c.count <= CLAIMS_MAX);
    for (size_t i = 0; st != ST_NO_MEMORY && i < c.count; i++) {
        check(&c.items[i], &a);
        for (size_t k = 0; k < i; k++)
            assert(c.items[k].type != c.items[i].type || !str_eq(c.items[k].name, c.items[i].name));
    }
    arena_release(&a);
    return 0;
}
