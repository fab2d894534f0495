/* SPDX-License-Identifier: Apache-2.0
 *
 * path_range - where the names below a path lie in the order of an index: "/" is followed by "0" in
 * the order of bytes, so all below "a" lies between "a/" and "a0", neither included. ("a" itself
 * comes before, with "a-b" and the like between.)
 */
#ifndef EBB_PATH_RANGE_H
#define EBB_PATH_RANGE_H

#include "base/err.h"
#include "base/str.h"
#include "oci/name.h"

struct path_range {
    str from; /* these borrow from the struct itself */
    str to;
    char from_text[NAME_MAX_BYTES + 2];
    char to_text[NAME_MAX_BYTES + 2];
};
/* ST_INVALID: longer than a repository's name can be. */
MUST_CHECK enum st path_range_below(str path, struct path_range *out, struct err *err);

#endif
