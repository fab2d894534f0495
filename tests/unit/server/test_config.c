/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/fault.h"
#include "base/mem.h"
#include "server/config.h"
#include "server/config_value.h"

#define DURATION(range) "allowed is a duration from " range ", in ms, s, m, h or d"
#define SIZE(range)     "allowed is a size from " range ", in B, KiB, MiB, GiB or TiB"
#define ADDRESSES       "allowed is 1 to 16 addresses with ports, such as 127.0.0.1:5000"
#define ALL_KEYS        "; `ebb config defaults` lists all keys"

/* Every refusal of a file, with its whole message. */
static const struct {
    const char *text;
    const char *error;
} bad_files[] = {
    /* unknown keys */
    { "reclaim:\n  grase: 1h\n",
      "f:2: unknown key \"reclaim.grase\"; did you mean \"reclaim.grace\"?" },
    { "reclaim.grase: 1h\n",
      "f:1: unknown key \"reclaim.grase\"; did you mean \"reclaim.grace\"?" },
    { "grace: 1h\n", "f:1: unknown key \"grace\"; did you mean \"reclaim.grace\"?" },
    { "http.json_depth: 1\n",
      "f:1: unknown key \"http.json_depth\"; did you mean \"limits.json_depth\"?" },
    { "storage:\n  s3:\n    bucket: b\n", "f:1: unknown key \"storage\"" ALL_KEYS },
    { "zzzzzzzz: 1\n", "f:1: unknown key \"zzzzzzzz\"" ALL_KEYS },
    { "log:\n  level:\n    deep: 1\n", "f:2: log.level is not a section and takes a value" },
    { "listen:\n  a: b\n", "f:1: listen is not a section and takes a value" },
    { "reclaim: 5\n", "f:1: reclaim is a section: its keys stand below it" },
    { "reclaim: [5]\n", "f:1: unknown key \"reclaim\"" ALL_KEYS },
    /* twice */
    { "open: true\nlog.level: info\nopen: true\n", "f:3: open stands twice, first on line 1" },
    { "reclaim.grace: 1h\nreclaim:\n  grace: 1h\n",
      "f:3: reclaim.grace stands twice, first on line 1" },
    { "listen: [127.0.0.1:1]\nlisten: 127.0.0.1:2\n", "f:2: listen stands twice, first on line 1" },
    /* durations */
    { "reclaim.grace: 24\n", "f:1: reclaim.grace: \"24\" has no unit; " DURATION("0s to 3650d") },
    { "reclaim.grace: 24 h\n",
      "f:1: reclaim.grace: \"24 h\" has an unknown unit; " DURATION("0s to 3650d") },
    { "reclaim.grace: 1w\n",
      "f:1: reclaim.grace: \"1w\" has an unknown unit; " DURATION("0s to 3650d") },
    { "reclaim.grace: 1h30m\n",
      "f:1: reclaim.grace: \"1h30m\" has an unknown unit; " DURATION("0s to 3650d") },
    { "reclaim.grace: 1.5h\n",
      "f:1: reclaim.grace: \"1.5h\" has an unknown unit; " DURATION("0s to 3650d") },
    { "reclaim.grace: -1h\n",
      "f:1: reclaim.grace: \"-1h\" does not start with a whole number; " DURATION("0s to 3650d") },
    { "reclaim.grace: ''\n",
      "f:1: reclaim.grace: \"\" does not start with a whole number; " DURATION("0s to 3650d") },
    { "reclaim.grace: 4000d\n",
      "f:1: reclaim.grace: \"4000d\" is out of range; " DURATION("0s to 3650d") },
    { "reclaim.grace: 99999999999999999999d\n",
      "f:1: reclaim.grace: \"99999999999999999999d\" is out of range; " DURATION("0s to 3650d") },
    { "reclaim.grace: 106751991168d\n",
      "f:1: reclaim.grace: \"106751991168d\" is out of range; " DURATION("0s to 3650d") },
    { "http.header_timeout: 99ms\n",
      "f:1: http.header_timeout: \"99ms\" is out of range; " DURATION("100ms to 1h") },
    /* sizes */
    { "limits.manifest_size: 4194304\n",
      "f:1: limits.manifest_size: \"4194304\" has no unit; " SIZE("1KiB to 64MiB") },
    { "limits.manifest_size: 4MB\n",
      "f:1: limits.manifest_size: \"4MB\" has an unknown unit; " SIZE("1KiB to 64MiB") },
    { "limits.manifest_size: 1023B\n",
      "f:1: limits.manifest_size: \"1023B\" is out of range; " SIZE("1KiB to 64MiB") },
    { "limits.upload_size: 99999999TiB\n",
      "f:1: limits.upload_size: \"99999999TiB\" is out of range; " SIZE("1MiB to 1024TiB") },
    { "store.inline_size: 16777216TiB\n", /* 2^64 bytes: 0 where it wraps */
      "f:1: store.inline_size: \"16777216TiB\" is out of range; " SIZE("0B to 64KiB") },
    /* numbers, booleans, choices, paths */
    { "limits.json_depth: many\n", "f:1: limits.json_depth: \"many\" is not a whole number; "
                                   "allowed is a whole number from 4 to 256" },
    { "limits.json_depth: 257\n", "f:1: limits.json_depth: \"257\" is out of range; "
                                  "allowed is a whole number from 4 to 256" },
    { "limits.json_depth: ''\n", "f:1: limits.json_depth: \"\" is out of range; "
                                 "allowed is a whole number from 4 to 256" },
    { "open: yes\n", "f:1: open: \"yes\" is neither; allowed is true or false" },
    { "log.format: xml\n",
      "f:1: log.format: \"xml\" is none of the words; allowed is one of auto, text or json" },
    { "log.level: ''\n",
      "f:1: log.level: \"\" is none of the words; allowed is one of debug, info, "
      "warn or error" },
    { "log.level: debug|info\n", "f:1: log.level: \"debug|info\" is none of the words; allowed is "
                                 "one of debug, info, warn or error" },
    { "data: ''\n", "f:1: data is empty; allowed is the name of a file or directory" },
    { "data: \"a\\x01b\"\n",
      "f:1: data: \"a?b\" holds bytes that are not text; allowed is the name "
      "of a file or directory" },
    { "data: \"a\\0b\"\n",
      "f:1: data: \"a?b\" holds bytes that are not text; allowed is the name of "
      "a file or directory" },
    { "open:\n", "f:1: open has no value" },
    { "open: ~\n", "f:1: open has no value" },
    { "open: [true]\n", "f:1: open is a list and takes one value; allowed is true or false" },
    /* lists */
    { "listen: []\n", "f:1: listen is an empty list; " ADDRESSES },
    { "listen: [a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1]\n",
      "f:1: listen has too many members; " ADDRESSES },
    { "listen: 5000\n", "f:1: listen: \"5000\" has no port; " ADDRESSES },
    { "listen: ':5000'\n", "f:1: listen: \":5000\" has no address (0.0.0.0:5000 is every IPv4 "
                           "address); " ADDRESSES },
    { "listen: ['::1:5000']\n",
      "f:1: listen: \"::1:5000\" has an IPv6 address without its brackets; " ADDRESSES },
    { "listen: localhost:65536\n", "f:1: listen: \"localhost:65536\" has no port from 0 to 65535 "
                                   "after its last colon; " ADDRESSES },
    { "listen: '[]:1'\n", "f:1: listen: \"[]:1\" has no address of 1 to 255 bytes; " ADDRESSES },
    { "listen:\n  - 127.0.0.1:1\n  - [x]\n", "f:3: a list holds values only" },
    /* YAML */
    { "a: &x 1\n", "f:1: anchors are not allowed" },
    { "data: /a\nopen: *x\n", "f:2: aliases are not allowed" },
    { "open: !!bool true\n", "f:1: tags are not allowed" },
    { "? [a]\n: b\n", "f:1: a key is one word" },
    { "open: true\n---\nopen: false\n", "f:2: a second document is not allowed" },
    { "- a\n", "f:1: the file holds no keys: write \"key: value\"" },
    { "just text\n", "f:1: the file holds no keys: write \"key: value\"" },
    { "open: [true\n", "f:2: not YAML: did not find expected ',' or ']'" },
    { "open: true\n\tlog: 1\n", "f:2: not YAML: found a tab character that violates indentation" },
    { "open: \"\xff\"\n", "f:1: not YAML: invalid leading UTF-8 octet" },
    { "'': 1\n", "f:1: a key is empty or holds a NUL" },
    { "\"a\\0b\": 1\n", "f:1: a key is empty or holds a NUL" },
    { "\"a\\eb\": 1\n", "f:1: a key holds a control character" },
    { "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
      "aaa"
      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa: 1\n",
      "f:1: a key is longer than any that exists" },
    /* keys that need each other */
    { "open: false\ntls.cert: /c\n", "f:2: tls.cert needs tls.key as well" },
    { "tls:\n  key: /k\n", "f:2: tls.key needs tls.cert as well" },
    { "limits.path_size: 64KiB\n",
      "f:1: limits.path_size is larger than limits.header_size, which holds it" },
    { "limits.header_size: 4KiB\n",
      "limits.path_size is larger than limits.header_size, which holds it" },
    { "limits.request_memory: 2MiB\n",
      "f:1: limits.request_memory must hold the largest manifest (limits.manifest_size) twice" },
};

