/* SPDX-License-Identifier: Apache-2.0
 *
 * POST /accounts/<name>.
 *
 * Administrators change all; everybody may set the password of the own account, for which the old
 * one is asked, as it would be at a log-in.
 */
#include "api/ebb_account.h"
#include "base/log.h"

#define CHANGE_BYTES_MAX (1 * MIB)

struct change_call {
    struct arena *arena;
    str name;
    struct account_change change;
    struct account account;
};

static enum st change(struct db_tx *tx, void *ctx, struct err *err)
{
    struct change_call *c = ctx;
    enum st st = accounts_change(tx, c->name, &c->change, err);
    return st == ST_OK ? accounts_find(tx, c->name, c->arena, &c->account, err) : st;
}

/* The old password opens a log-in, with all that slows those who guess. */
static bool check_old(struct http_request *rq, str password)
{
    const struct identity *who = gate_who(rq);
    const struct credentials given = {
        .kind = CREDENTIAL_BASIC, .user = who->name, .secret = password, .peer = rq->peer
    };
    struct identity found = { 0 };
    struct auth_refusal refusal = { 0 };
    struct err err = { 0 };
    enum st st = auth_identify(api_call_of(rq)->api->auth, &given, ebb_now(rq), &rq->arena, &found,
                               &refusal, &err);
    bool same = st == ST_OK && found.kind == IDENTITY_ACCOUNT &&
                found.account_id == who->account_id && found.token_id == 0;
    if (st == ST_OK)
        identity_release(&found);
    if (same)
        return true;
    if (st == ST_BUSY && refusal.slowed)
        ebb_family.refuse(rq, &(struct gate_refused){ .why = GATE_SLOWED,
                                                      .retry_after_s = refusal.retry_after_s });
    else if (st == ST_OK || st == ST_DENIED)
        ebb_problem(rq, 403, "wrong-password", STR("the old password is another"), STR_NONE);
    else
        ebb_fail(rq, NULL, &err);
    return false;
}

/* Who is no administrator: the own password, and the old one with it. */
static bool may_change(struct http_request *rq, const struct account_change *to, str password,
                       str old)
{
    if (ebb_is_admin(rq)) /* who gives the old one wants it looked at */
        return old.ptr == NULL || !ebb_is_self(rq, api_call_of(rq)->reference) ||
               check_old(rq, old);
    if (!ebb_is_self(rq, api_call_of(rq)->reference) || gate_who(rq)->by_jwt ||
        to->set_administrator || to->set_disabled || to->set_note)
        return gate_demand(rq, STR(""), RIGHT_ADMIN);
    if (old.ptr != NULL && password.ptr != NULL)
        return check_old(rq, old);
    ebb_problem(rq, 400, "invalid",
                STR("\"old_password\" is missing: your own password is changed with it"), STR_NONE);
    return false;
}

static bool read_change(struct http_request *rq, struct account_change *out, str *password,
                        str *old)
{
    struct json_in in;
    if (!ebb_read(rq, &in))
        return false;
    out->set_hash = json_in_secret(&in, "password", AUTH_PASSWORD_MAX, password);
    (void)json_in_secret(&in, "old_password", AUTH_PASSWORD_MAX, old);
    out->set_administrator = json_in_flag(&in, "administrator", &out->administrator);
    out->set_disabled = json_in_flag(&in, "disabled", &out->disabled);
    out->set_note = json_in_text(&in, "note", ACCOUNT_NOTE_MAX, &out->note);
    if (out->set_note && out->note.len == 0)
        out->note = STR_NONE;
    if (!out->set_hash && !out->set_administrator && !out->set_disabled && !out->set_note)
        json_in_refuse(&in, NULL,
                       "nothing is to be changed; give password, administrator, disabled or note");
    return ebb_read_end(rq, &in);
}

static str change_text(struct http_request *rq, const struct account_change *to)
{
    str text = arena_printf(&rq->arena, "%s%s%s%s", to->set_hash ? ", password" : "",
                            !to->set_administrator ? ""
                            : to->administrator    ? ", administrator"
                                                   : ", no administrator",
                            !to->set_disabled ? ""
                            : to->disabled    ? ", disabled"
                                              : ", enabled",
                            to->set_note ? ", note" : "");
    return str_slice(text, MIN(text.len, (size_t)2), text.len);
}

void ebb_account_post(struct http_request *rq)
{
    struct api *api = api_call_of(rq)->api;
    struct change_call c = { 0 };
    struct err err = { 0 };
    str password = STR_NONE;
    str old = STR_NONE;
    if (!ebb_has_accounts(rq) || !read_change(rq, &c.change, &password, &old) ||
        !may_change(rq, &c.change, password, old))
        return;
    c.name = api_call_of(rq)->reference;
    c.arena = ebb_arena(rq, CHANGE_BYTES_MAX);
    if (c.arena == NULL)
        return;
    enum st st = ST_OK;
    if (password.ptr != NULL)
        st = auth_hash_password(password, &rq->arena, &c.change.hash, &err);
    bool only_password =
        !c.change.set_administrator && !c.change.set_disabled && !c.change.set_note;
    const char *action = only_password ? "password changed" : "account changed";
    const struct trail_entry entry =
        gate_trail(rq, action, c.name, only_password ? STR_NONE : change_text(rq, &c.change));
    if (st == ST_OK)
        st = auth_write(api->auth, change, &c, &entry, &err);
    if (st != ST_OK) {
        ebb_fail(rq, ebb_account_statuses, &err);
        return;
    }
    log_event(LOG_INFO, action, LOG_STR("id", rq->id), LOG_STR("account", c.name),
              LOG_STR("actor", gate_actor(rq)));
    ebb_answer_account(rq, 200, &c.account);
}
