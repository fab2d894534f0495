/* SPDX-License-Identifier: Apache-2.0
 *
 * The resource manager as az sees it: one subscription, one resource group, and in it this registry
 * under each name of acr.names.
 */
#include "api/arm_int.h"

#include "base/clock.h"
#include "meta/usage.h"

#define DAY_MS (24 * CLOCK_HOUR_MS)

/* ---- what is answered ---------------------------------------------------------------------- */

static void add_url(struct http_request *rq, struct json_out *o, const char *key, const char *path)
{
    str url = gate_url(rq);
    acr_add_text(o, key, arena_printf(&rq->arena, "%.*s%s", STR_FMT(url), path));
}

/* The next of acr.names; unset behind the last. */
static str next_name(str *rest)
{
    str name = STR("");
    while (name.len == 0 && rest->ptr != NULL) {
        str tail = STR_NONE;
        name = *rest;
        (void)str_cut(*rest, ',', &name, &tail);
        *rest = tail;
        name = str_trim(name);
    }
    return name.len == 0 ? STR_NONE : name;
}

static str names_of(const struct http_request *rq)
{
    return str_of(api_call_of(rq)->api->options.acr_names);
}

static void subscription_of(struct http_request *rq, char out[static ARM_GUID_SIZE])
{
    arm_guid("subscription", acr_host(rq), out);
}

/* az makes NAME.SUFFIX of a registry's name when it is not logged in: where the host begins with a
 * name, the suffix is the rest. */
static str login_suffix(struct http_request *rq)
{
    str host = acr_host(rq);
    str rest = names_of(rq);
    str first = STR_NONE;
    str tail = STR_NONE;
    if (!str_cut(host, '.', &first, &tail))
        return host;
    for (str name = next_name(&rest); name.ptr != NULL; name = next_name(&rest))
        if (str_eq_nocase(name, first))
            return tail;
    return host;
}

static void answer_endpoints(struct http_request *rq)
{
    struct json_out o;
    if (!acr_begin(rq, &o))
        return;
    json_out_open(&o, NULL, '{');
    json_out_text(&o, "name", STR("Ebb"));
    json_out_open(&o, "authentication", '{');
    add_url(rq, &o, "loginEndpoint", "/adfs");
    json_out_open(&o, "audiences", '[');
    add_url(rq, &o, NULL, "/");
    json_out_close(&o, ']');
    json_out_text(&o, "tenant", STR("adfs"));
    json_out_text(&o, "identityProvider", STR("ADFS"));
    json_out_close(&o, '}');
    add_url(rq, &o, "resourceManager", "");
    add_url(rq, &o, "graphAudience", "/");
    add_url(rq, &o, "graph", "");
    add_url(rq, &o, "portal", "/");
    add_url(rq, &o, "gallery", "/");
    json_out_open(&o, "suffixes", '{');
    acr_add_text(&o, "acrLoginServer", login_suffix(rq));
    json_out_text(&o, "storage", acr_host(rq));
    json_out_close(&o, '}');
    json_out_close(&o, '}');
    acr_end(rq, 200, &o);
}

static void add_subscription(struct http_request *rq, struct json_out *o)
{
    char id[ARM_GUID_SIZE];
    char tenant[ARM_GUID_SIZE];
    subscription_of(rq, id);
    arm_guid("tenant", acr_host(rq), tenant);
    json_out_open(o, NULL, '{');
    acr_add_text(o, "id", arena_printf(&rq->arena, "/subscriptions/%s", id));
    json_out_text(o, "subscriptionId", str_of(id));
    json_out_text(o, "tenantId", str_of(tenant));
    acr_add_text(o, "displayName", acr_host(rq));
    json_out_text(o, "state", STR("Enabled"));
    json_out_close(o, '}');
}

static void add_identity(struct http_request *rq, struct json_out *o, str name)
{
    char id[ARM_GUID_SIZE];
    subscription_of(rq, id);
    acr_add_text(o, "id",
                 arena_printf(&rq->arena,
                              "/subscriptions/%s/resourceGroups/" ARM_GROUP
                              "/providers/" ARM_PROVIDER "/registries/%.*s",
                              id, STR_FMT(name)));
    json_out_text(o, "name", name);
    json_out_text(o, "type", STR(ARM_PROVIDER "/registries"));
    json_out_text(o, "location", STR("local"));
    json_out_open(o, "sku", '{');
    json_out_text(o, "name", STR("Premium"));
    json_out_text(o, "tier", STR("Premium"));
    json_out_close(o, '}');
    json_out_open(o, "tags", '{');
    json_out_close(o, '}');
}

