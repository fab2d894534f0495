/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli_secret.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include "base/file.h"

/* ---- a terminal without echo ----------------------------------------------------------------- */

static int hidden_fd = -1; /* the terminal that `shown` is of; -1: none */
static struct termios shown;

static void show_again(void)
{
    if (hidden_fd >= 0)
        (void)tcsetattr(hidden_fd, TCSADRAIN, &shown);
}

/* The action is the default one by now (SA_RESETHAND), so raising it again ends the program. */
static void end_by_signal(int number)
{
    show_again();
    (void)raise(number);
}

static const int ends[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };

/* False when it is no terminal. Ctrl-Z is held back until show(): a shell would go on without
 * echo. */
static bool hide(int fd, struct sigaction before[static ARRAY_LEN(ends)], sigset_t *mask)
{
    const struct sigaction action = { .sa_handler = end_by_signal, .sa_flags = (int)SA_RESETHAND };
    sigset_t stop;
    if (tcgetattr(fd, &shown) != 0)
        return false;
    struct termios quiet = shown;
    quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK);
    quiet.c_lflag |= ECHONL;
    (void)sigemptyset(&stop);
    (void)sigaddset(&stop, SIGTSTP);
    (void)sigprocmask(SIG_BLOCK, &stop, mask);
    hidden_fd = fd;
    for (size_t i = 0; i < ARRAY_LEN(ends); i++)
        (void)sigaction(ends[i], &action, &before[i]);
    if (tcsetattr(fd, TCSAFLUSH, &quiet) == 0)
        return true;
    hidden_fd = -1;
    (void)sigprocmask(SIG_SETMASK, mask, NULL);
    return false;
}

static void show(const struct sigaction before[static ARRAY_LEN(ends)], const sigset_t *mask)
{
    show_again();
    hidden_fd = -1;
    for (size_t i = 0; i < ARRAY_LEN(ends); i++)
        (void)sigaction(ends[i], &before[i], NULL);
    (void)sigprocmask(SIG_SETMASK, mask, NULL);
}

/* ---- lines ----------------------------------------------------------------------------------- */

/* Without stdio, which would keep a copy. ST_END: it ended without a line. */
static enum st read_line(int fd, const char *what, char *out, size_t size, struct err *err)
{
    size_t len = 0;
    for (;;) {
        char c;
        ssize_t n = read(fd, &c, 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(err, "%s", what);
        if (n == 0 && len == 0)
            return ST_END;
        if (n == 0 || c == '\n')
            break;
        if (c == '\0')
            return err_set(err, ST_INVALID, "%s: a zero byte is no part of a text", what);
        if (len + 1 == size)
            return err_set(err, ST_TOO_LARGE, "%s: more than %zu bytes", what, size - 1);
        out[len++] = c;
    }
    if (len > 0 && out[len - 1] == '\r')
        len--;
    out[len] = '\0';
    return ST_OK;
}

static enum st ask_terminal(const char *question, bool hidden, char *out, size_t size,
                            struct err *err)
{
    struct sigaction before[ARRAY_LEN(ends)];
    sigset_t mask;
    AUTO(file_close_auto) int fd = open("/dev/tty", O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return err_set(err, ST_NOT_FOUND, "there is no terminal to ask on");
    if (hidden && !hide(fd, before, &mask))
        return err_set(err, ST_NOT_FOUND, "there is no terminal to ask on");
    (void)fflush(stdout);
    (void)dprintf(fd, "%s ", question);
    enum st st = read_line(fd, "the terminal", out, size, err);
    if (hidden)
        show(before, &mask);
    return st == ST_END ? err_set(err, ST_NOT_FOUND, "there was no answer") : st;
}

enum st secret_ask(const char *question, char *out, size_t size, struct err *err)
{
    return ask_terminal(question, true, out, size, err);
}

enum st secret_ask_name(const char *question, char *out, size_t size, struct err *err)
{
    return ask_terminal(question, false, out, size, err);
}

enum st secret_from_input(char *out, size_t size, struct err *err)
{
    enum st st = read_line(STDIN_FILENO, "standard input", out, size, err);
    if (st == ST_END || (st == ST_OK && out[0] == '\0'))
        return err_set(err, ST_INVALID, "standard input holds no password");
    return st;
}
