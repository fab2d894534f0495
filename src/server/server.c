/* SPDX-License-Identifier: Apache-2.0 */
#include "server/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "base/log.h"
#include "base/mem.h"
#include "meta/schema.h"
#include "server/data_dir.h"
#include "server/housekeeping.h"

#define ARENA_BYTES (64 * KIB)
/* Of a body handed over at once. A fast upload has up to four of them. */
#define SINK_BYTES  (2 * MIB)

struct server {
    const struct config *config;
    struct arena arena; /* names of files */
    struct data_dir data_dir;
    struct registry registry;
    struct auth *auth;
    struct deletion *deletion;
    struct api *api;
    struct reclaim_loop *reclaim;
    struct http_server *http;
    struct housekeeping *housekeeping;
};

str server_address(const struct server *s, size_t i)
{
    return http_server_address(s->http, i);
}

enum st server_reload_tls(struct server *s, struct err *err)
{
    return http_server_reload_tls(s->http, err);
}

static enum st open_registry(struct server *s, struct err *err)
{
    const struct config *c = s->config;
    str db_path = arena_printf(&s->arena, "%s/ebb.db", c->data);
    str blobs_path = arena_printf(&s->arena, "%s/blobs", c->data);
    if (db_path.ptr == NULL || blobs_path.ptr == NULL)
        return err_no_memory(err);
    s->registry = (struct registry){
        .keeping = { .lease_ms = c->reclaim_lease_ms,
                     .grace_ms = c->reclaim_grace_ms,
                     .untagged = c->reclaim_untagged },
        .upload_rest_ms = c->limits_upload_rest_ms,
        .uploads_per_repo_max = c->limits_uploads_per_repository,
        .sparse_index = c->oci_sparse_index,
    };
    const struct db_options options = {
        .path = db_path.ptr,
        .readers_max = (unsigned)c->db_readers,
        .log_max_bytes = c->db_log_size,
    };
    enum st st = db_open(&options, schema_migrations, schema_migration_count, &s->registry.db, err);
    if (st == ST_OK)
        st = blob_fs_open(blobs_path.ptr, &s->registry.store, err);
    if (st == ST_OK)
        st = protection_cache_new(c->auth_mode == CONFIG_AUTH_MODE_ACCOUNTS,
                                  &s->registry.protection, err);
    if (st == ST_OK)
        st = pulls_new(&s->registry.pulls, err);
    return st == ST_OK ? registry_time_open(&s->registry, true, err) : st;
}

/* What is known only in memory is written; then everything goes. */
static void close_registry(struct registry *r)
{
    struct err err = { 0 };
    if (registry_tick(r, true, &err) != ST_OK)
        log_failure("the clock and the last pulls could not be written", &err);
    registry_time_close(r);
    pulls_free(r->pulls);
    protection_cache_free(r->protection);
    db_close(r->db);
    blob_store_free(r->store);
}

/* config.def and auth.h list the same words in the same order. */
_Static_assert((int)CONFIG_AUTH_MODE_OPEN == (int)AUTH_OPEN &&
                   (int)CONFIG_AUTH_MODE_ACCOUNTS == (int)AUTH_ACCOUNTS,
               "auth.mode");

/* A line of its own, whatever the log's format, and at once: it is stored nowhere, so a start that
 * fails later must not lose it. */
static void tell_password(const char *made)
{
    log_flush();
    fprintf(stderr, "The administrator is admin, with the password %s (it is not shown again)\n",
            made);
}

static enum st open_auth(struct server *s, struct err *err)
{
    const struct config *c = s->config;
    const char *password = getenv("EBB_ADMIN_PASSWORD");
    const struct auth_options options = {
        .mode = (enum auth_mode)c->auth_mode,
        .htpasswd = c->auth_htpasswd,
        .service = c->auth_service,
        .token_ms = c->auth_token_life_ms,
        .refresh_ms = c->auth_refresh_life_ms,
        .key_rotate_ms = c->auth_key_rotate_ms,
        .trail_keep_ms = c->auth_trail_keep_ms,
        .admin_password = password != NULL && password[0] != '\0' ? password : NULL,
    };
    char made[AUTH_PASSWORD_MAX + 1];
    enum st st = auth_open(&s->registry, &options, &s->auth, made, err);
    if (st == ST_OK && made[0] != '\0')
        tell_password(made);
    explicit_bzero(made, sizeof(made));
    return st;
}

