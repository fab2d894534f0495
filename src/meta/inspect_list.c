/* SPDX-License-Identifier: Apache-2.0
 *
 * Pages of repositories and tags, and what belongs to whom below a path.
 */
#include "meta/inspect_int.h"
#include "meta/path_range.h"

/* ---- repositories -------------------------------------------------------------------------- */

struct repositories_call {
    str prefix;
    str after;
    size_t limit;
    struct arena *arena;
    struct inspect_repositories *out;
};

/* Columns: name, created_at. */
static enum st read_repository(struct db_tx *tx, const struct db_rows *rows, struct arena *a,
                               struct inspect_repository *out, struct err *err)
{
    out->created_at = db_int(rows, 1);
    enum st st = inspect_dup(a, db_text(rows, 0), &out->name, err);
    if (st == ST_OK)
        st = usage_of_repository(tx, out->name, &out->usage, err);
    return st;
}

static enum st read_repositories(struct db_tx *tx, struct db_rows *rows,
                                 const struct repositories_call *c, struct inspect_list *list,
                                 struct err *err)
{
    enum st st = ST_OK;
    while (st == ST_OK && !list->more && (st = db_next(rows, err)) == ST_OK) {
        void *place = NULL;
        st = inspect_list_add(list, c->arena, sizeof(struct inspect_repository), &place, err);
        if (place != NULL)
            st = read_repository(tx, rows, c->arena, place, err);
    }
    return st == ST_END ? ST_OK : st;
}

/* Without those that a lock hides. */
#define REPOSITORIES                                                                               \
    "SELECT name, created_at FROM repository WHERE NOT EXISTS (SELECT 1 FROM lock"                 \
    " WHERE repo = repository.name AND kind = 'r' AND object = '' AND may % 8 < 4) AND name "

/* `prefix` itself sorts before what lies below it, with "prefix-x" and the like between. */
static enum st list_repositories(struct db_tx *tx, void *ctx, struct err *err)
{
    struct repositories_call *c = ctx;
    struct inspect_list list = { .max = c->limit };
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    str after = c->after.ptr == NULL ? STR("") : c->after;
    enum st st = ST_OK;
    if (c->prefix.len == 0) {
        st = db_select(tx, &rows, REPOSITORIES "> $1 ORDER BY name LIMIT $2",
                       DB_ARGS(DB_TEXT(after), DB_INT(c->limit + 1)), err);
    } else {
        struct path_range b;
        st = path_range_below(c->prefix, &b, err);
        if (st == ST_OK && str_cmp(after, c->prefix) < 0) {
            st = db_select(tx, &rows, REPOSITORIES "= $1", DB_ARGS(DB_TEXT(c->prefix)), err);
            if (st == ST_OK)
                st = read_repositories(tx, &rows, c, &list, err);
            db_rows_close(&rows);
        }
        if (st == ST_OK)
            st = db_select(tx, &rows, REPOSITORIES "> $1 AND name < $2 ORDER BY name LIMIT $3",
                           DB_ARGS(DB_TEXT(str_cmp(after, b.from) > 0 ? after : b.from),
                                   DB_TEXT(b.to), DB_INT(c->limit + 1)),
                           err);
    }
    if (st == ST_OK)
        st = read_repositories(tx, &rows, c, &list, err);
    if (st == ST_OK)
        *c->out = (struct inspect_repositories){ list.items, list.count, list.more };
    return st;
}

enum st inspect_repositories(struct registry *r, str prefix, str after, size_t limit,
                             struct arena *a, struct inspect_repositories *out, struct err *err)
{
    struct inspect_repositories page = { 0 };
    struct repositories_call c = {
        .prefix = prefix, .after = after, .limit = limit, .arena = a, .out = &page
    };
    enum st st = db_read(r->db, list_repositories, &c, err);
    if (st == ST_OK)
        *out = page;
    return st;
}

/* ---- tags ---------------------------------------------------------------------------------- */

struct tags_call {
    struct registry *r;
    str repo;
    str after;
    size_t limit;
    int64_t now;
    struct arena *arena;
    struct inspect_tags *out;
    struct protection *rules;
    uint64_t rows; /* that sizes took */
};

