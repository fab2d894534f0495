/* SPDX-License-Identifier: Apache-2.0
 *
 * The paths of /api/ebb/v1, and what each needs of whoever comes. doc/api.md says the same in
 * words.
 */
#include "api/ebb_int.h"

#define ROUTE(label, limit)                                                                        \
    {                                                                                              \
        .name = (label), .worker = true, .body_max = (limit), .handle = ebb_enter                  \
    }
static const struct http_route looking = ROUTE("ebb_look", API_BODY_DROPPED_MAX);
static const struct http_route deleting = ROUTE("ebb_delete", JSON_IN_BYTES_MAX);
static const struct http_route receipts = ROUTE("ebb_receipts", JSON_IN_BYTES_MAX);
static const struct http_route rules = ROUTE("ebb_rules", JSON_IN_BYTES_MAX);
static const struct http_route reclaim = ROUTE("ebb_reclaim", JSON_IN_BYTES_MAX);
static const struct http_route accounts = ROUTE("ebb_accounts", JSON_IN_BYTES_MAX);
static const struct http_route check = ROUTE("check", API_BODY_DROPPED_MAX);

#define DOOR(at, how, needs, handler, by, takes, hidden, parameters)                               \
    {                                                                                              \
        .path = (at), .method = HTTP_##how, .need = EBB_NEEDS_##needs, .answer = (handler),        \
        .route = &(by), .body = EBB_##takes, .absent = (hidden), .queries = (parameters)           \
    }
