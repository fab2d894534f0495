/* SPDX-License-Identifier: Apache-2.0
 *
 * The client on libcurl, which is loaded when the first request is made and not linked: with the 28
 * libraries that it brings, linking it makes a process that never uses it 4.0 MB larger (RSS 6.5 MB
 * without, 10.5 MB with; Debian 12, x86-64), and an idle registry is to stay below 12 MB. A command
 * that asks a server pays for it, `ebb serve` does not.
 *
 * Invariants: the table of functions is filled once, before any other thread can see it, and never
 * changes. The library is never unloaded: it keeps thread-local state.
 */
#include "net/http_client.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <pthread.h>

#include "base/mem.h"

#define CURL_LIBRARY       "libcurl.so.4"
#define BODY_DEFAULT_BYTES ((size_t)MIB)
#define CONNECT_DEFAULT_MS 10000
#define TIMEOUT_DEFAULT_MS 60000

static struct {
    CURLcode (*global_init)(long flags);
    CURL *(*easy_init)(void);
    CURLcode (*easy_setopt)(CURL *curl, CURLoption option, ...);
    CURLcode (*easy_perform)(CURL *curl);
    void (*easy_reset)(CURL *curl);
    CURLcode (*easy_getinfo)(CURL *curl, CURLINFO info, ...);
    void (*easy_cleanup)(CURL *curl);
    const char *(*easy_strerror)(CURLcode code);
    struct curl_slist *(*slist_append)(struct curl_slist *list, const char *line);
    void (*slist_free_all)(struct curl_slist *list);
} lib;

static char load_failure[256]; /* "" when it is loaded */

/* POSIX lets a pointer to an object hold a function's address; ISO C has no cast for it. */
static bool find_function(void *library, const char *name, void *out)
{
    void *found = dlsym(library, name);
    if (found == NULL)
        (void)snprintf(load_failure, sizeof(load_failure), "%s has no %s", CURL_LIBRARY, name);
    memcpy(out, &found, sizeof(found));
    return found != NULL;
}

static void load(void)
{
    void *library = dlopen(CURL_LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        (void)snprintf(load_failure, sizeof(load_failure), "%s", dlerror());
        return;
    }
    bool whole = find_function(library, "curl_global_init", &lib.global_init) &&
                 find_function(library, "curl_easy_init", &lib.easy_init) &&
                 find_function(library, "curl_easy_setopt", &lib.easy_setopt) &&
                 find_function(library, "curl_easy_perform", &lib.easy_perform) &&
                 find_function(library, "curl_easy_reset", &lib.easy_reset) &&
                 find_function(library, "curl_easy_getinfo", &lib.easy_getinfo) &&
                 find_function(library, "curl_easy_cleanup", &lib.easy_cleanup) &&
                 find_function(library, "curl_easy_strerror", &lib.easy_strerror) &&
                 find_function(library, "curl_slist_append", &lib.slist_append) &&
                 find_function(library, "curl_slist_free_all", &lib.slist_free_all);
    if (whole && lib.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        (void)snprintf(load_failure, sizeof(load_failure), "%s does not start", CURL_LIBRARY);
}

static enum st need_library(struct err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, load);
    if (load_failure[0] == '\0')
        return ST_OK;
    return err_set(err, ST_UNSUPPORTED, "asking a server needs libcurl (Debian: libcurl4): %s",
                   load_failure);
}

static size_t take_body(char *bytes, size_t size, size_t count, void *ctx)
{
    struct http_reply *r = ctx;
    buf_add(&r->body, (str){ bytes, size * count });
    return r->body.failed == ST_OK ? size * count : 0;
}

static size_t take_header(char *bytes, size_t size, size_t count, void *ctx)
{
    struct http_reply *r = ctx;
    str name = { bytes, size * count };
    str value = STR_NONE;
    uint64_t seconds;
    if (!str_cut(name, ':', &name, &value))
        return size * count;
    while (value.len > 0 && (value.ptr[value.len - 1] == '\n' || value.ptr[value.len - 1] == '\r'))
        value.len--;
    value = str_trim(value);
    if (str_eq_nocase(name, STR("Location")))
        (void)str_copy(value, r->location, sizeof(r->location));
    else if (str_eq_nocase(name, STR("Retry-After")) && str_to_u64(value, INT32_MAX, &seconds))
        r->retry_after_s = (int64_t)seconds;
    return size * count;
}

static enum st word_failure(CURLcode code, const char *detail, const struct http_ask *ask,
                            const struct http_reply *r, struct err *err)
{
    const char *why = detail[0] != '\0' ? detail : lib.easy_strerror(code);
    switch (code) {
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return err_set(err, ST_INVALID, "%s is no URL that can be asked: %s", ask->url, why);
    case CURLE_OUT_OF_MEMORY:
        return err_no_memory(err);
    case CURLE_WRITE_ERROR:
        if (r->body.failed == ST_TOO_LARGE)
            return err_set(err, ST_TOO_LARGE, "%s answers with more than %zu bytes", ask->url,
                           r->body.max_bytes);
        return err_no_memory(err);
    default:
        return err_set(err, ST_GONE, "%s: %s", ask->url, why);
    }
}