static void add_policy(struct json_out *o, const char *key, const char *days_key, int64_t days,
                       bool enabled)
{
    json_out_open(o, key, '{');
    json_out_number(o, days_key, days);
    json_out_text(o, "status", enabled ? STR("enabled") : STR("disabled"));
    json_out_close(o, '}');
}

/* reclaim.grace is both of Azure's times: how long untagged manifests stay, and the trash. */
static void add_policies(struct http_request *rq, struct json_out *o)
{
    const struct keeping *k = &api_call_of(rq)->api->registry->keeping;
    int64_t days = (k->grace_ms + DAY_MS - 1) / DAY_MS;
    json_out_open(o, "policies", '{');
    add_policy(o, "retentionPolicy", "days", days, k->untagged);
    add_policy(o, "softDeletePolicy", "retentionDays", days, k->grace_ms > 0);
    json_out_open(o, "trustPolicy", '{');
    json_out_text(o, "type", STR("Notary"));
    json_out_text(o, "status", STR("disabled"));
    json_out_close(o, '}');
    json_out_close(o, '}');
}

static void add_registry(struct http_request *rq, struct json_out *o, str name)
{
    json_out_open(o, NULL, '{');
    add_identity(rq, o, name);
    json_out_open(o, "properties", '{');
    acr_add_text(o, "loginServer", acr_host(rq));
    json_out_text(o, "creationDate", STR("2026-01-01T00:00:00Z"));
    json_out_text(o, "provisioningState", STR("Succeeded"));
    json_out_flag(o, "adminUserEnabled", false);
    json_out_flag(o, "anonymousPullEnabled", false);
    json_out_flag(o, "dataEndpointEnabled", false);
    json_out_text(o, "publicNetworkAccess", STR("Enabled"));
    json_out_text(o, "zoneRedundancy", STR("Disabled"));
    add_policies(rq, o);
    json_out_close(o, '}');
    json_out_close(o, '}');
}

/* ---- lists --------------------------------------------------------------------------------- */

static void answer_list(struct http_request *rq,
                        void (*add)(struct http_request *rq, struct json_out *o))
{
    struct json_out o;
    if (!arm_enter(rq) || !acr_begin(rq, &o))
        return;
    json_out_open(&o, NULL, '{');
    json_out_open(&o, "value", '[');
    add(rq, &o);
    json_out_close(&o, ']');
    json_out_close(&o, '}');
    acr_end(rq, 200, &o);
}

static void answer_subscriptions(struct http_request *rq)
{
    answer_list(rq, add_subscription);
}

static void answer_subscription(struct http_request *rq)
{
    struct json_out o;
    if (!arm_enter(rq) || !acr_begin(rq, &o))
        return;
    add_subscription(rq, &o);
    acr_end(rq, 200, &o);
}

/* One entry of a list for each name. `$filter` may say a type or a name; both are looked for in it.
 */
static void add_resources(struct http_request *rq, struct json_out *o)
{
    str filter = STR("");
    str rest = names_of(rq);
    (void)http_query(rq, "$filter", &filter);
    const char *text = arena_cstr(&rq->arena, filter);
    if (text == NULL || (strcasestr(text, "resourceType") != NULL &&
                         strcasestr(text, "'" ARM_PROVIDER "/registries'") == NULL))
        return;
    for (str name = next_name(&rest); name.ptr != NULL; name = next_name(&rest)) {
        json_out_open(o, NULL, '{');
        add_identity(rq, o, name);
        json_out_close(o, '}');
    }
}

static void answer_resources(struct http_request *rq)
{
    answer_list(rq, add_resources);
}

static void add_registries(struct http_request *rq, struct json_out *o)
{
    str rest = names_of(rq);
    for (str name = next_name(&rest); name.ptr != NULL; name = next_name(&rest))
        add_registry(rq, o, name);
}

static void answer_registries(struct http_request *rq)
{
    answer_list(rq, add_registries);
}

