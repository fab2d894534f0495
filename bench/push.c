/* SPDX-License-Identifier: Apache-2.0
 *
 * push - whole images by tag (`push`), and many tags quickly (`fill`).
 *
 * push: GET /v2/, then for each layer and the config POST and PUT, then PUT of the manifest: with
 * four layers 12 requests. Every layer, config and manifest is new to the server. The requests of
 * one image follow each other on one connection; each connection is a pusher.
 *
 * fill: layers are shared. Before the clock starts it pushes `layers` layers (and, with
 * --same-manifest, one config), and with --repos mounts them into each repository. Then each tag
 * costs
 *   --same-manifest   PUT of the manifest: all tags name one manifest
 *   --shared-config   PUT of a manifest of its own (an annotation differs)
 *   otherwise         POST (and PUT) of a config of its own, PUT of the manifest
 * and POST (and PUT) of each layer of its own with --own-layers. Blobs are sent with the POST; a
 * server that answers 202 to that gets POST and PUT from then on. An image of `fill` names 4 of the
 * shared layers, and its own. With --repos N tag number n of repository r is image n N + r.
 */
#include "content.h"
#include "loop.h"

#include "base/mem.h"

#include <stdarg.h>
#include <unistd.h>

#define LAYERS_MAX       1000
#define SHARED_EACH      4 /* of the shared layers in an image of `fill` */
#define IMAGE_LAYERS_MAX 16
#define CONFIG_MAX       4096
#define MANIFEST_MAX     6144
#define REPO_MAX         256

#define MANIFEST_TYPE "application/vnd.oci.image.manifest.v1+json"
#define CONFIG_TYPE   "application/vnd.oci.image.config.v1+json"
#define LAYER_TYPE    "application/vnd.oci.image.layer.v1.tar+gzip"

struct push {
    char repo[REPO_MAX];
    unsigned step;
    bool running; /* an image is under way */
    uint64_t index;
    int64_t begin_ns;
    unsigned layers;
    char layer[IMAGE_LAYERS_MAX][CONTENT_DIGEST_SIZE];
    char tail[IMAGE_LAYERS_MAX][CONTENT_TAIL];
    char config_digest[CONTENT_DIGEST_SIZE];
    char config[CONFIG_MAX];
    size_t config_len;
    char manifest[MANIFEST_MAX];
    size_t manifest_len;
};

static struct content layer_content;
static char shared[LAYERS_MAX][CONTENT_DIGEST_SIZE]; /* `fill`: layers */
static struct push shared_image;                     /* `fill` --same-manifest, --shared-config */
static bool post_then_put; /* `fill`: the server does not take a blob with the POST */

static size_t append(char *out, size_t max, size_t at, const char *fmt, ...) PRINTF_LIKE(4, 5);
static size_t append(char *out, size_t max, size_t at, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(out + at, max - at, fmt, args);
    va_end(args);
    if (n < 0 || (size_t)n >= max - at)
        die("a manifest or config does not fit");
    return at + (size_t)n;
}

static void config_write(struct push *p, EVP_MD_CTX *digest, uint64_t unique)
{
    size_t n = append(p->config, CONFIG_MAX, 0,
                      "{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{\"Env\":["
                      "\"PATH=/usr/local/bin:/usr/bin:/bin\",\"BUILD=%016llx\"],\"Cmd\":[\"sh\"]},"
                      "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[",
                      (unsigned long long)unique);
    for (unsigned i = 0; i < p->layers; i++)
        n = append(p->config, CONFIG_MAX, n, "%s\"%s\"", i ? "," : "", p->layer[i]);
    p->config_len = append(p->config, CONFIG_MAX, n, "]}}");
    content_digest(digest, p->config, p->config_len, p->config_digest);
}

