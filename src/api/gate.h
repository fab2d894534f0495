/* SPDX-License-Identifier: Apache-2.0
 *
 * gate - between a path and its handler: who asks, and may they. Every door goes through it; no
 * handler looks at credentials.
 *
 *   route ──▶ gate_pass(need)
 *               │ known at once (remembered credentials, JWTs seen before, nobody)
 *               ├──▶ allowed: the route itself, on the loop if it is one of those
 *               ├──▶ refused: a route that answers so
 *               └──▶ unknown: the route on a worker, behind auth_identify()
 *
 *  1. After it, call->who is set for the whole request, and has the rights that were needed.
 *  2. A path that somebody may not pull from is refused in the words of one that is not there;
 *     which words is the family's. Who brought no credentials is asked for them.
 *  3. What a route cannot know (the repositories of a plan, of a list) its handler asks gate_may().
 *  4. Every refusal of somebody who brought credentials is noted for the audit log.
 *
 * Threads: a request is used by one thread at a time, the loop or a worker.
 */
#ifndef EBB_GATE_H
#define EBB_GATE_H

#include "auth/auth.h"
#include "deletion/deletion.h"
#include "net/http.h"

struct gate_need {
    str path;        /* of a repository, or a prefix */
    unsigned rights; /* RIGHT_* on it; RIGHT_ADMIN: of the registry, whatever the path */
    bool signed_in;  /* any account or token; not anonymous */
    bool ping;       /* valid credentials of any kind, an anonymous JWT included */
    unsigned action; /* ACTION_* that the challenge asks for */
    enum claim_type type;
};

enum gate_refusal {
    GATE_NO_CREDENTIALS,  /* bring some */
    GATE_BAD_CREDENTIALS, /* wrong, over, unreadable */
    GATE_SLOWED,          /* too many failures: retry_after_s */
    GATE_HIDDEN,          /* somebody, who may not even pull there */
    GATE_FORBIDDEN,       /* somebody who may look, but not this */
    GATE_NARROW,          /* a JWT that does not name it; its owner may have the right */
};
struct gate_refused {
    enum gate_refusal why;
    const struct gate_need *need;
    str text;
    int64_t retry_after_s;
};
/* How a family of doors says no, and where it finds credentials. */
struct gate_family {
    const char *door; /* "oci", "ebb", "gitlab", "azure": for receipts and the audit log */
    void (*refuse)(struct http_request *rq, const struct gate_refused *why);
    /* NULL: the Authorization header. ST_INVALID. */
    enum st (*credentials)(struct http_request *rq, struct credentials *out, struct err *err);
};
extern const struct gate_family oci_family;
extern const struct gate_family ebb_family;
extern const struct gate_family gitlab_family;
extern const struct gate_family acr_family;

/* The route to return from routing. `need` is copied; {0} needs nothing (call->who is set all the
 * same). */
const struct http_route *gate_pass(struct http_request *rq, const struct gate_family *family,
                                   const struct gate_need *need, const struct http_route *route);

/* For handlers. */
bool gate_may(const struct http_request *rq, str path, unsigned rights);
/* Answers the family's refusal and returns false when they may not. */
bool gate_demand(struct http_request *rq, str path, unsigned rights);
/* Repositories after `last` that this caller may pull, up to `limit`. A token for the catalog need
 * not name them. */
MUST_CHECK enum st gate_list_repositories(struct http_request *rq, str last, size_t limit,
                                          struct name_page *out, struct err *err);
/* As they were brought: for the token service. Nobody's in mode open. */
struct credentials gate_credentials(const struct http_request *rq);
str gate_actor(const struct http_request *rq); /* for receipts and logs */
const struct identity *gate_who(const struct http_request *rq);
/* "https://host[:port]" by which the client reaches the registry: `url` of the configuration, or
 * the Host header when it is a proper one; otherwise the first address that is listened on. */
str gate_url(struct http_request *rq);
/* WWW-Authenticate with a Bearer challenge (gate_need.path, .action), or Basic. */
void gate_challenge(struct http_request *rq, const struct gate_refused *why);
/* An entry of the audit log about what this request changes; borrows its texts. */
struct trail_entry gate_trail(const struct http_request *rq, const char *action, str object,
                              str detail);
/* registry_write() of a function that changes what is protected; with accounts its entry of the
 * audit log is in the same transaction. */
MUST_CHECK enum st gate_write(struct http_request *rq, db_fn fn, void *ctx,
                              const struct trail_entry *entry, struct err *err);
/* Who asks, for deletion/: door, actor, peer. */
struct deletion_by gate_by(const struct http_request *rq, str reason);

#endif