static void add_group(struct http_request *rq, struct json_out *o)
{
    char id[ARM_GUID_SIZE];
    subscription_of(rq, id);
    json_out_open(o, NULL, '{');
    acr_add_text(o, "id",
                 arena_printf(&rq->arena, "/subscriptions/%s/resourceGroups/" ARM_GROUP, id));
    json_out_text(o, "name", STR(ARM_GROUP));
    json_out_text(o, "type", STR("Microsoft.Resources/resourceGroups"));
    json_out_text(o, "location", STR("local"));
    json_out_open(o, "properties", '{');
    json_out_text(o, "provisioningState", STR("Succeeded"));
    json_out_close(o, '}');
    json_out_close(o, '}');
}

static void answer_groups(struct http_request *rq)
{
    answer_list(rq, add_group);
}

/* ---- the registry -------------------------------------------------------------------------- */

/* call->reference is its name; into its own spelling. False with 404 answered. */
static bool find_name(struct http_request *rq)
{
    struct api_call *call = api_call_of(rq);
    str rest = names_of(rq);
    for (str name = next_name(&rest); name.ptr != NULL; name = next_name(&rest)) {
        if (!str_eq_nocase(name, call->reference))
            continue;
        call->reference = name;
        return true;
    }
    arm_error(rq, 404, "ResourceNotFound",
              arena_printf(&rq->arena,
                           "there is no registry '%.*s' here; the names are in acr.names of the"
                           " configuration",
                           STR_FMT(call->reference)));
    return false;
}

static void answer_registry(struct http_request *rq)
{
    struct json_out o;
    if (!arm_enter(rq) || !find_name(rq) || !acr_begin(rq, &o))
        return;
    add_registry(rq, &o, api_call_of(rq)->reference);
    acr_end(rq, 200, &o);
}

static enum st read_usage(struct db_tx *tx, void *ctx, struct err *err)
{
    return usage_of_prefix(tx, STR(""), ctx, err);
}

static void add_usage(struct json_out *o, const char *name, uint64_t value, uint64_t limit,
                      const char *unit)
{
    json_out_open(o, NULL, '{');
    json_out_text(o, "name", str_of(name));
    json_out_count(o, "limit", limit);
    json_out_count(o, "currentValue", value);
    json_out_text(o, "unit", str_of(unit));
    json_out_close(o, '}');
}

/* Bytes in use, with what the trash holds; the limit is what the disk has left besides. */
static void answer_usages(struct http_request *rq)
{
    struct registry *r = api_call_of(rq)->api->registry;
    struct usage u = { 0 };
    struct blob_space space = { 0 };
    struct err err = { 0 };
    struct json_out o;
    if (!arm_enter(rq) || !find_name(rq))
        return;
    if (api_call_of(rq)->api->accounts && !identity_is_admin(gate_who(rq))) {
        arm_error(rq, 403, "AuthorizationFailed", STR("only administrators see the usage"));
        return;
    }
    enum st st = db_read(r->db, read_usage, &u, &err);
    if (st == ST_OK)
        st = blob_space_get(r->store, &space, &err);
    if (st != ST_OK) {
        arm_fail(rq, &err);
        return;
    }
    if (!acr_begin(rq, &o))
        return;
    uint64_t used = u.unique + u.shared + u.trash + u.pending + u.uploads;
    json_out_open(&o, NULL, '{');
    json_out_open(&o, "value", '[');
    add_usage(&o, "Size", used, used + space.free_bytes, "Bytes");
    add_usage(&o, "Webhooks", 0, 0, "Count");
    json_out_close(&o, ']');
    json_out_close(&o, '}');
    acr_end(rq, 200, &o);
}

static void answer_no_credentials(struct http_request *rq)
{
    if (arm_enter(rq) && find_name(rq))
        arm_error(rq, 400, "AdminUserDisabled",
                  STR("there is no admin user: take an account or a token (ebb account, ebb"
                      " token)"));
}

static void answer_not_managed(struct http_request *rq)
{
    if (arm_enter(rq))
        arm_error(rq, 405, "OperationNotAllowed",
                  STR("this registry is not managed by az: its configuration file and `ebb` do"
                      " that"));
}

static void answer_nothing(struct http_request *rq)
{
    if (arm_enter(rq))
        arm_error(rq, 404, "ResourceNotFound", STR("there is no such resource here"));
}

