/* SPDX-License-Identifier: Apache-2.0
 *
 * schema - the tables, as steps that are applied in order and never changed once released.
 *
 * Times are milliseconds of the registry's own time (registry_time.h). Digests are digest_key()
 * bytes. Two columns recur:
 *
 *   due_at      NULL: something keeps this row. Otherwise the reclaimer looks at it at that time
 *               and removes it if nothing keeps it by then. Each due_at has a partial index, and
 *               these indexes are the reclaim queue: a change that can make something unreferenced
 *               sets due_at in its own transaction, so nothing is ever found by scanning.
 *   receipt_id  NULL: live. Otherwise in the trash by that receipt: invisible, restorable.
 */
#include "meta/schema.h"

#include "meta/usage_int.h"

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

/* Who uses a link and what a repository holds are counted (links.h, usage.h). */
static const char step_2[] =
    /* size: the blob's. kept, loose, trash: how many manifests of the repository in that state use
     * the link. shared: another repository has a link to the blob. since: when it was let go last.
     */
    "ALTER TABLE repo_blob ADD COLUMN size BIGINT NOT NULL DEFAULT 0;"
    "ALTER TABLE repo_blob ADD COLUMN kept BIGINT NOT NULL DEFAULT 0;"
    "ALTER TABLE repo_blob ADD COLUMN loose BIGINT NOT NULL DEFAULT 0;"
    "ALTER TABLE repo_blob ADD COLUMN trash BIGINT NOT NULL DEFAULT 0;"
    "ALTER TABLE repo_blob ADD COLUMN shared BIGINT NOT NULL DEFAULT 0;"
    "ALTER TABLE repo_blob ADD COLUMN since BIGINT NOT NULL DEFAULT 0;"
    "UPDATE repo_blob SET size = (SELECT size FROM blob WHERE id = repo_blob.blob_id),"
    " shared = CASE WHEN EXISTS (SELECT 1 FROM repo_blob o WHERE o.blob_id = repo_blob.blob_id"
    "  AND o.repo_id <> repo_blob.repo_id) THEN 1 ELSE 0 END;"
    "UPDATE repo_blob SET kept = c.kept, loose = c.loose, trash = c.trash FROM ("
    " SELECT u.repo_id, u.blob_id,"
    "  sum(CASE WHEN m.due_at IS NULL THEN 1 ELSE 0 END) AS kept,"
    "  sum(CASE WHEN m.due_at IS NOT NULL AND m.receipt_id IS NULL THEN 1 ELSE 0 END) AS loose,"
    "  sum(CASE WHEN m.receipt_id IS NOT NULL THEN 1 ELSE 0 END) AS trash"
    " FROM manifest_blob u JOIN manifest m ON m.id = u.manifest_id"
    " GROUP BY u.repo_id, u.blob_id) AS c"
    " WHERE c.repo_id = repo_blob.repo_id AND c.blob_id = repo_blob.blob_id;"
    "UPDATE repo_blob SET due_at = NULL, receipt_id = NULL WHERE kept > 0;"
    "CREATE INDEX repo_blob_shared ON repo_blob (shared, repo_id, blob_id) WHERE shared = 1;"
    "CREATE INDEX manifest_waiting ON manifest (repo_id, due_at) WHERE due_at IS NOT NULL;"

    /* Live tags and manifests, and bytes by class, alone in this repository or shared with others;
     * see usage.h. */
    "ALTER TABLE repository ADD COLUMN tags BIGINT NOT NULL DEFAULT 0;"
    "ALTER TABLE repository ADD COLUMN manifests BIGINT NOT NULL DEFAULT 0;"
    "ALTER TABLE repository ADD COLUMN used_alone BIGINT NOT NULL DEFAULT 0;"
    "ALTER TABLE repository ADD COLUMN used_shared BIGINT NOT NULL DEFAULT 0;"
    "ALTER TABLE repository ADD COLUMN trash_alone BIGINT NOT NULL DEFAULT 0;"
    "ALTER TABLE repository ADD COLUMN trash_shared BIGINT NOT NULL DEFAULT 0;"
    "ALTER TABLE repository ADD COLUMN pending_alone BIGINT NOT NULL DEFAULT 0;"
    "ALTER TABLE repository ADD COLUMN pending_shared BIGINT NOT NULL DEFAULT 0;" USAGE_RECOUNT_SQL
    ";";

