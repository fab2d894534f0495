/* SPDX-License-Identifier: Apache-2.0
 *
 * `ebb receipts verify` - that no receipt was changed or removed.
 *
 * The registry computes every hash again from what the receipt says (/receipts/verify). What it
 * answers is not believed alone: the chain is walked here as well, each signature checked with the
 * public key, and compared with what was noted earlier:
 *
 *     --key HEX        the registry signs with the key that it had then
 *     --head SEQ:HASH  the chain still holds the link that was the newest then, so all before it
 *
 * Without them a registry that was replaced as a whole, key and receipts, looks whole.
 */
#include <stdarg.h>

#include "base/mem.h"
#include "base/signature.h"
#include "cli/cli_call.h"
#include "cli/cli_text.h"
#include "cli/receipts.h"

#define LINKS_MAX ((size_t)10000000)
#define WRONG_MAX 100

struct verify_args {
    struct cli_common common;
    const char *key;
    const char *head;
};

struct link {
    uint64_t seq;
    uint8_t hash[HASH256_BYTES];
    uint8_t previous[HASH256_BYTES];
};

struct verification {
    struct ask_server server;
    char key_text[SIGNATURE_PUBLIC_TEXT + 1];
    uint8_t key[SIGNATURE_PUBLIC_BYTES];
    struct link *links;
    size_t count;
    size_t room;
    json_t *wrong; /* texts */
    bool has_head; /* --head */
    struct link head;
};

static void note(struct verification *v, const char *fmt, ...) PRINTF_LIKE(2, 3);

