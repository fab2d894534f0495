/* SPDX-License-Identifier: Apache-2.0
 *
 * cli_table - prints what the API answers in one of three forms:
 *
 *     table   for people: aligned, rounded sizes, short digests; made fit for a terminal
 *             (cli_text.h)
 *     json    the API's own objects: {"items": [...]} for a list
 *     tsv     for scripts: no titles, tabs between raw values, nothing for null; bytes that would
 *             break a line are shown as \x09
 *
 * A table is aligned in stretches of TABLE_ROWS, so its memory has a bound.
 */
#ifndef EBB_CLI_TABLE_H
#define EBB_CLI_TABLE_H

#include "cli/cli_ask.h"

enum table_kind {
    TABLE_TEXT,
    TABLE_COUNT,
    TABLE_BYTES,
    TABLE_TIME,
    TABLE_DIGEST,
    TABLE_SIZE, /* TABLE_BYTES that does not stand in the object of table_object()'s table when 0 */
};

struct table_column {
    const char *title; /* NULL ends a table */
    const char *key;
    enum table_kind kind;
    /* Instead of the value at `key`; or NULL. */
    void (*text)(const json_t *item, enum cli_form form, struct buf *out);
};

#define TABLE_COLUMNS_MAX 16
#define TABLE_ROWS        500

struct table {
    enum cli_form form;
    const struct table_column *columns;
    FILE *out;
    size_t count; /* of columns */
    struct buf cells;
    size_t ends[TABLE_ROWS * TABLE_COLUMNS_MAX];
    size_t rows; /* that wait in `cells` */
    size_t widths[TABLE_COLUMNS_MAX];
    uint64_t total;
    bool titled;
};

/* One value, as a column shows it. */
void table_cell(const json_t *item, const struct table_column *c, enum cli_form form,
                struct buf *out);

/* Set up once, a table of 64 KiB: keep it static or on the heap. */
void table_begin(struct table *t, enum cli_form form, const struct table_column *columns);
/* An ask_item_fn with the table as its ctx. */
enum st table_row(const json_t *item, void *table, struct err *err);
/* `empty`: the line to print instead of a table without rows; or NULL. */
void table_end(struct table *t, const char *empty);
/* One object: as `title: value` lines, JSON, or one line of tsv. */
void table_object(enum cli_form form, const struct table_column *columns, const json_t *object);
void table_json(const json_t *object); /* with its newline, to standard output */

#endif