/* What protects, what is planned, and the registry's own state. */
static const char step_3[] =
    /* The registry's own time (timeline.h): where it stood, and its steps to UTC. */
    "CREATE TABLE clock (id BIGINT NOT NULL PRIMARY KEY, now BIGINT NOT NULL);"
    "CREATE TABLE clock_step ("
    " at BIGINT NOT NULL PRIMARY KEY,"
    " utc_offset BIGINT NOT NULL"
    ");"
    /* What an administrator switched: "reclaim.paused", "pulls.since", ... */
    "CREATE TABLE setting (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL);"

    /* kind: 'i'mmutable tags, 'p'rotected tags, 'r'ead-only repositories. repo and tag are patterns
     * (policy/pattern.h); tag is NULL in rules about whole repositories. */
    "CREATE TABLE rule ("
    " id @ID,"
    " kind TEXT NOT NULL,"
    " repo TEXT NOT NULL,"
    " tag TEXT,"
    " created_at BIGINT NOT NULL,"
    " actor TEXT NOT NULL,"
    " reason TEXT"
    ");"
    /* What no deletion may pass. repo '': in every repository. until NULL: for ever. */
    "CREATE TABLE hold ("
    " id @ID,"
    " repo TEXT NOT NULL,"
    " digest @BYTES NOT NULL,"
    " until BIGINT,"
    " created_at BIGINT NOT NULL,"
    " actor TEXT NOT NULL,"
    " reason TEXT"
    ");"
    "CREATE INDEX hold_by_digest ON hold (digest);"
    "CREATE INDEX hold_due ON hold (until) WHERE until IS NOT NULL;"

    /* When a manifest was last pulled; none: not since setting 'pulls.since'. */
    "CREATE TABLE manifest_pull ("
    " manifest_id BIGINT NOT NULL PRIMARY KEY,"
    " pulled_at BIGINT NOT NULL"
    ");"

    /* A deletion as it was shown. `request` and `summary` are JSON texts; the items lie in chunks
     * of records (deletion/plan_item.h). receipt_id: applied. */
    "CREATE TABLE plan ("
    " id TEXT NOT NULL PRIMARY KEY,"
    " created_at BIGINT NOT NULL,"
    " expires_at BIGINT NOT NULL,"
    " receipt_id BIGINT,"
    " request TEXT NOT NULL,"
    " summary TEXT NOT NULL,"
    " data @BYTES NOT NULL"
    ");"
    "CREATE INDEX plan_expiry ON plan (expires_at);"
    "CREATE TABLE plan_chunk ("
    " plan_id TEXT NOT NULL,"
    " chunk BIGINT NOT NULL,"
    " items @BYTES NOT NULL,"
    " PRIMARY KEY (plan_id, chunk)"
    ");";