static enum st load(struct config *c, const char *text, struct err *err)
{
    enum st st = config_init(c, err);
    if (st == ST_OK)
        st = config_load_yaml(c, "f", str_of(text), err);
    if (st == ST_OK)
        st = config_complete(c, err);
    return st;
}

static void test_bad_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad_files); i++) {
        struct config c = { 0 };
        struct err err = { 0 };
        if (load(&c, bad_files[i].text, &err) != ST_INVALID)
            fail_msg("accepted: %s", bad_files[i].text);
        assert_string_equal(err.text, bad_files[i].error);
        config_release(&c);
    }
}

static void test_too_large(void **state)
{
    (void)state;
    struct config c = { 0 };
    struct err err;
    char *text = mem_new(CONFIG_FILE_MAX_BYTES + 1);
    assert_non_null(text);
    memset(text, '#', CONFIG_FILE_MAX_BYTES + 1);
    assert_int_equal(config_init(&c, &err), ST_OK);
    assert_int_equal(config_load_yaml(&c, "f", (str){ text, CONFIG_FILE_MAX_BYTES }, &err), ST_OK);
    assert_int_equal(config_load_yaml(&c, "f", (str){ text, CONFIG_FILE_MAX_BYTES + 1 }, &err),
                     ST_TOO_LARGE);
    assert_string_equal(err.text, "f: larger than 256 KiB");
    assert_int_equal(config_load_file(&c, "/nowhere/f", &err), ST_NOT_FOUND);
    assert_string_equal(err.text, "/nowhere/f: No such file or directory");
    mem_free(text);
    config_release(&c);
}

