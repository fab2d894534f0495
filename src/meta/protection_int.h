/* SPDX-License-Identifier: Apache-2.0
 *
 * What protection.c, which compiles and keeps rules, and protection_check.c, which asks them,
 * share.
 */
#ifndef EBB_PROTECTION_INT_H
#define EBB_PROTECTION_INT_H

#include <stdatomic.h>

#include "meta/protection.h"
#include "policy/pattern.h"

#define VERSION_MAX 64

struct compiled_rule {
    int64_t id;
    enum rule_kind kind;
    struct pattern *repo; /* NULL: it is no pattern (any more), so it may mean anything */
    bool has_tag;
    struct pattern *tag; /* as above; unused without has_tag */
    enum role push_role, delete_role;
    char *reason; /* "" when there is none */
};

struct protection {
    atomic_uint refs;
    bool accounts; /* rules about levels bind */
    bool locks;    /* there is a row of lock */
    char version[VERSION_MAX];
    size_t version_len;
    size_t count;
    size_t room;
    struct compiled_rule *rules;
};

#endif
