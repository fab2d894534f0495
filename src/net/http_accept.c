/* SPDX-License-Identifier: Apache-2.0
 *
 * Taking connections: the limits on them, and which loop gets one (the one with the fewest).
 *
 * Over a limit the connection is taken, told 503 without being read, and closed: the client learns
 * why, and the queue of the kernel does not fill up.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "net/http_int.h"

#define ACCEPTS_A_TURN  64
#define ADDRESS_BUCKETS 1024u
#define PAUSE_MS        100 /* without accepting, when descriptors ran out */

struct http_address_entry {
    struct http_address_entry *next;
    struct http_peer key;
    unsigned count;
};

enum st http_addresses_init(struct http_addresses *t, struct err *err)
{
    t->buckets = mem_new(ADDRESS_BUCKETS * sizeof(t->buckets[0]));
    if (t->buckets == NULL)
        return err_no_memory(err);
    lock_init(&t->lock, LOCK_HTTP_ADDRESS);
    return ST_OK;
}

void http_addresses_release(struct http_addresses *t)
{
    if (t->buckets == NULL)
        return;
    for (unsigned i = 0; i < ADDRESS_BUCKETS; i++) {
        while (t->buckets[i] != NULL) {
            struct http_address_entry *next = t->buckets[i]->next;
            mem_free(t->buckets[i]);
            t->buckets[i] = next;
        }
    }
    mem_free(t->buckets);
    lock_release(&t->lock);
}

static struct http_address_entry **find(struct http_addresses *t, struct http_peer key)
{
    uint64_t hash = (key.high ^ (key.low * 0x9e3779b97f4a7c15u)) * 0x2545f4914f6cdd1du;
    struct http_address_entry **at = &t->buckets[(hash >> 40) % ADDRESS_BUCKETS];
    while (*at != NULL && ((*at)->key.high != key.high || (*at)->key.low != key.low))
        at = &(*at)->next;
    return at;
}

static bool address_enter(struct http_addresses *t, struct http_peer key, unsigned max)
{
    LOCK_SCOPE(&t->lock);
    struct http_address_entry **at = find(t, key);
    if (*at == NULL) {
        *at = mem_new(sizeof(**at));
        if (*at == NULL)
            return false;
        (*at)->key = key;
    }
    if ((*at)->count >= max)
        return false;
    (*at)->count++;
    return true;
}

static void address_leave(struct http_addresses *t, struct http_peer key)
{
    LOCK_SCOPE(&t->lock);
    struct http_address_entry **at = find(t, key);
    assert(*at != NULL);
    if (--(*at)->count == 0) {
        struct http_address_entry *gone = *at;
        *at = gone->next;
        mem_free(gone);
    }
}

/* Text and key of a client. IPv4 in IPv6 is IPv4; of IPv6 the /64 counts, as one client has all of
 * its addresses. */
static void name_peer(struct http_conn *c, const struct sockaddr_storage *from)
{
    if (from->ss_family == AF_INET6) {
        const struct sockaddr_in6 *a = (const struct sockaddr_in6 *)(const void *)from;
        const unsigned char *bytes = a->sin6_addr.s6_addr;
        if (IN6_IS_ADDR_V4MAPPED(&a->sin6_addr)) {
            (void)inet_ntop(AF_INET, bytes + 12, c->text, sizeof(c->text));
            memcpy((char *)&c->key.low + 4, bytes + 12, 4);
        } else {
            (void)inet_ntop(AF_INET6, bytes, c->text, sizeof(c->text));
            memcpy(&c->key.high, bytes, 8);
        }
    } else {
        const struct sockaddr_in *a = (const struct sockaddr_in *)(const void *)from;
        (void)inet_ntop(AF_INET, &a->sin_addr, c->text, sizeof(c->text));
        memcpy((char *)&c->key.low + 4, &a->sin_addr, 4);
    }
    c->text_len = (uint8_t)strlen(c->text);
}