/* Nothing to say: all defaults. */
static void test_empty_files(void **state)
{
    (void)state;
    static const char *const texts[] = { "",     "# only\n",           "---\n",
                                         "{}\n", "reclaim:\nlog: ~\n", "reclaim: {}\n" };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct config c;
        struct err err;
        if (load(&c, texts[i], &err) != ST_OK)
            fail_msg("%s: %s", texts[i], err.text);
        assert_int_equal(c.reclaim_grace_ms, 24 * 3600 * 1000);
        assert_int_equal(c.origin[CONFIG_ID_reclaim_grace_ms].source, CONFIG_FROM_DEFAULT);
        config_release(&c);
    }
}

static void test_defaults(void **state)
{
    (void)state;
    struct config c;
    struct err err;
    assert_int_equal(config_init(&c, &err), ST_OK);
    assert_null(c.data);
    assert_int_equal(c.listen.count, 1);
    assert_string_equal(c.listen.items[0], "127.0.0.1:5000");
    assert_false(c.open);
    assert_int_equal(c.reclaim_lease_ms, 3600 * 1000);
    assert_true(c.reclaim_untagged);
    assert_int_equal(c.limits_manifest_size, 4 * MIB);
    assert_int_equal(c.limits_upload_size, 128 * GIB);
    assert_int_equal(c.limits_connections, 15000);
    assert_int_equal(c.log_level, 1);
    assert_int_equal(c.log_requests, CONFIG_LOG_REQUESTS_ALL);
    assert_null(c.tls_cert);
    assert_false(c.oci_sparse_index);
    config_release(&c);
}

