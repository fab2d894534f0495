/* SPDX-License-Identifier: Apache-2.0
 *
 * Sends an answer: head and bytes gathered into one call, files by sendfile(); with TLS, pieces are
 * copied through the loop's scratch memory.
 *
 * The position (head_at, segment_at, segment_done) is the only state; it moves by what the kernel
 * took. What is gathered for TLS depends on nothing else, so a write that has to be repeated is
 * repeated with the same bytes, as OpenSSL demands.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "net/http_int.h"

#define PIECES 16

static void advance(struct http_exchange *x, size_t n)
{
    struct http_answer *a = &x->answer;
    size_t head = MIN(n, a->head_len - a->head_at);
    a->head_at += head;
    n -= head;
    a->sent += n;
    while (n > 0) {
        uint64_t left = a->segments[a->segment_at].len - a->segment_done;
        uint64_t step = MIN(left, (uint64_t)n);
        a->segment_done += step;
        n -= (size_t)step;
        if (step == left) {
            a->segment_at++;
            a->segment_done = 0;
        }
    }
}

static bool is_over(const struct http_answer *a)
{
    return a->head_at == a->head_len && (!a->with_body || a->segment_at == a->segment_count);
}

/* Up to the next file, or the end. */
static ssize_t send_bytes(struct http_conn *c)
{
    struct http_answer *a = &c->x->answer;
    struct iovec pieces[PIECES];
    int count = 0;
    bool more = false;
    if (a->head_at < a->head_len)
        pieces[count++] = (struct iovec){ a->head + a->head_at, a->head_len - a->head_at };
    uint64_t done = a->segment_done;
    for (unsigned i = a->segment_at; a->with_body && i < a->segment_count; i++, done = 0) {
        const struct http_segment *s = &a->segments[i];
        more = s->ptr == NULL || count == PIECES;
        if (more)
            break;
        pieces[count++] =
            (struct iovec){ (char *)(uintptr_t)(s->ptr + done), (size_t)(s->len - done) };
    }
    struct msghdr message = { .msg_iov = pieces, .msg_iovlen = (size_t)count };
    return sendmsg(c->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT | (more ? MSG_MORE : 0));
}

static ssize_t send_file(struct http_conn *c)
{
    struct http_answer *a = &c->x->answer;
    const struct http_segment *s = &a->segments[a->segment_at];
    uint64_t left = s->len - a->segment_done;
    off_t at = (off_t)(s->offset + a->segment_done);
    size_t len =
        (size_t)MIN(left, (uint64_t)(HTTP_TURN_BYTES - MIN(c->moved, HTTP_TURN_BYTES - 1)));
    /* Ask for what the next turn sends, so that a cold file stops the loop only once. */
    if (left > HTTP_TURN_BYTES && a->segment_done % HTTP_TURN_BYTES == 0)
        (void)posix_fadvise(s->fd, at, (off_t)(2 * HTTP_TURN_BYTES), POSIX_FADV_WILLNEED);
    ssize_t n = sendfile(c->fd, s->fd, &at, len);
    if (n == 0)
        errno = ENODATA; /* the file is shorter than promised */
    return n == 0 ? -1 : n;
}

static ssize_t send_plain(struct http_conn *c)
{
    struct http_answer *a = &c->x->answer;
    bool file = a->head_at == a->head_len && a->segments[a->segment_at].ptr == NULL;
    ssize_t n;
    do {
        n = file ? send_file(c) : send_bytes(c);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK ? HTTP_IO_WAIT : HTTP_IO_ERROR;
    return n;
}

/* What comes next, at most HTTP_SCRATCH_BYTES, from the position on. -1: a file is too short. */
static ssize_t gather(struct http_conn *c, char *to)
{
    struct http_answer *a = &c->x->answer;
    size_t len = MIN(a->head_len - a->head_at, HTTP_SCRATCH_BYTES);
    memcpy(to, a->head + a->head_at, len);
    uint64_t done = a->segment_done;
    for (unsigned i = a->segment_at; a->with_body && i < a->segment_count; i++, done = 0) {
        const struct http_segment *s = &a->segments[i];
        size_t n = (size_t)MIN(s->len - done, (uint64_t)(HTTP_SCRATCH_BYTES - len));
        if (n == 0)
            break;
        if (s->ptr != NULL)
            memcpy(to + len, s->ptr + done, n);
        else if (pread(s->fd, to + len, n, (off_t)(s->offset + done)) != (ssize_t)n)
            return -1;
        len += n;
    }
    return (ssize_t)len;
}

static ssize_t send_tls(struct http_conn *c)
{
    char *scratch = c->loop->scratch;
    ssize_t len = gather(c, scratch);
    if (len < 0)
        return HTTP_IO_ERROR;
    ssize_t done = 0;
    while (done < len) { /* partial writes: a record at a time */
        ssize_t n = http_tls_send(c->tls, scratch + done, (size_t)(len - done));
        if (n <= 0)
            return done > 0 && n == HTTP_IO_WAIT ? done : n;
        done += n;
    }
    return done;
}

int http_answer_send(struct http_conn *c)
{
    struct http_exchange *x = c->x;
    while (!is_over(&x->answer)) {
        if (!c->writable)
            return HTTP_IO_WAIT;
        if (c->moved >= HTTP_TURN_BYTES)
            return 2;
        ssize_t n = c->tls != NULL ? send_tls(c) : send_plain(c);
        if (n == HTTP_IO_WAIT)
            c->writable = false;
        if (n < 0)
            return (int)n;
        advance(x, (size_t)n);
        c->moved += (size_t)n;
        c->touched = true;
        c->loop->bytes_out += n;
    }
    return 1;
}
