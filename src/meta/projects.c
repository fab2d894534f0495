/* SPDX-License-Identifier: Apache-2.0 */
#include "meta/projects.h"

#include "meta/inspect_int.h"
#include "meta/locks.h"
#include "meta/path_range.h"

/* All names when there is no prefix: they are ASCII. */
static enum st range_of(str prefix, struct path_range *out, struct err *err)
{
    if (prefix.len > 0)
        return path_range_below(prefix, out, err);
    *out = (struct path_range){ .from = STR(""), .to = STR("\x7f") };
    return ST_OK;
}

/* ---- repositories -------------------------------------------------------------------------- */

#define COLUMNS "SELECT id, name, created_at, tags FROM repository"

static struct project_repository row_of(const struct db_rows *rows)
{
    return (struct project_repository){ .id = db_int(rows, 0),
                                        .name = db_text(rows, 1),
                                        .created_at = db_int(rows, 2),
                                        .tags = (uint64_t)db_int(rows, 3) };
}

enum st projects_repository(struct db_tx *tx, int64_t id, struct arena *a,
                            struct project_repository *out, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st =
        db_one(tx, &rows, COLUMNS " WHERE id = $1 AND manifests > 0", DB_ARGS(DB_INT(id)), err);
    if (st == ST_NOT_FOUND)
        return err_set(err, st, "there is no repository with the number %lld", (long long)id);
    if (st != ST_OK)
        return st;
    struct project_repository r = row_of(&rows);
    r.name = arena_dup(a, r.name);
    if (r.name.ptr == NULL)
        return err_no_memory(err);
    *out = r;
    return ST_OK;
}

static enum st walk_rows(struct db_rows *rows, projects_fn fn, void *ctx, bool *ended,
                         struct err *err)
{
    enum st st = ST_OK;
    while (st == ST_OK && (st = db_next(rows, err)) == ST_OK) {
        const struct project_repository r = row_of(rows);
        st = fn(ctx, &r, err);
        *ended = st == ST_END;
    }
    return st == ST_END ? ST_OK : st;
}

enum st projects_walk(struct db_tx *tx, str prefix, projects_fn fn, void *ctx, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    struct path_range b;
    bool ended = false;
    enum st st = range_of(prefix, &b, err);
    if (st == ST_OK && prefix.len > 0) {
        st = db_select(tx, &rows, COLUMNS " WHERE name = $1 AND manifests > 0",
                       DB_ARGS(DB_TEXT(prefix)), err);
        if (st == ST_OK)
            st = walk_rows(&rows, fn, ctx, &ended, err);
        db_rows_close(&rows);
    }
    if (st == ST_OK && !ended)
        st = db_select(tx, &rows,
                       COLUMNS " WHERE name > $1 AND name < $2 AND manifests > 0 ORDER BY name",
                       DB_ARGS(DB_TEXT(b.from), DB_TEXT(b.to)), err);
    return st == ST_OK && !ended ? walk_rows(&rows, fn, ctx, &ended, err) : st;
}

static enum st next_name(struct db_tx *tx, str after, str before, struct arena *a, str *out,
                         struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_select(tx, &rows,
                           "SELECT name FROM repository WHERE name > $1 AND name < $2"
                           " ORDER BY name LIMIT 1",
                           DB_ARGS(DB_TEXT(after), DB_TEXT(before)), err);
    if (st == ST_OK)
        st = db_next(&rows, err);
    return st == ST_OK ? inspect_dup(a, db_text(&rows, 0), out, err) : st;
}

enum st projects_exists(struct db_tx *tx, str path, bool *out, struct err *err)
{
    AUTO(arena_release) struct arena scratch = { 0 };
    struct path_range b;
    int64_t id = 0;
    str name = STR_NONE;
    enum st st = repositories_find(tx, path, &id, NULL);
    if (st == ST_NOT_FOUND) {
        st = path_range_below(path, &b, err);
        if (st == ST_OK)
            st = next_name(tx, b.from, b.to, &scratch, &name, err);
    }
    if (st != ST_OK && st != ST_END)
        return st;
    *out = st == ST_OK;
    return ST_OK;
}

/* ---- projects -------------------------------------------------------------------------------- */

/* The first two components, or the only one. */
static str head_of(str repo)
{
    const char *slash = memchr(repo.ptr, '/', repo.len);
    if (slash == NULL)
        return repo;
    size_t at = (size_t)(slash - repo.ptr) + 1;
    slash = memchr(repo.ptr + at, '/', repo.len - at);
    return slash == NULL ? repo : (str){ repo.ptr, (size_t)(slash - repo.ptr) };
}

