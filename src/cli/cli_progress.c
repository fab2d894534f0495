/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli_progress.h"

#include <signal.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/cli_text.h"

#define DRAW_MS      100
#define LINE_MS      10000
#define BAR_WIDTH    30
#define PAUSE_MAX_MS 500

void progress_begin(struct progress *p, const char *what)
{
    *p = (struct progress){ .what = what,
                            .terminal = isatty(STDERR_FILENO) == 1,
                            .started_ms = clock_mono_ms() };
    p->shown_ms = p->started_ms;
}

static void format_left(const struct progress *p, uint64_t done, uint64_t total, char out[32])
{
    int64_t passed = clock_mono_ms() - p->started_ms;
    out[0] = '\0';
    if (done == 0 || passed < CLOCK_SECOND_MS)
        return;
    double seconds = MIN((double)passed / 1000.0 * (double)(total - done) / (double)done, 9e8);
    (void)snprintf(out, 32, ", %lld:%02lld left", (long long)seconds / 60, (long long)seconds % 60);
}

void progress_show(struct progress *p, uint64_t done, uint64_t total, const char *detail)
{
    char bar[BAR_WIDTH + 1];
    char numbers[2][TEXT_COUNT_MAX];
    char left[32];
    int64_t now = clock_mono_ms();
    if (now - p->shown_ms < (p->terminal ? DRAW_MS : LINE_MS))
        return;
    p->shown_ms = now;
    total = MAX(total, done);
    size_t full = total == 0 ? 0 : (size_t)((double)done / (double)total * BAR_WIDTH);
    for (size_t i = 0; i < BAR_WIDTH; i++)
        bar[i] = i < full ? '#' : '.';
    bar[BAR_WIDTH] = '\0';
    format_left(p, done, total, left);
    (void)text_count(done, numbers[0]);
    (void)text_count(total, numbers[1]);
    if (p->terminal)
        fprintf(stderr, "\r\033[K%s [%s] %s of %s%s%s", p->what, bar, numbers[0], numbers[1], left,
                detail);
    else
        fprintf(stderr, "ebb: %s: %s of %s%s%s\n", p->what, numbers[0], numbers[1], left, detail);
    (void)fflush(stderr);
    p->drawn = p->terminal;
}

void progress_end(struct progress *p)
{
    if (p->drawn)
        fputs("\r\033[K", stderr);
    p->drawn = false;
}

/* ---- signals --------------------------------------------------------------------------------- */

static volatile sig_atomic_t interrupted;

static void note_signal(int number)
{
    (void)number;
    interrupted = 1;
}

void progress_watch(void)
{
    const struct sigaction action = { .sa_handler = note_signal, .sa_flags = (int)SA_RESETHAND };
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

bool progress_interrupted(void)
{
    return interrupted != 0;
}

void progress_pause(int64_t *ms)
{
    const struct timespec pause = { .tv_sec = 0, .tv_nsec = *ms * 1000000 };
    (void)nanosleep(&pause, NULL);
    *ms = MIN(*ms * 2, PAUSE_MAX_MS);
}

/* ---- receipts -------------------------------------------------------------------------------- */

static bool is_open(const json_t *receipt)
{
    return str_eq(ask_text(receipt, "state"), STR("open"));
}

enum st progress_receipt(const struct ask_server *s, const char *what, json_t **receipt,
                         struct err *err)
{
    struct progress p;
    int64_t pause = 20;
    enum st st = ST_OK;
    uint64_t id = ask_count(*receipt, "receipt");
    progress_begin(&p, what);
    progress_watch();
    while (st == ST_OK && is_open(*receipt)) {
        AUTO(ask_answer_release) struct ask_answer answer = { 0 };
        struct ask_path path = ask_path("/receipts");
        char number[32];
        const json_t *at = json_object_get(*receipt, "progress");
        progress_show(&p, ask_count(at, "done"), ask_count(at, "total"), "");
        progress_pause(&pause);
        if (progress_interrupted()) {
            st = err_set(err, ST_STOPPING,
                         "not waited for: it goes on at the registry. `ebb receipt %llu` shows how "
                         "far it is",
                         (unsigned long long)id);
            break;
        }
        (void)snprintf(number, sizeof(number), "%llu", (unsigned long long)id);
        ask_path_add(&path, str_of(number));
        st = ask(s, "GET", &path, NULL, &answer, err);
        if (st != ST_OK) {
            (void)err_wrap(err, "receipt %llu goes on at the registry", (unsigned long long)id);
        } else {
            json_decref(*receipt);
            *receipt = json_incref(answer.body);
        }
    }
    progress_end(&p);
    return st;
}
