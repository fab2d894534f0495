/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/check.h"

#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/http_client.h"

const char check_help[] =
    "\n"
    "Options:\n"
    "      --hash         read all content again and compare it with its digests\n"
    "      --rate RATE    read so many bytes in a second at the most: 100MiB; 0 for no\n"
    "                     limit. Without it: no limit for a directory, 64MiB for a URL\n"
    "      --quick        hash nothing, not even what the database holds\n"
    "      --sparse-index of a directory: an index may name what is not there\n"
    "      --repair       mark damaged content, so that the next push heals it; and\n"
    "                     remove files that no row names, after asking\n"
    "  -y, --yes          with --repair: do not ask\n"
    "  -o, --output FORM  text (default) or json\n"
    "\n"
    "The exit status is 0 when nothing is wrong, 1 when something is or could not be\n"
    "checked, 2 when the command line is wrong. Nothing is changed without --repair.\n"
    "\n"
    "Examples:\n"
    "  ebb check /var/lib/ebb\n"
    "  ebb check --hash --rate 100MiB http://localhost:5000\n";

/* ---- options ------------------------------------------------------------------------------- */

enum { OPT_HASH = 256, OPT_RATE, OPT_QUICK, OPT_SPARSE, OPT_REPAIR };
static const struct option options[] = {
    { "hash", no_argument, NULL, OPT_HASH },     { "rate", required_argument, NULL, OPT_RATE },
    { "quick", no_argument, NULL, OPT_QUICK },   { "sparse-index", no_argument, NULL, OPT_SPARSE },
    { "repair", no_argument, NULL, OPT_REPAIR }, { "yes", no_argument, NULL, 'y' },
    { "output", required_argument, NULL, 'o' },  { 0 },
};

/* cli_option() knows long options only. */
static void lengthen(int argc, char **argv)
{
    static char yes[] = "--yes";
    static char output[] = "--output";
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "-y") == 0)
            argv[i] = yes;
        else if (strcmp(argv[i], "-o") == 0)
            argv[i] = output;
    }
}

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
    struct check_call c = { 0 };
    bool yes = false;
    int found;
    lengthen(argc, argv);
    cli_options_begin();
    while ((found = cli_option(self, argc, argv, options)) != -1) {
        switch (found) {
        case OPT_HASH:
            c.hash = true;
            break;
        case OPT_RATE:
            c.has_rate = true;
            if (!read_rate(optarg, &c.rate_bytes))
                return cli_usage(self, "--rate takes bytes such as 100MiB, not \"%.64s\"", optarg);
            break;
        case OPT_QUICK:
            c.quick = true;
            break;
        case OPT_SPARSE:
            c.sparse_index = true;
            break;
        case OPT_REPAIR:
            c.repair = true;
            break;
        case 'y':
            yes = true;
            break;
        case 'o':
            c.json = strcmp(optarg, "json") == 0;
            if (!c.json && strcmp(optarg, "text") != 0)
                return cli_usage(self, "--output is text or json, not \"%.64s\"", optarg);
            break;
        default:
            return CLI_USAGE;
        }
    }
    if (argc - optind != 1)
        return cli_usage(self, "takes one directory or URL");
    c.target = argv[optind];
    enum cli_exit exit = check_combination(self, &c, yes);
    if (exit == CLI_DONE)
        *out = c;
    return exit;
}

/* ---- signals ------------------------------------------------------------------------------- */

static volatile sig_atomic_t interrupted;

static void note_signal(int number)
{
    (void)number;
    interrupted = 1;
}

void check_watch_signals(void)
{
    const struct sigaction action = { .sa_handler = note_signal, .sa_flags = (int)SA_RESETHAND };
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

bool check_interrupted(void)
{
    return interrupted != 0;
}

/* ---- asking a registry --------------------------------------------------------------------- */

#define ANSWER_MAX_BYTES ((size_t)(16 * MIB))
#define PAUSE_MS         50
#define PAUSE_MAX_MS     500

struct asking {
    const struct check_call *call;
    char base[1024]; /* "http://host:port" */
    char path[1024]; /* of the check */
    struct check_printer printer;
    struct check_summary summary;
    size_t from; /* findings read so far */
    char state[16];
    char failure[ERR_TEXT_MAX];
    uint64_t not_kept;
};

static str text_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_string(value) ? (str){ json_string_value(value), json_string_length(value) }
                                 : STR("");
}

static uint64_t count_of(const json_t *object, const char *key)
{
    json_int_t value = json_integer_value(json_object_get(object, key));
    return value < 0 ? 0 : (uint64_t)value;
}

/* The sentence of an error answer. */
static enum st refused(const struct http_reply *r, const char *url, struct err *err)
{
    json_t *root = json_loadb(r->body.ptr == NULL ? "" : r->body.ptr, r->body.len, 0, NULL);
    str text = text_of(root, "detail");
    (void)err_set(err, r->code == 409 ? ST_BUSY : ST_INVALID, "%s answers %d: %.*s", url, r->code,
                  STR_FMT(text.len > 0 ? text : STR("this is no registry that can be asked")));
    json_decref(root);
    return err->st;
}

