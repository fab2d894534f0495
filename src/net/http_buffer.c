/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory that exists only while a request is under way. Each loop keeps some of it for the next
 * request; what is beyond the bounds below goes back to the heap.
 */
#include "base/mem.h"
#include "net/http_int.h"

#define FREE_EXCHANGES_MAX 64u
#define FREE_SMALL_MAX     64u /* blocks of 16 KiB */
#define FREE_LARGE_MAX     4u  /* of each other size */
#define BLOCK_BYTES        ((size_t)(16 * KIB))
#define PAGE_BYTES         ((size_t)4096)
#define FAST_US            ((int64_t)100000)  /* filled in less: the next block is larger */
#define SLOW_US            ((int64_t)2000000) /* filled in more: smaller */

static void exchange_free(struct http_exchange *x)
{
    mem_free(x->in);
    mem_free(x);
}

/* Forgets the request. The inline buffers and the read buffer stay as they are. */
static void forget(struct http_exchange *x)
{
    memset((char *)x, 0, offsetof(struct http_exchange, head));
    http_head_reset(&x->head);
    x->in_at = 0;
    http_answer_init(x);
}

struct http_exchange *http_exchange_take(struct http_loop *l)
{
    struct http_exchange *x = l->free_exchanges;
    if (x != NULL) {
        l->free_exchanges = x->next;
        l->free_exchange_count--;
        x->next = NULL;
        return x;
    }
    const struct http_head_limits *limits = &l->server->limits;
    x = mem_new(sizeof(*x) + limits->fields_max * sizeof(x->fields[0]));
    if (x == NULL)
        return NULL;
    x->in = mem_resize(NULL, HTTP_IN_BYTES);
    if (x->in == NULL) {
        mem_free(x);
        return NULL;
    }
    x->in_size = HTTP_IN_BYTES;
    x->head.limits = limits;
    x->head.fields = x->fields;
    forget(x);
    return x;
}

void http_exchange_give(struct http_loop *l, struct http_exchange *x)
{
    if (l->free_exchange_count == FREE_EXCHANGES_MAX || x->in_size != HTTP_IN_BYTES) {
        exchange_free(x);
        return;
    }
    x->in_len = 0;
    forget(x);
    x->next = l->free_exchanges;
    l->free_exchanges = x;
    l->free_exchange_count++;
}

bool http_exchange_grow(struct http_exchange *x, size_t size)
{
    if (size <= x->in_size)
        return true;
    char *in = mem_resize(x->in, size);
    if (in == NULL)
        return false;
    x->in = in;
    x->in_size = size;
    return true;
}

bool http_exchange_reset(struct http_exchange *x)
{
    struct http_conn *c = x->conn;
    size_t rest = x->in_len - x->in_at;
    char *spill = x->spill;
    size_t spill_len = x->spill_len;
    bool fits = http_exchange_grow(x, rest + spill_len);
    if (fits) {
        memmove(x->in, x->in + x->in_at, rest);
        if (spill_len > 0)
            memcpy(x->in + rest, spill, spill_len);
        x->in_len = rest + spill_len;
    }
    mem_free(spill);
    forget(x);
    x->conn = c;
    return fits;
}

static unsigned class_of(const struct http_loop *l, size_t size)
{
    if (size >= l->server->o.sink_bytes)
        return HTTP_BLOCK_CLASSES - 1;
    return size <= BLOCK_BYTES ? 0 : size <= 4 * BLOCK_BYTES ? 1 : 2;
}

struct http_block *http_block_take(struct http_loop *l, size_t size)
{
    if (size == 0)
        size = MIN(BLOCK_BYTES, l->server->o.sink_bytes);
    unsigned class = class_of(l, size);
    struct http_block *b = l->free_blocks[class];
    if (b != NULL && b->size >= size) {
        l->free_blocks[class] = b->next;
        l->free_block_counts[class]--;
        b->next = NULL;
        b->len = 0;
        return b;
    }
    /* Not zeroed, so pages that no byte reaches cost nothing. */
    b = mem_resize(NULL, sizeof(*b) + size + PAGE_BYTES);
    if (b == NULL)
        return NULL;
    uintptr_t behind = (uintptr_t)(b + 1);
    *b = (struct http_block){
        .bytes = (char *)(b + 1) + (PAGE_BYTES - behind % PAGE_BYTES) % PAGE_BYTES,
        .size = size,
    };
    return b;
}

void http_block_give(struct http_loop *l, struct http_block *b)
{
    if (b == NULL)
        return;
    unsigned class = class_of(l, b->size);
    if (l->free_block_counts[class] == (class == 0 ? FREE_SMALL_MAX : FREE_LARGE_MAX)) {
        mem_free(b);
        return;
    }
    b->next = l->free_blocks[class];
    l->free_blocks[class] = b;
    l->free_block_counts[class]++;
}

size_t http_block_next_size(const struct http_loop *l, size_t size, int64_t filled_in_us)
{
    size_t max = l->server->o.sink_bytes;
    if (filled_in_us < FAST_US)
        return MIN(size * 4, max);
    if (filled_in_us > SLOW_US)
        return MIN(MAX(size / 4, BLOCK_BYTES), max);
    return size;
}

void http_buffers_release(struct http_loop *l)
{
    while (l->free_exchanges != NULL) {
        struct http_exchange *next = l->free_exchanges->next;
        exchange_free(l->free_exchanges);
        l->free_exchanges = next;
    }
    for (unsigned i = 0; i < HTTP_BLOCK_CLASSES; i++) {
        while (l->free_blocks[i] != NULL) {
            struct http_block *next = l->free_blocks[i]->next;
            mem_free(l->free_blocks[i]);
            l->free_blocks[i] = next;
        }
    }
}
