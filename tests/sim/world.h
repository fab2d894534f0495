/* SPDX-License-Identifier: Apache-2.0
 *
 * world - a registry in memory with a clock that the test turns, for the tests of meta/, deletion/,
 * reclaim/ and for the simulator: made-up manifests, the calls of every door in one line each.
 *
 * A made-up manifest's bytes are its name; what it refers to is given beside. The rooms under test
 * read bytes nowhere, so this is as good as JSON.
 */
#ifndef EBB_WORLD_H
#define EBB_WORLD_H

#include "deletion/deletion.h"
#include "reclaim/reclaim.h"

#define WORLD_START ((int64_t)1700000000000)
#define WORLD_LEASE (1 * CLOCK_HOUR_MS)
#define WORLD_GRACE (24 * CLOCK_HOUR_MS)

struct world {
    struct registry r;      /* r.store may be another one around `mem` */
    struct deletion *d;     /* without a thread: open receipts wait for world_carry_on() */
    struct blob_store *mem; /* the bytes, without injected failures */
    int64_t now;
    uint64_t ids; /* names given out so far */
    struct err err;
    struct removal removed; /* by all steps */
};

/* A database at `path`, "" for one in memory. False with w->err set. */
bool world_open(struct world *w, const char *path);
void world_close(struct world *w);
/* A crash of the process: the database is closed and opened again, `mem` forgets what was not
 * finished. */
bool world_crash(struct world *w, const char *path, uint64_t *rng);
/* The next name for bytes; never the same. */
void world_name(struct world *w, char out[static 33]);

#define MADE_PARTS_MAX 64
struct made {
    struct manifest parsed;
    struct digest digest;
    char name[64];
    str payload;
    struct descriptor parts[MADE_PARTS_MAX];
};
void made_image(struct made *m, const char *name);
void made_index(struct made *m, const char *name);
void made_add_blob(struct made *m, const struct digest *d, bool foreign);
void made_add_child(struct made *m, const struct digest *d);
void made_set_subject(struct made *m, const struct digest *d);

struct digest world_digest(const char *text); /* sha256 of a text */

enum world_how { WORLD_INLINE, WORLD_STORED, WORLD_HALF_STORED };
/* A blob with these bytes through start, progress, finish. HALF_STORED: inline, and something lies
 * under the name all the same. */
enum st world_upload_as(struct world *w, const char *repo, const struct digest *d, const char *text,
                        enum world_how how);
enum st world_upload(struct world *w, const char *repo, const char *text); /* stored, sha256 */
enum st world_write(struct world *w, const char *name, const char *text);  /* into the store */
enum st world_mount(struct world *w, const char *repo, const char *from, const struct digest *d);
/* `tag` may be NULL. */
enum st world_push(struct world *w, const char *repo, const struct made *m, const char *tag);
enum st world_delete_tag(struct world *w, const char *repo, const char *tag);
enum st world_delete_manifest(struct world *w, const char *repo, const struct digest *d);
enum st world_delete_blob(struct world *w, const char *repo, const struct digest *d);

/* Carries open receipts on until none is open. */
enum st world_carry_on(struct world *w);

/* As HEAD answers: looks, and renews the lease when it must be. */
enum st world_head_blob(struct world *w, const char *repo, const struct digest *d);
enum st world_head_manifest(struct world *w, const char *repo, const struct digest *d);
/* As GET answers. A blob's bytes are read and compared with the digest: ST_BUG when they differ. */
enum st world_get_blob(struct world *w, const char *repo, const struct digest *d);
enum st world_get_manifest(struct world *w, const char *repo, const struct digest *d);
enum st world_get_tag(struct world *w, const char *repo, const char *tag, struct digest *out);

/* Steps until nothing more is due at this time. */
enum st world_reclaim(struct world *w);
/* Turns the clock past every lease and grace, several times, and reclaims each time. */
enum st world_settle(struct world *w);

/* A number from a statement without arguments: world_count(w, "SELECT count(*) FROM blob"). */
int64_t world_count(struct world *w, const char *sql);
int64_t world_names(struct world *w); /* in the store */

#endif
