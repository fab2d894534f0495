/* SPDX-License-Identifier: Apache-2.0
 *
 * Projects and groups: which path an ":id" means, and the few things that clients want to know of
 * them before they come to the registry. Also who one is, and which GitLab this claims to be.
 *
 * A project's number is given the first time it is asked for (meta/namespaces.h), so a GET may
 * write, once for each path.
 */
#include "api/gitlab_int.h"
#include "base/mem.h"

/* The GitLab whose answers these are. */
#define GITLAB_VERSION    "18.9.0"
#define GITLAB_REVISION   "ebb"
#define PROJECTS_MAX      ((size_t)10000)
#define PROJECT_NOT_FOUND "404 Project Not Found"
#define GROUP_NOT_FOUND   "404 Group Not Found"

/* ---- numbers --------------------------------------------------------------------------------- */

/* What the functions inside transactions take. */
struct lookup {
    struct arena *arena;
    str path;
    int64_t id; /* when path is unset */
    bool is_project;
    bool exists;
    struct gitlab_namespace found; /* id 0: it has no number yet */
};

static enum st find_path(struct db_tx *tx, void *ctx, struct err *err)
{
    struct lookup *l = ctx;
    l->found = (struct gitlab_namespace){ .path = l->path };
    l->exists = false;
    enum st st = l->path.ptr != NULL ? namespaces_find(tx, l->path, l->arena, &l->found, err)
                                     : namespaces_find_id(tx, l->id, l->arena, &l->found, err);
    if (st == ST_NOT_FOUND && l->path.ptr == NULL)
        return ST_OK;
    if (st != ST_OK && st != ST_NOT_FOUND)
        return st;
    /* A group's number is none of a project, unless it was named as one. */
    l->exists = st == ST_OK && (l->found.is_project || !l->is_project);
    if (l->exists || l->path.ptr == NULL)
        return ST_OK;
    return projects_exists(tx, l->path, &l->exists, err);
}

static enum st number_path(struct db_tx *tx, void *ctx, struct err *err)
{
    struct lookup *l = ctx;
    return namespaces_get(tx, l->path, l->is_project, l->arena, &l->found, err);
}

enum st gitlab_number(struct http_request *rq, str path, bool is_project, int64_t *id,
                      struct err *err)
{
    struct registry *r = api_call_of(rq)->api->registry;
    struct lookup l = { .arena = gitlab_call_of(rq)->arena,
                        .path = path,
                        .is_project = is_project };
    enum st st = db_read(r->db, find_path, &l, err);
    if (st == ST_OK && (l.found.id == 0 || l.found.is_project < is_project))
        st = registry_write(r, number_path, &l, err);
    if (st == ST_OK)
        *id = l.found.id;
    return st;
}

/* GitLab's paths are found in either case; names in a registry are in lower case. */
static str lower(struct arena *a, str s)
{
    char *copy = arena_cstr(a, s);
    for (size_t i = 0; copy != NULL && i < s.len; i++)
        if (copy[i] >= 'A' && copy[i] <= 'Z')
            copy[i] = (char)(copy[i] | 0x20);
    return (str){ copy, copy == NULL ? 0 : s.len };
}

static bool find_namespace(struct http_request *rq, bool is_project, unsigned rights,
                           struct gitlab_namespace *out)
{
    struct gitlab_call *call = gitlab_call_of(rq);
    struct lookup l = { .arena = call->arena, .is_project = is_project };
    struct err err = { 0 };
    uint64_t number = 0;
    call->absent = is_project ? PROJECT_NOT_FOUND : GROUP_NOT_FOUND;
    if (str_to_u64(call->parts[0], INT64_MAX, &number))
        l.id = (int64_t)number;
    else
        l.path = lower(call->arena, call->parts[0]);
    if (l.path.ptr != NULL && name_check(l.path, NULL) != ST_OK) {
        gitlab_absent(rq, call->absent);
        return false;
    }
    if (l.path.ptr != NULL && !gate_demand(rq, l.path, RIGHT_PULL))
        return false;
    if (db_read(api_call_of(rq)->api->registry->db, find_path, &l, &err) != ST_OK) {
        gitlab_fail(rq, &err);
        return false;
    }
    if (!l.exists) {
        gitlab_absent(rq, call->absent);
        return false;
    }
    if (l.path.ptr == NULL)
        l.path = l.found.path;
    if (!gate_demand(rq, l.path, RIGHT_PULL) || !gate_demand(rq, l.path, rights))
        return false;
    *out = (struct gitlab_namespace){ .id = l.found.id, .path = l.path, .is_project = is_project };
    api_call_of(rq)->repo = l.path;
    if ((l.found.id == 0 || (is_project && !l.found.is_project)) &&
        gitlab_number(rq, l.path, is_project, &out->id, &err) != ST_OK) {
        gitlab_fail(rq, &err);
        return false;
    }
    return true;
}