/* Neighbours often name one image. */
static enum st size_of(struct db_tx *tx, struct tags_call *c, int64_t id, int64_t before_id,
                       const struct inspect_tag *before, struct inspect_tag *out, struct err *err)
{
    if (before == NULL || before_id != id)
        return inspect_size(tx, id, &out->has_size, &out->size, &c->rows, err);
    out->has_size = before->has_size;
    out->size = before->size;
    return ST_OK;
}

static enum st find_protection(struct db_tx *tx, const struct tags_call *c, struct inspect_tag *out,
                               struct err *err)
{
    const struct protection_case question = { .act = PROTECT_DELETE_TAG,
                                              .repo = c->repo,
                                              .tag = out->name,
                                              .digest = &out->digest,
                                              .no_levels = true };
    struct err why = { 0 };
    enum st st = protection_check(tx, c->rules, &question, c->now, &why);
    if (st == ST_DENIED)
        return inspect_dup(c->arena, str_of(why.text), &out->protected_by, err);
    if (st != ST_OK && err != NULL)
        *err = why;
    return st;
}

/* Columns: name, manifest, digest, media type, tagged, pulled. */
static enum st read_tag(struct db_tx *tx, const struct db_rows *rows, struct tags_call *c,
                        struct inspect_tag *out, struct err *err)
{
    out->tagged_at = db_int(rows, 4);
    out->pulled_at = db_int(rows, 5);
    enum st st = inspect_dup(c->arena, db_text(rows, 0), &out->name, err);
    if (st == ST_OK)
        st = digest_of_key(db_bytes(rows, 2), &out->digest, err);
    if (st == ST_OK)
        st = inspect_dup(c->arena, db_text(rows, 3), &out->media_type, err);
    if (st == ST_OK)
        st = find_protection(tx, c, out, err);
    return st;
}

static enum st list_tags(struct db_tx *tx, void *ctx, struct err *err)
{
    struct tags_call *c = ctx;
    struct inspect_list list = { .max = c->limit };
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    struct inspect_tag *before = NULL;
    int64_t repo_id = 0;
    int64_t before_id = 0;
    enum st st = repositories_find(tx, c->repo, &repo_id, err);
    protection_release(&c->rules);
    c->rows = 0;
    if (st == ST_OK)
        st = protection_load(tx, c->r->protection, &c->rules, err);
    if (st == ST_OK)
        st = db_select(tx, &rows,
                       "SELECT t.name, m.id, m.digest, m.media_type, t.tagged_at, p.pulled_at"
                       " FROM tag t JOIN manifest m ON m.id = t.manifest_id"
                       " LEFT JOIN manifest_pull p ON p.manifest_id = m.id"
                       " WHERE t.repo_id = $1 AND t.name > $2 AND NOT EXISTS (SELECT 1 FROM lock"
                       "  WHERE repo = $3 AND kind = 't' AND object = t.name AND may % 8 < 4)"
                       " ORDER BY t.name LIMIT $4",
                       DB_ARGS(DB_INT(repo_id), DB_TEXT(c->after.ptr == NULL ? STR("") : c->after),
                               DB_TEXT(c->repo), DB_INT(c->limit + 1)),
                       err);
    while (st == ST_OK && !list.more && (st = db_next(&rows, err)) == ST_OK) {
        void *place = NULL;
        int64_t id = db_int(&rows, 1);
        if (c->rows > INSPECT_PAGE_ROWS)
            list.max = list.count;
        st = inspect_list_add(&list, c->arena, sizeof(struct inspect_tag), &place, err);
        if (place == NULL)
            continue;
        st = read_tag(tx, &rows, c, place, err);
        if (st == ST_OK)
            st = size_of(tx, c, id, before_id, before, place, err);
        before = place;
        before_id = id;
    }
    if (st != ST_END && st != ST_OK)
        return st;
    *c->out = (struct inspect_tags){ list.items, list.count, list.more };
    return ST_OK;
}

enum st inspect_tags(struct registry *r, str repo, str after, size_t limit, int64_t now,
                     struct arena *a, struct inspect_tags *out, struct err *err)
{
    struct inspect_tags page = { 0 };
    struct tags_call c = {
        .r = r, .repo = repo, .after = after, .limit = limit, .now = now, .arena = a, .out = &page
    };
    enum st st = db_read(r->db, list_tags, &c, err);
    protection_release(&c.rules);
    if (st == ST_OK)
        *out = page;
    return st;
}

