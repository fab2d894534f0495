/* SPDX-License-Identifier: Apache-2.0
 *
 * An event loop: one thread, one epoll. Connections are added to it by whichever loop accepted
 * them and adopted with their first event (output is possible at once, so there is one).
 *
 * Deadlines: all that are of one kind last equally long, so each kind has a list in the order of
 * deadlines: arming is appending, and only the first of each list is ever looked at.
 *
 * Stopping: 1. the server says so: listeners are left, idle connections closed; 2. once the grace
 * is over, all others; 3. with the last connection gone the thread ends. A connection whose request
 * a worker has goes only after the worker gave it back.
 */
#include "net/http_int.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

#define EVENTS 128

static void tick(struct http_loop *l)
{
    l->now_us = clock_mono_us();
    l->now_ms = l->now_us / 1000;
    int64_t utc_ms = clock_utc_ms();
    if (utc_ms / 1000 != l->date_s) {
        l->date_s = utc_ms / 1000;
        clock_http_date(utc_ms, l->date);
    }
}

/* ---- deadlines ---------------------------------------------------------------------------- */

static int64_t duration_ms(const struct http_loop *l, enum http_timer kind)
{
    const struct http_options *o = &l->server->o;
    switch (kind) {
    case HTTP_TIMER_HEAD:
        return o->header_timeout_ms;
    case HTTP_TIMER_IDLE:
        return o->idle_timeout_ms;
    case HTTP_TIMER_BODY:
        return o->body_timeout_ms;
    case HTTP_TIMER_SEND:
        return o->send_timeout_ms;
    default:
        return o->linger_timeout_ms;
    }
}

static void disarm(struct http_conn *c)
{
    if (c->timer == HTTP_TIMER_NONE)
        return;
    struct http_timer_list *list = &c->loop->timers[c->timer];
    *(c->timer_prev != NULL ? &c->timer_prev->timer_next : &list->first) = c->timer_next;
    *(c->timer_next != NULL ? &c->timer_next->timer_prev : &list->last) = c->timer_prev;
    c->timer_next = c->timer_prev = NULL;
    c->timer = HTTP_TIMER_NONE;
}

void http_loop_arm(struct http_conn *c, enum http_timer kind)
{
    struct http_loop *l = c->loop;
    disarm(c);
    if (kind == HTTP_TIMER_NONE)
        return;
    struct http_timer_list *list = &l->timers[kind];
    c->timer = (uint8_t)kind;
    c->deadline_ms = l->now_ms + duration_ms(l, kind);
    c->timer_prev = list->last;
    *(list->last != NULL ? &list->last->timer_next : &list->first) = c;
    list->last = c;
}

static void expire(struct http_loop *l)
{
    for (unsigned kind = 0; kind < HTTP_TIMERS; kind++) {
        while (l->timers[kind].first != NULL && l->timers[kind].first->deadline_ms <= l->now_ms) {
            struct http_conn *c = l->timers[kind].first;
            disarm(c);
            http_conn_expired(c);
        }
    }
}

static int wait_ms(const struct http_loop *l)
{
    if (l->ready != NULL)
        return 0;
    int64_t next = INT64_MAX;
    for (unsigned kind = 0; kind < HTTP_TIMERS; kind++)
        if (l->timers[kind].first != NULL)
            next = MIN(next, l->timers[kind].first->deadline_ms);
    if (l->listen_again_ms != 0)
        next = MIN(next, l->listen_again_ms);
    if (l->stopping_seen)
        next = MIN(next, MAX(atomic_load(&l->server->stop_at_ms), l->now_ms + 10));
    if (next == INT64_MAX)
        return -1;
    /* Deadlines are whole milliseconds of a clock with microseconds: one more never wakes early. */
    return (int)MIN(MAX(next - l->now_ms + 1, (int64_t)0), (int64_t)60000);
}

/* ---- connections of the loop -------------------------------------------------------------- */

void http_loop_add(struct http_conn *c)
{
    struct http_loop *l = c->loop;
    c->next = l->conns;
    if (l->conns != NULL)
        l->conns->prev = c;
    l->conns = c;
}

void http_loop_remove(struct http_conn *c)
{
    struct http_loop *l = c->loop;
    disarm(c);
    *(c->prev != NULL ? &c->prev->next : &l->conns) = c->next;
    if (c->next != NULL)
        c->next->prev = c->prev;
    http_accept_forget(c);
    c->dead_next = l->dead;
    l->dead = c;
}

void http_loop_ready(struct http_conn *c)
{
    if (c->ready)
        return;
    c->ready = true;
    c->ready_next = c->loop->ready;
    c->loop->ready = c;
}

static void run_ready(struct http_loop *l)
{
    struct http_conn *c = l->ready;
    l->ready = NULL;
    while (c != NULL) {
        struct http_conn *next = c->ready_next;
        c->ready = false;
        if (c->state != HTTP_CLOSED && c->fd >= 0)
            http_conn_step(c);
        c = next;
    }
}

static void free_dead(struct http_loop *l)
{
    struct http_conn *keep = NULL;
    while (l->dead != NULL) {
        struct http_conn *c = l->dead;
        l->dead = c->dead_next;
        if (c->ready) { /* still in that list: next time */
            c->dead_next = keep;
            keep = c;
            continue;
        }
        mem_free(c);
        (void)atomic_fetch_sub(&l->count, 1);
    }
    l->dead = keep;
}

/* ---- from other threads ------------------------------------------------------------------- */

void http_loop_wake(struct http_loop *l)
{
    uint64_t one = 1;
    (void)!write(l->wake, &one, sizeof(one)); /* fails only when a wake-up is due anyway */
}