/* ---- routes -------------------------------------------------------------------------------- */

#define ROUTE(function)                                                                            \
    {                                                                                              \
        .name = "arm", .worker = true, .body_max = 64 * KIB, .handle = (function)                  \
    }

/* "*" is any component; the last of them goes into call->reference. */
static const struct {
    const char *path;
    enum http_method method;
    struct http_route route;
} doors[] = {
    { "metadata/endpoints", HTTP_GET, ROUTE(answer_endpoints) },
    { "adfs/.well-known/openid-configuration", HTTP_GET, ROUTE(arm_discovery_get) },
    { "adfs/adfs/v2.0/.well-known/openid-configuration", HTTP_GET, ROUTE(arm_discovery_get) },
    { "adfs/oauth2/token", HTTP_POST, ROUTE(arm_token_post) },
    { "subscriptions", HTTP_GET, ROUTE(answer_subscriptions) },
    { "subscriptions/*", HTTP_GET, ROUTE(answer_subscription) },
    { "subscriptions/*/resources", HTTP_GET, ROUTE(answer_resources) },
    { "subscriptions/*/resourcegroups", HTTP_GET, ROUTE(answer_groups) },
    { "subscriptions/*/providers/microsoft.containerregistry/registries", HTTP_GET,
      ROUTE(answer_registries) },
    { "subscriptions/*/resourcegroups/*/providers/microsoft.containerregistry/registries", HTTP_GET,
      ROUTE(answer_registries) },
    { "subscriptions/*/resourcegroups/*/providers/microsoft.containerregistry/registries/*",
      HTTP_GET, ROUTE(answer_registry) },
    { "subscriptions/*/resourcegroups/*/providers/microsoft.containerregistry/registries/*"
      "/listusages",
      HTTP_GET, ROUTE(answer_usages) },
    { "subscriptions/*/resourcegroups/*/providers/microsoft.containerregistry/registries/*"
      "/listcredentials",
      HTTP_POST, ROUTE(answer_no_credentials) },
};

static const struct http_route not_managed = ROUTE(answer_not_managed);
static const struct http_route nothing = ROUTE(answer_nothing);

static bool matches(str path, const char *wanted, str *reference)
{
    str rest = str_of(wanted);
    for (bool more = true; more;) {
        str component = path;
        str pattern = rest;
        str tail = STR_NONE;
        bool more_path = str_cut(path, '/', &component, &tail);
        path = tail;
        more = str_cut(rest, '/', &pattern, &rest);
        if (more != more_path)
            return false;
        if (str_eq(pattern, STR("*")) && component.len > 0)
            *reference = component;
        else if (!str_eq_nocase(component, pattern))
            return false;
    }
    return true;
}

static bool is_mine(str path)
{
    static const char *const roots[] = { "metadata", "adfs", "subscriptions" };
    str first = path;
    (void)str_cut(path, '/', &first, &(str){ 0 });
    for (size_t i = 0; i < ARRAY_LEN(roots); i++)
        if (str_eq_nocase(first, str_of(roots[i])))
            return true;
    return false;
}

/* az writes "//metadata/endpoints". */
static str without_slashes(str path)
{
    while (str_starts(path, STR("/")))
        path = str_slice(path, 1, path.len);
    while (str_ends(path, STR("/")))
        path = str_slice(path, 0, path.len - 1);
    return path;
}

const struct http_route *arm_route(struct http_request *rq)
{
    static const struct gate_need need = { 0 };
    struct api_call *call = api_call_of(rq);
    str path = without_slashes(rq->path);
    if (!is_mine(path))
        return NULL;
    if (http_unescape(&rq->arena, path, &path, NULL) != ST_OK)
        return NULL;
    bool reading = (rq->method & (HTTP_GET | HTTP_HEAD | HTTP_POST)) != 0;
    const struct http_route *route = reading ? &nothing : &not_managed;
    for (size_t i = 0; i < ARRAY_LEN(doors); i++) {
        str reference = STR_NONE;
        enum http_method method = rq->method == HTTP_HEAD ? HTTP_GET : rq->method;
        if (method != doors[i].method || !matches(path, doors[i].path, &reference))
            continue;
        call->reference = reference;
        route = &doors[i].route;
    }
    return gate_pass(rq, &arm_family, &need, route);
}
