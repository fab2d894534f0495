/* SPDX-License-Identifier: Apache-2.0
 *
 * schema - the tables, as steps that are applied in order and never changed once released.
 *
 * Times are milliseconds since 1970 (UTC). Digests are digest_key() bytes. Two columns recur:
 *
 *   due_at      NULL: something keeps this row. Otherwise the reclaimer looks at it at that time
 * and removes it if nothing keeps it by then. Each due_at has a partial index, and these indexes
 * are the reclaim queue: a change that can make something unreferenced sets due_at in its own
 * transaction, so nothing is ever found by scanning. receipt_id  NULL: live. Otherwise in the trash
 * by that receipt: invisible, restorable.
 */
#include "meta/schema.h"

static const char step_1[] =
    "CREATE TABLE repository ("
    " id @ID,"
    " name TEXT NOT NULL UNIQUE,"
    " created_at BIGINT NOT NULL"
    ");"

    /* Bytes named by a digest, once for the whole registry. Either `name` says where they are in
     * the blob store or `data` holds them. damaged_at: since when they are known to be wrong; such
     * a blob is served to nobody and is replaced by the next upload of its digest. */
    "CREATE TABLE blob ("
    " id @ID,"
    " digest @BYTES NOT NULL UNIQUE,"
    " size BIGINT NOT NULL,"
    " name TEXT,"
    " created_at BIGINT NOT NULL,"
    " damaged_at BIGINT,"
    " data @BYTES"
    ");"
    "CREATE UNIQUE INDEX blob_by_name ON blob (name) WHERE name IS NOT NULL;"

    /* A blob's visibility in a repository. lease_until: what was promised to a client by an upload,
     * a mount or a HEAD; the row stays at least that long. */
    "CREATE TABLE repo_blob ("
    " repo_id BIGINT NOT NULL REFERENCES repository (id),"
    " blob_id BIGINT NOT NULL REFERENCES blob (id),"
    " lease_until BIGINT NOT NULL,"
    " due_at BIGINT,"
    " receipt_id BIGINT,"
    " PRIMARY KEY (repo_id, blob_id)"
    ") @CLUSTERED;"
    "CREATE INDEX repo_blob_by_blob ON repo_blob (blob_id);"
    "CREATE INDEX repo_blob_due ON repo_blob (due_at) WHERE due_at IS NOT NULL;"

    "CREATE TABLE manifest ("
    " id @ID,"
    " repo_id BIGINT NOT NULL REFERENCES repository (id),"
    " digest @BYTES NOT NULL,"
    " media_type TEXT NOT NULL,"
    " size BIGINT NOT NULL,"
    " artifact_type TEXT,"
    " subject @BYTES,"
    " annotations TEXT,"
    " pushed_at BIGINT NOT NULL,"
    " due_at BIGINT,"
    " receipt_id BIGINT,"
    " payload @BYTES NOT NULL,"
    " UNIQUE (repo_id, digest)"
    ");"
    "CREATE INDEX manifest_by_subject ON manifest (repo_id, subject, digest)"
    " WHERE subject IS NOT NULL;"
    "CREATE INDEX manifest_due ON manifest (due_at) WHERE due_at IS NOT NULL;"
    "CREATE INDEX manifest_by_receipt ON manifest (receipt_id) WHERE receipt_id IS NOT NULL;"

    /* The blobs that a manifest names. repo_id is the manifest's, repeated so that "does a manifest
     * of this repository use this blob" is one look-up. */
    "CREATE TABLE manifest_blob ("
    " manifest_id BIGINT NOT NULL REFERENCES manifest (id),"
    " blob_id BIGINT NOT NULL REFERENCES blob (id),"
    " repo_id BIGINT NOT NULL,"
    " PRIMARY KEY (manifest_id, blob_id)"
    ") @CLUSTERED;"
    "CREATE INDEX manifest_blob_by_blob ON manifest_blob (blob_id, repo_id);"

    /* The manifests that an index names, by digest: a sparse index may name what is not there. */
    "CREATE TABLE manifest_child ("
    " manifest_id BIGINT NOT NULL REFERENCES manifest (id),"
    " digest @BYTES NOT NULL,"
    " repo_id BIGINT NOT NULL,"
    " PRIMARY KEY (manifest_id, digest)"
    ") @CLUSTERED;"
    "CREATE INDEX manifest_child_by_digest ON manifest_child (repo_id, digest);"

    "CREATE TABLE tag ("
    " repo_id BIGINT NOT NULL REFERENCES repository (id),"
    " name TEXT NOT NULL,"
    " manifest_id BIGINT NOT NULL REFERENCES manifest (id),"
    " tagged_at BIGINT NOT NULL,"
    " PRIMARY KEY (repo_id, name)"
    ") @CLUSTERED;"
    "CREATE INDEX tag_by_manifest ON tag (manifest_id);"

    /* An upload under way. `id` is also the name of its bytes in the blob store, for good. `data`
     * holds the bytes instead while they are few. The repository need not exist yet. */
    "CREATE TABLE upload ("
    " id TEXT NOT NULL PRIMARY KEY,"
    " repo TEXT NOT NULL,"
    " size BIGINT NOT NULL,"
    " started_at BIGINT NOT NULL,"
    " due_at BIGINT NOT NULL,"
    " data @BYTES"
    ") @CLUSTERED;"
    "CREATE INDEX upload_due ON upload (due_at);"
    "CREATE INDEX upload_by_repo ON upload (repo);"

    /* Names in the blob store that no row uses any more. The row goes after the bytes. */
    "CREATE TABLE doomed ("
    " name TEXT NOT NULL PRIMARY KEY,"
    " size BIGINT NOT NULL,"
    " since BIGINT NOT NULL"
    ") @CLUSTERED;"

    /* What was deleted, by whom, through which door. Items: kind is 't'ag, 'm'anifest or 'b'lob;
     * `digest` of a tag is the manifest it named. */
    "CREATE TABLE receipt ("
    " id @ID,"
    " created_at BIGINT NOT NULL,"
    " due_at BIGINT NOT NULL,"
    " door TEXT NOT NULL,"
    " actor TEXT NOT NULL,"
    " peer TEXT NOT NULL,"
    " reason TEXT"
    ");"
    "CREATE TABLE receipt_item ("
    " receipt_id BIGINT NOT NULL REFERENCES receipt (id),"
    " item BIGINT NOT NULL,"
    " kind TEXT NOT NULL,"
    " repo TEXT NOT NULL,"
    " tag TEXT,"
    " digest @BYTES NOT NULL,"
    " size BIGINT NOT NULL,"
    " PRIMARY KEY (receipt_id, item)"
    ") @CLUSTERED;";

const struct db_migration schema_migrations[] = {
    { 1, step_1 },
};
const size_t schema_migration_count = ARRAY_LEN(schema_migrations);