void http_loop_push(struct http_exchange *x)
{
    struct http_loop *l = x->conn->loop;
    lock_take(&l->lock);
    bool first = l->inbox == NULL;
    x->next = l->inbox;
    l->inbox = x;
    if (first) /* under the lock: the loop may end as soon as it has `x` */
        http_loop_wake(l);
    lock_drop(&l->lock);
}

static void run_inbox(struct http_loop *l)
{
    uint64_t count;
    (void)!read(l->wake, &count, sizeof(count));
    lock_take(&l->lock);
    struct http_exchange *newest = l->inbox;
    l->inbox = NULL;
    lock_drop(&l->lock);
    struct http_exchange *x = NULL; /* oldest first */
    while (newest != NULL) {
        struct http_exchange *next = newest->next;
        newest->next = x;
        x = newest;
        newest = next;
    }
    while (x != NULL) {
        struct http_exchange *next = x->next;
        x->next = NULL;
        http_conn_job_done(x);
        x = next;
    }
}

/* ---- listeners ---------------------------------------------------------------------------- */

static bool listen_with(struct http_loop *l, bool on)
{
    struct http_server *s = l->server;
    bool done = true;
    for (size_t i = 0; i < s->listener_count; i++) {
        struct epoll_event e = { .events = EPOLLIN | EPOLLEXCLUSIVE, .data.ptr = &s->listeners[i] };
        if (epoll_ctl(l->epoll, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, s->listeners[i].fd, &e) != 0)
            done = false;
    }
    l->listening = on;
    return done;
}

static void check_listening(struct http_loop *l)
{
    if (l->listen_again_ms == 0 || l->stopping_seen)
        return;
    if (l->listening) {
        (void)listen_with(l, false);
    } else if (l->now_ms >= l->listen_again_ms) {
        l->listen_again_ms = 0;
        (void)listen_with(l, true);
    }
}

/* ---- stopping ----------------------------------------------------------------------------- */

static void close_all(struct http_loop *l, bool idle_only)
{
    for (struct http_conn *c = l->conns; c != NULL;) {
        struct http_conn *next = c->next;
        if (!idle_only || c->state == HTTP_IDLE || c->state == HTTP_HEADING ||
            c->state == HTTP_SHAKE || c->state == HTTP_DRAIN)
            http_conn_close(c);
        c = next;
    }
}

static void check_stop(struct http_loop *l)
{
    struct http_server *s = l->server;
    if (!atomic_load_explicit(&s->stopping, memory_order_relaxed))
        return;
    if (!l->stopping_seen) {
        l->stopping_seen = true;
        if (l->listening)
            (void)listen_with(l, false);
        close_all(l, true);
    }
    if (l->now_ms >= atomic_load(&s->stop_at_ms)) {
        l->killed = true;
        close_all(l, false);
    }
}

/* ---- the loop ----------------------------------------------------------------------------- */

static void dispatch(struct http_loop *l, struct epoll_event *e)
{
    struct http_server *s = l->server;
    uintptr_t p = (uintptr_t)e->data.ptr;
    if (e->data.ptr == l)
        run_inbox(l);
    else if (p >= (uintptr_t)s->listeners && p < (uintptr_t)(s->listeners + s->listener_count))
        http_accept(l, e->data.ptr);
    else
        http_conn_event(e->data.ptr, e->events);
}

static void flush_metrics(struct http_loop *l)
{
    if (l->bytes_in != 0)
        metric_add(METRIC_HTTP_BYTES_IN, l->bytes_in);
    if (l->bytes_out != 0)
        metric_add(METRIC_HTTP_BYTES_OUT, l->bytes_out);
    l->bytes_in = l->bytes_out = 0;
}

static void *loop_run(void *arg)
{
    struct http_loop *l = arg;
    struct epoll_event events[EVENTS];
    tick(l);
    (void)listen_with(l, true);
    while (!l->stopping_seen || atomic_load(&l->count) > 0) {
        int n = epoll_wait(l->epoll, events, EVENTS, wait_ms(l));
        tick(l);
        run_ready(l);
        for (int i = 0; i < n; i++)
            dispatch(l, &events[i]);
        expire(l);
        check_listening(l);
        check_stop(l);
        free_dead(l);
        flush_metrics(l);
    }
    return NULL;
}

enum st http_loop_init(struct http_loop *l, struct http_server *s, struct err *err)
{
    l->server = s;
    lock_init(&l->lock, LOCK_HTTP_LOOP);
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    l->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    l->scratch = mem_resize(NULL, HTTP_SCRATCH_BYTES);
    if (l->scratch == NULL)
        return err_no_memory(err);
    struct epoll_event e = { .events = EPOLLIN, .data.ptr = l };
    if (l->epoll < 0 || l->wake < 0 || epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->wake, &e) != 0)
        return err_sys(err, "starting an event loop");
    if (getrandom(&l->id_next, sizeof(l->id_next), 0) != (ssize_t)sizeof(l->id_next))
        return err_sys(err, "random bytes");
    return ST_OK;
}

enum st http_loop_start(struct http_loop *l, struct err *err)
{
    enum st st = http_thread_start(&l->thread, loop_run, l, err);
    l->started = st == ST_OK;
    return st;
}

void http_loop_release(struct http_loop *l)
{
    http_buffers_release(l);
    http_count_release(l);
    mem_free(l->scratch);
    if (l->epoll >= 0)
        (void)close(l->epoll);
    if (l->wake >= 0)
        (void)close(l->wake);
    lock_release(&l->lock);
}
