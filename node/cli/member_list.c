#include "node/cli/member_list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "node/env/address.h"

/* One "id=host:port" of N bytes. */
static int parse_one(const char *p, size_t n, struct peers_member *ret_member, struct error *e)
{
    struct address address;
    struct error why;
    char *end;

    errno = 0;
    ret_member->id = p[0] >= '0' && p[0] <= '9' ? strtoull(p, &end, 10) : 0;
    if (ret_member->id == 0 || errno != 0 || *end != '=' || end >= p + n) {
        return error_set(e, Q_INVALID, "\"%.*s\" is not of the form id=host:port, with an id from 1", (int)n,
                         p);
    }
    end++;
    n -= (size_t)(end - p);
    if (n > PEERS_ADDRESS_MAX) {
        return error_set(e, Q_INVALID, "an address is longer than %d bytes", PEERS_ADDRESS_MAX);
    }
    memcpy(ret_member->address, end, n);
    ret_member->address[n] = 0;
    if (address_parse(ret_member->address, &address, &why) != 0) {
        return error_set(e, Q_INVALID, "%s", why.text);
    }
    return address.port != 0 ? 0 : error_set(e, Q_INVALID, "\"%s\" has no port", ret_member->address);
}

int member_list_parse(const char *text, struct peers_member ret_members[PEERS_MAX], unsigned *ret_count,
                      struct error *e)
{
    unsigned count = 0;
    int rv = 0;

    while (rv == 0 && *text != 0) {
        size_t n = strcspn(text, ",");
        rv = count == PEERS_MAX ? error_set(e, Q_TOO_BIG, "more than %d members", PEERS_MAX)
                                : parse_one(text, n, &ret_members[count], e);
        count++;
        text += n + (text[n] == ',');
    }
    if (rv == 0) {
        *ret_count = count;
    }
    return rv;
}
