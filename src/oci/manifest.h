/* SPDX-License-Identifier: Apache-2.0
 *
 * manifest - what a registry must know of a manifest's bytes (image-spec manifest.md,
 * image-index.md; Docker schema 2 and manifest list).
 *
 *  1. The stored bytes are the client's, verbatim; this parses a copy into what rows need.
 *  2. One body is one kind: fields of a manifest and of an index together are refused
 *     (CVE-2021-41190), so are duplicate keys and a mediaType that differs from the Content-Type.
 *  3. Limits are checked while parsing, before anything large is allocated.
 *
 * Threads: pure functions.
 */
#ifndef EBB_MANIFEST_H
#define EBB_MANIFEST_H

#include "base/arena.h"
#include "oci/digest.h"

enum manifest_kind { MANIFEST_IMAGE, MANIFEST_INDEX };

struct manifest_limits {
    size_t bytes_max;       /* of the body: 4 MiB */
    size_t depth_max;       /* of nested JSON: 32 */
    size_t descriptors_max; /* config, layers, manifests together: 10,000 */
};

struct descriptor {
    struct digest digest;
    uint64_t size;
    str media_type;
    bool foreign; /* a layer that is never pushed: its absence is no error */
};

struct manifest {
    enum manifest_kind kind;
    str media_type;    /* one of the four accepted types */
    str artifact_type; /* for referrers: own artifactType, else config.mediaType, else unset */
    bool has_subject;
    struct descriptor subject;
    struct descriptor *blobs; /* of an image: config first, then layers; duplicates removed */
    size_t blob_count;
    struct descriptor *children; /* of an index; duplicates removed */
    size_t child_count;
    str annotations; /* the top-level annotations as JSON object text, or unset */
};

/* Parses `body` as `content_type` (parameters allowed, ignored). Strings and arrays live in `a`.
 * ST_UNSUPPORTED  a media type that is not accepted (Docker schema 1 with its own sentence)
 * ST_TOO_LARGE    over a limit
 * ST_INVALID      anything else, with a sentence that names the field */
MUST_CHECK enum st manifest_parse(str body, str content_type, const struct manifest_limits *limits,
                                  struct arena *a, struct manifest *out, struct err *err);

#endif