static void test_good_file(void **state)
{
    (void)state;
    struct config c;
    struct err err;
    const char *text = "data: /srv/ebb # where\n"
                       "listen:\n"
                       "  - \"[::1]:0\"\n"
                       "  - localhost:5001\n"
                       "open: true\n"
                       "reclaim: {grace: 0s, lease: 500ms}\n"
                       "limits.json_depth: 64\n"
                       "limits:\n"
                       "  manifest_size: 1024B\n"
                       "log.requests: none\n"
                       "tls:\n"
                       "  cert: 'c'\n"
                       "  key: k\n";
    if (load(&c, text, &err) != ST_OK)
        fail_msg("%s", err.text);
    assert_string_equal(c.data, "/srv/ebb");
    assert_int_equal(c.listen.count, 2);
    assert_string_equal(c.listen.items[0], "[::1]:0");
    assert_string_equal(c.listen.items[1], "localhost:5001");
    assert_true(c.open);
    assert_int_equal(c.reclaim_grace_ms, 0);
    assert_int_equal(c.reclaim_lease_ms, 500);
    assert_int_equal(c.limits_json_depth, 64);
    assert_int_equal(c.limits_manifest_size, 1024);
    assert_int_equal(c.log_requests, CONFIG_LOG_REQUESTS_NONE);
    assert_string_equal(c.tls_cert, "c");
    assert_int_equal(c.origin[CONFIG_ID_limits_manifest_size].line, 9);
    config_release(&c);
}

/* Both ends of a range are in it, one further is not. */
static void test_ranges(void **state)
{
    (void)state;
    static const struct {
        const char *pair;
        enum st st;
    } cases[] = {
        { "limits.json_depth=3", ST_INVALID },
        { "limits.json_depth=4", ST_OK },
        { "limits.json_depth=256", ST_OK },
        { "limits.json_depth=257", ST_INVALID },
        { "http.idle_timeout=99ms", ST_INVALID },
        { "http.idle_timeout=100ms", ST_OK },
        { "http.idle_timeout=24h", ST_OK },
        { "http.idle_timeout=86400001ms", ST_INVALID },
        { "limits.upload_size=1048575B", ST_INVALID },
        { "limits.upload_size=1MiB", ST_OK },
        { "limits.upload_size=1024TiB", ST_OK },
        { "limits.upload_size=1025TiB", ST_INVALID },
    };
    struct config c;
    struct err err;
    assert_int_equal(config_init(&c, &err), ST_OK);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(config_set_pair(&c, cases[i].pair, &err), cases[i].st);
    config_release(&c);
}

static void test_priorities(void **state)
{
    (void)state;
    struct config c;
    struct err err;
    const char *const environment[] = { "EBB_RECLAIM_GRACE=2h",
                                        "EBB_RECLAIM_LEASE=2h",
                                        "EBB_LISTEN=127.0.0.1:1, 127.0.0.1:2",
                                        "EBB_PORT=tcp://10.0.0.1:5000",
                                        "EBB_SERVICE_HOST=10.0.0.1",
                                        "EBB_RECLAIM_GRACE_X=1",
                                        "EBB_reclaim_grace=9h",
                                        "EBB_",
                                        "X",
                                        "reclaim.grace=9h",
                                        NULL };
    assert_int_equal(load(&c, "reclaim: {grace: 1h, interval: 1h, lease: 1h}\n", &err), ST_OK);
    assert_int_equal(config_load_environment(&c, environment, &err), ST_OK);
    assert_int_equal(c.reclaim_grace_ms, 2 * 3600 * 1000);
    assert_int_equal(c.listen.count, 2);
    assert_string_equal(c.listen.items[1], "127.0.0.1:2");
    assert_int_equal(config_set_pair(&c, "reclaim.grace=3h", &err), ST_OK);
    assert_int_equal(config_set_pair(&c, "listen=127.0.0.1:3", &err), ST_OK);
    assert_int_equal(config_set_pair(&c, " reclaim.grace = 4h ", &err), ST_OK);
    assert_int_equal(config_set_option(&c, "--listen", CONFIG_ID_listen, "127.0.0.1:4", &err),
                     ST_OK);
    assert_int_equal(config_set_option(&c, "--listen", CONFIG_ID_listen, "127.0.0.1:5", &err),
                     ST_OK);
    assert_int_equal(c.reclaim_interval_ms, 3600 * 1000);
    assert_int_equal(c.reclaim_lease_ms, 2 * 3600 * 1000);
    assert_int_equal(c.reclaim_grace_ms, 4 * 3600 * 1000);
    assert_int_equal(c.listen.count, 2);
    assert_string_equal(c.listen.items[0], "127.0.0.1:4");
    assert_string_equal(c.listen.items[1], "127.0.0.1:5");
    assert_int_equal(c.origin[CONFIG_ID_reclaim_grace_ms].source, CONFIG_FROM_SET);
    assert_int_equal(c.origin[CONFIG_ID_reclaim_lease_ms].source, CONFIG_FROM_ENVIRONMENT);
    config_release(&c);
}

