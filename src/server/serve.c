/* SPDX-License-Identifier: Apache-2.0
 *
 * `ebb serve` - starts the registry and waits for signals.
 *
 *             SIGHUP: TLS files
 *               ┌──┐
 *   starting ─▶ serving ──SIGTERM, SIGINT──▶ stopping ──▶ exit 0
 *                                               │
 *                                               └──SIGTERM, SIGINT──▶ exit 1, at once
 *
 * The signals are blocked before any thread exists, and taken by the main thread; while that stops
 * the server, by a thread made for it. One that arrives while the registry is starting waits.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "server/commands.h"
#include "server/config_options.h"
#include "server/listen.h"
#include "server/server.h"

#define FLUSH_MS 200 /* how long the log may keep a line (log.h, 2) */

const char serve_help[] =
    "\n"
    "Options:\n" CONFIG_OPTIONS_HELP "\n"
    "SIGTERM and SIGINT stop it when running requests have ended, a second one\n"
    "stops it at once; SIGHUP reads the TLS certificate and key again.\n"
    "\n"
    "Examples:\n"
    "  ebb serve\n"
    "  ebb serve --config /etc/ebb/ebb.yml --set reclaim.grace=2h\n"
    "  ebb serve --listen 0.0.0.0:5000 --set auth.mode=accounts --data /srv/ebb\n";

/* Started by nohup(1): the terminal may go. Set before any thread exists. */
static bool nohup;

static void fill_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGHUP);
}

/* Waits; lines of the log do not wait with it. A terminal that goes away ends what runs on it: the
 * kernel's SIGHUP is a SIGTERM, a person's is not. */
static int next_signal(void)
{
    sigset_t set;
    siginfo_t info;
    fill_signals(&set);
    for (;;) {
        const struct timespec pause = { .tv_nsec = FLUSH_MS * 1000000L };
        int number = sigtimedwait(&set, &info, &pause);
        if (number == SIGHUP && info.si_code == SI_KERNEL)
            return nohup ? SIGHUP : SIGTERM;
        if (number > 0)
            return number;
        log_flush();
    }
}

static void *leave_at_second(void *unused)
{
    (void)unused;
    while (next_signal() == SIGHUP)
        continue;
    log_event(LOG_WARN, "stopped at once", LOG_STR("reason", STR("told twice")));
    log_flush();
    _exit(CLI_FAILED);
}

static void reload_tls(const struct config *c, struct server *s)
{
    struct err err;
    if (c->tls_cert == NULL)
        log_event(LOG_INFO, "nothing to reload", LOG_STR("reason", STR("TLS is not configured")));
    else if (server_reload_tls(s, &err) != ST_OK)
        log_failure("TLS not reloaded, the old certificate stays", &err);
    else
        log_event(LOG_INFO, "TLS reloaded", LOG_STR("cert", str_of(c->tls_cert)));
}

static void serve_until_told(const struct config *c, struct server *s)
{
    int number;
    while ((number = next_signal()) == SIGHUP)
        reload_tls(c, s);
    log_event(LOG_INFO, "stopping", LOG_STR("signal", str_of(strsignal(number))),
              LOG_INT("timeout_ms", c->http_stop_timeout_ms));
    log_flush();
    pthread_t thread;
    if (pthread_create(&thread, NULL, leave_at_second, NULL) == 0)
        pthread_detach(thread); /* without it, a second signal is not heard: kill -9 is */
}

/* What a client on this machine calls the registry. */
static str push_host(str address, char *out, size_t size)
{
    str host = address;
    str port = STR("");
    (void)str_cut_last(address, ':', &host, &port);
    bool here = str_starts(host, STR("127.")) || str_eq(host, STR("[::1]")) ||
                str_eq(host, STR("0.0.0.0")) || str_eq(host, STR("[::]"));
    if (here) /* clients allow plain HTTP to localhost */
        (void)snprintf(out, size, "localhost:%.*s", STR_FMT(port));
    else
        (void)snprintf(out, size, "%.*s", STR_FMT(address));
    return str_of(out);
}

static void greet(const struct config *c, const struct server *s)
{
    char host[320];
    const char *scheme = c->tls_cert == NULL ? "http" : "https";
    bool person = c->log_format != LOG_JSON && isatty(STDERR_FILENO) == 1;
    (void)push_host(server_address(s, 0), host, sizeof(host));
    if (person)
        fprintf(stderr, "Ebb %s\n", cli_version);
    for (size_t i = 0; i < c->listen.count; i++) {
        str address = server_address(s, i);
        if (person)
            fprintf(stderr, "  listens on  %s://%.*s\n", scheme, STR_FMT(address));
        else
            log_event(LOG_INFO, "listening", LOG_STR("address", address),
                      LOG_STR("scheme", str_of(scheme)));
    }
    if (person)
        fprintf(stderr,
                "  data in     %s\n"
                "  push with   docker tag IMAGE %s/IMAGE && docker push %s/IMAGE\n"
                "  stop with   Ctrl-C\n\n",
                c->data, host, host);
    else
        log_event(LOG_INFO, "started", LOG_STR("version", str_of(cli_version)),
                  LOG_STR("data", str_of(c->data)), LOG_STR("push", str_of(host)),
                  LOG_INT("pid", getpid()));
    log_flush();
}

/* An open registry beyond this machine is a choice; it is said each time. With accounts any address
 * will do. */
static enum st check_listen(const struct config *c, struct err *err)
{
    if (c->auth_mode == CONFIG_AUTH_MODE_ACCOUNTS)
        return ST_OK;
    for (size_t i = 0; i < c->listen.count; i++) {
        enum st st = listen_check_loopback(c->listen.items[i], err);
        if (st == ST_OK)
            continue;
        if (st != ST_DENIED || !c->open)
            return st;
        log_event(LOG_WARN, "open: anyone who reaches this address may push, pull and delete",
                  LOG_STR("address", str_of(c->listen.items[i])));
    }
    return ST_OK;
}

static enum st serve(const struct config *c, struct err *err)
{
    sigset_t set;
    struct sigaction hangup;
    fill_signals(&set);
    if (sigaction(SIGHUP, NULL, &hangup) < 0)
        return err_sys(err, "signals");
    nohup = hangup.sa_handler == SIG_IGN;
    if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR)
        return err_sys(err, "signals");
    log_setup(STDERR_FILENO, (enum log_format)c->log_format, (enum log_level)c->log_level);
    enum st st = check_listen(c, err);
    if (st != ST_OK)
        return st;
    struct server *s = NULL;
    st = server_start(c, &s, err);
    if (st != ST_OK)
        return st;
    greet(c, s);
    serve_until_told(c, s);
    server_stop(s);
    log_fields(LOG_INFO, "stopped", NULL, 0);
    return ST_OK;
}

enum cli_exit serve_run(const struct cli_command *self, int argc, char **argv)
{
    struct config c;
    struct err err;
    enum cli_exit exit = config_options_load(self, argc, argv, false, &c);
    if (exit == CLI_DONE) {
        enum st st = serve(&c, &err);
        log_flush();
        if (st != ST_OK)
            exit = cli_fail(self, &err);
    }
    config_release(&c);
    return exit;
}