static struct http_loop *least_busy(struct http_server *s)
{
    struct http_loop *best = &s->loops[0];
    for (unsigned i = 1; i < s->o.loops; i++)
        if (atomic_load(&s->loops[i].count) < atomic_load(&best->count))
            best = &s->loops[i];
    return best;
}

/* A client that speaks TLS could not read it. */
static void turn_away(struct http_server *s, int fd, const char *reason)
{
    static const char text[] =
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 1\r\n"
        "Connection: close\r\nContent-Length: 80\r\n\r\n"
        "{\"errors\":[{\"code\":\"UNAVAILABLE\",\"message\":\"Too many connections. Try "
        "again.\"}]}";
    http_count_refusal(reason);
    if (s->tls == NULL) {
        char dropped[4096];
        (void)send(fd, text, sizeof(text) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
        (void)shutdown(fd, SHUT_WR);
        /* Unread input would make close() a reset, which can overtake the answer. */
        (void)recv(fd, dropped, sizeof(dropped), MSG_DONTWAIT);
    }
    (void)close(fd);
}

static bool hand_over(struct http_server *s, struct http_conn *c)
{
    c->loop = least_busy(s);
    (void)atomic_fetch_add(&c->loop->count, 1);
    metric_add(METRIC_HTTP_CONNECTIONS, 1);
    /* From here on the other loop may have it. */
    struct epoll_event e = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c };
    struct http_loop *l = c->loop;
    if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &e) == 0)
        return true;
    (void)atomic_fetch_sub(&l->count, 1);
    metric_add(METRIC_HTTP_CONNECTIONS, -1);
    return false;
}

static void take(struct http_server *s, int fd, const struct sockaddr_storage *from)
{
    if (atomic_fetch_add(&s->connections, 1) >= s->o.connections_max) {
        (void)atomic_fetch_sub(&s->connections, 1);
        turn_away(s, fd, "connections");
        return;
    }
    struct http_conn *c = mem_new(sizeof(*c));
    if (c == NULL) {
        (void)atomic_fetch_sub(&s->connections, 1);
        turn_away(s, fd, "memory");
        return;
    }
    c->fd = fd;
    c->timer = HTTP_TIMER_NONE;
    name_peer(c, from);
    if (!address_enter(&s->addresses, c->key, s->o.connections_per_address_max)) {
        (void)atomic_fetch_sub(&s->connections, 1);
        mem_free(c);
        turn_away(s, fd, "connections-per-address");
        return;
    }
    int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    bool ok = true;
    if (s->tls != NULL) {
        c->tls = http_tls_session_new(s->tls, fd);
        ok = c->tls != NULL;
    }
    if (ok && hand_over(s, c))
        return;
    address_leave(&s->addresses, c->key);
    (void)atomic_fetch_sub(&s->connections, 1);
    http_tls_session_free(c->tls);
    mem_free(c);
    (void)close(fd);
}

void http_accept_forget(struct http_conn *c)
{
    struct http_server *s = c->loop->server;
    address_leave(&s->addresses, c->key);
    (void)atomic_fetch_sub(&s->connections, 1);
    metric_add(METRIC_HTTP_CONNECTIONS, -1);
}

void http_accept(struct http_loop *l, struct http_listener *from)
{
    struct http_server *s = l->server;
    for (int i = 0; i < ACCEPTS_A_TURN; i++) {
        struct sockaddr_storage address;
        socklen_t len = sizeof(address);
        int fd = accept4(from->fd, (struct sockaddr *)&address, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            take(s, fd, &address);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            /* The listener stays ready: leave it for a while rather than spin. */
            log_event(LOG_WARN, "no connection can be accepted for now",
                      LOG_STR("error", str_of(strerror(errno))));
            http_count_refusal("descriptors");
            l->listen_again_ms = l->now_ms + PAUSE_MS;
            return;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            return;
        /* ECONNABORTED and the like concern one connection only (accept(2)). */
    }
}
