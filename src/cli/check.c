/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/check.h"

#include <inttypes.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/cli_progress.h"

const char check_help[] =
    "\n"
    "The exit status is 0 when nothing is wrong, 1 when something is or could not be\n"
    "checked, 2 when the command line is wrong. Nothing is changed without --repair.\n"
    "\n"
    "Examples:\n"
    "  ebb check /var/lib/ebb\n"
    "  ebb check --hash --rate 100MiB http://localhost:5000\n";

/* ---- options ------------------------------------------------------------------------------- */

struct check_args {
    struct cli_common common; /* who asks, of a URL */
    bool hash;
    const char *rate;
    bool quick;
    bool sparse_index;
    bool repair;
    bool yes;
    const char *output;
};

static const struct cli_flag flags[] = {
    { "hash", 0, VALUE_SET, NULL, "read all content again and compare it with its digests",
      offsetof(struct check_args, hash) },
    { "rate", 0, VALUE_TEXT, "RATE",
      "read so many bytes in a second at the most: 100MiB;\n0 for no limit. Without it: no limit "
      "for a directory,\n64MiB for a URL",
      offsetof(struct check_args, rate) },
    { "quick", 0, VALUE_SET, NULL, "hash nothing, not even what the database holds",
      offsetof(struct check_args, quick) },
    { "sparse-index", 0, VALUE_SET, NULL, "of a directory: an index may name what is not there",
      offsetof(struct check_args, sparse_index) },
    { "repair", 0, VALUE_SET, NULL,
      "mark damaged content, so that the next push heals it;\nand remove files that no row names, "
      "after asking",
      offsetof(struct check_args, repair) },
    { "yes", 'y', VALUE_SET, NULL, "with --repair: do not ask", offsetof(struct check_args, yes) },
    { "output", 'o', VALUE_TEXT, "FORM", "text (default) or json",
      offsetof(struct check_args, output) },
    { 0 },
};
const struct cli_group check_groups[] = {
    { flags, 0 },
    { CLI_ASKER_FLAGS, offsetof(struct check_args, common) },
    { 0 },
};

static bool read_rate(const char *text, uint64_t *out)
{
    static const struct {
        str unit;
        uint64_t bytes;
    } units[] = { { { "", 0 }, 1 },
                  { { "B", 1 }, 1 },
                  { { "KiB", 3 }, KIB },
                  { { "MiB", 3 }, MIB },
                  { { "GiB", 3 }, GIB } };
    str s = str_of(text);
    uint64_t number = 0;
    if (str_ends(s, STR("/s")))
        s.len -= 2;
    size_t digits = strspn(text, "0123456789");
    if (digits > s.len || !str_to_u64(str_slice(s, 0, digits), 1000000000, &number))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        if (!str_eq(str_slice(s, digits, s.len), units[i].unit))
            continue;
        if (number > ((uint64_t)1 << 50) / units[i].bytes)
            return false;
        *out = number * units[i].bytes;
        return true;
    }
    return false;
}

/* Whether files that no row names may go. */
static bool ask_for_orphans(void)
{
    char answer[16] = "";
    fputs("--repair also removes files of the store that no row of the database names. When the\n"
          "database is older than the files, such as one from a backup, they may hold what it\n"
          "has forgotten. Remove them, too? [y/N] ",
          stderr);
    (void)fflush(stderr);
    return fgets(answer, sizeof(answer), stdin) != NULL && (answer[0] == 'y' || answer[0] == 'Y');
}

static enum cli_exit check_combination(const struct cli_command *self, struct check_call *c,
                                       bool yes)
{
    if (c->hash && c->quick)
        return cli_usage(self, "--hash and --quick exclude each other");
    if (yes && !c->repair)
        return cli_usage(self, "--yes goes with --repair");
    if (c->has_rate && !c->hash)
        return cli_usage(self, "--rate goes with --hash");
    c->remote = strncmp(c->target, "http://", 7) == 0 || strncmp(c->target, "https://", 8) == 0;
    if (c->remote && c->sparse_index)
        return cli_usage(self, "--sparse-index is for a directory; a registry knows by itself");
    if (c->repair)
        c->repair_orphans = yes || (isatty(STDIN_FILENO) == 1 && ask_for_orphans());
    return CLI_DONE;
}

enum cli_exit check_call_read(const struct cli_command *self, int argc, char **argv,
                              struct check_call *out)
{
    struct check_args args = { 0 };
    char **words;
    int count;
    enum cli_exit exit = cli_read(self, argc, argv, &args, &words, &count);
    if (exit != CLI_DONE)
        return exit;
    struct check_call c = { .common = args.common,
                            .hash = args.hash,
                            .quick = args.quick,
                            .sparse_index = args.sparse_index,
                            .repair = args.repair,
                            .has_rate = args.rate != NULL,
                            .json = args.output != NULL && strcmp(args.output, "json") == 0 };
    if (args.rate != NULL && !read_rate(args.rate, &c.rate_bytes))
        return cli_usage(self, "--rate takes bytes such as 100MiB, not \"%.64s\"", args.rate);
    if (args.output != NULL && !c.json && strcmp(args.output, "text") != 0)
        return cli_usage(self, "--output is text or json, not \"%.64s\"", args.output);
    if (count != 1)
        return cli_usage(self, "takes one directory or URL");
    c.target = words[0];
    c.common.server = words[0];
    exit = check_combination(self, &c, args.yes);
    if (exit == CLI_DONE)
        *out = c;
    return exit;
}

/* ---- asking a registry --------------------------------------------------------------------- */

