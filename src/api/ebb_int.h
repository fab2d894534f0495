/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of /api/ebb/v1 share (doc/api.md).
 *
 *   api_route() ─▶ ebb_route()  finds the door: path, method; refuses what other sites send
 *                     │
 *                     ▼
 *                  gate_pass()  who asks, and what the door needs of everybody
 *                     │
 *                     ▼ on a worker
 *                  ebb_enter()  refuses unknown or repeated parameters, bodies of another type
 *                     │
 *                     ▼
 *                  door->answer(), which asks for rights on what it is about
 *
 * Errors are problem documents (RFC 9457). Their types never change; sentences may.
 */
#ifndef EBB_EBB_INT_H
#define EBB_EBB_INT_H

#include "api/api_int.h"
#include "api/ebb_reference.h"
#include "api/json_in.h"
#include "api/json_out.h"

#define EBB_ROOT           "/api/ebb/v1"
#define EBB_ANSWER_MAX     (64 * MIB)
#define EBB_REASON_MAX     ((size_t)1000)
#define EBB_REFERENCES_MAX ((size_t)10000)

/* ---- doors --------------------------------------------------------------------------------- */

enum ebb_body {
    EBB_NO_BODY,
    EBB_MAY_BODY,    /* JSON, or nothing */
    EBB_BODY,        /* JSON */
    EBB_SECRET_BODY, /* JSON that may hold a password: no error repeats a part of it */
};

/* What a door needs of whoever comes, before its handler looks at what it is about. doc/api.md says
 * all of it, and a test compares. */
enum ebb_need {
    EBB_NEEDS_NOTHING,
    EBB_NEEDS_SIGNED_IN, /* and what the handler asks for */
    EBB_NEEDS_ADMIN,
    EBB_NEEDS_HANDLER, /* it asks for everything */
};

struct ebb_door {
    const char *path; /* below EBB_ROOT; "*" is a component: api_call.reference */
    enum http_method method;
    enum ebb_need need;
    void (*answer)(struct http_request *rq);
    const struct http_route *route; /* its name in metrics, its limit on bodies */
    enum ebb_body body;
    const char *queries; /* parameters that it knows, with commas between */
    /* Type of its 404 for a repository that is not there: what cannot be seen answers the same.
     * NULL: that is a 403 there. */
    const char *absent;
};
extern const struct ebb_door ebb_doors[];
extern const size_t ebb_door_count;
/* The way in that all their routes have. */
void ebb_enter(struct http_request *rq);

void ebb_openapi_get(struct http_request *rq);
void ebb_plans_post(struct http_request *rq);
void ebb_plan_get(struct http_request *rq);
void ebb_plan_delete(struct http_request *rq);
void ebb_plan_items_get(struct http_request *rq);
void ebb_plan_apply_post(struct http_request *rq);
void ebb_receipts_get(struct http_request *rq);
void ebb_receipts_key_get(struct http_request *rq);
void ebb_receipts_verify_get(struct http_request *rq);
void ebb_receipt_get(struct http_request *rq);
void ebb_receipt_items_get(struct http_request *rq);
void ebb_receipt_undo_post(struct http_request *rq);
void ebb_trash_get(struct http_request *rq);
void ebb_trash_restore_post(struct http_request *rq);
void ebb_repositories_get(struct http_request *rq);
void ebb_tags_get(struct http_request *rq);
void ebb_show_get(struct http_request *rq);
void ebb_usage_get(struct http_request *rq);
void ebb_why_get(struct http_request *rq);
void ebb_proposals_post(struct http_request *rq);
void ebb_rules_get(struct http_request *rq);
void ebb_rules_post(struct http_request *rq);
void ebb_rule_delete(struct http_request *rq);
void ebb_holds_get(struct http_request *rq);
void ebb_holds_post(struct http_request *rq);
void ebb_hold_delete(struct http_request *rq);
void ebb_locks_get(struct http_request *rq);
void ebb_locks_post(struct http_request *rq);
void ebb_removals_get(struct http_request *rq);
void ebb_removals_reset_post(struct http_request *rq);
void ebb_self_get(struct http_request *rq);
void ebb_accounts_get(struct http_request *rq);
void ebb_accounts_post(struct http_request *rq);
void ebb_account_get(struct http_request *rq);
void ebb_account_post(struct http_request *rq);
void ebb_account_delete(struct http_request *rq);
void ebb_tokens_get(struct http_request *rq);
void ebb_tokens_post(struct http_request *rq);
void ebb_token_delete(struct http_request *rq);
void ebb_members_get(struct http_request *rq);
void ebb_members_post(struct http_request *rq);
void ebb_members_delete(struct http_request *rq);
void ebb_visibility_get(struct http_request *rq);
void ebb_visibility_post(struct http_request *rq);
void ebb_visibility_delete(struct http_request *rq);
void ebb_audit_get(struct http_request *rq);
void ebb_keys_rotate_post(struct http_request *rq);
void ebb_reclaim_get(struct http_request *rq);
void ebb_reclaim_pause_post(struct http_request *rq);
void ebb_reclaim_resume_post(struct http_request *rq);
void ebb_reclaim_run_post(struct http_request *rq);
void ebb_reclaim_reset_post(struct http_request *rq);
void check_post(struct http_request *rq);
void check_get(struct http_request *rq);
void check_delete(struct http_request *rq);

