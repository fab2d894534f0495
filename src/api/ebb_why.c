/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /why: what keeps something, and until when. Of a reference with a repository all keepers are
 * in that one, so who may pull there may know them; a digest alone looks into all of them.
 */
#include "api/ebb_int.h"
#include "meta/inspect.h"

#define ANY_REFERENCE (EBB_REFERENCE_TAG | EBB_REFERENCE_DIGEST | EBB_REFERENCE_ALONE)

static const char *state_text(const struct inspect_why *w)
{
    switch (w->state) {
    case INSPECT_KEPT:
        return w->is_blob ? "used" : "kept";
    case INSPECT_LOOSE:
        return "loose";
    case INSPECT_TRASH:
        return "trash";
    case INSPECT_PENDING:
        return "pending";
    case INSPECT_ABSENT:
        break;
    }
    return "absent";
}

static void add_keeper(struct http_request *rq, struct json_out *o, const struct inspect_keeper *k)
{
    json_out_open(o, NULL, '{');
    json_out_text(o, "kind", str_of(inspect_keeper_text(k->kind)));
    json_out_text(o, "repository", k->repo);
    if (k->has_digest)
        json_out_digest(o, "digest", &k->digest);
    else
        json_out_null(o, "digest");
    json_out_text(o, "tag", k->tag);
    ebb_add_time(rq, o, "until", k->until);
    json_out_text(o, "text", k->text);
    json_out_close(o, '}');
}

static void answer(struct http_request *rq, str text, int kind, const struct inspect_why *w)
{
    struct json_out o;
    bool there = w->state != INSPECT_ABSENT;
    if (!ebb_begin(rq, &o))
        return;
    json_out_open(&o, NULL, '{');
    json_out_text(&o, "reference", text);
    json_out_text(&o, "kind",
                  kind == EBB_REFERENCE_TAG ? STR("tag")
                  : w->is_blob              ? STR("blob")
                                            : STR("manifest"));
    json_out_text(&o, "state", str_of(state_text(w)));
    if (there) {
        json_out_digest(&o, "digest", &w->digest);
        json_out_count(&o, "size", w->size);
    } else {
        json_out_null(&o, "digest");
        json_out_null(&o, "size");
    }
    ebb_add_time(rq, &o, "until", w->until);
    json_out_open(&o, "keepers", '[');
    for (size_t i = 0; i < w->count; i++)
        add_keeper(rq, &o, &w->keepers[i]);
    json_out_close(&o, ']');
    json_out_flag(&o, "more", w->more);
    json_out_close(&o, '}');
    ebb_end(rq, 200, &o);
}

void ebb_why_get(struct http_request *rq)
{
    struct ebb_reference ref;
    struct inspect_why why;
    struct err err = { 0 };
    str text = STR_NONE;
    struct arena *a = ebb_arena(rq, 16 * MIB);
    if (a == NULL || !ebb_reference(rq, ANY_REFERENCE, &text, &ref))
        return;
    if (ref.kind == EBB_REFERENCE_ALONE && !gate_demand(rq, STR(""), RIGHT_ADMIN))
        return;
    if (ref.kind != EBB_REFERENCE_ALONE && !ebb_sees(rq, ref.repo)) {
        if (ebb_is_anonymous(rq))
            (void)gate_demand(rq, ref.repo, RIGHT_PULL);
        else
            answer(rq, text, ref.kind, &(struct inspect_why){ .is_blob = false });
        return;
    }
    if (inspect_why(api_call_of(rq)->api->registry, ref.repo, ref.tag, &ref.digest, ebb_now(rq), a,
                    &why, &err) != ST_OK)
        ebb_fail(rq, NULL, &err);
    else
        answer(rq, text, ref.kind, &why);
}