/* `unique` 0: without annotation. */
static void manifest_write(struct push *p, uint64_t unique)
{
    size_t n = append(p->manifest, MANIFEST_MAX, 0,
                      "{\"schemaVersion\":2,\"mediaType\":\"" MANIFEST_TYPE
                      "\",\"config\":{\"mediaType\":\"" CONFIG_TYPE
                      "\",\"size\":%zu,\"digest\":\"%s\"},\"layers\":[",
                      p->config_len, p->config_digest);
    for (unsigned i = 0; i < p->layers; i++)
        n = append(p->manifest, MANIFEST_MAX, n,
                   "%s{\"mediaType\":\"" LAYER_TYPE "\",\"size\":%llu,\"digest\":\"%s\"}",
                   i ? "," : "", (unsigned long long)options.layer_bytes, p->layer[i]);
    n = append(p->manifest, MANIFEST_MAX, n, "]");
    if (unique)
        n = append(p->manifest, MANIFEST_MAX, n, ",\"annotations\":{\"build\":\"%016llx\"}",
                   (unsigned long long)unique);
    p->manifest_len = append(p->manifest, MANIFEST_MAX, n, "}");
}

static void repo_name(uint64_t number, char out[static REPO_MAX])
{
    if (options.repos == 0)
        append(out, REPO_MAX, 0, "%s", options.repo);
    else
        append(out, REPO_MAX, 0, "%s/%llu", options.repo, (unsigned long long)number);
}

static void push_open(struct conn *c)
{
    struct push *p = mem_new(sizeof(*p));
    if (!p)
        die("out of memory");
    repo_name(0, p->repo);
    c->state = p;
}

static void request_post(struct conn *c)
{
    const struct push *p = c->state;
    loop_head(c, KIND_POST,
              "POST /v2/%s/blobs/uploads/ HTTP/1.1\r\nHost: %s\r\nContent-Length: 0\r\n\r\n",
              p->repo, options.host);
}

/* To where the last answer said. */
static void request_put(struct conn *c, const char *digest, size_t length)
{
    loop_head(c, KIND_PUT,
              "PUT %s%cdigest=%s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/octet-stream\r\n"
              "Content-Length: %zu\r\n\r\n",
              c->location, strchr(c->location, '?') ? '&' : '?', digest, options.host, length);
}

static void request_manifest(struct conn *c, struct push *p, uint64_t tag)
{
    const struct push *mine = c->state;
    loop_head(c, KIND_MANIFEST,
              "PUT /v2/%s/manifests/%s%llu HTTP/1.1\r\nHost: %s\r\n"
              "Content-Type: " MANIFEST_TYPE "\r\nContent-Length: %zu\r\n\r\n",
              mine->repo, options.tag_prefix, (unsigned long long)tag, options.host,
              p->manifest_len);
    c->body[c->body_parts++] = (struct iovec){ p->manifest, p->manifest_len };
}

static void add_layer_body(struct conn *c, struct push *p, unsigned i)
{
    c->body[c->body_parts++] =
        (struct iovec){ (void *)(uintptr_t)layer_content.pattern, (size_t)layer_content.prefix };
    c->body[c->body_parts++] = (struct iovec){ p->tail[i], CONTENT_TAIL };
}

/* ---- push -------------------------------------------------------------------------------- */

static void push_setup(void)
{
    if (options.layers > IMAGE_LAYERS_MAX || options.layer_bytes > CONTENT_PATTERN)
        die("at most %d layers of at most 16 MiB", IMAGE_LAYERS_MAX);
    content_init(&layer_content, options.layer_bytes);
}

static bool push_next(struct conn *c)
{
    struct push *p = c->state;
    struct loop *l = c->loop;
    if (!p->running) {
        if (!loop_take(c, &p->index))
            return false;
        p->layers = options.layers;
        for (unsigned i = 0; i < p->layers; i++)
            content_next(&layer_content, l->digest, &l->random, p->tail[i], p->layer[i]);
        config_write(p, l->digest, random_next(&l->random));
        manifest_write(p, 0);
        p->running = true;
        p->step = 0;
        p->begin_ns = stats_now_ns();
        loop_head(c, KIND_PING, "GET /v2/ HTTP/1.1\r\nHost: %s\r\n\r\n", options.host);
        return true;
    }
    unsigned blob = (p->step - 1) / 2;
    if (blob > p->layers)
        request_manifest(c, p, options.from + p->index);
    else if ((p->step - 1) % 2 == 0)
        request_post(c);
    else if (blob < p->layers) {
        request_put(c, p->layer[blob], (size_t)options.layer_bytes);
        add_layer_body(c, p, blob);
    } else {
        request_put(c, p->config_digest, p->config_len);
        c->body[c->body_parts++] = (struct iovec){ p->config, p->config_len };
    }
    return true;
}

