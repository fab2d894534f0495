/* SPDX-License-Identifier: Apache-2.0 */
#include "meta/path_range.h"

enum st path_range_below(str path, struct path_range *out, struct err *err)
{
    if (path.len > NAME_MAX_BYTES)
        return err_set(err, ST_INVALID, "the prefix is longer than a repository's name can be");
    (void)snprintf(out->from_text, sizeof(out->from_text), "%.*s/", STR_FMT(path));
    (void)snprintf(out->to_text, sizeof(out->to_text), "%.*s0", STR_FMT(path));
    out->from = (str){ out->from_text, path.len + 1 };
    out->to = (str){ out->to_text, path.len + 1 };
    return ST_OK;
}
