/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/lock.h"

#define GATHER_BYTES (64 * KIB)
#define GATHER_MS    200
#define LINE_BYTES   1024

static struct {
    struct lock lock;
    pthread_once_t once;
    struct buf lines;
    int64_t oldest_mono_ms; /* of the gathered lines */
    int fd;
    atomic_bool json;
    atomic_bool color;
    _Atomic int least;
    int64_t lost;   /* lines, since this was last said */
    int64_t saying; /* as the line "log lines lost" among the gathered ones says; 0 without one */
} logger = { .once = PTHREAD_ONCE_INIT, .fd = STDERR_FILENO, .json = true, .least = LOG_INFO };

static void make_lock(void)
{
    lock_init(&logger.lock, LOCK_LOG);
    logger.lines.max_bytes = 4 * GATHER_BYTES;
}

static const char *level_text(enum log_level level)
{
    static const char *const texts[] = { "debug", "info", "warn", "error" };
    return texts[level];
}

static void write_gathered(void)
{
    size_t done = 0;
    while (done < logger.lines.len) {
        ssize_t n = write(logger.fd, logger.lines.ptr + done, logger.lines.len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break; /* gone, or a full pipe that does not block */
        done += (size_t)n;
    }
    if (done < logger.lines.len) { /* the line that counts is no loss, what it counted is */
        logger.lost += logger.saying - (logger.saying > 0);
        for (size_t i = done; i < logger.lines.len; i++)
            logger.lost += logger.lines.ptr[i] == '\n';
    }
    logger.saying = 0;
    buf_clear(&logger.lines);
}

static void add_json(struct buf *b, enum log_level level, const char *when, const char *message,
                     const struct log_field *fields, size_t n)
{
    /* No printf here: this runs for every request. */
    buf_add(b, STR("{\"time\":\""));
    buf_add(b, str_of(when));
    buf_add(b, STR("\",\"level\":\""));
    buf_add(b, str_of(level_text(level)));
    buf_add(b, STR("\",\"message\":"));
    json_add_string(b, str_of(message));
    for (size_t i = 0; i < n; i++) {
        if (fields[i].key == NULL)
            continue;
        buf_add(b, STR(",\""));
        buf_add(b, str_of(fields[i].key));
        buf_add(b, STR("\":"));
        if (fields[i].text.ptr != NULL)
            json_add_string(b, fields[i].text);
        else
            buf_add_number(b, fields[i].number);
    }
    buf_add(b, STR("}\n"));
}

static bool needs_quotes(str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c <= ' ' || c == '"' || c == '=' || c >= 0x7f)
            return true;
    }
    return s.len == 0;
}

static void add_text(struct buf *b, enum log_level level, const char *when, const char *message,
                     const struct log_field *fields, size_t n)
{
    static const char *const colors[] = { "\033[2m", "", "\033[33m", "\033[31m" };
    const char *color = logger.color ? colors[level] : "";
    buf_printf(b, "%.12s %s%-5s %s%s", when + 11, color, level_text(level), message,
               color[0] == '\0' ? "" : "\033[0m");
    for (size_t i = 0; i < n; i++) {
        if (fields[i].key == NULL)
            continue;
        buf_printf(b, " %s=", fields[i].key);
        if (fields[i].text.ptr == NULL)
            buf_printf(b, "%lld", (long long)fields[i].number);
        else if (needs_quotes(fields[i].text))
            json_add_string(b, fields[i].text);
        else
            buf_add(b, fields[i].text);
    }
    buf_add_byte(b, '\n');
}

static void format(struct buf *b, enum log_level level, const char *when, const char *message,
                   const struct log_field *fields, size_t n)
{
    if (atomic_load_explicit(&logger.json, memory_order_relaxed))
        add_json(b, level, when, message, fields, n);
    else
        add_text(b, level, when, message, fields, n);
}

/* False when there is no room for the line: it is lost, the others are not. */
static bool add_line(enum log_level level, const char *when, const char *message,
                     const struct log_field *fields, size_t n)
{
    size_t before = logger.lines.len;
    format(&logger.lines, level, when, message, fields, n);
    if (logger.lines.failed == ST_OK)
        return true;
    logger.lines.len = before;
    logger.lines.failed = ST_OK;
    return false;
}

/* The same for a line that was formatted before. */
static bool add_ready(str line)
{
    buf_add(&logger.lines, line);
    if (logger.lines.failed == ST_OK)
        return true;
    logger.lines.failed = ST_OK;
    return false;
}

bool log_wants(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&logger.least, memory_order_relaxed);
}

void log_fields(enum log_level level, const char *message, const struct log_field *fields, size_t n)
{
    if (!log_wants(level))
        return;
    char when[CLOCK_RFC3339_SIZE];
    clock_rfc3339(clock_utc_ms(), when);
    int64_t now = clock_mono_ms();
    /* Made before the lock is taken, for which event loops would wait; a longer line is made under
     * it. */
    char small[LINE_BYTES];
    struct buf ready = { .ptr = small, .size = sizeof(small) - 1, .max_bytes = sizeof(small) - 1 };
    format(&ready, level, when, message, fields, n);

    pthread_once(&logger.once, make_lock);
    LOCK_SCOPE(&logger.lock);
    if (logger.lines.len == 0)
        logger.oldest_mono_ms = now;
    if (logger.lost > 0) {
        struct log_field count = LOG_INT("count", logger.lost);
        if (add_line(LOG_WARN, when, "log lines lost", &count, 1)) {
            logger.saying += logger.lost;
            logger.lost = 0;
        }
    }
    if (ready.failed == ST_OK ? !add_ready(buf_str(&ready))
                              : !add_line(level, when, message, fields, n))
        logger.lost++;
    if (level >= LOG_WARN || logger.lines.len >= GATHER_BYTES ||
        now - logger.oldest_mono_ms >= GATHER_MS)
        write_gathered();
}

void log_failure(const char *message, const struct err *err)
{
    log_event(LOG_ERROR, message, LOG_STR("error", str_of(err->text)),
              LOG_STR("status", str_of(st_text(err->st))));
}

void log_setup(int fd, enum log_format format, enum log_level least)
{
    pthread_once(&logger.once, make_lock);
    LOCK_SCOPE(&logger.lock);
    write_gathered();
    logger.fd = fd;
    bool terminal = isatty(fd) == 1;
    logger.json = format == LOG_JSON || (format == LOG_AUTO && !terminal);
    logger.color = terminal;
    atomic_store(&logger.least, (int)least);
}

void log_flush(void)
{
    pthread_once(&logger.once, make_lock);
    LOCK_SCOPE(&logger.lock);
    write_gathered();
}
