/* SPDX-License-Identifier: Apache-2.0
 *
 * htpasswd files: what is taken can be found, each name once.
 */
#include "auth/htpasswd.h"
#include "auth/password.h"
#include "meta/accounts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct htpasswd_table *t = NULL;
    struct err err = { .st = ST_OK };
    enum st st = htpasswd_parse((str){ (const char *)data, size }, &t, &err);
    assert(st == ST_OK || st == ST_INVALID || st == ST_TOO_LARGE);
    assert(err.st == st && (t != NULL) == (st == ST_OK));
    for (size_t i = 0; t != NULL && i < t->count; i++) {
        assert(account_name_check(t->entries[i].name, NULL) == ST_OK);
        assert(password_hash_is_known(t->entries[i].hash));
        assert(htpasswd_find(t, t->entries[i].name).ptr == t->entries[i].hash.ptr);
        assert(i == 0 || str_cmp(t->entries[i - 1].name, t->entries[i].name) < 0);
    }
    if (t != NULL)
        counted_drop(&t->counted);
    return 0;
}
