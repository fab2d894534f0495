/* SPDX-License-Identifier: Apache-2.0
 *
 * How the OCI API says no.
 *
 *   nobody, without credentials                   401 and the challenge
 *   wrong or foreign credentials, an old JWT      401; error="invalid_token" to a JWT
 *   a JWT that does not name it                   401; error="insufficient_scope"
 *   who may not even pull there                   401, as if it were not there
 *   who may pull there, but not do this           403 DENIED
 *   too many failed log-ins                       429 and Retry-After
 *
 * 401 is what makes clients come with more rights: docker, containerd, podman, crane and regctl ask
 * the token service for the challenge's scope then, and give up when that does not help. 403 ends
 * it at once, with our sentence shown; it is for who may look, since anybody else would learn from
 * it that a name is taken. `error` stands last and only after a bearer token was sent: reg reads no
 * further than three parameters, and containerd takes a second `error` as final.
 */
#include "api/api_int.h"

static void refuse(struct http_request *rq, const struct gate_refused *why)
{
    switch (why->why) {
    case GATE_SLOWED:
        oci_error(rq, 429, "TOOMANYREQUESTS", why->text, STR_NONE);
        http_answer_header(
            rq, "Retry-After",
            arena_printf(&rq->arena, "%lld", (long long)MAX(why->retry_after_s, (int64_t)1)));
        return;
    case GATE_FORBIDDEN:
        oci_error(rq, 403, "DENIED", why->text, STR_NONE);
        return;
    case GATE_NARROW:
    case GATE_HIDDEN: /* the two must not differ */
        oci_error(rq, 401, "UNAUTHORIZED", STR("authentication required"), STR_NONE);
        break;
    case GATE_NO_CREDENTIALS:
    case GATE_BAD_CREDENTIALS:
        oci_error(rq, 401, "UNAUTHORIZED", why->text, STR_NONE);
        break;
    }
    gate_challenge(rq, why);
}

const struct gate_family oci_family = { .door = "oci", .refuse = refuse };
