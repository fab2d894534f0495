/* SPDX-License-Identifier: Apache-2.0
 *
 * clock - time, in milliseconds as int64_t.
 *
 * Wall time ("utc", since 1970) goes into rows and answers; monotonic time ("mono") measures and
 * sets deadlines; boot time is monotonic and goes on while the machine sleeps. Code whose decisions
 * depend on the time takes `now` as a parameter, so tests and the simulator drive it; only edges
 * call these.
 */
#ifndef EBB_CLOCK_H
#define EBB_CLOCK_H

#include "base/str.h"

#define CLOCK_SECOND_MS ((int64_t)1000)
#define CLOCK_MINUTE_MS (60 * CLOCK_SECOND_MS)
#define CLOCK_HOUR_MS   (60 * CLOCK_MINUTE_MS)
#define CLOCK_DAY_MS    (24 * CLOCK_HOUR_MS)

int64_t clock_utc_ms(void);
int64_t clock_mono_ms(void);
int64_t clock_mono_us(void);
int64_t clock_boot_ms(void);

#define CLOCK_RFC3339_SIZE   32
#define CLOCK_HTTP_DATE_SIZE 32
/* "2026-11-21T09:15:00.123Z" */
void clock_rfc3339(int64_t utc_ms, char out[static CLOCK_RFC3339_SIZE]);
/* "Sat, 21 Nov 2026 09:15:00 GMT" (RFC 9110, 5.6.7) */
void clock_http_date(int64_t utc_ms, char out[static CLOCK_HTTP_DATE_SIZE]);

#endif
