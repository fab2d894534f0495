/* SPDX-License-Identifier: Apache-2.0
 *
 * Brings a schema up, one step after the other. The version stored with the schema is that of the
 * last step applied, and is set in the step's own transaction: a crash or a failure leaves the
 * schema at the end of a step, and the next start goes on from there.
 */
#include "db/db_int.h"

enum st db_migrate(struct db *db, const struct db_migration *steps, size_t count, struct err *err)
{
    for (size_t i = 0; i < count; i++)
        assert(steps[i].version == (int)i + 1);
    struct db_conn *conn;
    enum st st = db->ops->connect(db, true, &conn, err);
    if (st != ST_OK)
        return st;
    int version = 0;
    st = db->ops->schema_version(conn, &version, err);
    if (st == ST_OK && (version < 0 || (size_t)version > count))
        st = err_set(err, ST_UNSUPPORTED,
                     "the database has schema version %d, this program knows versions up to %zu: "
                     "use the program that wrote it or a newer one",
                     version, count);
    if (st == ST_OK && (size_t)version < count && db->options.read_only)
        st = err_set(err, ST_UNSUPPORTED,
                     "the database has schema version %d, not %zu: start the registry once, which "
                     "brings it up",
                     version, count);
    for (size_t i = (size_t)version; st == ST_OK && i < count; i++) {
        struct err why;
        st = db->ops->migrate(conn, steps[i].sql, steps[i].version, &why);
        if (st != ST_OK)
            st = err_set(err, st, "schema step %d: %s", steps[i].version, why.text);
    }
    db->ops->disconnect(conn);
    return st;
}
