/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static int64_t now_us(clockid_t id)
{
    struct timespec t;
    (void)clock_gettime(id, &t); /* cannot fail for the clocks used here */
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

#ifdef EBB_FAULTS
/* Tests set the wall clock of one process: a file, named by EBB_FAULT_CLOCK, holds milliseconds to
 * add. Read each time, so that the clock jumps while the process runs. */
static int64_t fault_offset_ms(void)
{
    const char *path = getenv("EBB_FAULT_CLOCK");
    char text[32] = "";
    int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t n = read(fd, text, sizeof(text) - 1);
    (void)close(fd);
    return n <= 0 ? 0 : strtoll(text, NULL, 10);
}
#else
static int64_t fault_offset_ms(void)
{
    return 0;
}
#endif

int64_t clock_utc_ms(void)
{
    return now_us(CLOCK_REALTIME) / 1000 + fault_offset_ms();
}

int64_t clock_mono_ms(void)
{
    return now_us(CLOCK_MONOTONIC) / 1000;
}

int64_t clock_mono_us(void)
{
    return now_us(CLOCK_MONOTONIC);
}

int64_t clock_boot_ms(void)
{
    return now_us(CLOCK_BOOTTIME) / 1000;
}

/* The second that `utc_ms` lies in, before 1970 too, and the milliseconds into it. */
static struct tm split(int64_t utc_ms, int *ms)
{
    *ms = (int)(((utc_ms % 1000) + 1000) % 1000);
    time_t seconds = (time_t)(utc_ms / 1000 - (utc_ms % 1000 < 0));
    struct tm t = { 0 };
    (void)gmtime_r(&seconds, &t);
    return t;
}

/* The log writes the same second many times: its text is kept, by thread. */
static _Thread_local struct {
    int64_t second;
    size_t len; /* 0: nothing is kept yet */
    char text[CLOCK_RFC3339_SIZE];
} kept;

void clock_rfc3339(int64_t utc_ms, char out[static CLOCK_RFC3339_SIZE])
{
    int ms;
    int64_t second = utc_ms / 1000 - (utc_ms % 1000 < 0);
    if (kept.len == 0 || kept.second != second) {
        struct tm t = split(utc_ms, &ms);
        kept.len = strftime(kept.text, sizeof(kept.text), "%Y-%m-%dT%H:%M:%S", &t);
        kept.second = second;
    }
    ms = (int)((utc_ms % 1000 + 1000) % 1000);
    memcpy(out, kept.text, kept.len);
    const char end[] = {
        '.', (char)('0' + ms / 100), (char)('0' + ms / 10 % 10), (char)('0' + ms % 10), 'Z', '\0'
    };
    memcpy(out + kept.len, end, MIN(sizeof(end), CLOCK_RFC3339_SIZE - kept.len));
}

void clock_http_date(int64_t utc_ms, char out[static CLOCK_HTTP_DATE_SIZE])
{
    static const char days[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
    static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
    int ms;
    struct tm t = split(utc_ms, &ms);
    (void)snprintf(out, CLOCK_HTTP_DATE_SIZE, "%s, %02u %s %04u %02u:%02u:%02u GMT",
                   days[t.tm_wday % 7], (unsigned)t.tm_mday % 100, months[t.tm_mon % 12],
                   (unsigned)(t.tm_year + 1900) % 10000, (unsigned)t.tm_hour % 100,
                   (unsigned)t.tm_min % 100, (unsigned)t.tm_sec % 100);
}
