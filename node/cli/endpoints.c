#include "node/cli/endpoints.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCHEME "http://"

enum { PORT_DIGITS_MAX = 5 };

static bool is_port(const char *p)
{
    char *end;
    long port = strtol(p, &end, 10);
    return p[0] >= '0' && p[0] <= '9' && *end == 0 && port > 0 && port < 65536 && end - p <= PORT_DIGITS_MAX;
}

/* Where the port begins in what stands behind the scheme; NULL if it has none. */
static const char *port_of(const char *address)
{
    const char *bracket = strrchr(address, ']'), *colon = strrchr(address, ':');
    return colon != NULL && (bracket == NULL || colon > bracket) ? colon + 1 : NULL;
}

static int add_one(struct endpoints *list, const char *url, size_t n, struct error *e)
{
    char one[ENDPOINT_MAX];
    const char *address, *port;
    bool has_scheme = memmem(url, n, "://", 3) != NULL;

    while (n > 0 && url[n - 1] == '/') {
        n--;
    }
    if (n + sizeof SCHEME > sizeof one) {
        return error_set(e, Q_INVALID, "endpoint \"%.40s...\" is longer than %d bytes", url, ENDPOINT_MAX);
    }
    snprintf(one, sizeof one, "%s%.*s", has_scheme ? "" : SCHEME, (int)n, url);
    if (strncasecmp(one, SCHEME, strlen(SCHEME)) != 0) {
        return error_set(e, Q_INVALID, "endpoint \"%s\": only http:// is spoken", one);
    }
    address = one + strlen(SCHEME);
    port = port_of(address);
    if (address[0] == 0 || address[0] == ':' || strncmp(address, "[]", 2) == 0 ||
        strpbrk(address, "/?#@ \t") != NULL || (port != NULL && !is_port(port))) {
        return error_set(e, Q_INVALID, "endpoint \"%s\" is not of the form http://host:port", one);
    }
    for (unsigned i = 0; i < list->count; i++) {
        if (strcmp(list->url[i], one) == 0) {
            return 0;
        }
    }
    if (list->count == ENDPOINTS_MAX) {
        return error_set(e, Q_TOO_BIG, "more than %d endpoints", ENDPOINTS_MAX);
    }
    memcpy(list->url[list->count++], one, sizeof one);
    return 0;
}

int endpoints_add(struct endpoints *list, const char *urls, struct error *e)
{
    int rv = 0;

    for (const char *p = urls; rv == 0; p++) {
        size_t n;
        p += strspn(p, " ");
        n = strcspn(p, ", ");
        rv = n > 0 || p == urls ? add_one(list, p, n, e) : 0;
        p += n + strspn(p + n, " ");
        if (*p == 0) {
            break;
        }
    }
    return rv;
}

void endpoint_split(const char *url, char ret_host[ENDPOINT_MAX], char ret_port[8])
{
    const char *address = url + strlen(SCHEME), *port = port_of(address);
    size_t n = port != NULL ? (size_t)(port - 1 - address) : strlen(address);

    if (n >= 2 && address[0] == '[' && address[n - 1] == ']') {
        address++;
        n -= 2;
    }
    snprintf(ret_host, ENDPOINT_MAX, "%.*s", (int)n, address);
    snprintf(ret_port, 8, "%s", port != NULL ? port : "80");
}
