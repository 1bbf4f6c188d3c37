/* endpoints: where the nodes are, as a short list of "http://host:port" without a slash behind. */
#ifndef QUORATE_NODE_CLI_ENDPOINTS_H
#define QUORATE_NODE_CLI_ENDPOINTS_H

#include <stddef.h>

#include "base/error.h"

enum { ENDPOINTS_MAX = 32, ENDPOINT_MAX = 300 };

struct endpoints {
    unsigned count;
    char url[ENDPOINTS_MAX][ENDPOINT_MAX];
};

/* Adds each of a comma separated list unless it is there already. "host:port" is taken as http. Errors:
 * Q_INVALID (another scheme than http, no host, a path, too long), Q_TOO_BIG (too many). */
int endpoints_add(struct endpoints *list, const char *urls, struct error *e);
/* Host (without the brackets of an IPv6 address) and port, both terminated. PORT is "80" if the URL has none.
 */
void endpoint_split(const char *url, char ret_host[ENDPOINT_MAX], char ret_port[8]);

#endif
