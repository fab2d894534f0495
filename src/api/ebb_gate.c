/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may not, in the words of /api/ebb/v1: how the gate's refusals read there, and the questions
 * that only handlers can ask (the repositories of a plan, of a receipt, of a list).
 *
 * What somebody may not pull answers as if it were not there: with the text and the type that its
 * door has for that.
 */
#include "api/ebb_int.h"
#include "deletion/plan.h"
#include "meta/receipts.h"

/* ---- refusals ------------------------------------------------------------------------------- */

/* A browser asks its user for a name and a password by itself when it is challenged; a page that
 * made the request has a form of its own. */
static bool is_of_page(const struct http_request *rq)
{
    static const char *const names[] = { "Sec-Fetch-Mode", "Sec-Fetch-Site", "Sec-Fetch-Dest" };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (http_header(rq, names[i]).ptr != NULL)
            return true;
    return false;
}

static void answer_unauthorized(struct http_request *rq, str text)
{
    if (text.ptr == NULL)
        text = STR("this needs credentials: an account's name and password, or a token");
    ebb_problem(rq, 401, "unauthorized", text, STR_NONE);
    if (!is_of_page(rq))
        http_answer_header(rq, "WWW-Authenticate", STR("Basic realm=\"ebb\""));
}

static void answer_slowed(struct http_request *rq, const struct gate_refused *why)
{
    int64_t wait_s = MAX(why->retry_after_s, (int64_t)1);
    ebb_problem(rq, 429, "slowed",
                arena_printf(&rq->arena,
                             "too many log-ins failed; the next one is looked at in %lld seconds",
                             (long long)wait_s),
                STR_NONE);
    http_answer_header(rq, "Retry-After", arena_printf(&rq->arena, "%lld", (long long)wait_s));
}

static void answer_forbidden(struct http_request *rq, str text)
{
    if (text.ptr == NULL)
        text = STR("your roles, or the scopes of this token, do not allow it");
    ebb_problem(rq, 403, "forbidden", text, STR_NONE);
}

/* As if the repository were not there. */
static void answer_absent(struct http_request *rq, str repo)
{
    const struct ebb_door *door = api_call_of(rq)->door;
    if (door->absent == NULL) {
        answer_forbidden(rq, STR_NONE);
        return;
    }
    struct err err = { 0 };
    (void)err_set(&err, ST_NOT_FOUND, "there is no repository %.*s", STR_FMT(repo));
    str said = api_call_of(rq)->absent;
    ebb_problem(rq, 404, door->absent, said.ptr != NULL ? said : str_of(err.text), STR_NONE);
}

/* Which right it takes, in the words of GET /self; unset when that is not what is missing. */
static str missing_text(struct http_request *rq, const struct gate_need *need)
{
    static const struct {
        unsigned right;
        const char *word;
    } words[] = { { RIGHT_PULL, "pull" },   { RIGHT_PUSH, "push" }, { RIGHT_DELETE, "delete" },
                  { RIGHT_RULES, "rules" }, { RIGHT_NOW, "now" },   { RIGHT_MEMBERS, "members" } };
    if (need == NULL || need->rights == 0)
        return STR_NONE;
    if ((need->rights & RIGHT_ADMIN) != 0)
        return STR("this takes an administrator, and no token that is narrower");
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if ((need->rights & words[i].right) != 0 && !gate_may(rq, need->path, words[i].right))
            return arena_printf(&rq->arena,
                                "this takes the right \"%s\" on %s%.*s%s, which you, or this "
                                "token, do not have",
                                words[i].word, need->path.len == 0 ? "the registry" : "\"",
                                STR_FMT(need->path), need->path.len == 0 ? "" : "\"");
    return STR_NONE;
}

static void refuse(struct http_request *rq, const struct gate_refused *why)
{
    switch (why->why) {
    case GATE_NO_CREDENTIALS:
    case GATE_BAD_CREDENTIALS:
        answer_unauthorized(rq, why->text);
        return;
    case GATE_SLOWED:
        answer_slowed(rq, why);
        return;
    case GATE_HIDDEN:
        if (api_call_of(rq)->door->absent == NULL) /* of a prefix, whether it is there or not */
            break;
        answer_absent(rq, why->need == NULL ? STR("") : why->need->path);
        return;
    case GATE_NARROW: /* of what its owner may see, a narrow token must not learn more than others
                       */
        if (why->need != NULL && !ebb_sees(rq, why->need->path)) {
            answer_absent(rq, why->need->path);
            return;
        }
        break;
    case GATE_FORBIDDEN:
        break;
    }
    str missing = missing_text(rq, why->need);
    answer_forbidden(rq, missing.ptr != NULL ? missing : why->text);
}

