/* SPDX-License-Identifier: Apache-2.0
 *
 * Three set-associative tables: a key has WAYS places, and nothing ever moves.
 */
#include "auth/throttle.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "auth/secret.h"
#include "base/lock.h"
#include "base/mem.h"

#define WAYS 8
#define SETS (THROTTLE_ENTRIES / WAYS)

enum table { BY_ADDRESS, BY_ACCOUNT, BY_BOTH, TABLES };

struct entry {
    bool used;
    bool trusted; /* BY_BOTH: it logged in */
    uint8_t key[16];
    int64_t failed_at[THROTTLE_FREE]; /* the last ones, in any order; 0: none */
    unsigned streak;                  /* failures beyond the free ones */
    int64_t until;
    int64_t touched_at;
};

struct throttle {
    uint8_t secret[SECRET_KEYED_BYTES]; /* so that nobody can aim at a set */
    struct lock lock;
    struct entry entries[TABLES][SETS][WAYS];
};

enum st throttle_new(struct throttle **out, struct err *err)
{
    struct throttle *t = mem_new(sizeof(*t));
    if (t == NULL)
        return err_no_memory(err);
    secret_random(t->secret, sizeof(t->secret));
    lock_init(&t->lock, LOCK_AUTH_THROTTLE);
    *out = t;
    return ST_OK;
}

void throttle_free(struct throttle *t)
{
    if (t == NULL)
        return;
    lock_release(&t->lock);
    mem_free(t);
}

/* ---- keys ------------------------------------------------------------------------------------ */

struct keys {
    uint8_t of[TABLES][HASH256_BYTES];
};

static str address_of(str peer, struct in6_addr *room)
{
    static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
    char text[INET6_ADDRSTRLEN];
    if (peer.len > 2 && peer.ptr[0] == '[' && peer.ptr[peer.len - 1] == ']')
        peer = str_slice(peer, 1, peer.len - 1);
    (void)str_cut(peer, '%', &peer, &(str){ 0 });
    if (!str_copy(peer, text, sizeof(text)) || inet_pton(AF_INET6, text, room) != 1)
        return peer;
    const char *bytes = (const char *)room->s6_addr;
    if (memcmp(bytes, mapped, sizeof(mapped)) != 0)
        return (str){ bytes, 8 };
    const uint8_t *v4 = room->s6_addr + sizeof(mapped);
    int len = snprintf((char *)room, sizeof(*room), "%d.%d.%d.%d", v4[0], v4[1], v4[2], v4[3]);
    return (str){ bytes, (size_t)len };
}

static void make_keys(const struct throttle *t, str peer, str account, struct keys *out)
{
    struct in6_addr room;
    const str slices[] = { STR("address"), address_of(peer, &room), STR("account"), account };
    secret_keyed(t->secret, slices, 2, out->of[BY_ADDRESS]);
    secret_keyed(t->secret, slices + 2, 2, out->of[BY_ACCOUNT]);
    secret_keyed(t->secret, slices, 4, out->of[BY_BOTH]);
}

/* ---- the tables ------------------------------------------------------------------------------ */

static struct entry *set_of(struct throttle *t, const struct keys *k, enum table table)
{
    uint32_t n;
    memcpy(&n, k->of[table] + 16, sizeof(n));
    return t->entries[table][n % SETS];
}

static struct entry *find(struct throttle *t, const struct keys *k, enum table table)
{
    struct entry *set = set_of(t, k, table);
    for (size_t i = 0; i < WAYS; i++)
        if (set[i].used && memcmp(set[i].key, k->of[table], sizeof(set[i].key)) == 0)
            return &set[i];
    return NULL;
}

/* The larger, the more is lost with it. */
static int64_t worth_of(const struct entry *e, int64_t now)
{
    if (!e->used)
        return -1;
    bool fresh = e->touched_at > now - THROTTLE_WINDOW_MS;
    return (e->trusted ? INT64_MAX / 2 : 0) + (fresh ? INT64_MAX / 4 : 0) + e->touched_at / 4;
}

