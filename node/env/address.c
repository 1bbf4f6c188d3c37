#include "node/env/address.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "base/plant.h"

/* Decimal digits only; -1 on anything else. */
static long parse_port(const char *p)
{
    long port = 0;

    if (*p == '\0') {
        return -1;
    }
    for (; *p != '\0'; p++) {
        if (*p < '0' || *p > '9') {
            return -1;
        }
        port = port * 10 + (*p - '0');
        if (port > UINT16_MAX) {
            return -1;
        }
    }
    return port;
}

/* Splits TEXT at the colon before the port. False when it has not the form of an address. */
static bool split(const char *text, const char **ret_host, size_t *ret_len, const char **ret_port)
{
    const char *host = text, *end;

    if (*text == '[') {
        host = text + 1;
        end = strchr(host, ']');
        if (end == NULL || end[1] != ':' || memchr(host, ':', (size_t)(end - host)) == NULL) {
            return false;
        }
        *ret_port = end + 2;
    } else {
        end = strchr(host, ':');
        if (end == NULL) {
            return false;
        }
        *ret_port = end + 1;
    }
    *ret_host = host;
    *ret_len = (size_t)(end - host);
    return *ret_len > 0;
}

int address_parse(const char *text, struct address *ret_address, struct error *e)
{
    struct address a;
    const char *host, *port_text;
    size_t n;
    long port;

    if (!split(text, &host, &n, &port_text)) {
        return error_set(e, Q_INVALID, "address \"%.100s\" is not of the form host:port or [v6]:port", text);
    }
    if (n > ADDRESS_HOST_MAX) {
        return error_set(e, Q_TOO_BIG, "the host of an address is longer than %d bytes", ADDRESS_HOST_MAX);
    }
    for (size_t i = 0; i < n; i++) {
        if (host[i] <= ' ' || host[i] == 0x7f) {
            return error_set(e, Q_INVALID, "address \"%.100s\" has a blank in its host", text);
        }
    }
    port = parse_port(port_text);
    if (port < 0) {
        return error_set(e, Q_INVALID, "address \"%.100s\" has no port from 0 to 65535", text);
    }
    memcpy(a.host, host, n);
    a.host[n] = '\0';
    a.port = (uint16_t)port;
    *ret_address = a;
    return 0;
}

bool address_numeric(const struct address *address, struct sockaddr_storage *ret_socket)
{
    struct sockaddr_storage s = {0};

    if (uv_ip4_addr(address->host, address->port, (struct sockaddr_in *)&s) != 0 &&
        uv_ip6_addr(address->host, address->port, (struct sockaddr_in6 *)&s) != 0) {
        return false;
    }
    *ret_socket = s;
    return true;
}

bool address_is_wildcard(const struct address *address)
{
    static const struct in6_addr any = IN6ADDR_ANY_INIT;
    struct sockaddr_storage s;

    if (!address_numeric(address, &s) || PLANTED("a_wildcard_can_be_dialled")) {
        return false;
    }
    return s.ss_family == AF_INET
               ? ((const struct sockaddr_in *)&s)->sin_addr.s_addr == htonl(INADDR_ANY)
               : memcmp(&((const struct sockaddr_in6 *)&s)->sin6_addr, &any, sizeof any) == 0;
}

int address_dialable(const char *text, struct error *e)
{
    struct address a;
    int rv = address_parse(text, &a, e);

    if (rv == 0 && a.port == 0) {
        rv = error_set(e, Q_INVALID, "address \"%.100s\" has no port from 1 to 65535", text);
    }
    if (rv == 0 && address_is_wildcard(&a)) {
        rv = error_set(e, Q_INVALID, "address \"%.100s\" is one to listen on: nobody reaches a machine by it",
                       text);
    }
    return rv;
}

void address_print(const struct sockaddr *socket, char *p, size_t n)
{
    char host[INET6_ADDRSTRLEN];

    if (socket->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)socket;

        uv_ip4_name(v4, host, sizeof host);
        snprintf(p, n, "%s:%u", host, ntohs(v4->sin_port));
    } else if (socket->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)socket;

        uv_ip6_name(v6, host, sizeof host);
        snprintf(p, n, "[%s]:%u", host, ntohs(v6->sin6_port));
    } else {
        snprintf(p, n, "?");
    }
}