static void push_answer(struct conn *c)
{
    struct push *p = c->state;
    int want = c->kind == KIND_PING ? 200 : c->kind == KIND_POST ? 202 : 201;
    if (!loop_expect(c, want)) {
        p->running = false;
        return;
    }
    p->step++;
    if (c->kind == KIND_MANIFEST) {
        p->running = false;
        stats_latency(&c->loop->stats, KIND_IMAGE, stats_now_ns() - p->begin_ns);
    }
}

static void push_broken(struct conn *c)
{
    struct push *p = c->state;
    p->running = false;
}

const struct loop_ops push_ops = { push_setup, push_open, push_next, push_answer, push_broken };

/* ---- fill -------------------------------------------------------------------------------- */

static void blob_put(int fd, const char *repo, const char *digest, const void *a, size_t a_len,
                     const void *b, size_t b_len)
{
    char location[WIRE_LOCATION_MAX];
    char head[WIRE_LOCATION_MAX + 512];
    wire_upload_begin(fd, repo, location);
    int n =
        snprintf(head, sizeof(head),
                 "PUT %s%cdigest=%s HTTP/1.1\r\nHost: %s\r\n"
                 "Content-Type: application/octet-stream\r\nContent-Length: %zu\r\n\r\n",
                 location, strchr(location, '?') ? '&' : '?', digest, options.host, a_len + b_len);
    wire_send(fd, head, (size_t)n);
    wire_send(fd, a, a_len);
    wire_send(fd, b, b_len);
    int code = wire_answer_read(fd, NULL, NULL);
    if (code != 201)
        die("fill: a blob was answered with %d instead of 201", code);
}

/* Makes a blob of the first repository visible in all others. */
static void blob_mount(int fd, const char *digest)
{
    char head[1024];
    char first[REPO_MAX];
    char repo[REPO_MAX];
    repo_name(0, first);
    for (unsigned i = 1; i < options.repos; i++) {
        repo_name(i, repo);
        int n = snprintf(head, sizeof(head),
                         "POST /v2/%s/blobs/uploads/?mount=%s&from=%s HTTP/1.1\r\nHost: %s\r\n"
                         "Content-Length: 0\r\n\r\n",
                         repo, digest, first, options.host);
        wire_send(fd, head, (size_t)n);
        int code = wire_answer_read(fd, NULL, NULL);
        if (code != 201)
            die("fill: a mount was answered with %d instead of 201", code);
    }
}

static void fill_setup(void)
{
    uint64_t random = options.seed;
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    struct push *p = &shared_image;
    char tail[CONTENT_TAIL];
    int fd = wire_connect(0, false);
    if (!digest || fd < 0)
        die("cannot connect to %s", options.host);
    if (options.layers > LAYERS_MAX || options.layer_bytes > CONTENT_PATTERN)
        die("at most %d layers of at most 16 MiB", LAYERS_MAX);
    if (MIN(options.layers, SHARED_EACH) + options.own_layers > IMAGE_LAYERS_MAX)
        die("at most %d layers in an image", IMAGE_LAYERS_MAX);
    if (options.own_layers && (options.same_manifest || options.shared_config))
        die("--own-layers goes with a config of its own");
    repo_name(0, p->repo);
    content_init(&layer_content, options.layer_bytes);
    for (unsigned i = 0; i < options.layers; i++) {
        content_next(&layer_content, digest, &random, tail, shared[i]);
        blob_put(fd, p->repo, shared[i], layer_content.pattern, (size_t)layer_content.prefix, tail,
                 sizeof(tail));
        blob_mount(fd, shared[i]);
    }
    p->layers = MIN(options.layers, SHARED_EACH);
    for (unsigned i = 0; i < p->layers; i++)
        memcpy(p->layer[i], shared[i], CONTENT_DIGEST_SIZE);
    config_write(p, digest, options.seed);
    manifest_write(p, 0);
    if (options.same_manifest || options.shared_config) {
        blob_put(fd, p->repo, p->config_digest, p->config, p->config_len, "", 0);
        blob_mount(fd, p->config_digest);
    }
    EVP_MD_CTX_free(digest);
    close(fd);
}

