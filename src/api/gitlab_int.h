/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of /api/v4 share (doc/gitlab.md).
 *
 *   api_route() ─▶ gitlab_route()  finds the door: path, method; and who asks (gate.h)
 *                     │
 *                     ▼ on a worker
 *                  enter()         reads the parameters
 *                     │
 *                     ▼
 *                  door->answer()  finds project, group, repository, which may be numbers, and asks
 *                                  for the right on what it found
 *
 *  1. What somebody may not pull from is answered like what is not there: 401 without credentials,
 *     404 with some. So rights are asked for before anything tells whether it exists.
 *  2. Statuses, bodies and headers are GitLab's; what differs stands in doc/gitlab.md.
 */
#ifndef EBB_GITLAB_INT_H
#define EBB_GITLAB_INT_H

#include "api/api_int.h"
#include "api/gitlab_params.h"
#include "api/json_out.h"
#include "meta/projects.h"

#define GITLAB_ROOT       "/api/v4"
#define GITLAB_ANSWER_MAX (64 * MIB)
#define GITLAB_ARENA_MAX  (64 * MIB)
#define GITLAB_PARTS_MAX  3
/* Beyond so many GitLab leaves totals out, and so do we. */
#define GITLAB_TOTAL_MAX  10000

struct gitlab_door {
    const char *path; /* below GITLAB_ROOT; "*" is a component */
    enum http_method method;
    void (*answer)(struct http_request *rq);
    const struct http_route *route;
    bool signed_in; /* nobody without credentials */
};

struct gitlab_call {
    const struct gitlab_door *door;
    str parts[GITLAB_PARTS_MAX]; /* what stood for each "*", decoded */
    struct gitlab_params params;
    const char *absent;  /* "404 Project Not Found": for what is hidden */
    struct arena *arena; /* of what may be too much for the request's */
    str url;             /* gate_url(), once asked for; "" when there is none */
};
static inline struct gitlab_call *gitlab_call_of(const struct http_request *rq)
{
    return api_call_of(rq)->work;
}

void gitlab_version_get(struct http_request *rq);
void gitlab_metadata_get(struct http_request *rq);
void gitlab_user_get(struct http_request *rq);
void gitlab_projects_get(struct http_request *rq);
void gitlab_project_get(struct http_request *rq);
void gitlab_group_get(struct http_request *rq);
void gitlab_groups_get(struct http_request *rq);
void gitlab_project_repositories_get(struct http_request *rq);
void gitlab_group_repositories_get(struct http_request *rq);
void gitlab_repository_get(struct http_request *rq);
void gitlab_repository_delete(struct http_request *rq);
void gitlab_tags_get(struct http_request *rq);
void gitlab_tag_get(struct http_request *rq);
void gitlab_tag_delete(struct http_request *rq);
void gitlab_tags_delete(struct http_request *rq);
void gitlab_repository_rules_get(struct http_request *rq);
void gitlab_repository_rules_post(struct http_request *rq);
void gitlab_repository_rule_patch(struct http_request *rq);
void gitlab_repository_rule_delete(struct http_request *rq);
void gitlab_tag_rules_get(struct http_request *rq);
void gitlab_tag_rules_post(struct http_request *rq);
void gitlab_tag_rule_patch(struct http_request *rq);
void gitlab_tag_rule_delete(struct http_request *rq);

/* ---- answers (gitlab_answer.c) --------------------------------------------------------------- */

/* {"message": "404 Not found"}, {"error": "tags is invalid"} */
void gitlab_message(struct http_request *rq, int http, str text);
void gitlab_error(struct http_request *rq, int http, str text);
/* As above, for what is not there, or hidden: 401 when nobody signed in. */
void gitlab_absent(struct http_request *rq, const char *text);
/* By status; what is behind a 500 goes to the log. */
void gitlab_fail(struct http_request *rq, const struct err *err);
/* Answers 400 and returns false when something was wrong with the parameters. */
bool gitlab_params_ok(struct http_request *rq);

/* An answer under way. False with the error answered. */
bool gitlab_begin(struct http_request *rq, struct json_out *out);
void gitlab_end(struct http_request *rq, int http, struct json_out *out);
/* A number as body, as GitLab answers accepted deletions. */
void gitlab_answer_code(struct http_request *rq, int http);
/* "2026-11-21T09:15:00.000Z" of a time of the registry; 0: null. */
void gitlab_add_time(struct http_request *rq, struct json_out *out, const char *key, int64_t t);
int64_t gitlab_now(const struct http_request *rq);
/* "https://host[:port]" + GITLAB_ROOT + path; "host[:port]/name". Unset without memory. */
str gitlab_url(struct http_request *rq, str path);
str gitlab_location(struct http_request *rq, str name);

/* A text for which the arena had to have room: without it the answer fails. */
void gitlab_add_made(struct json_out *out, const char *key, str text);
/* name, path and location of a tag; allocates nothing, as there may be many. */
void gitlab_add_tag(struct http_request *rq, struct json_out *out, str repo, str tag);

struct gitlab_page {
    uint64_t page; /* from 1 on */
    uint64_t per_page;
};
/* False with the error answered. */
bool gitlab_page(struct http_request *rq, struct gitlab_page *out);
static inline uint64_t gitlab_page_skip(const struct gitlab_page *p)
{
    return (p->page - 1) * p->per_page;
}
/* x-page and the others, and Link. `total` counts when it is at most GITLAB_TOTAL_MAX. */
void gitlab_answer_page(struct http_request *rq, const struct gitlab_page *p, uint64_t total,
                        bool more);
/* Link: rel="next" of a keyset page that ends with `last`. */
void gitlab_answer_keyset(struct http_request *rq, uint64_t per_page, bool descending, str last);

/* ---- what paths name (gitlab_project.c) ------------------------------------------------------ */

/* The first part as project or group, with these rights on it. False with the error answered. */
bool gitlab_project(struct http_request *rq, unsigned rights, struct gitlab_namespace *out);
bool gitlab_group(struct http_request *rq, struct gitlab_namespace *out);
/* The second part as a repository of the project, with these rights. */
bool gitlab_project_repository(struct http_request *rq, const struct gitlab_namespace *project,
                               unsigned rights, struct project_repository *out);
/* Finds or gives numbers of projects. */
MUST_CHECK enum st gitlab_number(struct http_request *rq, str path, bool is_project, int64_t *id,
                                 struct err *err);

#endif
