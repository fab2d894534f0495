/* SPDX-License-Identifier: Apache-2.0
 *
 * ebb_reference - names of things as people write them:
 *
 *     repo:tag   repo@digest   digest
 *
 * What reads as a digest is one: a tag of 64 hex digits in a repository named "sha256" has to be
 * named by its manifest's digest.
 *
 * Threads: pure functions.
 */
#ifndef EBB_EBB_REFERENCE_H
#define EBB_EBB_REFERENCE_H

#include "oci/name.h"

#define EBB_REFERENCE_MAX (NAME_MAX_BYTES + 1 + DIGEST_TEXT_MAX)

/* Kinds, to be or'ed where some are allowed. */
#define EBB_REFERENCE_TAG    1
#define EBB_REFERENCE_DIGEST 2
#define EBB_REFERENCE_ALONE  4

struct ebb_reference {
    int kind;
    str repo; /* unset in EBB_REFERENCE_ALONE; borrowed, as `tag` */
    str tag;
    struct digest digest;
};

/* ST_INVALID with a sentence: what is wrong, and what is allowed. */
MUST_CHECK enum st ebb_reference_parse(str s, int allowed, struct ebb_reference *out,
                                       struct err *err);

#endif
