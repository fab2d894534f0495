/* SPDX-License-Identifier: Apache-2.0 */
#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

static bool header_is(const char *line, size_t len, const char *name, size_t name_len)
{
    return len > name_len && line[name_len] == ':' && strncasecmp(line, name, name_len) == 0;
}

static void header_take(const char *line, size_t len, struct wire_answer *a)
{
    const char *end = line + len;
    const char *value = memchr(line, ':', len);
    if (!value)
        return;
    for (value++; value < end && *value == ' ';)
        value++;
    switch (line[0] | 0x20) {
    case 'c':
        if (header_is(line, len, "content-length", 14))
            a->length = strtoull(value, NULL, 10);
        else if (header_is(line, len, "connection", 10))
            a->close = (size_t)(end - value) >= 5 && strncasecmp(value, "close", 5) == 0;
        break;
    case 't':
        if (header_is(line, len, "transfer-encoding", 17))
            a->chunked = true;
        break;
    case 'l':
        if (header_is(line, len, "location", 8)) {
            a->location = value;
            a->location_len = (size_t)(end - value);
        }
        break;
    default:
        break;
    }
}

ssize_t wire_parse(const char *bytes, size_t len, struct wire_answer *out)
{
    const char *head_end = memmem(bytes, len, "\r\n\r\n", 4);
    if (!head_end)
        return 0;
    if (memcmp(bytes, "HTTP/1.", 7) != 0 || head_end - bytes < 12)
        return -1;
    *out = (struct wire_answer){ .code = (bytes[9] - '0') * 100 + (bytes[10] - '0') * 10 +
                                         (bytes[11] - '0') };
    const char *line = memchr(bytes, '\n', (size_t)(head_end - bytes));
    while (line && line < head_end) {
        line++;
        const char *eol = memchr(line, '\r', (size_t)(head_end + 1 - line));
        if (!eol)
            return -1;
        header_take(line, (size_t)(eol - line), out);
        line = eol + 1;
    }
    return head_end + 4 - bytes;
}

void wire_body_init(struct wire_body *b, const struct wire_answer *a)
{
    *b = (struct wire_body){ .state = a->chunked ? WIRE_SIZE : WIRE_PLAIN,
                             .left = a->chunked ? 0 : a->length };
}

static unsigned hex_value(char c)
{
    return c >= '0' && c <= '9' ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a' + 10);
}

/* One byte of the framing around chunks; true at the end of the body. */
static bool frame_byte(struct wire_body *b, char c)
{
    if (c == '\r')
        return false;
    switch (b->state) {
    case WIRE_SIZE:
        if (c == ';')
            b->state = WIRE_EXTENSION;
        else if (c != '\n')
            b->left = b->left * 16 + hex_value(c);
        if (c != '\n')
            return false;
        b->state = b->left > 0 ? WIRE_DATA : WIRE_TRAILER;
        b->line_empty = true;
        return false;
    case WIRE_EXTENSION:
        if (c == '\n') {
            b->state = b->left > 0 ? WIRE_DATA : WIRE_TRAILER;
            b->line_empty = true;
        }
        return false;
    case WIRE_DATA_END:
        b->state = WIRE_SIZE;
        return false;
    case WIRE_TRAILER:
        if (c == '\n' && b->line_empty)
            return true;
        b->line_empty = c == '\n';
        return false;
    default:
        return false;
    }
}

bool wire_body_eat(struct wire_body *b, const char *bytes, size_t len, uint64_t *payload)
{
    while (len > 0) {
        if (b->state == WIRE_PLAIN || b->state == WIRE_DATA) {
            size_t n = (size_t)MIN(b->left, len);
            b->left -= n;
            *payload += n;
            bytes += n;
            len -= n;
            if (b->left > 0)
                return false;
            if (b->state == WIRE_PLAIN)
                return true;
            b->state = WIRE_DATA_END;
        } else {
            if (frame_byte(b, *bytes))
                return true;
            bytes++;
            len--;
        }
    }
    return b->state == WIRE_PLAIN && b->left == 0;
}

int wire_connect(unsigned source, bool nonblocking)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | (nonblocking ? SOCK_NONBLOCK : 0), 0);
    int one = 1;
    if (fd < 0)
        return -1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (source > 0) {
        struct sockaddr_in from = { .sin_family = AF_INET,
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK + source) };
        /* Only the address: many connections share a local port when the peer differs. */
        setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
        if (bind(fd, (const struct sockaddr *)&from, sizeof(from)) != 0) {
            close(fd);
            return -1;
        }
    }
    if (connect(fd, (const struct sockaddr *)&options.to, sizeof(options.to)) != 0 &&
        errno != EINPROGRESS) {
        close(fd);
        return -1;
    }
    return fd;
}

void wire_send(int fd, const void *bytes, size_t len)
{
    const char *p = bytes;
    while (len > 0) {
        ssize_t n = send(fd, p, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            die("%s: the server closed a connection while a request was sent", options.work);
        p += n;
        len -= (size_t)n;
    }
}

bool wire_location(const struct wire_answer *a, char out[static WIRE_LOCATION_MAX])
{
    const char *target = a->location;
    size_t len = a->location_len;
    const char *host = target ? memmem(target, MIN(len, 10), "://", 3) : NULL;
    if (host) {
        const char *slash = memchr(host + 3, '/', len - (size_t)(host + 3 - target));
        if (!slash)
            return false;
        len -= (size_t)(slash - target);
        target = slash;
    }
    if (!target || len >= WIRE_LOCATION_MAX)
        return false;
    memcpy(out, target, len);
    out[len] = '\0';
    return true;
}

int wire_answer_read(int fd, char *location, bool *closes)
{
    char buf[16384];
    size_t len = 0;
    ssize_t head = 0;
    uint64_t payload = 0;
    struct wire_answer a;
    while (head == 0 && len < sizeof(buf)) {
        ssize_t n = recv(fd, buf + len, sizeof(buf) - len, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return 0;
        len += (size_t)n;
        head = wire_parse(buf, len, &a);
    }
    if (head <= 0 || (location && !wire_location(&a, location)))
        return 0;
    if (closes)
        *closes = a.close;
    struct wire_body body;
    wire_body_init(&body, &a);
    bool over = wire_body_eat(&body, buf + head, len - (size_t)head, &payload);
    while (!over) {
        ssize_t n = recv(fd, buf, sizeof(buf), 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return 0;
        over = wire_body_eat(&body, buf, (size_t)n, &payload);
    }
    return a.code;
}

void wire_upload_begin(int fd, const char *repo, char location[static WIRE_LOCATION_MAX])
{
    char head[512];
    int n = snprintf(head, sizeof(head),
                     "POST /v2/%s/blobs/uploads/ HTTP/1.1\r\nHost: %s\r\nContent-Length: 0\r\n\r\n",
                     repo, options.host);
    wire_send(fd, head, (size_t)n);
    int code = wire_answer_read(fd, location, NULL);
    if (code != 202)
        die("%s: an upload was answered with %d instead of 202", options.work, code);
}