#define PAUSE_MS     50
#define PAUSE_MAX_MS 500

struct asking {
    const struct check_call *call;
    struct ask_server server;
    struct ask_path path; /* of the check */
    struct check_printer printer;
    struct check_summary summary;
    size_t from; /* findings read so far */
    char state[16];
    char failure[ERR_TEXT_MAX];
    uint64_t not_kept;
};

static enum st start(struct asking *a, struct err *err)
{
    AUTO(ask_answer_release) struct ask_answer answer = { 0 };
    const struct check_call *c = a->call;
    struct ask_path path = ask_path("/check");
    ask_query_number(&path, "hash", c->hash);
    ask_query_number(&path, "quick", c->quick);
    if (c->has_rate)
        ask_query_number(&path, "rate", c->rate_bytes);
    if (c->repair)
        ask_query(&path, "repair",
                  c->repair_orphans ? STR("blobs,counts,orphans") : STR("blobs,counts"));
    enum st st = ask_server_init(&a->server, &c->common, err);
    if (st == ST_OK)
        st = ask(&a->server, "POST", &path, NULL, &answer, err);
    if (st != ST_OK)
        return st;
    a->path = ask_path("/check");
    ask_path_add(&a->path, ask_text(answer.body, "id"));
    return ST_OK;
}

static void print_page(struct asking *a, const json_t *root)
{
    const json_t *list = json_object_get(root, "findings");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *f = json_array_get(list, i);
        const struct check_line line = { .code = ask_text(f, "code"),
                                         .object = ask_text(f, "object"),
                                         .detail = ask_text(f, "detail"),
                                         .meaning = ask_text(f, "meaning"),
                                         .action = ask_text(f, "action"),
                                         .wrong = json_is_true(json_object_get(f, "wrong")),
                                         .repaired = json_is_true(json_object_get(f, "repaired")) };
        check_print_finding(&a->printer, &line);
        a->from++;
    }
}

/* One look: prints what is new. *more: there is another page at once. */
static enum st look(struct asking *a, bool *more, struct err *err)
{
    AUTO(ask_answer_release) struct ask_answer answer = { 0 };
    struct ask_path path = a->path;
    ask_query_number(&path, "from", a->from);
    enum st st = ask(&a->server, "GET", &path, NULL, &answer, err);
    if (st != ST_OK)
        return st;
    const json_t *root = answer.body;
    const json_t *progress = json_object_get(root, "progress");
    const json_t *summary = json_object_get(root, "summary");
    const struct check_stage stage = { .phase = ask_text(progress, "phase"),
                                       .objects = ask_count(progress, "objects"),
                                       .bytes = ask_count(progress, "bytes"),
                                       .bytes_total = ask_count(progress, "bytes_total"),
                                       .hash_ms = (int64_t)ask_count(progress, "hash_ms") };
    print_page(a, root);
    *more = json_object_get(root, "next") != NULL;
    (void)str_copy(ask_text(root, "state"), a->state, sizeof(a->state));
    (void)str_copy(ask_text(root, "failure"), a->failure, sizeof(a->failure));
    a->not_kept = ask_count(root, "not_kept");
    for (size_t i = 0; i < CHECK_NUMBERS; i++) {
        uint64_t value = ask_count(summary, check_numbers[i].name);
        memcpy((char *)&a->summary + check_numbers[i].offset, &value, sizeof(value));
    }
    if (strcmp(a->state, "running") == 0)
        check_print_stage(&a->printer, &stage);
    return ST_OK;
}

static void tell_to_stop(struct asking *a)
{
    AUTO(ask_answer_release) struct ask_answer answer = { 0 };
    struct err err;
    if (ask(&a->server, "DELETE", &a->path, NULL, &answer, &err) != ST_OK)
        fprintf(stderr, "ebb check: the check may go on: %s\n", err.text);
}

static enum st follow(struct asking *a, struct err *err)
{
    int64_t pause = PAUSE_MS;
    bool told = false;
    bool more = true;
    enum st st = ST_OK;
    (void)str_copy(STR("running"), a->state, sizeof(a->state));
    while (st == ST_OK && (more || strcmp(a->state, "running") == 0)) {
        if (!more) {
            (void)nanosleep(&(struct timespec){ .tv_nsec = pause * 1000000 }, NULL);
            pause = MIN(pause * 2, PAUSE_MAX_MS);
        }
        if (progress_interrupted() && !told) {
            tell_to_stop(a);
            told = true;
        }
        st = look(a, &more, err);
    }
    return st;
}

enum cli_exit check_call_ask(const struct cli_command *self, const struct check_call *call)
{
    struct asking a = { .call = call };
    struct err err;
    progress_watch(); /* first: what was begun is told to stop */
    enum st st = start(&a, &err);
    if (st != ST_OK)
        return cli_fail(self, &err);
    check_print_begin(&a.printer, call);
    st = follow(&a, &err);
    check_print_end(&a.printer, st == ST_OK ? a.state : "failed", &a.summary);
    if (a.not_kept > 0)
        fprintf(stderr, "ebb check: %" PRIu64 " more findings are in the registry's log only\n",
                a.not_kept);
    if (st == ST_OK && a.failure[0] != '\0')
        st = err_set(&err, ST_IO, "%s", a.failure);
    enum cli_exit exit = cli_finish(self);
    if (st != ST_OK)
        return cli_fail(self, &err);
    if (exit == CLI_DONE && (a.summary.wrong > 0 || strcmp(a.state, "finished") != 0))
        return CLI_FAILED;
    return exit;
}