/* Receipts are a chain, and failures have a memory. */
static const char step_4[] =
    /* kind: 'delete' or 'undo'. state: 'open' while it is carried out, then 'sealed',
     * 'dropped' while its rows are removed. seq: place in
     * the chain, given when sealed; hash covers the one before, the fields and the items;
     * items_hash runs over the items. total: steps there are; position: those done. undo_of: the
     * receipt that was undone. undone: items of this receipt that were taken back since. */
    "ALTER TABLE receipt ADD COLUMN kind TEXT NOT NULL DEFAULT 'delete';"
    "ALTER TABLE receipt ADD COLUMN state TEXT NOT NULL DEFAULT 'sealed';"
    "ALTER TABLE receipt ADD COLUMN seq BIGINT;"
    "ALTER TABLE receipt ADD COLUMN prev_hash @BYTES;"
    "ALTER TABLE receipt ADD COLUMN hash @BYTES;"
    "ALTER TABLE receipt ADD COLUMN signature @BYTES;"
    "ALTER TABLE receipt ADD COLUMN items_hash @BYTES;"
    "ALTER TABLE receipt ADD COLUMN sealed_at BIGINT;"
    "ALTER TABLE receipt ADD COLUMN plan_id TEXT;"
    "ALTER TABLE receipt ADD COLUMN undo_of BIGINT;"
    "ALTER TABLE receipt ADD COLUMN rule TEXT;"
    "ALTER TABLE receipt ADD COLUMN request TEXT;"
    "ALTER TABLE receipt ADD COLUMN immediate BIGINT NOT NULL DEFAULT 0;"
    "ALTER TABLE receipt ADD COLUMN total BIGINT NOT NULL DEFAULT 0;"
    "ALTER TABLE receipt ADD COLUMN position BIGINT NOT NULL DEFAULT 0;"
    "ALTER TABLE receipt ADD COLUMN items BIGINT NOT NULL DEFAULT 0;"
    "ALTER TABLE receipt ADD COLUMN tags BIGINT NOT NULL DEFAULT 0;"
    "ALTER TABLE receipt ADD COLUMN manifests BIGINT NOT NULL DEFAULT 0;"
    "ALTER TABLE receipt ADD COLUMN blobs BIGINT NOT NULL DEFAULT 0;"
    "ALTER TABLE receipt ADD COLUMN skipped BIGINT NOT NULL DEFAULT 0;"
    "ALTER TABLE receipt ADD COLUMN bytes_freed BIGINT NOT NULL DEFAULT 0;"
    "ALTER TABLE receipt ADD COLUMN bytes_kept BIGINT NOT NULL DEFAULT 0;"
    "ALTER TABLE receipt ADD COLUMN undone BIGINT NOT NULL DEFAULT 0;"
    "UPDATE receipt SET items = (SELECT count(*) FROM receipt_item WHERE receipt_id = receipt.id);"
    "CREATE UNIQUE INDEX receipt_by_seq ON receipt (seq) WHERE seq IS NOT NULL;"
    "CREATE INDEX receipt_open ON receipt (id) WHERE state = 'open';"
    "CREATE INDEX receipt_dropped ON receipt (id) WHERE state = 'dropped';"
    "CREATE INDEX receipt_due ON receipt (due_at);"
    "CREATE INDEX receipt_by_undo ON receipt (undo_of) WHERE undo_of IS NOT NULL;"
    /* role: 's'elected, or 'w'ith what was. why: of an item that was skipped, the reason.
     * undone_by: the receipt of the undo that took it back. */
    "ALTER TABLE receipt_item ADD COLUMN role TEXT NOT NULL DEFAULT 's';"
    "ALTER TABLE receipt_item ADD COLUMN why TEXT;"
    "ALTER TABLE receipt_item ADD COLUMN undone_by BIGINT;"
    "CREATE INDEX receipt_item_by_tag ON receipt_item (repo, tag) WHERE tag IS NOT NULL;"
    /* Receipts whose time is over are dropped from the old end: what stands before the first one
     * that is left. */
    "CREATE TABLE receipt_anchor ("
    " id BIGINT NOT NULL PRIMARY KEY,"
    " seq BIGINT NOT NULL,"
    " hash @BYTES NOT NULL,"
    " signature @BYTES NOT NULL"
    ");"

    /* deleted_at: when the bytes were let go. failures, next_at, error: removing them failed. */
    "ALTER TABLE doomed ADD COLUMN deleted_at BIGINT NOT NULL DEFAULT 0;"
    "ALTER TABLE doomed ADD COLUMN failures BIGINT NOT NULL DEFAULT 0;"
    "ALTER TABLE doomed ADD COLUMN next_at BIGINT NOT NULL DEFAULT 0;"
    "ALTER TABLE doomed ADD COLUMN error TEXT;"
    "CREATE INDEX doomed_next ON doomed (next_at);"
    /* Where much space can be had at once (inspect.h); small blobs are too many, and bring little.
     */
    "CREATE INDEX blob_large ON blob (size) WHERE size >= 1048576;"
    /* Rows that reclaim could not deal with: kind 'm'anifest, 'l'ink or 'u'pload. */
    "CREATE TABLE reclaim_failure ("
    " kind TEXT NOT NULL,"
    " object TEXT NOT NULL,"
    " failures BIGINT NOT NULL,"
    " first_at BIGINT NOT NULL,"
    " last_at BIGINT NOT NULL,"
    " next_at BIGINT NOT NULL,"
    " error TEXT NOT NULL,"
    " PRIMARY KEY (kind, object)"
    ");";

