/* SPDX-License-Identifier: Apache-2.0
 *
 * What az asks before it speaks to a registry: which cloud this is, a log-in, and where the
 * registry of a name is. Just enough of Azure's resource manager and of its log-in service (an
 * "ADFS", since az asks such a one nothing of Microsoft's own) for that; everything is computed,
 * nothing is kept.
 *
 *   az cloud register   GET  //metadata/endpoints
 *   az login            GET  /adfs/.well-known/openid-configuration, POST /adfs/oauth2/token,
 *                       GET  /subscriptions
 *   az acr ...          GET  /subscriptions/ID/resources?$filter=...
 *                       GET  /subscriptions/ID/resourceGroups/ebb/providers
 *                            /Microsoft.ContainerRegistry/registries/NAME
 *
 * Then az goes to the registry's own token service (token_service.c) and to acr_*.c. Paths are read
 * without regard to case, as Azure does.
 */
#ifndef EBB_ARM_INT_H
#define EBB_ARM_INT_H

#include "api/acr_int.h"

#define ARM_GROUP    "ebb"
#define ARM_PROVIDER "Microsoft.ContainerRegistry"

/* {"error":{"code":..., "message":...}} */
void arm_error(struct http_request *rq, int http, const char *code, str message);
void arm_fail(struct http_request *rq, const struct err *err);

/* Whom the log-in's token is for; false with 401 answered. A token of the registry, or Basic, does
 * as well. */
bool arm_enter(struct http_request *rq);

/* A GUID that is always the same for a kind of thing of this registry. */
#define ARM_GUID_SIZE 37
void arm_guid(const char *kind, str of, char out[static ARM_GUID_SIZE]);

extern const struct gate_family arm_family;

void arm_discovery_get(struct http_request *rq);
void arm_token_post(struct http_request *rq);

#endif