static void test_bad_settings(void **state)
{
    (void)state;
    struct config c;
    struct err err;
    static const struct {
        const char *pair;
        const char *error;
    } cases[] = {
        { "open", "--set: \"open\" is not key=value" },
        { "opn=true", "--set: unknown key \"opn\"; did you mean \"open\"?" },
        { "=", "--set: unknown key \"\"" ALL_KEYS },
        { "open=", "--set: open: \"\" is neither; allowed is true or false" },
        { "listen=", "--set: listen: \"\" has no port; " ADDRESSES },
        { "listen=a:1,,a:2", "--set: listen: \"\" has no port; " ADDRESSES },
    };
    assert_int_equal(config_init(&c, &err), ST_OK);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(config_set_pair(&c, cases[i].pair, &err), ST_INVALID);
        assert_string_equal(err.text, cases[i].error);
    }
    const char *const environment[] = { "EBB_RECLAIM_GRACE=2", NULL };
    assert_int_equal(config_load_environment(&c, environment, &err), ST_INVALID);
    assert_string_equal(
        err.text, "EBB_RECLAIM_GRACE: reclaim.grace: \"2\" has no unit; " DURATION("0s to 3650d"));
    for (size_t i = 0; i < 16; i++)
        assert_int_equal(config_set_option(&c, "--listen", CONFIG_ID_listen, "a:1", &err), ST_OK);
    assert_int_equal(config_set_option(&c, "--listen", CONFIG_ID_listen, "a:1", &err), ST_INVALID);
    assert_string_equal(err.text, "--listen: listen has too many members; " ADDRESSES);
    assert_int_equal(config_complete(&c, &err), ST_OK);
    assert_int_equal(config_set_pair(&c, "tls.key=k", &err), ST_OK);
    assert_int_equal(config_complete(&c, &err), ST_INVALID);
    assert_string_equal(err.text, "tls.key needs tls.cert as well");
    config_release(&c);
}

/* What is printed can be read, and means the same. */
static void same_values(const struct config *a, const struct config *b)
{
    for (size_t i = 0; i < CONFIG_KEYS; i++) {
        const char *in_a = (const char *)a + config_keys[i].offset;
        const char *in_b = (const char *)b + config_keys[i].offset;
        switch (config_keys[i].kind) {
        case CONFIG_LIST:
        case CONFIG_PATH:
        case CONFIG_TEXT:
            continue; /* compared by printing */
        case CONFIG_BOOL:
            assert_memory_equal(in_a, in_b, sizeof(bool));
            continue;
        case CONFIG_CHOICE:
            assert_memory_equal(in_a, in_b, sizeof(int));
            continue;
        default:
            assert_memory_equal(in_a, in_b, sizeof(uint64_t));
        }
    }
}

