/* SPDX-License-Identifier: Apache-2.0
 *
 * The decoder of chunked bodies, byte by byte in the framing and in whole runs in the data.
 *
 *     SIZE ──";"──▶ EXT ──CR──▶ SIZE_LF ──(size > 0)──▶ DATA ──▶ DATA_CR ──▶ DATA_LF ──▶ SIZE
 *                                  └──(size 0)──▶ TRAILER ◀──▶ TRAILER_LF ──(empty line)──▶ END
 *
 * Framing costs the sender nothing and us a lot: extensions and trailers have limits, and what all
 * framing together takes beyond a fair share of the data is bounded, too (as in Go's net/http).
 */
#include "net/http_parse.h"

#define EXTENSION_BYTES_MAX ((size_t)256) /* of one chunk */
#define TRAILER_BYTES_MAX   ((size_t)8192)
#define EXCESS_BYTES_MAX    ((size_t)(16 * KIB))
#define FAIR_BYTES          ((uint64_t)16) /* framing that a chunk may have for nothing */
#define SIZE_DIGITS_MAX     16u

enum { SIZE, EXT, SIZE_LF, DATA, DATA_CR, DATA_LF, TRAILER, TRAILER_LF, END, REFUSED };

static const struct http_refusal bad_size = { 400, "chunk-size", "A chunk's size is broken." };
static const struct http_refusal bad_line = { 400, "chunk-framing",
                                              "Chunks must be framed by CRLF." };
static const struct http_refusal bad_trailer = { 400, "chunk-trailer", "A trailer is broken." };
static const struct http_refusal too_much = { 400, "chunk-overhead",
                                              "The body has more framing than data." };

static void refuse(struct http_chunk *c, const struct http_refusal *why)
{
    c->why = why;
    c->state = REFUSED;
}

static int hex(char ch)
{
    if (ch >= '0' && ch <= '9')
        return ch - '0';
    if (ch >= 'a' && ch <= 'f')
        return ch - 'a' + 10;
    if (ch >= 'A' && ch <= 'F')
        return ch - 'A' + 10;
    return -1;
}

static bool is_text(char ch)
{
    unsigned char u = (unsigned char)ch;
    return u == '\t' || (u >= 0x20 && u != 0x7f);
}

static bool is_token(char ch)
{
    return (ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
           (ch != '\0' && strchr("!#$%&'*+-.^_`|~", ch) != NULL);
}

static void size_byte(struct http_chunk *c, char ch)
{
    int digit = hex(ch);
    if (digit >= 0) {
        if (++c->digits > SIZE_DIGITS_MAX || c->left > (uint64_t)INT64_MAX >> 4)
            refuse(c, &bad_size);
        else
            c->left = c->left << 4 | (uint64_t)digit;
    } else if (c->digits == 0) {
        refuse(c, &bad_size);
    } else if (ch == ';') {
        c->line = 0;
        c->state = EXT;
    } else if (ch == '\r') {
        c->line = 0;
        c->state = SIZE_LF;
    } else {
        refuse(c, ch == '\n' ? &bad_line : &bad_size);
    }
}

static void size_end(struct http_chunk *c, char ch)
{
    if (ch != '\n') {
        refuse(c, &bad_line);
        return;
    }
    size_t cost = c->excess + c->digits + c->line + 4;
    uint64_t fair = FAIR_BYTES + 2 * MIN(c->left, (uint64_t)EXCESS_BYTES_MAX);
    c->excess = cost > fair ? cost - (size_t)fair : 0;
    if (c->excess > EXCESS_BYTES_MAX) {
        refuse(c, &too_much);
        return;
    }
    c->state = c->left > 0 ? DATA : TRAILER;
    c->digits = 0;
    c->line = 0;
    c->colon = false;
}

/* A trailer is dropped, but it must look like a header. */
static void trailer_byte(struct http_chunk *c, char ch)
{
    if (++c->trailer_bytes > TRAILER_BYTES_MAX) {
        refuse(c, &bad_trailer);
    } else if (ch == '\r') {
        if (c->line > 0 && !c->colon)
            refuse(c, &bad_trailer);
        else
            c->state = TRAILER_LF;
    } else if (!c->colon && ch == ':' && c->line > 0) {
        c->colon = true;
        c->line++;
    } else if (c->colon ? is_text(ch) : is_token(ch)) {
        c->line++;
    } else {
        refuse(c, &bad_trailer);
    }
}

static void framing_byte(struct http_chunk *c, char ch)
{
    switch (c->state) {
    case SIZE:
        size_byte(c, ch);
        break;
    case EXT:
        if (ch == '\r')
            c->state = SIZE_LF;
        else if (!is_text(ch) || ++c->line > EXTENSION_BYTES_MAX)
            refuse(c, is_text(ch) ? &too_much : &bad_line);
        break;
    case SIZE_LF:
        size_end(c, ch);
        break;
    case DATA_CR:
        c->state = DATA_LF;
        if (ch != '\r')
            refuse(c, &bad_line);
        break;
    case DATA_LF:
        c->state = SIZE;
        if (ch != '\n')
            refuse(c, &bad_line);
        break;
    case TRAILER:
        trailer_byte(c, ch);
        break;
    default: /* TRAILER_LF */
        c->state = c->line == 0 ? END : TRAILER;
        c->line = 0;
        c->colon = false;
        if (ch != '\n')
            refuse(c, &bad_trailer);
        break;
    }
}

enum http_parse http_chunk_feed(struct http_chunk *c, char *bytes, size_t len, size_t *used,
                                size_t *out)
{
    size_t at = 0;
    size_t data = 0;
    while (at < len && c->state != END && c->state != REFUSED) {
        if (c->state != DATA) {
            framing_byte(c, bytes[at++]);
            continue;
        }
        size_t n = (size_t)MIN(c->left, (uint64_t)(len - at));
        if (data != at)
            memmove(bytes + data, bytes + at, n);
        data += n;
        at += n;
        c->left -= n;
        if (c->left == 0)
            c->state = DATA_CR;
    }
    *used = at;
    *out = data;
    if (c->state == REFUSED)
        return HTTP_PARSE_REFUSED;
    return c->state == END ? HTTP_PARSE_DONE : HTTP_PARSE_MORE;
}
