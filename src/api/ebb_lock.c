/* SPDX-License-Identifier: Apache-2.0
 *
 * GET and POST /locks: Azure's attributes of repositories, tags and manifests, to be seen and
 * lifted from here.
 */
#include "api/ebb_int.h"
#include "base/log.h"
#include "meta/locks.h"
#include "meta/selection.h"

static const struct answer_status repository_statuses[] = {
    { ST_NOT_FOUND, 404, "repository-unknown" },
    { ST_OK, 0, NULL },
};
static const struct answer_status tag_statuses[] = {
    { ST_NOT_FOUND, 404, "tag-unknown" },
    { ST_OK, 0, NULL },
};
static const struct answer_status image_statuses[] = {
    { ST_NOT_FOUND, 404, "image-unknown" },
    { ST_OK, 0, NULL },
};

static const struct {
    const char *key;
    unsigned bit;
} attributes[] = {
    { "delete", LOCK_MAY_DELETE },
    { "write", LOCK_MAY_WRITE },
    { "list", LOCK_MAY_LIST },
    { "read", LOCK_MAY_READ },
};

struct lock_call {
    const struct registry *r;
    int64_t now;
    struct lock_object object;
    struct digest digest;
    unsigned given; /* attributes that are set, */
    unsigned value; /* and to what */
    unsigned may;
    const struct answer_status *statuses; /* of what was looked for last */
};

/* A lock on something that is not there would be a mistyped name. */
static enum st find_object(struct db_tx *tx, struct lock_call *c, struct err *err)
{
    char text[DIGEST_TEXT_MAX + 1];
    struct selection_repository repo = { 0 };
    struct selection_tag tag = { 0 };
    int64_t id = 0;
    c->statuses = repository_statuses;
    enum st st = selection_repository(tx, c->object.repo, &repo, err);
    if (st != ST_OK)
        return st;
    if (c->object.tag.ptr != NULL) {
        c->statuses = tag_statuses;
        st = selection_tag(tx, repo.id, c->object.tag, &tag, err);
        if (st == ST_NOT_FOUND)
            return err_set(err, st, "there is no tag %.*s in %.*s", STR_FMT(c->object.tag),
                           STR_FMT(c->object.repo));
    } else if (c->object.digest != NULL) {
        c->statuses = image_statuses;
        st = selection_manifest(tx, repo.id, c->object.digest, &id, err);
        if (st == ST_NOT_FOUND) {
            str digest = digest_text(c->object.digest, text);
            return err_set(err, st, "there is no manifest %.*s in %.*s", STR_FMT(digest),
                           STR_FMT(c->object.repo));
        }
    }
    return st;
}

static enum st get(struct db_tx *tx, void *ctx, struct err *err)
{
    struct lock_call *c = ctx;
    enum st st = find_object(tx, c, err);
    return st == ST_OK ? locks_get(tx, &c->object, &c->may, err) : st;
}

static enum st set(struct db_tx *tx, void *ctx, struct err *err)
{
    struct lock_call *c = ctx;
    enum st st = get(tx, ctx, err);
    if (st != ST_OK)
        return st;
    c->may = (c->may & ~c->given) | (c->value & c->given);
    return locks_set(tx, &c->object, c->may, &c->r->keeping, c->now, err);
}

static void answer(struct http_request *rq, const struct lock_call *c)
{
    struct json_out o;
    if (!ebb_begin(rq, &o))
        return;
    json_out_open(&o, NULL, '{');
    json_out_text(&o, "repository", c->object.repo);
    json_out_text(&o, "tag", c->object.tag);
    if (c->object.digest != NULL)
        json_out_digest(&o, "digest", c->object.digest);
    else
        json_out_null(&o, "digest");
    for (size_t i = 0; i < ARRAY_LEN(attributes); i++)
        json_out_flag(&o, attributes[i].key, (c->may & attributes[i].bit) != 0);
    json_out_close(&o, '}');
    ebb_end(rq, 200, &o);
}

/* Names as they came: a repository, and one of its tags or manifests, or none. */
static enum st read_object(struct lock_call *c, str repo, str tag, str digest, struct err *err)
{
    if (repo.ptr == NULL)
        return err_set(err, ST_INVALID, "\"repository\" is missing: its name");
    if (tag.ptr != NULL && digest.ptr != NULL)
        return err_set(err, ST_INVALID, "a tag or a digest is allowed, not both");
    enum st st = name_check(repo, err);
    if (st == ST_OK && tag.ptr != NULL)
        st = tag_check(tag, err);
    if (st == ST_OK && digest.ptr != NULL)
        st = digest_parse(digest, &c->digest, err);
    c->object = (struct lock_object){ .repo = repo, .tag = tag };
    if (digest.ptr != NULL)
        c->object.digest = &c->digest;
    return st;
}

void ebb_locks_get(struct http_request *rq)
{
    struct lock_call c = { 0 };
    struct err err = { 0 };
    str repo = STR_NONE;
    str tag = STR_NONE;
    str digest = STR_NONE;
    (void)http_query(rq, "repository", &repo);
    (void)http_query(rq, "tag", &tag);
    (void)http_query(rq, "digest", &digest);
    if (read_object(&c, repo, tag, digest, &err) != ST_OK) {
        ebb_fail(rq, NULL, &err);
        return;
    }
    api_call_of(rq)->repo = repo;
    if (!gate_demand(rq, repo, RIGHT_PULL))
        return;
    if (db_read(api_call_of(rq)->api->registry->db, get, &c, &err) != ST_OK)
        ebb_fail(rq, c.statuses, &err);
    else
        answer(rq, &c);
}

static bool read_lock(struct http_request *rq, struct lock_call *c)
{
    struct json_in in;
    struct err err = { 0 };
    str repo = STR_NONE;
    str tag = STR_NONE;
    str digest = STR_NONE;
    if (!ebb_read(rq, &in))
        return false;
    (void)json_in_text(&in, "repository", NAME_MAX_BYTES, &repo);
    (void)json_in_text(&in, "tag", TAG_MAX_BYTES, &tag);
    (void)json_in_text(&in, "digest", DIGEST_TEXT_MAX, &digest);
    for (size_t i = 0; i < ARRAY_LEN(attributes); i++) {
        bool may = false;
        if (!json_in_flag(&in, attributes[i].key, &may))
            continue;
        c->given |= attributes[i].bit;
        c->value |= may ? attributes[i].bit : 0;
    }
    if (!json_in_failed(&in) && read_object(c, repo, tag, digest, &err) != ST_OK)
        json_in_refuse_as(&in, NULL, &err);
    return ebb_read_end(rq, &in);
}

void ebb_locks_post(struct http_request *rq)
{
    struct lock_call c = { .r = api_call_of(rq)->api->registry, .now = ebb_now(rq) };
    struct err err = { 0 };
    if (!read_lock(rq, &c) || !gate_demand(rq, c.object.repo, RIGHT_RULES))
        return;
    char digest[DIGEST_TEXT_MAX + 1];
    const struct trail_entry entry = gate_trail(
        rq, "lock set", c.object.repo,
        c.object.digest == NULL ? c.object.tag
                                : arena_dup(&rq->arena, digest_text(c.object.digest, digest)));
    if (gate_write(rq, set, &c, &entry, &err) != ST_OK) {
        ebb_fail(rq, c.statuses, &err);
        return;
    }
    log_event(LOG_INFO, "lock set", LOG_STR("id", rq->id), LOG_STR("repository", c.object.repo),
              LOG_STR("tag", c.object.tag), LOG_INT("may", c.may),
              LOG_STR("actor", gate_actor(rq)));
    answer(rq, &c);
}
