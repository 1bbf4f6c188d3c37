/* address: "host:port" as people write it and as sockets want it. It knows no sockets and never waits: names
 * stay names until somebody resolves them.
 *
 *     db1.example:4001    127.0.0.1:4001    [::1]:4001    [fe80::1%eth0]:4001
 *
 * The host is never empty; a version 6 address always stands in brackets, and only such an address does. The
 * port is 0 to 65535, decimal. */
#ifndef QUORATE_NODE_ADDRESS_H
#define QUORATE_NODE_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/error.h"

enum {
    ADDRESS_HOST_MAX = 255,                  /* bytes, without the terminator */
    ADDRESS_TEXT_MAX = ADDRESS_HOST_MAX + 9, /* host, brackets, colon, port, terminator */
};

struct address {
    char host[ADDRESS_HOST_MAX + 1]; /* without brackets */
    uint16_t port;
};

/* Errors: Q_INVALID with a text that says what is wrong, Q_TOO_BIG for a longer host. */
int address_parse(const char *text, struct address *ret_address, struct error *e);
/* True, and the socket address, if the host is a number and not a name. */
bool address_numeric(const struct address *address, struct sockaddr_storage *ret_socket);
/* Whether it is a number that means "every address of this machine", such as 0.0.0.0: good to listen on, but
 * nobody reaches a machine by it. */
bool address_is_wildcard(const struct address *address);
/* Whether TEXT is an address that others can dial: as address_parse(), with a port, and no wildcard. */
int address_dialable(const char *text, struct error *e);
/* Writes a socket's address in the form above, always terminated; "?" for families other than IP. */
void address_print(const struct sockaddr *socket, char *p, size_t n);

#endif
