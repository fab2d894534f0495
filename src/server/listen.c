/* SPDX-License-Identifier: Apache-2.0 */
#include "server/listen.h"

#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#define HOST_MAX 255 /* RFC 1035, 2.3.4 */

static enum st split(str address, str *host, str *port, struct err *err)
{
    if (!str_cut_last(address, ':', host, port))
        return err_set(err, ST_INVALID, "has no port");
    uint64_t number;
    if (!str_to_u64(*port, 65535, &number))
        return err_set(err, ST_INVALID, "has no port from 0 to 65535 after its last colon");
    if (host->len == 0)
        return err_set(err, ST_INVALID, "has no address (0.0.0.0:%llu is every IPv4 address)",
                       (unsigned long long)number);
    bool bracketed = host->ptr[0] == '[' && host->ptr[host->len - 1] == ']';
    if (bracketed)
        *host = str_slice(*host, 1, host->len - 1);
    if (!bracketed && memchr(host->ptr, ':', host->len) != NULL)
        return err_set(err, ST_INVALID, "has an IPv6 address without its brackets");
    if (host->len == 0 || host->len > HOST_MAX)
        return err_set(err, ST_INVALID, "has no address of 1 to %d bytes", HOST_MAX);
    return ST_OK;
}

enum st listen_check(str address, struct err *err)
{
    str host;
    str port;
    return split(address, &host, &port, err);
}

static bool is_loopback(const struct sockaddr *a)
{
    if (a->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, a, sizeof(v4));
        return ntohl(v4.sin_addr.s_addr) >> 24 == 127;
    }
    if (a->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, a, sizeof(v6));
        return IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
    }
    return false;
}

static void free_found(struct addrinfo **found)
{
    if (*found != NULL)
        freeaddrinfo(*found);
}

enum st listen_check_loopback(const char *address, struct err *err)
{
    str host;
    str port;
    struct err why;
    if (split(str_of(address), &host, &port, &why) != ST_OK)
        return err_set(err, ST_INVALID, "listen: \"%s\" %s", address, why.text);
    char name[HOST_MAX + 1];
    (void)str_copy(host, name, sizeof(name)); /* split() has checked the length */
    AUTO(free_found) struct addrinfo *found = NULL;
    const struct addrinfo wanted = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE };
    int code = getaddrinfo(name, NULL, &wanted, &found);
    if (code != 0)
        return err_set(err, ST_NOT_FOUND, "listen: cannot resolve \"%s\": %s", name,
                       gai_strerror(code));
    for (const struct addrinfo *a = found; a != NULL; a = a->ai_next)
        if (!is_loopback(a->ai_addr))
            return err_set(err, ST_DENIED,
                           "will not listen on %s: it is not a loopback address, and this registry "
                           "has no accounts, so anyone who reaches it may push, pull and delete. "
                           "Listen on 127.0.0.1:%.*s, turn accounts on with --set "
                           "auth.mode=accounts, or accept it with --open (in the configuration: "
                           "open: true)",
                           address, STR_FMT(port));
    return ST_OK;
}
