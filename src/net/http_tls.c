/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http_tls.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/lock.h"
#include "base/mem.h"

struct http_tls {
    struct lock lock; /* of ctx; sessions hold references of their own */
    SSL_CTX *ctx;
    char *cert;
    char *key;
};

static enum st ssl_failed(struct err *err, const char *what, const char *path)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code == 0 ? NULL : ERR_reason_error_string(code);
    ERR_clear_error();
    return err_set(err, ST_INVALID, "%s %s: %s", what, path, reason == NULL ? "failed" : reason);
}

/* HTTP/1.1 is all there is; a client that offers only others goes on without (RFC 7301, 3.2 would
 * let us end it, but curl and Go then still speak HTTP/1.1). */
static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                       const unsigned char *in, unsigned in_len, void *arg)
{
    static const unsigned char mine[] = "\x08http/1.1";
    (void)ssl;
    (void)arg;
    unsigned char *chosen = NULL;
    if (SSL_select_next_proto(&chosen, out_len, mine, sizeof(mine) - 1, in, in_len) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_NOACK;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static enum st ctx_load(const char *cert, const char *key, SSL_CTX **out, struct err *err)
{
    ERR_clear_error();
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (ctx == NULL)
        return err_no_memory(err);
    enum st st = ST_OK;
    if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1)
        st = ssl_failed(err, "TLS", "1.2");
    else if (SSL_CTX_use_certificate_chain_file(ctx, cert) != 1)
        st = ssl_failed(err, "certificate", cert);
    else if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1 ||
             SSL_CTX_check_private_key(ctx) != 1)
        st = ssl_failed(err, "key", key);
    if (st != ST_OK) {
        SSL_CTX_free(ctx);
        return st;
    }
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    (void)SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_alpn_select_cb(ctx, choose_alpn, NULL);
    *out = ctx;
    return ST_OK;
}

enum st http_tls_open(const char *cert, const char *key, struct http_tls **out, struct err *err)
{
    SSL_CTX *ctx = NULL;
    enum st st = ctx_load(cert, key, &ctx, err);
    if (st != ST_OK)
        return st;
    struct http_tls *t = mem_new(sizeof(*t));
    char *cert_copy = mem_dup(cert, strlen(cert));
    char *key_copy = mem_dup(key, strlen(key));
    if (t == NULL || cert_copy == NULL || key_copy == NULL) {
        mem_free(t);
        mem_free(cert_copy);
        mem_free(key_copy);
        SSL_CTX_free(ctx);
        return err_no_memory(err);
    }
    lock_init(&t->lock, LOCK_HTTP_ADDRESS);
    t->ctx = ctx;
    t->cert = cert_copy;
    t->key = key_copy;
    *out = t;
    return ST_OK;
}

enum st http_tls_reload(struct http_tls *t, struct err *err)
{
    SSL_CTX *ctx = NULL;
    enum st st = ctx_load(t->cert, t->key, &ctx, err);
    if (st != ST_OK)
        return st;
    lock_take(&t->lock);
    SSL_CTX *old = t->ctx;
    t->ctx = ctx;
    lock_drop(&t->lock);
    SSL_CTX_free(old);
    return ST_OK;
}

void http_tls_close(struct http_tls *t)
{
    if (t == NULL)
        return;
    SSL_CTX_free(t->ctx);
    lock_release(&t->lock);
    mem_free(t->cert);
    mem_free(t->key);
    mem_free(t);
}

void *http_tls_session_new(struct http_tls *t, int fd)
{
    lock_take(&t->lock);
    SSL_CTX *ctx = t->ctx;
    (void)SSL_CTX_up_ref(ctx);
    lock_drop(&t->lock);
    SSL *ssl = SSL_new(ctx);
    SSL_CTX_free(ctx);
    if (ssl != NULL && SSL_set_fd(ssl, fd) != 1) {
        SSL_free(ssl);
        ssl = NULL;
    }
    if (ssl != NULL)
        SSL_set_accept_state(ssl);
    ERR_clear_error();
    return ssl;
}

void http_tls_session_free(void *session)
{
    SSL_free(session);
}

static int outcome(SSL *ssl, int n)
{
    switch (SSL_get_error(ssl, n)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return -1;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    default:
        ERR_clear_error();
        return -2;
    }
}

int http_tls_shake(void *session)
{
    ERR_clear_error();
    int n = SSL_do_handshake(session);
    if (n == 1)
        return 1;
    n = outcome(session, n);
    return n == 0 ? -2 : n;
}

ssize_t http_tls_recv(void *session, void *bytes, size_t len)
{
    ERR_clear_error();
    int n = SSL_read(session, bytes, (int)MIN(len, (size_t)INT_MAX));
    return n > 0 ? n : outcome(session, n);
}

ssize_t http_tls_send(void *session, const void *bytes, size_t len)
{
    ERR_clear_error();
    int n = SSL_write(session, bytes, (int)MIN(len, (size_t)INT_MAX));
    if (n > 0)
        return n;
    n = outcome(session, n);
    return n == 0 ? -2 : n;
}

void http_tls_goodbye(void *session)
{
    ERR_clear_error();
    (void)SSL_shutdown(session);
    ERR_clear_error();
}