/* Who may what. */
static const char step_5[] =
    /* Who started it; NULL: before there were accounts. */
    "ALTER TABLE upload ADD COLUMN actor TEXT;"

    /* kind: 'p'erson, 'r'obot, 'h'tpasswd. name NULL: removed; former_name stays taken. hash:
     * crypt(5). generation: accounts.h, 3. */
    "CREATE TABLE account ("
    " id @ID,"
    " name TEXT UNIQUE,"
    " former_name TEXT NOT NULL UNIQUE,"
    " kind TEXT NOT NULL,"
    " hash TEXT,"
    " administrator BIGINT NOT NULL,"
    " disabled BIGINT NOT NULL DEFAULT 0,"
    " generation BIGINT NOT NULL DEFAULT 1,"
    " created_at BIGINT NOT NULL,"
    " used_at BIGINT,"
    " note TEXT"
    ");"
    "CREATE INDEX account_administrator ON account (id) WHERE administrator = 1;"
    /* hash: SHA-256 of the secret. account_id NULL: a deploy token. */
    "CREATE TABLE access_token ("
    " id @ID,"
    " account_id BIGINT REFERENCES account (id),"
    " name TEXT NOT NULL,"
    " hash @BYTES NOT NULL UNIQUE,"
    " prefix TEXT NOT NULL,"
    " scopes BIGINT NOT NULL,"
    " created_at BIGINT NOT NULL,"
    " expires_at BIGINT,"
    " used_at BIGINT,"
    " created_by TEXT NOT NULL"
    ");"
    "CREATE INDEX access_token_by_account ON access_token (account_id, id);"
    "CREATE INDEX access_token_deploy ON access_token (prefix, id) WHERE account_id IS NULL;"
    "CREATE INDEX access_token_expiry ON access_token (expires_at) WHERE expires_at IS NOT NULL;"
    /* jwk: with its private part. */
    "CREATE TABLE signing_key ("
    " kid TEXT NOT NULL PRIMARY KEY,"
    " jwk TEXT NOT NULL,"
    " created_at BIGINT NOT NULL"
    ");"
    "CREATE INDEX signing_key_by_time ON signing_key (created_at, kid);"

    /* role: policy/access.h. */
    "CREATE TABLE member ("
    " prefix TEXT NOT NULL,"
    " account_id BIGINT NOT NULL REFERENCES account (id),"
    " role BIGINT NOT NULL,"
    " created_at BIGINT NOT NULL,"
    " created_by TEXT NOT NULL,"
    " PRIMARY KEY (prefix, account_id)"
    ") @CLUSTERED;"
    "CREATE INDEX member_by_account ON member (account_id, prefix);"
    "CREATE TABLE visibility (prefix TEXT NOT NULL PRIMARY KEY, is_public BIGINT NOT NULL);"

    /* The audit log. */
    "CREATE TABLE trail ("
    " id @ID,"
    " at BIGINT NOT NULL,"
    " actor TEXT NOT NULL,"
    " peer TEXT NOT NULL,"
    " door TEXT NOT NULL,"
    " action TEXT NOT NULL,"
    " object TEXT NOT NULL,"
    " detail TEXT,"
    " times BIGINT NOT NULL DEFAULT 1"
    ");"
    "CREATE INDEX trail_by_actor ON trail (actor, id);"
    "CREATE INDEX trail_by_action ON trail (action, id);"
    "CREATE INDEX trail_by_both ON trail (actor, action, id);"
    "CREATE INDEX trail_by_time ON trail (at);"

    /* GitLab's rules about levels: kind 'l' of rule; from which role on one may push to, and
     * delete, what matches (0: the rule says nothing of it). */
    "ALTER TABLE rule ADD COLUMN push_role BIGINT NOT NULL DEFAULT 0;"
    "ALTER TABLE rule ADD COLUMN delete_role BIGINT NOT NULL DEFAULT 0;"
    /* Azure's attributes. kind: 'r'epository, 't'ag, 'm'anifest; object: '', the tag, the digest as
     * text. digest: of a manifest, its key. may: the bits of locks.h. */
    "CREATE TABLE lock ("
    " repo TEXT NOT NULL,"
    " kind TEXT NOT NULL,"
    " object TEXT NOT NULL,"
    " digest @BYTES,"
    " may BIGINT NOT NULL,"
    " PRIMARY KEY (repo, kind, object)"
    ") @CLUSTERED;"
    "CREATE INDEX lock_by_digest ON lock (digest, repo) WHERE digest IS NOT NULL;"

    /* Pages of artifacts.h. */
    "CREATE INDEX manifest_live ON manifest (repo_id, digest) WHERE receipt_id IS NULL;"
    "CREATE INDEX manifest_by_time ON manifest (repo_id, pushed_at, digest)"
    " WHERE receipt_id IS NULL;"
    "CREATE INDEX tag_by_time ON tag (repo_id, tagged_at, name);"
    "CREATE INDEX repository_emptied ON repository (name) WHERE manifests = 0;"
    "CREATE INDEX receipt_item_by_repo ON receipt_item (repo, receipt_id, item)"
    " WHERE tag IS NOT NULL;"
    /* When it was set first; NULL: when it was set last. */
    "ALTER TABLE tag ADD COLUMN created_at BIGINT;"

    /* GitLab's numbers of projects and groups. */
    "CREATE TABLE namespace ("
    " id @ID,"
    " path TEXT NOT NULL UNIQUE,"
    " is_project BIGINT NOT NULL"
    ");"
    /* Repositories that are to be deleted whole; state: 's'cheduled, 'o'ngoing, 'f'ailed. */
    "CREATE TABLE removal ("
    " repo_id BIGINT NOT NULL PRIMARY KEY,"
    " repo TEXT NOT NULL,"
    " state TEXT NOT NULL,"
    " failures BIGINT NOT NULL,"
    " next_at BIGINT NOT NULL,"
    " actor TEXT NOT NULL,"
    " peer TEXT NOT NULL,"
    " door TEXT NOT NULL,"
    " error TEXT"
    ");"
    "CREATE INDEX removal_due ON removal (next_at) WHERE state <> 'f';"
    /* GitLab deletes tags of a repository in bulk once an hour; until: when it may be again. */
    "CREATE TABLE bulk_lease (repo_id BIGINT NOT NULL PRIMARY KEY, until BIGINT NOT NULL);"
    "CREATE INDEX bulk_lease_by_time ON bulk_lease (until);";

/* The bytes of manifests lie beside their rows: a manifest changes its state often and its bytes
 * never, and narrow rows are a few to a page. */
static const char step_6[] =
    "CREATE TABLE manifest_payload ("
    " manifest_id @ID,"
    " payload @BYTES NOT NULL,"
    " FOREIGN KEY (manifest_id) REFERENCES manifest (id)"
    ");"
    "INSERT INTO manifest_payload (manifest_id, payload) SELECT id, payload FROM manifest;"
    "ALTER TABLE manifest DROP COLUMN payload;";

const struct db_migration schema_migrations[] = {
    { 1, step_1 }, { 2, step_2 }, { 3, step_3 }, { 4, step_4 }, { 5, step_5 }, { 6, step_6 },
};
const size_t schema_migration_count = ARRAY_LEN(schema_migrations);