static void fill_image(struct conn *c, struct push *p)
{
    struct loop *l = c->loop;
    unsigned own = options.own_layers;
    p->layers = own + MIN(options.layers, SHARED_EACH);
    for (unsigned i = 0; i < own; i++)
        content_next(&layer_content, l->digest, &l->random, p->tail[i], p->layer[i]);
    for (unsigned i = own; i < p->layers; i++)
        memcpy(p->layer[i], shared[(p->index * 7 + i) % options.layers], CONTENT_DIGEST_SIZE);
    if (options.shared_config) {
        memcpy(p->config_digest, shared_image.config_digest, CONTENT_DIGEST_SIZE);
        p->config_len = shared_image.config_len;
        manifest_write(p, random_next(&l->random) | 1);
    } else {
        config_write(p, l->digest, random_next(&l->random));
        manifest_write(p, 0);
    }
}

/* How many blobs are sent for an image; then comes its manifest. */
static unsigned fill_blobs(void)
{
    return options.same_manifest || options.shared_config ? 0 : options.own_layers + 1;
}

/* A layer of its own, or the config behind them, with its POST or with the PUT after it. */
static void fill_blob(struct conn *c, struct push *p, unsigned blob, bool put)
{
    bool is_layer = blob < options.own_layers;
    const char *digest = is_layer ? p->layer[blob] : p->config_digest;
    size_t length = is_layer ? (size_t)options.layer_bytes : p->config_len;
    if (put)
        request_put(c, digest, length);
    else
        loop_head(c, KIND_POST,
                  "POST /v2/%s/blobs/uploads/?digest=%s HTTP/1.1\r\nHost: %s\r\n"
                  "Content-Type: application/octet-stream\r\nContent-Length: %zu\r\n\r\n",
                  p->repo, digest, options.host, length);
    if (is_layer)
        add_layer_body(c, p, blob);
    else
        c->body[c->body_parts++] = (struct iovec){ p->config, p->config_len };
}

/* Steps: 2 b is the POST of blob b, 2 b + 1 its PUT where the server wants one, the last the
 * manifest. */
static bool fill_next(struct conn *c)
{
    struct push *p = c->state;
    unsigned spread = MAX(options.repos, 1);
    if (!p->running) {
        if (!loop_take(c, &p->index))
            return false;
        repo_name(p->index % spread, p->repo);
        if (!options.same_manifest)
            fill_image(c, p);
        p->running = true;
        p->step = 0;
        p->begin_ns = stats_now_ns();
    }
    if (p->step == 2 * fill_blobs())
        request_manifest(c, options.same_manifest ? &shared_image : p,
                         options.from + p->index / spread);
    else if (p->step % 2 == 0 && post_then_put)
        request_post(c);
    else
        fill_blob(c, p, p->step / 2, p->step % 2 == 1);
    return true;
}

static void fill_answer(struct conn *c)
{
    struct push *p = c->state;
    bool last = p->step == 2 * fill_blobs();
    if (!last && p->step % 2 == 0 && c->answer.code == 202) {
        post_then_put = true; /* several threads may say so; all say the same */
        p->step++;
        return;
    }
    if (!loop_expect(c, 201)) {
        p->running = false;
        return;
    }
    p->step += 2 - p->step % 2;
    if (last) {
        p->running = false;
        stats_latency(&c->loop->stats, KIND_IMAGE, stats_now_ns() - p->begin_ns);
    }
}

const struct loop_ops fill_ops = { fill_setup, push_open, fill_next, fill_answer, push_broken };