enum st projects_of(struct db_tx *tx, str repo, struct arena *a, str *path, struct err *err)
{
    AUTO(arena_release) struct arena scratch = { 0 };
    struct gitlab_namespace found = { 0 };
    str at = repo;
    do {
        enum st st = namespaces_find(tx, at, &scratch, &found, err);
        if (st != ST_OK && st != ST_NOT_FOUND)
            return st;
        if (st == ST_OK && found.is_project)
            return inspect_dup(a, at, path, err);
    } while (str_cut_last(at, '/', &at, &(str){ 0 }));
    return inspect_dup(a, head_of(repo), path, err);
}

/* A "x" sorts before "x-y", and that before "x/y": the same head can come again, but only behind
 * names that begin with it. */
static bool is_listed(const struct inspect_list *l, str path)
{
    const str *names = l->items;
    for (size_t i = l->count; i > 0 && str_starts(names[i - 1], path); i--)
        if (str_eq(names[i - 1], path))
            return true;
    return false;
}

static enum st add_path(struct inspect_list *l, struct arena *a, str path, struct err *err)
{
    void *place = NULL;
    enum st st = inspect_list_add(l, a, sizeof(str), &place, err);
    return st == ST_OK && place != NULL ? inspect_dup(a, path, place, err) : st;
}

/* One look-up a head, whatever lies below it. */
static enum st add_heads(struct db_tx *tx, struct inspect_list *l, struct arena *a, struct err *err)
{
    str at = STR("");
    enum st st = ST_OK;
    while (st == ST_OK && !l->more) {
        str name = STR_NONE;
        st = next_name(tx, at, STR("\x7f"), a, &name, err);
        if (st != ST_OK)
            break;
        str head = head_of(name);
        /* Behind all that lies below; not "head0", which can be a name itself. */
        at = head.len == name.len ? name : arena_printf(a, "%.*s/\x7f", STR_FMT(head));
        if (at.ptr == NULL)
            return err_no_memory(err);
        if (!is_listed(l, head))
            st = add_path(l, a, head, err);
    }
    return st == ST_END ? ST_OK : st;
}

static enum st add_named(struct db_tx *tx, struct inspect_list *l, struct arena *a, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_select(tx, &rows,
                           "SELECT path FROM namespace WHERE path > $1 AND is_project = 1"
                           " ORDER BY path",
                           DB_ARGS(DB_TEXT(STR(""))), err);
    while (st == ST_OK && !l->more && (st = db_next(&rows, err)) == ST_OK)
        st = add_path(l, a, db_text(&rows, 0), err);
    return st == ST_END ? ST_OK : st;
}

static int by_name(const void *a, const void *b)
{
    const str *x = a;
    const str *y = b;
    return str_cmp(*x, *y);
}

enum st projects_list(struct db_tx *tx, size_t max, struct arena *a, struct name_page *out,
                      struct err *err)
{
    struct inspect_list list = { .max = max };
    size_t n = 0;
    enum st st = add_heads(tx, &list, a, err);
    if (st == ST_OK)
        st = add_named(tx, &list, a, err);
    if (st != ST_OK)
        return st;
    str *names = list.items;
    if (list.count > 1)
        qsort(names, list.count, sizeof(*names), by_name);
    for (size_t i = 0; i < list.count; i++)
        if (n == 0 || !str_eq(names[n - 1], names[i]))
            names[n++] = names[i];
    *out = (struct name_page){ .names = names, .count = n, .more = list.more };
    return ST_OK;
}

/* ---- tags ------------------------------------------------------------------------------------ */

struct tag_walk {
    struct db_tx *tx;
    const struct project_tags_ask *ask;
    str repo;
    bool any_locks;
    bool filtered;  /* rows are looked at one by one */
    uint64_t found; /* that pass */
};

static enum st passes(const struct tag_walk *w, str name, bool *out, struct err *err)
{
    unsigned may = LOCK_MAY_ALL;
    str wanted = w->ask->contains;
    *out = wanted.len == 0 || memmem(name.ptr, name.len, wanted.ptr, wanted.len) != NULL;
    if (!*out || !w->any_locks)
        return ST_OK;
    const struct lock_object object = { .repo = w->repo, .tag = name };
    enum st st = locks_get(w->tx, &object, &may, err);
    *out = st == ST_OK && (may & LOCK_MAY_LIST) != 0;
    return st;
}