const struct gate_family ebb_family = { .door = "ebb", .refuse = refuse };

/* ---- questions ------------------------------------------------------------------------------- */

bool ebb_is_admin(const struct http_request *rq)
{
    return !api_call_of(rq)->api->accounts || identity_is_admin(gate_who(rq));
}

bool ebb_is_anonymous(const struct http_request *rq)
{
    return api_call_of(rq)->api->accounts && gate_who(rq)->kind == IDENTITY_ANONYMOUS;
}

bool ebb_demand_prefix(struct http_request *rq, str prefix, unsigned rights)
{
    return gate_demand(rq, prefix, prefix.len == 0 ? RIGHT_ADMIN : rights);
}

void ebb_forbid(struct http_request *rq, const char *text)
{
    answer_forbidden(rq, str_of(text));
}

bool ebb_sees(const struct http_request *rq, str repo)
{
    return gate_may(rq, repo, RIGHT_PULL);
}

bool ebb_may_delete(void *rq, str repo)
{
    return gate_may(rq, repo, RIGHT_DELETE);
}

bool ebb_may_delete_now(void *rq, str repo)
{
    return gate_may(rq, repo, RIGHT_DELETE | RIGHT_NOW);
}

/* ---- plans and receipts ---------------------------------------------------------------------- */

/* The repositories of something, looked at one by one. */
struct looking {
    const struct http_request *rq;
    struct arena *arena;
    unsigned rights;
    bool any;    /* one of them may be deleted from */
    bool hidden; /* `refused` may not be pulled */
    str refused; /* one where a right is missing; unset: none */
    bool no_room;
    int64_t receipt_id;
};

static bool look(void *ctx, str repo)
{
    struct looking *l = ctx;
    bool hidden = !ebb_sees(l->rq, repo);
    l->any = l->any || gate_may(l->rq, repo, RIGHT_DELETE);
    if (!gate_may(l->rq, repo, l->rights) && (l->refused.ptr == NULL || (hidden && !l->hidden))) {
        l->refused = arena_dup(l->arena, repo);
        l->no_room = l->refused.ptr == NULL;
        l->hidden = hidden;
    }
    return !l->no_room && !(l->hidden && l->any);
}

enum ebb_access ebb_plan_access(struct http_request *rq, str id, bool now, str *repo,
                                struct err *err)
{
    struct looking l = { .rq = rq,
                         .arena = &rq->arena,
                         .rights = RIGHT_DELETE | (now ? RIGHT_NOW : 0) };
    if (ebb_is_admin(rq))
        return EBB_ALLOWED;
    enum st st =
        plan_visit_repositories(api_call_of(rq)->api->deletion, id, ebb_now(rq), look, &l, err);
    if (st == ST_OK && l.no_room)
        st = err_no_memory(err);
    if (st != ST_OK)
        return EBB_FAILED;
    *repo = l.refused;
    return l.refused.ptr != NULL ? EBB_REFUSED : EBB_ALLOWED;
}

static enum st look_at_receipt(struct db_tx *tx, void *ctx, struct err *err)
{
    struct looking *l = ctx;
    return receipts_visit_repositories(tx, l->receipt_id, look, l, err);
}

enum ebb_access ebb_receipt_access(struct http_request *rq, const struct receipt *r, str *repo,
                                   struct err *err)
{
    struct looking l = {
        .rq = rq, .arena = &rq->arena, .rights = RIGHT_DELETE, .receipt_id = r->id
    };
    if (ebb_is_admin(rq))
        return EBB_ALLOWED;
    enum st st = db_read(api_call_of(rq)->api->registry->db, look_at_receipt, &l, err);
    if (st == ST_OK && l.no_room)
        st = err_no_memory(err);
    if (st != ST_OK)
        return EBB_FAILED;
    bool own = !ebb_is_anonymous(rq) && str_eq(r->actor, gate_actor(rq));
    *repo = l.refused;
    if (l.refused.ptr == NULL)
        return EBB_ALLOWED;
    return own && l.any ? EBB_PARTLY : EBB_REFUSED;
}