/* What writes and comes from a page of another site (ebb_routes.c); other doors ask as well. */
bool ebb_is_cross_site(const struct http_request *rq);

/* ---- errors -------------------------------------------------------------------------------- */

/* {"type": "urn:ebb:<type>", "title": ..., "status": ..., "detail": ...}; `members` is more of it
 * as JSON text, `"confirm":{...}`, or unset. */
void ebb_problem(struct http_request *rq, int http, const char *type, str detail, str members);
/* Answers with the entry of `table` (ended by an ST_OK entry, or NULL) for err->st, else with the
 * one that all share, else with 500; the cause of a 5xx goes to the log. */
void ebb_fail(struct http_request *rq, const struct answer_status *table, const struct err *err);

/* ---- answers ------------------------------------------------------------------------------- */

/* An answer under way: its text lives to the end of the request. False with the error answered. */
bool ebb_begin(struct http_request *rq, struct json_out *out);
/* Sends it, or the problem when it could not be written: 503 without memory, 400 over
 * EBB_ANSWER_MAX. Never cached. */
void ebb_end(struct http_request *rq, int http, struct json_out *out);
/* {"items": [...], "next": "..."}: ebb_begin() up to the first item, and ebb_end() behind the last.
 * `next` is what ?after= takes to go on; not told without `more`. */
bool ebb_begin_list(struct http_request *rq, struct json_out *out);
/* The same once `fn` has read, in one snapshot, what is listed. */
bool ebb_read_list(struct http_request *rq, db_fn fn, void *ctx, struct json_out *out);
void ebb_end_list(struct http_request *rq, struct json_out *out, bool more, str next);
void ebb_end_list_number(struct http_request *rq, struct json_out *out, uint64_t next); /* 0: end */

/* A time of the registry as UTC; 0: null. */
void ebb_add_time(struct http_request *rq, struct json_out *out, const char *key, int64_t r);
int64_t ebb_now(const struct http_request *rq);
/* An arena of its own for what is too much for the request's; dies with the request. NULL with the
 * error answered. */
struct arena *ebb_arena(struct http_request *rq, size_t limit_bytes);

struct hold;
void ebb_add_hold(struct http_request *rq, struct json_out *out, const struct hold *h);
/* 200 with the receipt, or 202 with its Location while it is open. */
void ebb_answer_receipt(struct http_request *rq, int64_t id);
struct receipt_item;
void ebb_add_receipt_item(struct json_out *out, const struct receipt_item *i); /* its members */
struct undo_request;
/* The body of an undo, with the references in list `key`. False with the error answered. */
bool ebb_read_undo(struct http_request *rq, const char *key, bool needed, struct undo_request *out);
/* Another name is a tag that is set: it takes what a push takes. */
bool ebb_demand_as(struct http_request *rq, const struct undo_request *request);

/* ---- rights -------------------------------------------------------------------------------- */

/* Instead of a name that the asker may not see. */
#define EBB_UNSEEN "in a repository that you may not see"
bool ebb_sees(const struct http_request *rq, str repo);
bool ebb_is_admin(const struct http_request *rq);
bool ebb_is_anonymous(const struct http_request *rq);
/* gate_demand() on a path; of the whole registry, "", only administrators have any. */
bool ebb_demand_prefix(struct http_request *rq, str prefix, unsigned rights);
/* 403. */
void ebb_forbid(struct http_request *rq, const char *text);
/* For plan_request.may; `rq` is the request. */
bool ebb_may_delete(void *rq, str repo);
bool ebb_may_delete_now(void *rq, str repo);

enum ebb_access {
    EBB_ALLOWED,
    EBB_PARTLY,  /* an own receipt, of which not every repository may be deleted from any more */
    EBB_REFUSED, /* in *repo; one that they may not see, if there is any */
    EBB_FAILED,  /* err */
};
/* May who asks delete (with `now`: without a grace) in each repository of the plan? */
enum ebb_access ebb_plan_access(struct http_request *rq, str id, bool now, str *repo,
                                struct err *err);
struct receipt;
enum ebb_access ebb_receipt_access(struct http_request *rq, const struct receipt *r, str *repo,
                                   struct err *err);

/* ---- questions ----------------------------------------------------------------------------- */

/* ?n= and ?after=; answer 400 and return false when they are none. */
struct ebb_page {
    size_t limit;
    str after; /* unset: from the start */
};
bool ebb_page(struct http_request *rq, struct ebb_page *out);
/* The same with an `after` that is a number; 0: from the start. */
bool ebb_page_number(struct http_request *rq, size_t *limit, uint64_t *after);
/* ?prefix=: a path of a repository, or "". */
bool ebb_prefix(struct http_request *rq, str *out);
/* call->reference as a number above 0; answers 404 of this type and returns false for all else. */
bool ebb_id(struct http_request *rq, const char *type, int64_t *out);
/* ?reference=, of one of these kinds. */
bool ebb_reference(struct http_request *rq, int allowed, str *text, struct ebb_reference *out);

/* The body. False with the error answered; json_in_release() at the end of the request by itself.
 */
bool ebb_read(struct http_request *rq, struct json_in *out);
/* The same checks at the end of reading. */
bool ebb_read_end(struct http_request *rq, struct json_in *in);

#endif