static enum st open_tags(const struct tag_walk *w, struct db_rows *rows, struct err *err)
{
    const struct project_tags_ask *ask = w->ask;
    int64_t limit = w->filtered ? INT64_MAX : (int64_t)ask->limit + 1;
    int64_t skip = w->filtered ? 0 : (int64_t)MIN(ask->skip, (uint64_t)INT64_MAX);
    if (ask->descending)
        return db_select(w->tx, rows,
                         "SELECT name FROM tag WHERE repo_id = $1 AND name < $2"
                         " ORDER BY name DESC LIMIT $3 OFFSET $4",
                         DB_ARGS(DB_INT(ask->repo_id),
                                 DB_TEXT(ask->after.ptr == NULL ? STR("\x7f") : ask->after),
                                 DB_INT(limit), DB_INT(skip)),
                         err);
    return db_select(w->tx, rows,
                     "SELECT name FROM tag WHERE repo_id = $1 AND name > $2"
                     " ORDER BY name LIMIT $3 OFFSET $4",
                     DB_ARGS(DB_INT(ask->repo_id),
                             DB_TEXT(ask->after.ptr == NULL ? STR("") : ask->after), DB_INT(limit),
                             DB_INT(skip)),
                     err);
}

static enum st read_tags(struct tag_walk *w, struct db_rows *rows, struct arena *a,
                         struct name_page *page, struct err *err)
{
    uint64_t skip = w->filtered ? w->ask->skip : 0;
    enum st st = ST_OK;
    while (st == ST_OK && (st = db_next(rows, err)) == ST_OK) {
        bool yes = true;
        if (w->filtered)
            st = passes(w, db_text(rows, 0), &yes, err);
        if (st != ST_OK || !yes || w->found++ < skip)
            continue;
        if (page->count < w->ask->limit) {
            st = inspect_dup(a, db_text(rows, 0), &page->names[page->count++], err);
            continue;
        }
        page->more = true;
        if (!w->filtered || !w->ask->count)
            break;
    }
    return st == ST_END ? ST_OK : st;
}

enum st projects_tags(struct db_tx *tx, const struct project_tags_ask *ask, struct arena *a,
                      struct name_page *out, uint64_t *total, struct err *err)
{
    AUTO(arena_release) struct arena scratch = { 0 };
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    struct tag_walk w = { .tx = tx, .ask = ask };
    struct name_page page = { .names = arena_alloc(a, (ask->limit + 1) * sizeof(str)) };
    struct project_repository r = { 0 };
    if (page.names == NULL)
        return err_no_memory(err);
    enum st st = projects_repository(tx, ask->repo_id, &scratch, &r, err);
    if (st == ST_OK)
        st = locks_any(tx, &w.any_locks, err);
    w.repo = r.name;
    w.filtered = w.any_locks || ask->contains.len > 0;
    if (st == ST_OK)
        st = open_tags(&w, &rows, err);
    if (st == ST_OK)
        st = read_tags(&w, &rows, a, &page, err);
    if (st != ST_OK)
        return st;
    *total = w.filtered ? w.found : r.tags;
    *out = page;
    return ST_OK;
}

enum st projects_tag(struct db_tx *tx, int64_t repo_id, str tag, struct arena *a,
                     struct project_tag *out, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    struct project_tag t = { 0 };
    uint64_t cost = 0;
    enum st st = db_one(tx, &rows,
                        "SELECT t.tagged_at, m.id, m.digest, m.media_type, y.payload FROM tag t"
                        " JOIN manifest m ON m.id = t.manifest_id"
                        " JOIN manifest_payload y ON y.manifest_id = m.id"
                        " WHERE t.repo_id = $1 AND t.name = $2",
                        DB_ARGS(DB_INT(repo_id), DB_TEXT(tag)), err);
    if (st == ST_NOT_FOUND)
        return err_set(err, st, "there is no tag %.*s", STR_FMT(tag));
    if (st != ST_OK)
        return st;
    int64_t id = db_int(&rows, 1);
    t.tagged_at = db_int(&rows, 0);
    st = digest_of_key(db_bytes(&rows, 2), &t.digest, err);
    if (st == ST_OK)
        st = inspect_dup(a, db_text(&rows, 3), &t.media_type, err);
    if (st == ST_OK)
        st = inspect_dup(a, db_bytes(&rows, 4), &t.payload, err);
    db_rows_close(&rows);
    if (st == ST_OK)
        st = inspect_size(tx, id, &t.has_size, &t.size, &cost, err);
    if (st == ST_OK)
        *out = t;
    return st;
}

/* ---- leases ---------------------------------------------------------------------------------- */

enum st projects_take_lease(struct db_tx *tx, int64_t repo_id, int64_t now, int64_t until,
                            bool *taken, struct err *err)
{
    int64_t changed = 0;
    enum st st =
        db_run(tx, "DELETE FROM bulk_lease WHERE until <= $1", DB_ARGS(DB_INT(now)), NULL, err);
    if (st == ST_OK)
        st = db_run(tx,
                    "INSERT INTO bulk_lease (repo_id, until) VALUES ($1, $2)"
                    " ON CONFLICT (repo_id) DO NOTHING",
                    DB_ARGS(DB_INT(repo_id), DB_INT(until)), &changed, err);
    if (st == ST_OK)
        *taken = changed > 0;
    return st;
}
