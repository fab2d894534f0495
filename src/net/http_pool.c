/* SPDX-License-Identifier: Apache-2.0
 *
 * Workers: threads that run what may block. One queue, first in, first out; a request is in it at
 * most once. Each job names the calls to make, in order; the first that answers ends it.
 */
#include <errno.h>
#include <signal.h>

#include "base/mem.h"
#include "net/http_int.h"

static void run_sink(struct http_exchange *x)
{
    struct http_request *rq = &x->rq;
    const struct http_sink *sink = rq->route->sink;
    if ((x->jobs & HTTP_JOB_BEGIN) != 0) {
        if (atomic_load(&x->doomed)) {
            x->sink_over = true;
            return;
        }
        sink->begin(rq);
        if (rq->answer_code != 0) {
            x->sink_over = true;
            return;
        }
    }
    if ((x->jobs & HTTP_JOB_ADD) != 0) {
        sink->add(rq, x->busy->bytes, x->busy->len);
        if (rq->answer_code != 0) {
            x->sink_over = true;
            return;
        }
    }
    if ((x->jobs & HTTP_JOB_END) != 0) {
        x->sink_over = true;
        sink->end(rq, x->end_complete);
    }
}

static void run(struct http_exchange *x)
{
    if ((x->jobs & HTTP_JOB_HANDLE) == 0)
        run_sink(x);
    else if (!atomic_load(&x->doomed))
        x->rq.route->handle(&x->rq);
}

static struct http_exchange *pop(struct http_pool *p)
{
    LOCK_SCOPE(&p->lock);
    while (p->first == NULL && !p->stopping) {
        p->idle++;
        lock_wait(&p->lock, &p->more);
        p->idle--;
    }
    struct http_exchange *x = p->first;
    if (x != NULL) {
        p->first = x->next;
        if (p->first == NULL)
            p->last = NULL;
        x->next = NULL;
    }
    return x;
}

static void *work(void *arg)
{
    struct http_pool *p = arg;
    for (struct http_exchange *x = pop(p); x != NULL; x = pop(p)) {
        run(x);
        http_loop_push(x);
    }
    return NULL;
}

enum st http_thread_start(pthread_t *thread, void *(*fn)(void *), void *arg, struct err *err)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = pthread_create(thread, NULL, fn, arg);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code != 0) {
        errno = code;
        return err_sys(err, "starting a thread");
    }
    return ST_OK;
}

enum st http_pool_start(struct http_pool *p, unsigned count, struct err *err)
{
    lock_init(&p->lock, LOCK_HTTP_POOL);
    lock_cond_init(&p->more);
    p->threads = mem_new(count * sizeof(p->threads[0]));
    if (p->threads == NULL)
        return err_no_memory(err);
    for (; p->count < count; p->count++) {
        enum st st = http_thread_start(&p->threads[p->count], work, p, err);
        if (st != ST_OK)
            return st;
    }
    return ST_OK;
}

void http_pool_push(struct http_pool *p, struct http_exchange *x)
{
    x->next = NULL;
    LOCK_SCOPE(&p->lock);
    if (p->last != NULL)
        p->last->next = x;
    else
        p->first = x;
    p->last = x;
    if (p->idle > 0)
        (void)pthread_cond_signal(&p->more);
}

void http_pool_stop(struct http_pool *p)
{
    lock_take(&p->lock);
    p->stopping = true;
    (void)pthread_cond_broadcast(&p->more);
    lock_drop(&p->lock);
    for (unsigned i = 0; i < p->count; i++)
        (void)pthread_join(p->threads[i], NULL);
    mem_free(p->threads);
    (void)pthread_cond_destroy(&p->more);
    lock_release(&p->lock);
}