static enum st open_deletion(struct server *s, struct err *err)
{
    const struct config *c = s->config;
    str key_path = arena_printf(&s->arena, "%s/receipt.key", c->data);
    if (key_path.ptr == NULL)
        return err_no_memory(err);
    const struct deletion_options options = {
        .key_path = key_path.ptr,
        .max_percent = (unsigned)c->deletion_max_percent,
        .plan_items_max = c->deletion_plan_items,
        .plan_keep_ms = c->deletion_plan_keep_ms,
        .receipts_keep_ms = c->receipts_keep_ms,
    };
    return deletion_open(&s->registry, &options, &s->deletion, err);
}

/* config.def and api.h list the same words in the same order. */
_Static_assert((int)CONFIG_LOG_REQUESTS_ALL == (int)API_LOG_ALL &&
                   (int)CONFIG_LOG_REQUESTS_NONE == (int)API_LOG_NONE,
               "log.requests");

static enum st start_api(struct server *s, struct err *err)
{
    const struct config *c = s->config;
    const struct api_options options = {
        .manifest = { .bytes_max = c->limits_manifest_size,
                      .depth_max = c->limits_json_depth,
                      .descriptors_max = c->limits_descriptors },
        .tags_per_request_max = c->limits_tags_per_request,
        .page_max = c->limits_page_size,
        .upload_bytes_max = c->limits_upload_size,
        .inline_bytes_max = c->store_inline_size,
        .log_requests = (enum api_log_requests)c->log_requests,
        .url = c->url,
        .address = c->listen.items[0],
        .open_metrics = c->auth_open_metrics,
        .gitlab_bulk_interval_ms = c->gitlab_bulk_interval_ms,
        .acr_names = c->acr_names,
    };
    return api_new(&s->registry, s->deletion, s->auth, &options, &s->api, err);
}

static enum st start_http(struct server *s, struct err *err)
{
    const struct config *c = s->config;
    const struct http_options options = {
        .listen = c->listen.items,
        .listen_count = c->listen.count,
        .tls_cert = c->tls_cert,
        .tls_key = c->tls_key,
        .loops = (unsigned)c->http_loops,
        .workers = (unsigned)c->http_workers,
        .connections_max = (unsigned)c->limits_connections,
        .connections_per_address_max = (unsigned)c->limits_connections_per_address,
        .header_bytes_max = c->limits_header_size,
        .path_bytes_max = c->limits_path_size,
        .header_count_max = (unsigned)c->limits_header_count,
        .arena_bytes_max = c->limits_request_memory,
        .header_timeout_ms = c->http_header_timeout_ms,
        .idle_timeout_ms = c->http_idle_timeout_ms,
        .body_timeout_ms = c->http_body_timeout_ms,
        .send_timeout_ms = c->http_send_timeout_ms,
        .linger_timeout_ms = c->http_linger_timeout_ms,
        .sink_bytes = SINK_BYTES,
    };
    const struct http_app app = api_app(s->api);
    return http_server_start(&options, &app, &s->http, err);
}

enum st server_start(const struct config *config, struct server **out, struct err *err)
{
    struct server *s = mem_new(sizeof(*s));
    if (s == NULL)
        return err_no_memory(err);
    *s = (struct server){
        .config = config,
        .arena = { .limit_bytes = ARENA_BYTES },
        .data_dir = DATA_DIR_NONE,
    };
    bool unnamed = config->origin[CONFIG_ID_data].source == CONFIG_FROM_DEFAULT;
    enum st st = data_dir_open(config->data, unnamed, &s->data_dir, err);
    if (st == ST_OK)
        st = open_registry(s, err);
    if (st == ST_OK)
        st = open_auth(s, err);
    if (st == ST_OK)
        st = open_deletion(s, err);
    if (st == ST_OK)
        st = start_api(s, err);
    if (st == ST_OK) {
        const struct reclaim_guard guard = api_reclaim_guard(s->api);
        const struct reclaim_options options = { .guard = &guard,
                                                 .load = api_reclaim_load(s->api),
                                                 .interval_ms = config->reclaim_interval_ms };
        st = reclaim_loop_start(&s->registry, &options, &s->reclaim, err);
        if (st == ST_OK)
            api_set_reclaim(s->api, s->reclaim);
    }
    if (st == ST_OK)
        st = start_http(s, err);
    if (st == ST_OK)
        st = housekeeping_start(&s->registry, s->auth, s->deletion, &s->housekeeping, err);
    if (st == ST_OK)
        *out = s;
    else
        server_stop(s);
    return st;
}

void server_stop(struct server *s)
{
    if (s->http != NULL)
        http_server_stop(s->http, s->config->http_stop_timeout_ms);
    housekeeping_stop(s->housekeeping);
    reclaim_loop_stop(s->reclaim);
    api_free(s->api);
    deletion_close(s->deletion);
    auth_close(s->auth);
    close_registry(&s->registry);
    data_dir_close(&s->data_dir);
    arena_release(&s->arena);
    mem_free(s);
}
