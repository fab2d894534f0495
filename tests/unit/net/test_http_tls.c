/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "http_fixture.h"

static char dir[] = "/tmp/ebb-test-tls-XXXXXX";
static char cert_path[64];
static char key_path[64];
static struct http_server *server;

/* A self-signed certificate for `name`, written over the old one. */
static void make_certificate(const char *name)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    assert_non_null(key);
    assert_non_null(cert);
    (void)X509_set_version(cert, X509_VERSION_3);
    (void)ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    (void)X509_gmtime_adj(X509_getm_notBefore(cert), 0);
    (void)X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    (void)X509_set_pubkey(cert, key);
    X509_NAME *subject = X509_get_subject_name(cert);
    (void)X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1,
                                     -1, 0);
    (void)X509_set_issuer_name(cert, subject);
    assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
    FILE *f = fopen(cert_path, "w");
    assert_non_null(f);
    assert_int_equal(PEM_write_X509(f, cert), 1);
    (void)fclose(f);
    f = fopen(key_path, "w");
    assert_non_null(f);
    assert_int_equal(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
    (void)fclose(f);
    X509_free(cert);
    EVP_PKEY_free(key);
}

static int start(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(cert_path, sizeof(cert_path), "%s/cert", dir);
    (void)snprintf(key_path, sizeof(key_path), "%s/key", dir);
    make_certificate("first");
    server = server_start(&(struct http_options){
        .tls_cert = cert_path, .tls_key = key_path, .header_timeout_ms = 2000 });
    return 0;
}

static int stop(void **state)
{
    (void)state;
    http_server_stop(server, 5000);
    (void)unlink(cert_path);
    (void)unlink(key_path);
    (void)rmdir(dir);
    return 0;
}

static SSL *tls_open(int *fd, SSL_CTX *ctx)
{
    SSL *ssl = SSL_new(ctx);
    assert_non_null(ssl);
    *fd = client_open(server);
    assert_int_equal(SSL_set_fd(ssl, *fd), 1);
    assert_int_equal(SSL_connect(ssl), 1);
    return ssl;
}

/* The whole answer; its body begins at the returned place. */
static size_t tls_get(SSL *ssl, const char *path, char *to, size_t size, char **body)
{
    char text[128];
    size_t len = 0;
    size_t want = 0;
    (void)snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path);
    assert_true(SSL_write(ssl, text, (int)strlen(text)) > 0);
    *body = NULL;
    while (*body == NULL || len < (size_t)(*body - to) + want) {
        int n = SSL_read(ssl, to + len, (int)(size - len - 1));
        assert_true(n > 0);
        len += (size_t)n;
        to[len] = '\0';
        if (*body == NULL && (*body = strstr(to, "\r\n\r\n")) != NULL) {
            *body += 4;
            want = strtoul(strstr(to, "Content-Length: ") + 16, NULL, 10);
        }
    }
    return want;
}

static void requests_and_files_over_tls(void **state)
{
    (void)state;
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    assert_int_equal(SSL_CTX_set_alpn_protos(ctx, (const unsigned char *)"\x02h2\x08http/1.1", 12),
                     0);
    size_t size = FILE_BYTES + 4096;
    char *all = malloc(size);
    char *body;
    int fd;
    assert_non_null(all);
    SSL *ssl = tls_open(&fd, ctx);
    const unsigned char *alpn;
    unsigned alpn_len;
    SSL_get0_alpn_selected(ssl, &alpn, &alpn_len);
    assert_int_equal(alpn_len, 8);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(tls_get(ssl, "/work", all, size, &body), 5);
        assert_memory_equal(body, "hello", 5);
        assert_int_equal(tls_get(ssl, "/file", all, size, &body), FILE_BYTES + 2);
        for (size_t k = 0; k < FILE_BYTES; k++)
            if ((unsigned char)body[k + 1] != k % 251)
                fail_msg("byte %zu", k);
    }
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    free(all);
    close(fd);
}

static void uploads_over_tls(void **state)
{
    (void)state;
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    static char piece[100000];
    char answer[4096] = "";
    int fd;
    SSL *ssl = tls_open(&fd, ctx);
    static const char head[] = "PUT /sink HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n";
    assert_true(SSL_write(ssl, head, (int)sizeof(head) - 1) > 0);
    for (int i = 0; i < 30; i++)
        assert_int_equal(SSL_write(ssl, piece, (int)sizeof(piece)), sizeof(piece));
    assert_true(SSL_read(ssl, answer, (int)sizeof(answer) - 1) > 0);
    assert_non_null(strstr(answer, "\r\n\r\n3000000 0"));
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    close(fd);
}

static bool has_name(SSL *ssl, const char *name)
{
    char text[64] = "";
    X509 *cert = SSL_get1_peer_certificate(ssl);
    assert_non_null(cert);
    (void)X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, text,
                                    sizeof(text));
    X509_free(cert);
    return strcmp(text, name) == 0;
}

static void reload_is_for_connections_to_come(void **state)
{
    (void)state;
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    char answer[4096];
    char *body;
    int old_fd;
    int fd;
    SSL *old = tls_open(&old_fd, ctx);
    assert_true(has_name(old, "first"));
    make_certificate("second");
    assert_int_equal(http_server_reload_tls(server, NULL), ST_OK);
    SSL *ssl = tls_open(&fd, ctx);
    assert_true(has_name(ssl, "second"));
    assert_int_equal(tls_get(old, "/hello", answer, sizeof(answer), &body), 5);
    SSL_free(ssl);
    close(fd);
    /* A broken file changes nothing. */
    FILE *f = fopen(cert_path, "w");
    assert_non_null(f);
    (void)fclose(f);
    struct err err;
    assert_int_not_equal(http_server_reload_tls(server, &err), ST_OK);
    assert_non_null(strstr(err.text, cert_path));
    ssl = tls_open(&fd, ctx);
    assert_true(has_name(ssl, "second"));
    SSL_free(ssl);
    SSL_free(old);
    SSL_CTX_free(ctx);
    close(fd);
    close(old_fd);
}

static void old_tls_and_plain_http_are_closed(void **state)
{
    (void)state;
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    (void)SSL_CTX_set_max_proto_version(ctx, TLS1_1_VERSION);
    SSL_CTX_set_security_level(ctx, 0);
    SSL *ssl = SSL_new(ctx);
    int fd = client_open(server);
    assert_int_equal(SSL_set_fd(ssl, fd), 1);
    assert_int_not_equal(SSL_connect(ssl), 1);
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    close(fd);
    fd = client_open(server);
    client_send(fd, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    char *all = client_rest(fd);
    assert_null(strstr(all, "HTTP/1.1"));
    free(all);
    close(fd);
}

static void a_handshake_has_a_deadline(void **state)
{
    (void)state;
    int fd = client_open(server);
    assert_true(client_closed(fd));
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_and_files_over_tls),
        cmocka_unit_test(uploads_over_tls),
        cmocka_unit_test(reload_is_for_connections_to_come),
        cmocka_unit_test(old_tls_and_plain_http_are_closed),
        cmocka_unit_test(a_handshake_has_a_deadline),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
