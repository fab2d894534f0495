/* SPDX-License-Identifier: Apache-2.0
 *
 * name - the grammar of repository names, tags and references (distribution-spec, "Pull").
 */
#ifndef EBB_NAME_H
#define EBB_NAME_H

#include "oci/digest.h"

#define NAME_MAX_BYTES                                                                             \
    255 /* of a repository name; clients cap host and name together at about this */
#define TAG_MAX_BYTES 128

/* Components `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*` joined by "/". ST_INVALID with a sentence that
 * says what is wrong and what is allowed. */
MUST_CHECK enum st name_check(str name, struct err *err);

/* `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}` */
MUST_CHECK enum st tag_check(str tag, struct err *err);

/* A tag or a digest: a ":" decides. */
struct reference {
    bool is_digest;
    str tag; /* borrowed from the input; unset for a digest */
    struct digest digest;
};

/* ST_INVALID for a bad tag, as digest_parse() for a bad digest. */
MUST_CHECK enum st reference_parse(str s, struct reference *out, struct err *err);

#endif