/* ---- usage --------------------------------------------------------------------------------- */

struct usage_call {
    str prefix;
    unsigned depth;
    struct arena *arena;
    struct inspect_usage *out;
    size_t nodes;
};

/* The paths right below `prefix`, in byte order but for those that are a repository's name
 * themselves and have something below, which come by that name. Each is found by one look-up, so
 * the cost follows the paths, not the repositories below them. */
static enum st list_below(struct db_tx *tx, str prefix, struct arena *a, struct inspect_list *list,
                          struct err *err)
{
    size_t skip = prefix.len == 0 ? 0 : prefix.len + 1;
    struct path_range b = { .from = STR(""), .to = STR("\x7f") };
    enum st st = prefix.len == 0 ? ST_OK : path_range_below(prefix, &b, err);
    str at = b.from;
    while (st == ST_OK && !list->more) {
        AUTO(db_rows_close) struct db_rows rows = { 0 };
        str name = STR_NONE;
        void *place = NULL;
        st = db_select(tx, &rows,
                       "SELECT name FROM repository WHERE name > $1 AND name < $2"
                       " ORDER BY name LIMIT 1",
                       DB_ARGS(DB_TEXT(at), DB_TEXT(b.to)), err);
        if (st == ST_OK)
            st = db_next(&rows, err);
        if (st == ST_OK)
            st = inspect_dup(a, db_text(&rows, 0), &name, err);
        if (st != ST_OK)
            break;
        const char *slash = memchr(name.ptr + skip, '/', name.len - skip);
        str path = slash == NULL ? name : (str){ name.ptr, (size_t)(slash - name.ptr) };
        /* Behind all that lies below; not "path0", which can be a name itself. */
        at = slash == NULL ? name : arena_printf(a, "%.*s/\x7f", STR_FMT(path));
        if (at.ptr == NULL)
            return err_no_memory(err);
        /* "a" comes before "a-b", and that before "a/b". */
        bool again = false;
        const struct inspect_usage *nodes = list->items;
        for (size_t i = list->count; slash != NULL && i > 0 && !again; i--) {
            again = str_eq(nodes[i - 1].prefix, path);
            if (!str_starts(nodes[i - 1].prefix, path))
                break;
        }
        if (again)
            continue;
        st = inspect_list_add(list, a, sizeof(struct inspect_usage), &place, err);
        if (place != NULL)
            ((struct inspect_usage *)place)->prefix = path;
    }
    return st == ST_END ? ST_OK : st;
}

static enum st fill(struct db_tx *tx, struct usage_call *c, struct inspect_usage *node,
                    unsigned depth, struct err *err)
{
    struct inspect_list list = { .max = INSPECT_NODES_MAX - c->nodes };
    enum st st = usage_of_prefix(tx, node->prefix, &node->usage, err);
    if (st != ST_OK || depth == 0)
        return st;
    st = list_below(tx, node->prefix, c->arena, &list, err);
    c->nodes += list.count;
    node->below = list.items;
    node->below_count = list.count;
    node->more = list.more;
    for (size_t i = 0; st == ST_OK && i < list.count; i++)
        st = fill(tx, c, &node->below[i], depth - 1, err);
    return st;
}

static enum st read_usage(struct db_tx *tx, void *ctx, struct err *err)
{
    struct usage_call *c = ctx;
    c->nodes = 0;
    *c->out = (struct inspect_usage){ .prefix = c->prefix };
    return fill(tx, c, c->out, c->depth, err);
}

enum st inspect_usage(struct registry *r, str prefix, unsigned depth, struct arena *a,
                      struct inspect_usage *out, struct err *err)
{
    struct inspect_usage root = { 0 };
    struct usage_call c = {
        .prefix = prefix, .depth = MIN(depth, (unsigned)INSPECT_DEPTH_MAX), .arena = a, .out = &root
    };
    enum st st = db_read(r->db, read_usage, &c, err);
    if (st == ST_OK)
        *out = root;
    return st;
}