static struct entry *find_or_make(struct throttle *t, const struct keys *k, enum table table,
                                  int64_t now)
{
    struct entry *e = find(t, k, table);
    struct entry *set = set_of(t, k, table);
    if (e == NULL) {
        e = set;
        for (size_t i = 1; i < WAYS; i++)
            if (worth_of(&set[i], now) < worth_of(e, now))
                e = &set[i];
        *e = (struct entry){ .used = true };
        memcpy(e->key, k->of[table], sizeof(e->key));
    }
    e->touched_at = now;
    return e;
}

/* ---- counting -------------------------------------------------------------------------------- */

static void count_failure(struct entry *e, int64_t now)
{
    size_t oldest = 0;
    for (size_t i = 1; i < THROTTLE_FREE; i++)
        if (e->failed_at[i] < e->failed_at[oldest])
            oldest = i;
    bool free = e->failed_at[oldest] == 0 || e->failed_at[oldest] <= now - THROTTLE_WINDOW_MS;
    e->failed_at[oldest] = now;
    e->streak = free ? 0 : e->streak + 1;
    if (!free)
        e->until = now + MIN(THROTTLE_WAIT_MAX, (int64_t)1000 << MIN(e->streak - 1, 10u));
}

static int64_t wait_of(const struct entry *e, int64_t now)
{
    /* A clock that was set back must not lock anybody out. */
    return e == NULL || e->until <= now ? 0 : MIN(e->until - now, THROTTLE_WAIT_MAX);
}

static int64_t longest_wait(struct throttle *t, const struct keys *k, int64_t now, bool *trusted)
{
    const struct entry *both = find(t, k, BY_BOTH);
    int64_t wait = wait_of(both, now);
    *trusted = both != NULL && both->trusted;
    if (*trusted)
        return wait;
    wait = MAX(wait, wait_of(find(t, k, BY_ADDRESS), now));
    return MAX(wait, wait_of(find(t, k, BY_ACCOUNT), now));
}

int64_t throttle_wait_ms(struct throttle *t, str peer, str account, int64_t now, bool *trusted)
{
    struct keys k;
    make_keys(t, peer, account, &k);
    LOCK_SCOPE(&t->lock);
    return longest_wait(t, &k, now, trusted);
}

int64_t throttle_fail(struct throttle *t, str peer, str account, int64_t now)
{
    struct keys k;
    make_keys(t, peer, account, &k);
    LOCK_SCOPE(&t->lock);
    struct entry *both = find_or_make(t, &k, BY_BOTH, now);
    count_failure(both, now);
    if (!both->trusted) {
        count_failure(find_or_make(t, &k, BY_ADDRESS, now), now);
        count_failure(find_or_make(t, &k, BY_ACCOUNT, now), now);
    }
    return longest_wait(t, &k, now, &(bool){ false });
}

/* Takes the failures in `mine` out of `e`. */
static void forgive(struct entry *e, const int64_t mine[static THROTTLE_FREE])
{
    bool any = false;
    for (size_t i = 0; e != NULL && i < THROTTLE_FREE; i++) {
        for (size_t k = 0; mine[i] != 0 && k < THROTTLE_FREE; k++) {
            if (e->failed_at[k] == mine[i]) {
                e->failed_at[k] = 0;
                any = true;
                break;
            }
        }
    }
    if (any) {
        e->streak = 0;
        e->until = 0;
    }
}

void throttle_pass(struct throttle *t, str peer, str account, int64_t now)
{
    struct keys k;
    make_keys(t, peer, account, &k);
    LOCK_SCOPE(&t->lock);
    struct entry *both = find_or_make(t, &k, BY_BOTH, now);
    forgive(find(t, &k, BY_ADDRESS), both->failed_at);
    forgive(find(t, &k, BY_ACCOUNT), both->failed_at);
    memset(both->failed_at, 0, sizeof(both->failed_at));
    both->streak = 0;
    both->until = 0;
    both->trusted = true;
}
