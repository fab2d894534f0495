/* SPDX-License-Identifier: Apache-2.0
 *
 * base/ - what every other room stands on: statuses and messages, memory, text, time, locks, log,
 * metrics, signatures and injected faults. It knows nothing of registries, HTTP or SQL and depends
 * on libc, and on libcrypto for signatures, only.
 *
 * Contract of the whole tree, kept here because every file includes this one:
 *  1. A function that can fail returns `enum st` and takes `struct err *` last; see err.h.
 *  2. On failure the outputs are untouched.
 *  3. What a peer sends is never asserted. Asserts are for bugs and stay on in release builds.
 *  4. Every allocation can fail and is checked; see mem.h.
 */
#ifndef EBB_BASE_H
#define EBB_BASE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MUST_CHECK             __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

/* AUTO(fn) calls fn(&variable) when the variable leaves its scope. */
#define AUTO(fn) __attribute__((cleanup(fn)))

#define ARRAY_LEN(a)                    (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
#define MIN(a, b)                       ((a) < (b) ? (a) : (b))
#define MAX(a, b)                       ((a) > (b) ? (a) : (b))

#define KIB ((uint64_t)1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

/* Functions that invite overflows, races or locale surprises do not compile. (Their headers come
 * first, above: a declaration behind the poison would not compile either.) */
#pragma GCC poison strcpy strcat sprintf vsprintf strtok atoi atol gmtime localtime ctime asctime

#endif