bool gitlab_project(struct http_request *rq, unsigned rights, struct gitlab_namespace *out)
{
    return find_namespace(rq, true, rights, out);
}

bool gitlab_group(struct http_request *rq, struct gitlab_namespace *out)
{
    return find_namespace(rq, false, RIGHT_PULL, out);
}

/* ---- objects --------------------------------------------------------------------------------- */

static str last_component(str path)
{
    str name = path;
    str above = STR_NONE;
    (void)str_cut_last(path, '/', &above, &name);
    return name;
}

/* "group / project" */
static str spaced(struct arena *a, str path)
{
    AUTO(buf_release) struct buf b = { .max_bytes = 4 * NAME_MAX_BYTES };
    for (size_t i = 0; i < path.len; i++)
        if (path.ptr[i] == '/')
            buf_add(&b, STR(" / "));
        else
            buf_add_byte(&b, path.ptr[i]);
    return b.failed == ST_OK ? arena_dup(a, buf_str(&b)) : STR_NONE;
}

static void add_names(struct http_request *rq, struct json_out *o, const struct gitlab_namespace *n)
{
    json_out_number(o, "id", n->id);
    json_out_text(o, "name", last_component(n->path));
    json_out_text(o, "path", last_component(n->path));
    json_out_text(o, "description", STR(""));
    json_out_text(o, "visibility", STR("private"));
    gitlab_add_made(o, "web_url", gitlab_url(rq, STR("")));
}

static enum st add_project(struct http_request *rq, struct json_out *o,
                           const struct gitlab_namespace *n, struct err *err)
{
    struct arena *a = gitlab_call_of(rq)->arena;
    str above = STR_NONE;
    str name = STR_NONE;
    int64_t above_id = 0;
    bool has_above = str_cut_last(n->path, '/', &above, &name);
    enum st st = has_above ? gitlab_number(rq, above, false, &above_id, err) : ST_OK;
    if (st != ST_OK)
        return st;
    json_out_open(o, NULL, '{');
    add_names(rq, o, n);
    gitlab_add_made(o, "name_with_namespace", spaced(a, n->path));
    json_out_text(o, "path_with_namespace", n->path);
    json_out_null(o, "created_at");
    json_out_null(o, "default_branch");
    json_out_flag(o, "archived", false);
    json_out_flag(o, "container_registry_enabled", true);
    json_out_text(o, "container_registry_access_level", STR("enabled"));
    gitlab_add_made(o, "container_registry_image_prefix", gitlab_location(rq, n->path));
    json_out_null(o, "container_expiration_policy");
    if (has_above) {
        json_out_open(o, "namespace", '{');
        json_out_number(o, "id", above_id);
        json_out_text(o, "name", last_component(above));
        json_out_text(o, "path", last_component(above));
        json_out_text(o, "kind", STR("group"));
        json_out_text(o, "full_path", above);
        json_out_close(o, '}');
    } else {
        json_out_null(o, "namespace");
    }
    json_out_close(o, '}');
    return ST_OK;
}

static enum st add_group(struct http_request *rq, struct json_out *o,
                         const struct gitlab_namespace *n, struct err *err)
{
    str above = STR_NONE;
    str name = STR_NONE;
    int64_t above_id = 0;
    bool has_above = str_cut_last(n->path, '/', &above, &name);
    enum st st = has_above ? gitlab_number(rq, above, false, &above_id, err) : ST_OK;
    if (st != ST_OK)
        return st;
    json_out_open(o, NULL, '{');
    add_names(rq, o, n);
    gitlab_add_made(o, "full_name", spaced(gitlab_call_of(rq)->arena, n->path));
    json_out_text(o, "full_path", n->path);
    if (has_above)
        json_out_number(o, "parent_id", above_id);
    else
        json_out_null(o, "parent_id");
    json_out_close(o, '}');
    return ST_OK;
}

typedef enum st (*add_fn)(struct http_request *rq, struct json_out *o,
                          const struct gitlab_namespace *n, struct err *err);

static void answer_one(struct http_request *rq, add_fn add, const struct gitlab_namespace *n)
{
    struct json_out o;
    struct err err = { 0 };
    if (!gitlab_begin(rq, &o))
        return;
    if (add(rq, &o, n, &err) != ST_OK)
        gitlab_fail(rq, &err);
    else
        gitlab_end(rq, 200, &o);
}

void gitlab_project_get(struct http_request *rq)
{
    struct gitlab_namespace project;
    if (gitlab_project(rq, RIGHT_PULL, &project))
        answer_one(rq, add_project, &project);
}