static CURLcode set_up(CURL *curl, const struct http_ask *ask, struct curl_slist *headers,
                       char *detail, struct http_reply *r)
{
    const struct {
        CURLoption option;
        long value;
    } numbers[] = {
        { CURLOPT_NOSIGNAL, 1 },
        { CURLOPT_FOLLOWLOCATION, 0 },
        { CURLOPT_CONNECTTIMEOUT_MS,
          (long)(ask->connect_timeout_ms == 0 ? CONNECT_DEFAULT_MS : ask->connect_timeout_ms) },
        { CURLOPT_TIMEOUT_MS, (long)(ask->timeout_ms == 0 ? TIMEOUT_DEFAULT_MS : ask->timeout_ms) },
        { CURLOPT_NOBODY, strcmp(ask->method, "HEAD") == 0 },
    };
    CURLcode code = lib.easy_setopt(curl, CURLOPT_ERRORBUFFER, detail);
    for (size_t i = 0; i < ARRAY_LEN(numbers) && code == CURLE_OK; i++)
        code = lib.easy_setopt(curl, numbers[i].option, numbers[i].value);
    const struct {
        CURLoption option;
        const void *value;
    } pointers[] = {
        { CURLOPT_URL, ask->url },
        { CURLOPT_PROTOCOLS_STR, "http,https" },
        { CURLOPT_CUSTOMREQUEST, ask->method },
        { CURLOPT_HTTPHEADER, headers },
        { CURLOPT_USERAGENT, "ebb" },
        { CURLOPT_WRITEDATA, r },
        { CURLOPT_HEADERDATA, r },
    };
    for (size_t i = 0; i < ARRAY_LEN(pointers) && code == CURLE_OK; i++)
        code = lib.easy_setopt(curl, pointers[i].option, pointers[i].value);
    if (code == CURLE_OK && ask->ca != NULL)
        code = lib.easy_setopt(curl, CURLOPT_CAINFO, ask->ca);
    if (code == CURLE_OK && ask->direct)
        code = lib.easy_setopt(curl, CURLOPT_NOPROXY, "*");
    if (code == CURLE_OK)
        code = lib.easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    if (code == CURLE_OK)
        code = lib.easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
    if (code == CURLE_OK && (ask->body.ptr != NULL || strcmp(ask->method, "POST") == 0)) {
        code = lib.easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)ask->body.len);
        if (code == CURLE_OK)
            code = lib.easy_setopt(curl, CURLOPT_POSTFIELDS,
                                   ask->body.ptr == NULL ? "" : ask->body.ptr);
    }
    return code;
}

/* NULL without memory. */
static CURL *take_handle(struct http_session *s)
{
    if (s == NULL || s->curl == NULL)
        return lib.easy_init();
    lib.easy_reset(s->curl); /* the options; connections stay */
    return s->curl;
}

/* What it was set up with is borrowed by nobody when the next question resets it. */
static void give_handle(struct http_session *s, CURL *curl)
{
    if (s != NULL)
        s->curl = curl;
    else if (curl != NULL)
        lib.easy_cleanup(curl);
}

enum st http_client_ask(const struct http_ask *ask, struct http_reply *out, struct err *err)
{
    struct http_reply r = { .body = { .max_bytes = ask->answer_max_bytes == 0
                                                       ? BODY_DEFAULT_BYTES
                                                       : ask->answer_max_bytes } };
    char detail[CURL_ERROR_SIZE] = "";
    struct curl_slist *headers = NULL;
    long answer = 0;
    enum st st = need_library(err);
    if (st != ST_OK)
        return st;
    CURL *curl = take_handle(ask->session);
    CURLcode code = curl == NULL ? CURLE_OUT_OF_MEMORY : CURLE_OK;
    for (const char *const *h = ask->headers; code == CURLE_OK && h != NULL && *h != NULL; h++) {
        struct curl_slist *longer = lib.slist_append(headers, *h);
        if (longer == NULL)
            code = CURLE_OUT_OF_MEMORY;
        else
            headers = longer;
    }
    if (code == CURLE_OK)
        code = set_up(curl, ask, headers, detail, &r);
    if (code == CURLE_OK)
        code = lib.easy_perform(curl);
    if (code == CURLE_OK)
        code = lib.easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer);
    if (code != CURLE_OK)
        st = word_failure(code, detail, ask, &r, err);
    give_handle(ask->session, curl);
    lib.slist_free_all(headers);
    if (st != ST_OK) {
        buf_release(&r.body);
        return st;
    }
    r.code = (int)answer;
    *out = r;
    return ST_OK;
}

void http_reply_release(struct http_reply *r)
{
    buf_release(&r->body);
}
