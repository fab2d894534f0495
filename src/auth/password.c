/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/password.h"

#include <crypt.h>
#include <openssl/crypto.h>
#include <stdatomic.h>
#include <unistd.h>

#include "auth/auth.h"
#include "auth/secret.h"
#include "base/lock.h"
#include "base/mem.h"

#define METHOD    "$y$"
#define TURNS_MAX 256

struct password_engine {
    atomic_uint_fast64_t count;
    char dummy[CRYPT_GENSALT_OUTPUT_SIZE]; /* a setting costs what a hash costs */
    struct lock lock;
    pthread_cond_t ended;
    size_t turns_max;
    size_t waiting; /* for a turn */
    size_t turns;
    uint8_t questions[TURNS_MAX][HASH256_BYTES]; /* of the turns; the first `turns` */
};

/* ---- turns ----------------------------------------------------------------------------------- */

static uint8_t *find_turn(struct password_engine *p, const uint8_t *question)
{
    for (size_t i = 0; i < p->turns; i++)
        if (memcmp(p->questions[i], question, HASH256_BYTES) == 0)
            return p->questions[i];
    return NULL;
}

enum st password_begin(struct password_engine *p, const uint8_t question[static HASH256_BYTES],
                       struct err *err)
{
    LOCK_SCOPE(&p->lock);
    if (find_turn(p, question) != NULL) {
        while (find_turn(p, question) != NULL)
            lock_wait(&p->lock, &p->ended);
        return err_set(err, ST_EXISTS, "the same password was checked meanwhile");
    }
    if (p->turns == p->turns_max && p->waiting >= PASSWORD_WAITERS)
        return err_set(err, ST_BUSY, "too many people are logging in at once");
    p->waiting++;
    while (p->turns == p->turns_max)
        lock_wait(&p->lock, &p->ended);
    p->waiting--;
    memcpy(p->questions[p->turns++], question, HASH256_BYTES);
    return ST_OK;
}

void password_end(struct password_engine *p, const uint8_t question[static HASH256_BYTES])
{
    LOCK_SCOPE(&p->lock);
    uint8_t *turn = find_turn(p, question);
    assert(turn != NULL);
    p->turns--;
    if (turn != p->questions[p->turns])
        memcpy(turn, p->questions[p->turns], HASH256_BYTES);
    (void)pthread_cond_broadcast(&p->ended);
}

/* ---- hashes ---------------------------------------------------------------------------------- */

/* The library's room for one hash holds what was typed: wiped before it is freed. */
struct room {
    struct crypt_data data;
    char password[AUTH_PASSWORD_MAX + 1];
    char setting[PASSWORD_HASH_MAX];
};

static void free_room(struct room **room)
{
    if (*room != NULL)
        OPENSSL_cleanse(*room, sizeof(**room));
    mem_free(*room);
}

/* room->data.output is the hash of `password` by `setting`. */
static enum st run(str password, str setting, struct room *room, struct err *err)
{
    if (!str_copy(password, room->password, sizeof(room->password)) ||
        memchr(password.ptr == NULL ? "" : password.ptr, '\0', password.len) != NULL)
        return err_set(err, ST_INVALID, "the password is longer than %zu bytes or holds a NUL",
                       AUTH_PASSWORD_MAX);
    if (!str_copy(setting, room->setting, sizeof(room->setting)))
        return err_set(err, ST_CORRUPT, "a stored password hash is too long");
    const char *hash = crypt_r(room->password, room->setting, &room->data);
    if (hash == NULL || hash[0] == '*')
        return err_set(err, ST_CORRUPT, "a stored password hash is of a kind that is not known");
    return ST_OK;
}

static enum st make_setting(char out[static CRYPT_GENSALT_OUTPUT_SIZE], struct err *err)
{
    char salt[32];
    secret_random(salt, sizeof(salt));
    if (crypt_gensalt_rn(METHOD, 0, salt, sizeof(salt), out, CRYPT_GENSALT_OUTPUT_SIZE) == NULL)
        return err_set(err, ST_UNSUPPORTED, "the system's libcrypt does not know yescrypt hashes");
    return ST_OK;
}

static enum st make(str password, char out[static PASSWORD_HASH_MAX], struct err *err)
{
    AUTO(free_room) struct room *room = mem_new(sizeof(*room));
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];
    if (room == NULL)
        return err_no_memory(err);
    enum st st = make_setting(setting, err);
    if (st == ST_OK)
        st = run(password, str_of(setting), room, err);
    if (st == ST_OK && !str_copy(str_of(room->data.output), out, PASSWORD_HASH_MAX))
        st = err_set(err, ST_BUG, "a password hash is too long");
    return st;
}

enum st password_check(struct password_engine *p, str password, str hash, struct err *err)
{
    AUTO(free_room) struct room *room = mem_new(sizeof(*room));
    if (room == NULL)
        return err_no_memory(err);
    bool nobody = hash.len == 0;
    atomic_fetch_add_explicit(&p->count, 1, memory_order_relaxed);
    enum st st = run(password, nobody ? str_of(p->dummy) : hash, room, err);
    if (st != ST_OK)
        return st;
    size_t len = strlen(room->data.output);
    bool same = !nobody && len == hash.len && CRYPTO_memcmp(room->data.output, hash.ptr, len) == 0;
    return same ? ST_OK : err_set(err, ST_MISMATCH, "the password is wrong");
}

enum st password_make(str password, char out[static PASSWORD_HASH_MAX], struct err *err)
{
    if (password.len < PASSWORD_MIN)
        return err_set(err, ST_INVALID, "a password has at least %d bytes", PASSWORD_MIN);
    return make(password, out, err);
}

bool password_hash_is_known(str hash)
{
    char text[PASSWORD_HASH_MAX];
    if (!str_starts(hash, STR("$")) || !str_copy(hash, text, sizeof(text)))
        return false;
    int kind = crypt_checksalt(text);
    return kind == CRYPT_SALT_OK || kind == CRYPT_SALT_METHOD_LEGACY;
}

uint64_t password_count(const struct password_engine *p)
{
    return atomic_load(&p->count);
}

/* ---- the engine ------------------------------------------------------------------------------ */

enum st password_engine_new(struct password_engine **out, struct err *err)
{
    struct password_engine *p = mem_new(sizeof(*p));
    if (p == NULL)
        return err_no_memory(err);
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    p->turns_max = cores < 1 ? 1 : MIN((size_t)cores, (size_t)TURNS_MAX);
    lock_init(&p->lock, LOCK_AUTH_HASH);
    lock_cond_init(&p->ended);
    enum st st = make_setting(p->dummy, err);
    if (st != ST_OK) {
        password_engine_free(p);
        return st;
    }
    *out = p;
    return ST_OK;
}

void password_engine_free(struct password_engine *p)
{
    if (p == NULL)
        return;
    (void)pthread_cond_destroy(&p->ended);
    lock_release(&p->lock);
    mem_free(p);
}