void gitlab_group_get(struct http_request *rq)
{
    struct gitlab_namespace group;
    if (gitlab_group(rq, &group))
        answer_one(rq, add_group, &group);
}

/* ---- lists ----------------------------------------------------------------------------------- */

struct listing {
    struct arena *arena;
    struct name_page paths;
};

static enum st list_projects(struct db_tx *tx, void *ctx, struct err *err)
{
    struct listing *l = ctx;
    return projects_list(tx, PROJECTS_MAX, l->arena, &l->paths, err);
}

/* Groups are what is above projects. In place: each path is no longer than its project's. */
static void keep_groups(struct name_page *paths)
{
    size_t n = 0;
    for (size_t i = 0; i < paths->count; i++) {
        str above = STR_NONE;
        str name = STR_NONE;
        if (str_cut_last(paths->names[i], '/', &above, &name) &&
            (n == 0 || !str_eq(paths->names[n - 1], above)))
            paths->names[n++] = above;
    }
    paths->count = n;
}

static bool is_wanted(const struct http_request *rq, str path, str search)
{
    return (search.len == 0 || memmem(path.ptr, path.len, search.ptr, search.len) != NULL) &&
           gate_may(rq, path, RIGHT_PULL);
}

static void answer_list(struct http_request *rq, bool projects)
{
    struct gitlab_call *call = gitlab_call_of(rq);
    struct listing l = { .arena = call->arena };
    struct gitlab_page page;
    struct json_out o;
    struct err err = { 0 };
    str search = STR("");
    uint64_t found = 0;
    enum st st = ST_OK;
    (void)gitlab_param_text(&call->params, "search", &search);
    if (!gitlab_page(rq, &page) || !gitlab_begin(rq, &o))
        return;
    st = db_read(api_call_of(rq)->api->registry->db, list_projects, &l, &err);
    if (!projects)
        keep_groups(&l.paths);
    uint64_t from = gitlab_page_skip(&page);
    json_out_open(&o, NULL, '[');
    for (size_t i = 0; st == ST_OK && i < l.paths.count; i++) {
        struct gitlab_namespace n = { .path = l.paths.names[i], .is_project = projects };
        if (!is_wanted(rq, n.path, search) || found++ < from || found > from + page.per_page)
            continue;
        st = gitlab_number(rq, n.path, projects, &n.id, &err);
        if (st == ST_OK)
            st = (projects ? add_project : add_group)(rq, &o, &n, &err);
    }
    json_out_close(&o, ']');
    if (st != ST_OK) {
        gitlab_fail(rq, &err);
        return;
    }
    gitlab_end(rq, 200, &o);
    if (rq->answer_code == 200)
        gitlab_answer_page(rq, &page, l.paths.more ? UINT64_MAX / 2 : found,
                           found > from + page.per_page);
}

void gitlab_projects_get(struct http_request *rq)
{
    answer_list(rq, true);
}

void gitlab_groups_get(struct http_request *rq)
{
    answer_list(rq, false);
}

/* ---- the server, and who one is -------------------------------------------------------------- */

static void add_version(struct json_out *o)
{
    json_out_text(o, "version", STR(GITLAB_VERSION));
    json_out_text(o, "revision", STR(GITLAB_REVISION));
}

void gitlab_version_get(struct http_request *rq)
{
    struct json_out o;
    if (!gitlab_begin(rq, &o))
        return;
    json_out_open(&o, NULL, '{');
    add_version(&o);
    json_out_close(&o, '}');
    gitlab_end(rq, 200, &o);
}

void gitlab_metadata_get(struct http_request *rq)
{
    struct json_out o;
    if (!gitlab_begin(rq, &o))
        return;
    json_out_open(&o, NULL, '{');
    add_version(&o);
    json_out_open(&o, "kas", '{');
    json_out_flag(&o, "enabled", false);
    json_out_null(&o, "externalUrl");
    json_out_null(&o, "version");
    json_out_close(&o, '}');
    json_out_flag(&o, "enterprise", false);
    json_out_close(&o, '}');
    gitlab_end(rq, 200, &o);
}

void gitlab_user_get(struct http_request *rq)
{
    const struct identity *who = gate_who(rq);
    struct json_out o;
    if (!gitlab_begin(rq, &o))
        return;
    json_out_open(&o, NULL, '{');
    json_out_number(&o, "id", who->account_id);
    json_out_text(&o, "username", who->name);
    json_out_text(&o, "name", who->name);
    json_out_text(&o, "state", STR("active"));
    json_out_flag(&o, "bot", who->kind == IDENTITY_DEPLOY);
    json_out_flag(&o, "is_admin", gate_may(rq, STR(""), RIGHT_ADMIN));
    json_out_close(&o, '}');
    gitlab_end(rq, 200, &o);
}