static void test_printing(void **state)
{
    (void)state;
    struct config defaults;
    struct config c;
    struct err err;
    struct buf out = { .max_bytes = CONFIG_FILE_MAX_BYTES };
    assert_int_equal(config_init(&defaults, &err), ST_OK);
    config_print_defaults(&out);
    assert_int_equal(config_init(&c, &err), ST_OK);
    if (config_load_yaml(&c, "defaults", buf_str(&out), &err) != ST_OK)
        fail_msg("%s", err.text);
    same_values(&defaults, &c);

    const char *const pairs[] = { "data=/a \"b\"\xc3\xbc",     "listen=[::1]:1,a:2",
                                  "reclaim.grace=90m",         "reclaim.interval=1500ms",
                                  "store.inline_size=0B",      "log.level=debug",
                                  "limits.manifest_size=1025B" };
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
        assert_int_equal(config_set_pair(&c, pairs[i], &err), ST_OK);
    buf_clear(&out);
    config_print(&c, &out);
    struct config again;
    assert_int_equal(config_init(&again, &err), ST_OK);
    if (config_load_yaml(&again, "shown", buf_str(&out), &err) != ST_OK)
        fail_msg("%s", err.text);
    same_values(&c, &again);
    assert_string_equal(again.data, "/a \"b\"\xc3\xbc");
    assert_int_equal(again.listen.count, 2);
    assert_string_equal(again.listen.items[0], "[::1]:1");
    config_release(&again);
    config_release(&c);
    config_release(&defaults);
    buf_release(&out);
}

static void test_values(void **state)
{
    (void)state;
    static const struct {
        enum config_kind kind;
        uint64_t value;
        const char *text;
    } cases[] = {
        { CONFIG_DURATION, 0, "0s" },        { CONFIG_DURATION, 1, "1ms" },
        { CONFIG_DURATION, 1000, "1s" },     { CONFIG_DURATION, 90 * 60000, "90m" },
        { CONFIG_DURATION, 86400000, "1d" }, { CONFIG_SIZE, 0, "0B" },
        { CONFIG_SIZE, 1023, "1023B" },      { CONFIG_SIZE, 65536, "64KiB" },
        { CONFIG_SIZE, 1 * GIB, "1GiB" },    { CONFIG_SIZE, 1024 * GIB, "1TiB" },
        { CONFIG_NUMBER, 0, "0" },           { CONFIG_NUMBER, 1000, "1000" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char out[CONFIG_VALUE_MAX];
        uint64_t value = 77;
        const char *why;
        assert_string_equal(config_value_print(cases[i].kind, "", cases[i].value, out),
                            cases[i].text);
        assert_true(config_value_parse(cases[i].kind, "", str_of(cases[i].text), &value, &why));
        assert_int_equal(value, cases[i].value);
    }
}

/* The table itself: texts that every output can hold, sections in one piece, ranges that hold their
 * default (config_init() proves that). */
static void test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < CONFIG_KEYS; i++) {
        const struct config_key *key = &config_keys[i];
        assert_int_equal(config_find(str_of(key->name)), i);
        assert_true(strlen(key->name) < 64);
        assert_null(strchr(key->text, '\\'));
        assert_null(strstr(key->text, " ."));
        assert_int_equal(key->text[strlen(key->text) - 1], '.');
        char allowed[CONFIG_ALLOWED_MAX];
        assert_true(strlen(config_value_allowed(key, allowed)) < CONFIG_ALLOWED_MAX - 1);
    }
    struct buf out = { .max_bytes = CONFIG_FILE_MAX_BYTES };
    config_print_defaults(&out);
    assert_int_equal(out.failed, ST_OK);
    for (size_t i = 0; i < CONFIG_KEYS; i++) { /* none lost by a section that is not there */
        const char *dot = strchr(config_keys[i].name, '.');
        char line[80];
        (void)snprintf(line, sizeof(line), "%s:", dot == NULL ? config_keys[i].name : dot + 1);
        assert_non_null(memmem(out.ptr, out.len, line, strlen(line)));
    }
    buf_release(&out);
}

#ifdef EBB_FAULTS
/* Without memory it says so, and leaks nothing (the sanitizer looks). */
static void test_no_memory(void **state)
{
    (void)state;
    bool done = false;
    for (uint64_t n = 1; !done; n++) {
        struct config c = { 0 };
        struct err err;
        fault_arm(FAULT_ALLOC, n, false);
        enum st st = load(&c, "data: /a\nlisten: [a:1, b:2]\n", &err);
        done = !fault_fired();
        fault_disarm();
        assert_int_equal(st, done ? ST_OK : ST_NO_MEMORY);
        config_release(&c);
    }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_files),    cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_empty_files),  cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_good_file),    cmocka_unit_test(test_priorities),
        cmocka_unit_test(test_bad_settings), cmocka_unit_test(test_printing),
        cmocka_unit_test(test_values),       cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_table),
#ifdef EBB_FAULTS
        cmocka_unit_test(test_no_memory),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