static enum st ask(const char *method, const char *url, int want, struct http_reply *out,
                   struct err *err)
{
    const struct http_ask question = { .method = method,
                                       .url = url,
                                       .answer_max_bytes = ANSWER_MAX_BYTES };
    enum st st = http_client_ask(&question, out, err);
    if (st != ST_OK || out->code == want)
        return st;
    st = refused(out, url, err);
    http_reply_release(out);
    return st;
}

static enum st start(struct asking *a, struct err *err)
{
    AUTO(http_reply_release) struct http_reply reply = { 0 };
    const struct check_call *c = a->call;
    char url[2048];
    char rate[48] = "";
    str base = str_of(c->target);
    while (str_ends(base, STR("/")))
        base.len--;
    if (!str_copy(base, a->base, sizeof(a->base)))
        return err_set(err, ST_INVALID, "the URL is too long");
    if (c->has_rate)
        (void)snprintf(rate, sizeof(rate), "&rate=%" PRIu64, c->rate_bytes);
    (void)snprintf(url, sizeof(url), "%s/api/ebb/v1/check?hash=%d&quick=%d%s%s", a->base, c->hash,
                   c->quick, rate,
                   !c->repair          ? ""
                   : c->repair_orphans ? "&repair=blobs,counts,orphans"
                                       : "&repair=blobs,counts");
    enum st st = ask("POST", url, 202, &reply, err);
    if (st != ST_OK)
        return st;
    if (reply.location[0] != '/' || !str_copy(str_of(reply.location), a->path, sizeof(a->path)))
        return err_set(err, ST_INVALID, "%s does not say where its check can be followed", a->base);
    return ST_OK;
}

static void print_page(struct asking *a, const json_t *root)
{
    const json_t *list = json_object_get(root, "findings");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *f = json_array_get(list, i);
        const struct check_line line = { .code = text_of(f, "code"),
                                         .object = text_of(f, "object"),
                                         .detail = text_of(f, "detail"),
                                         .meaning = text_of(f, "meaning"),
                                         .action = text_of(f, "action"),
                                         .wrong = json_is_true(json_object_get(f, "wrong")),
                                         .repaired = json_is_true(json_object_get(f, "repaired")) };
        check_print_finding(&a->printer, &line);
        a->from++;
    }
}

/* One look: prints what is new. *more: there is another page at once. */
static enum st look(struct asking *a, bool *more, struct err *err)
{
    AUTO(http_reply_release) struct http_reply reply = { 0 };
    char url[2200];
    (void)snprintf(url, sizeof(url), "%s%s?from=%zu", a->base, a->path, a->from);
    enum st st = ask("GET", url, 200, &reply, err);
    if (st != ST_OK)
        return st;
    json_t *root =
        json_loadb(reply.body.ptr == NULL ? "" : reply.body.ptr, reply.body.len, 0, NULL);
    if (!json_is_object(root)) {
        json_decref(root);
        return err_set(err, ST_INVALID, "%s answers what is no report of a check", url);
    }
    const json_t *progress = json_object_get(root, "progress");
    const json_t *summary = json_object_get(root, "summary");
    const struct check_stage stage = { .phase = text_of(progress, "phase"),
                                       .objects = count_of(progress, "objects"),
                                       .bytes = count_of(progress, "bytes"),
                                       .bytes_total = count_of(progress, "bytes_total"),
                                       .hash_ms = (int64_t)count_of(progress, "hash_ms") };
    print_page(a, root);
    *more = json_object_get(root, "next") != NULL;
    (void)str_copy(text_of(root, "state"), a->state, sizeof(a->state));
    (void)str_copy(text_of(root, "failure"), a->failure, sizeof(a->failure));
    a->not_kept = count_of(root, "not_kept");
    for (size_t i = 0; i < CHECK_NUMBERS; i++) {
        uint64_t value = count_of(summary, check_numbers[i].name);
        memcpy((char *)&a->summary + check_numbers[i].offset, &value, sizeof(value));
    }
    if (strcmp(a->state, "running") == 0)
        check_print_stage(&a->printer, &stage);
    json_decref(root);
    return ST_OK;
}

static void tell_to_stop(struct asking *a)
{
    struct http_reply reply = { 0 };
    struct err err;
    char url[2200];
    (void)snprintf(url, sizeof(url), "%s%s", a->base, a->path);
    if (ask("DELETE", url, 202, &reply, &err) != ST_OK)
        fprintf(stderr, "ebb check: the check may go on: %s\n", err.text);
    http_reply_release(&reply);
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
        if (check_interrupted() && !told) {
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
    enum st st = start(&a, &err);
    if (st != ST_OK)
        return cli_fail(self, &err);
    check_watch_signals();
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