const struct ebb_door ebb_doors[] = {
    DOOR("/openapi.json", GET, NOTHING, ebb_openapi_get, looking, NO_BODY, NULL, ""),

    DOOR("/plans", POST, SIGNED_IN, ebb_plans_post, deleting, BODY, "selection-unknown", ""),
    DOOR("/plans/*", GET, SIGNED_IN, ebb_plan_get, deleting, NO_BODY, "plan-unknown", ""),
    DOOR("/plans/*", DELETE, SIGNED_IN, ebb_plan_delete, deleting, NO_BODY, "plan-unknown", ""),
    DOOR("/plans/*/items", GET, SIGNED_IN, ebb_plan_items_get, deleting, NO_BODY, "plan-unknown",
         "after, n, kind, state"),
    DOOR("/plans/*/apply", POST, SIGNED_IN, ebb_plan_apply_post, deleting, MAY_BODY, "plan-unknown",
         ""),

    DOOR("/receipts", GET, SIGNED_IN, ebb_receipts_get, receipts, NO_BODY, NULL,
         "after, n, repository"),
    DOOR("/receipts/key", GET, SIGNED_IN, ebb_receipts_key_get, receipts, NO_BODY, NULL, ""),
    DOOR("/receipts/verify", GET, ADMIN, ebb_receipts_verify_get, receipts, NO_BODY, NULL,
         "from, hash"),
    DOOR("/receipts/*", GET, SIGNED_IN, ebb_receipt_get, receipts, NO_BODY, NULL, ""),
    DOOR("/receipts/*/items", GET, SIGNED_IN, ebb_receipt_items_get, receipts, NO_BODY, NULL,
         "after, n"),
    DOOR("/receipts/*/undo", POST, SIGNED_IN, ebb_receipt_undo_post, receipts, MAY_BODY, NULL, ""),

    DOOR("/trash", GET, SIGNED_IN, ebb_trash_get, receipts, NO_BODY, NULL, "prefix, after, n"),
    DOOR("/trash/restore", POST, SIGNED_IN, ebb_trash_restore_post, receipts, BODY, "trash-unknown",
         ""),

    DOOR("/repositories", GET, NOTHING, ebb_repositories_get, looking, NO_BODY, NULL,
         "prefix, after, n"),
    DOOR("/tags", GET, HANDLER, ebb_tags_get, looking, NO_BODY, "repository-unknown",
         "repository, after, n"),
    DOOR("/show", GET, HANDLER, ebb_show_get, looking, NO_BODY, "image-unknown", "reference"),
    DOOR("/usage", GET, HANDLER, ebb_usage_get, looking, NO_BODY, NULL, "prefix, depth"),
    DOOR("/why", GET, HANDLER, ebb_why_get, looking, NO_BODY, NULL, "reference"),
    DOOR("/proposals", POST, SIGNED_IN, ebb_proposals_post, deleting, BODY, NULL, ""),

    DOOR("/rules", GET, SIGNED_IN, ebb_rules_get, rules, NO_BODY, NULL, ""),
    DOOR("/rules", POST, SIGNED_IN, ebb_rules_post, rules, BODY, NULL, ""),
    DOOR("/rules/*", DELETE, SIGNED_IN, ebb_rule_delete, rules, NO_BODY, "rule-unknown", ""),
    DOOR("/holds", GET, SIGNED_IN, ebb_holds_get, rules, NO_BODY, NULL, "after, n"),
    DOOR("/holds", POST, SIGNED_IN, ebb_holds_post, rules, BODY, "digest-unknown", ""),
    DOOR("/holds/*", DELETE, SIGNED_IN, ebb_hold_delete, rules, NO_BODY, "hold-unknown", ""),

    DOOR("/locks", GET, HANDLER, ebb_locks_get, rules, NO_BODY, "repository-unknown",
         "repository, tag, digest"),
    DOOR("/locks", POST, SIGNED_IN, ebb_locks_post, rules, BODY, "repository-unknown", ""),

    DOOR("/reclaim", GET, ADMIN, ebb_reclaim_get, reclaim, NO_BODY, NULL, ""),
    DOOR("/reclaim/pause", POST, ADMIN, ebb_reclaim_pause_post, reclaim, MAY_BODY, NULL, ""),
    DOOR("/reclaim/resume", POST, ADMIN, ebb_reclaim_resume_post, reclaim, MAY_BODY, NULL, ""),
    DOOR("/reclaim/run", POST, ADMIN, ebb_reclaim_run_post, reclaim, MAY_BODY, NULL, ""),
    DOOR("/reclaim/reset", POST, ADMIN, ebb_reclaim_reset_post, reclaim, MAY_BODY, NULL, ""),
    DOOR("/removals", GET, SIGNED_IN, ebb_removals_get, reclaim, NO_BODY, NULL, "prefix, after, n"),
    DOOR("/removals/reset", POST, SIGNED_IN, ebb_removals_reset_post, reclaim, BODY,
         "removal-unknown", ""),

    DOOR("/check", GET, ADMIN, check_get, check, NO_BODY, NULL, "from, n"),
    DOOR("/check", POST, ADMIN, check_post, check, NO_BODY, NULL, "hash, quick, rate, repair"),
    DOOR("/check/*", GET, ADMIN, check_get, check, NO_BODY, NULL, "from, n"),
    DOOR("/check/*", DELETE, ADMIN, check_delete, check, NO_BODY, NULL, ""),

    DOOR("/self", GET, NOTHING, ebb_self_get, accounts, NO_BODY, NULL, "path"),
    DOOR("/accounts", GET, ADMIN, ebb_accounts_get, accounts, NO_BODY, NULL, "after, n"),
    DOOR("/accounts", POST, ADMIN, ebb_accounts_post, accounts, SECRET_BODY, NULL, ""),
    DOOR("/accounts/*", GET, SIGNED_IN, ebb_account_get, accounts, NO_BODY, NULL, ""),
    DOOR("/accounts/*", POST, SIGNED_IN, ebb_account_post, accounts, SECRET_BODY, NULL, ""),
    DOOR("/accounts/*", DELETE, ADMIN, ebb_account_delete, accounts, NO_BODY, NULL, ""),
    DOOR("/tokens", GET, SIGNED_IN, ebb_tokens_get, accounts, NO_BODY, NULL,
         "account, prefix, after, n"),
    DOOR("/tokens", POST, SIGNED_IN, ebb_tokens_post, accounts, BODY, NULL, ""),
    DOOR("/tokens/*", DELETE, SIGNED_IN, ebb_token_delete, accounts, NO_BODY, NULL, ""),
    DOOR("/members", GET, SIGNED_IN, ebb_members_get, accounts, NO_BODY, NULL, "prefix, inherited"),
    DOOR("/members", POST, SIGNED_IN, ebb_members_post, accounts, BODY, NULL, ""),
    DOOR("/members", DELETE, SIGNED_IN, ebb_members_delete, accounts, NO_BODY, NULL,
         "prefix, account"),
    DOOR("/visibility", GET, SIGNED_IN, ebb_visibility_get, accounts, NO_BODY, NULL, "prefix"),
    DOOR("/visibility", POST, SIGNED_IN, ebb_visibility_post, accounts, BODY, NULL, ""),
    DOOR("/visibility", DELETE, SIGNED_IN, ebb_visibility_delete, accounts, NO_BODY, NULL,
         "prefix"),
    DOOR("/audit", GET, ADMIN, ebb_audit_get, accounts, NO_BODY, NULL, "actor, action, after, n"),
    DOOR("/keys/rotate", POST, ADMIN, ebb_keys_rotate_post, accounts, MAY_BODY, NULL, ""),
};
const size_t ebb_door_count = ARRAY_LEN(ebb_doors);
