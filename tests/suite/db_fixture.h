/* SPDX-License-Identifier: Apache-2.0
 *
 * What the suites of db/ share: a directory for a test, a small schema, functions that use it.
 */
#ifndef EBB_DB_FIXTURE_H
#define EBB_DB_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "db/db.h"

/* item(id, name unique, note), and part(item -> item) that must name one by the end. */
extern const struct db_migration fixture_schema[];
#define FIXTURE_STEPS 2

struct fixture {
    char dir[128];
    char path[160]; /* of the database in it */
    struct db *db;
};

void fixture_make(struct fixture *f);                            /* the directory alone */
void fixture_remove(struct fixture *f);                          /* closes what is open */
void fixture_open(struct fixture *f, struct db_options options); /* .path is set here */
void fixture_close(struct fixture *f);

/* A function's context: what it is given, what it found, how often it ran. */
struct item {
    const char *name;
    int64_t number; /* number written, or found */
    enum st fail;   /* after its work it returns this */
    unsigned runs;
};

enum st item_add(struct db_tx *tx, void *ctx, struct err *err);   /* (name, number) */
enum st item_find(struct db_tx *tx, void *ctx, struct err *err);  /* number of name */
enum st item_count(struct db_tx *tx, void *ctx, struct err *err); /* into number */
/* Waits until `count` functions are queued behind the one that runs. */
void fixture_wait_queued(struct fixture *f, size_t count);
int64_t fixture_count(struct fixture *f);
void fixture_add(struct fixture *f, const char *name, int64_t number);

#endif
