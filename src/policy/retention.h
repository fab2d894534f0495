/* SPDX-License-Identifier: Apache-2.0
 *
 * retention - which tags of one repository a clean-up rule selects, and why it keeps the others.
 *
 *  1. The steps, in the order that GitLab's clean-up rules have: tags that match; without those
 *     whose name is kept; without the newest `keep_newest` of what remains; only those older than;
 *     only those not pulled for so long.
 *  2. What is unclear is kept: a pattern over its limit, a tag whose pulls are not known.
 *  3. The verdict on a tag depends on the tags and the rule only, never on the order of the tags.
 *  4. A rule without any criterion selects nothing.
 *
 * All times are on one clock, in milliseconds. Threads: pure functions.
 */
#ifndef EBB_RETENTION_H
#define EBB_RETENTION_H

#include "policy/pattern.h"

struct retention_rule {
    const struct pattern *tags; /* NULL: all; borrowed, as `keep` */
    const struct pattern *keep; /* NULL: none is kept for its name */
    uint64_t keep_newest;       /* 0: not given, here and below */
    int64_t older_than_ms;      /* since the tag was put where it points now */
    int64_t not_pulled_for_ms;
};

struct retention_tag {
    str name; /* differs from those of all others; among equal times the later name is newer */
    int64_t tagged_at;
    int64_t pulled_at; /* 0: no pull was seen */
    bool pull_known;   /* pulls were counted for long enough to know */
};

enum retention_verdict {
    RETENTION_SELECTED,
    RETENTION_NOT_MATCHED,
    RETENTION_KEPT_BY_NAME,
    RETENTION_KEPT_NEWEST,
    RETENTION_KEPT_YOUNG,
    RETENTION_KEPT_PULLED,  /* or tagged so recently that nobody could be expected to have */
    RETENTION_KEPT_UNKNOWN, /* no statistic */
    RETENTION_KEPT_UNCLEAR, /* a regular expression over its limit */
    RETENTION_VERDICTS
};

/* "is among the newest": ends a sentence about the tag. Never NULL. */
const char *retention_verdict_text(enum retention_verdict v);

/* ST_INVALID: no criterion at all, or a time below 0. */
MUST_CHECK enum st retention_check(const struct retention_rule *rule, struct err *err);

/* Fills verdicts[n]. Takes 16 bytes a tag meanwhile when keep_newest is given; else nothing.
 * ST_NO_MEMORY leaves verdicts[] without meaning. */
MUST_CHECK enum st retention_judge(const struct retention_rule *rule,
                                   const struct retention_tag *tags, size_t n, int64_t now,
                                   enum retention_verdict *verdicts, struct err *err);

#endif
