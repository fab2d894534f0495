/* SPDX-License-Identifier: Apache-2.0
 *
 * Prepared statements of a SQLite connection. Threads: those of the connection, one at a time.
 */
#ifndef EBB_DB_STATEMENT_H
#define EBB_DB_STATEMENT_H

#include "db/db_sqlite.h"

/* From the cache or new. `sql` is a constant: its address is the key. */
MUST_CHECK enum st db_statement_get(struct db_conn *conn, const char *sql, struct db_stmt **out,
                                    struct err *err);
void db_statement_finish(struct db_stmt *stmt);
MUST_CHECK enum st db_statement_bind(struct db_stmt *stmt, const struct db_arg *args, size_t n,
                                     bool keep, struct err *err);
/* As db_next(). After a failure or the end it stays there until it is finished. */
MUST_CHECK enum st db_statement_step(struct db_stmt *stmt, struct err *err);
struct db_arg db_statement_column(const struct db_stmt *stmt, int column, bool as_number);
void db_statement_free_all(struct db_conn *conn); /* none is in use */

#endif