static void note(struct verification *v, const char *fmt, ...)
{
    char text[ERR_TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (json_array_size(v->wrong) < WRONG_MAX)
        (void)json_array_append_new(v->wrong, json_string(text));
}

static int digit_of(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_hex(str text, uint8_t *out, size_t bytes)
{
    if (text.len != 2 * bytes)
        return false;
    for (size_t i = 0; i < bytes; i++) {
        int high = digit_of(text.ptr[2 * i]);
        int low = digit_of(text.ptr[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

/* ---- the registry's own look ----------------------------------------------------------------- */

static void note_of_registry(struct verification *v, const json_t *wrong)
{
    for (size_t i = 0; i < json_array_size(wrong); i++) {
        const json_t *item = json_array_get(wrong, i);
        note(v, "receipt %llu: %.*s", (unsigned long long)ask_count(item, "receipt"),
             STR_FMT(ask_text(item, "text")));
    }
}

static enum st ask_registry(struct verification *v, struct err *err)
{
    char hash[2 * HASH256_BYTES + 1] = "";
    uint64_t from = 0;
    for (bool more = true; more;) {
        AUTO(ask_answer_release) struct ask_answer answer = { 0 };
        struct ask_path path = ask_path("/receipts/verify");
        if (from > 0)
            ask_query_number(&path, "from", from);
        if (hash[0] != '\0')
            ask_query(&path, "hash", str_of(hash));
        enum st st = ask(&v->server, "GET", &path, NULL, &answer, err);
        if (st != ST_OK)
            return st;
        note_of_registry(v, json_object_get(answer.body, "wrong"));
        if (!json_is_true(json_object_get(answer.body, "ok")) && json_array_size(v->wrong) == 0)
            note(v, "the registry says that its receipts are not whole");
        (void)str_copy(ask_text(json_object_get(answer.body, "last"), "hash"), hash, sizeof(hash));
        uint64_t next = ask_count(answer.body, "next");
        more = next > from;
        from = next;
    }
    return ST_OK;
}

static enum st ask_key(struct verification *v, const char *pinned, struct err *err)
{
    AUTO(ask_answer_release) struct ask_answer answer = { 0 };
    struct ask_path path = ask_path("/receipts/key");
    enum st st = ask(&v->server, "GET", &path, NULL, &answer, err);
    if (st != ST_OK)
        return st;
    str text = ask_text(answer.body, "public_key");
    if (!str_copy(text, v->key_text, sizeof(v->key_text)) ||
        signature_public_parse(text, v->key, err) != ST_OK)
        return err_set(err, ST_INVALID, "the registry's public key is none of Ed25519");
    if (pinned == NULL || strcmp(pinned, v->key_text) == 0)
        return ST_OK;
    note(v, "the registry signs with %s, not with the key of --key", v->key_text);
    return signature_public_parse(str_of(pinned), v->key, err);
}

/* ---- our own --------------------------------------------------------------------------------- */

static enum st add_link(const json_t *receipt, void *ctx, struct err *err)
{
    struct verification *v = ctx;
    uint8_t signature[SIGNATURE_BYTES];
    unsigned long long id = ask_count(receipt, "receipt");
    if (ask_count(receipt, "seq") == 0)
        return ST_OK; /* open */
    if (v->count == v->room) {
        size_t room = v->room == 0 ? 1024 : 2 * v->room;
        struct link *more = room > LINKS_MAX ? NULL : mem_resize(v->links, room * sizeof(*more));
        if (more == NULL)
            return err_no_memory(err);
        v->links = more;
        v->room = room;
    }
    struct link *l = &v->links[v->count];
    *l = (struct link){ .seq = ask_count(receipt, "seq") };
    if (!read_hex(ask_text(receipt, "hash"), l->hash, sizeof(l->hash)) ||
        !read_hex(ask_text(receipt, "previous"), l->previous, sizeof(l->previous))) {
        note(v, "receipt %llu has no hash", id);
        return ST_OK;
    }
    v->count++;
    if (!ask_has(receipt, "signature"))
        note(v, "receipt %llu is not signed", id);
    else if (!read_hex(ask_text(receipt, "signature"), signature, sizeof(signature)) ||
             signature_check(v->key, (str){ (const char *)l->hash, sizeof(l->hash) }, signature,
                             NULL) != ST_OK)
        note(v, "receipt %llu: its signature is not by the registry's key", id);
    return ST_OK;
}

static int compare_links(const void *a, const void *b)
{
    const struct link *x = a;
    const struct link *y = b;
    return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static void check_head(struct verification *v)
{
    const struct link *found =
        v->count == 0 ? NULL
                      : bsearch(&v->head, v->links, v->count, sizeof(*v->links), compare_links);
    unsigned long long seq = v->head.seq;
    if (found != NULL && memcmp(found->hash, v->head.hash, sizeof(found->hash)) != 0)
        note(v, "number %llu of the chain is another than the one of --head", seq);
    else if (found == NULL && v->count > 0 && seq < v->links[0].seq)
        note(v, "number %llu of --head was dropped, as receipts.keep says: it proves nothing more",
             seq);
    else if (found == NULL)
        note(v, "number %llu of --head was removed", seq);
}

static void check_links(struct verification *v)
{
    if (v->count > 0)
        qsort(v->links, v->count, sizeof(*v->links), compare_links);
    for (size_t i = 1; i < v->count; i++) {
        const struct link *l = &v->links[i];
        if (l->seq != l[-1].seq + 1)
            note(v, "number %llu of the chain follows %llu: there is a gap or a double",
                 (unsigned long long)l->seq, (unsigned long long)l[-1].seq);
        else if (memcmp(l->previous, l[-1].hash, sizeof(l->previous)) != 0)
            note(v, "number %llu of the chain does not name the one before it",
                 (unsigned long long)l->seq);
    }
    if (v->has_head)
        check_head(v);
}

/* ---- what comes out -------------------------------------------------------------------------- */

static void print_result(const struct verification *v, enum cli_form form)
{
    char head[32 + 2 * HASH256_BYTES] = "";
    char count[TEXT_COUNTED_MAX];
    size_t len = 0;
    if (v->count > 0)
        len = (size_t)snprintf(head, sizeof(head),
                               "%llu:", (unsigned long long)v->links[v->count - 1].seq);
    for (size_t i = 0; v->count > 0 && i < HASH256_BYTES; i++)
        (void)snprintf(head + len + 2 * i, 3, "%02x", v->links[v->count - 1].hash[i]);
    bool ok = json_array_size(v->wrong) == 0;
    if (form == FORM_TABLE) {
        for (size_t i = 0; i < json_array_size(v->wrong); i++)
            text_line(stdout, "Wrong: %s", json_string_value(json_array_get(v->wrong, i)));
        text_line(stdout, "%s in the chain: %s",
                  text_counted(v->count, "receipt", "receipts", count),
                  ok ? "none was changed or removed" : "they are not whole");
        text_line(stdout, "key:  %s", v->key_text);
        if (v->count > 0)
            text_line(stdout, "head: %s", head);
        if (v->count > 0 && ok)
            text_line(stdout, "Note both down elsewhere, for --key and --head of a later time.");
        return;
    }
    static const struct table_column columns[] = {
        { "ok", "ok", TABLE_TEXT, NULL },
        { "checked", "checked", TABLE_COUNT, NULL },
        { "key", "key", TABLE_TEXT, NULL },
        { "head", "head", TABLE_TEXT, NULL },
        { 0 },
    };
    json_t *out =
        json_pack("{s:b,s:I,s:s,s:s?,s:O}", "ok", ok, "checked", (json_int_t)v->count, "key",
                  v->key_text, "head", v->count > 0 ? head : NULL, "wrong", v->wrong);
    table_object(form, columns, out);
    json_decref(out);
}

static enum cli_exit verify(const struct cli_command *self, struct verification *v,
                            const struct verify_args *args)
{
    struct err err;
    struct ask_path path = ask_path("/receipts");
    enum st st = ask_server_init(&v->server, &args->common, &err);
    if (st == ST_OK)
        st = ask_key(v, args->key, &err);
    if (st == ST_OK)
        st = ask_registry(v, &err);
    if (st == ST_OK)
        st = ask_each(&v->server, &path, add_link, v, &err);
    if (st != ST_OK)
        return cli_fail(self, &err);
    check_links(v);
    print_result(v, args->common.form);
    enum cli_exit exit = cli_finish(self);
    return exit == CLI_DONE && json_array_size(v->wrong) > 0 ? CLI_FAILED : exit;
}

static enum cli_exit read_pins(const struct cli_command *self, const struct verify_args *args,
                               struct verification *v)
{
    struct err err;
    str seq;
    str hash;
    if (args->key != NULL && signature_public_parse(str_of(args->key), v->key, &err) != ST_OK)
        return cli_usage(self, "--key: %s", err.text);
    v->has_head = args->head != NULL;
    if (v->has_head && (!str_cut(str_of(args->head), ':', &seq, &hash) ||
                        !str_to_u64(seq, INT64_MAX, &v->head.seq) || v->head.seq == 0 ||
                        !read_hex(hash, v->head.hash, sizeof(v->head.hash))))
        return cli_usage(self, "--head takes NUMBER:HASH as an earlier verify printed it");
    return CLI_DONE;
}

static enum cli_exit verify_run(const struct cli_command *self, int argc, char **argv)
{
    struct verify_args args = { 0 };
    struct verification v = { 0 };
    struct call_words words = { 0 };
    enum cli_exit exit = call_read(self, argc, argv, &args, &words);
    if (exit == CLI_DONE)
        exit = read_pins(self, &args, &v);
    if (exit != CLI_DONE)
        return exit;
    v.wrong = json_array();
    exit = verify(self, &v, &args);
    json_decref(v.wrong);
    mem_free(v.links);
    return exit;
}

static const struct cli_flag flags[] = {
    { "key", 0, VALUE_TEXT, "HEX", "the public key that was noted earlier",
      offsetof(struct verify_args, key) },
    { "head", 0, VALUE_TEXT, "SEQ:HASH",
      "the head that was noted earlier: proves that nothing\nup to it was removed",
      offsetof(struct verify_args, head) },
    { 0 },
};
static const struct cli_group groups[] = {
    { flags, 0 },
    { cli_common_flags, offsetof(struct verify_args, common) },
    { 0 },
};
const struct cli_command receipts_verify_command = {
    .name = "receipts verify",
    .takes = "[OPTIONS]",
    .summary = "Prove that no receipt was changed or removed.",
    .help = "\n"
            "Examples:\n"
            "  ebb receipts verify\n"
            "  ebb receipts verify --key 3b6a... --head 120:9f86...\n",
    .run = verify_run,
    .groups = groups,
};
