#include "raft_glue/configuration.h"

#include <string.h>

#include "base/buf.h"
#include "base/plant.h"
#include "raft_glue/message.h"

enum { CONFIGURATION_FORMAT = 1 };

static int add_error(int rv, uint64_t id, struct error *e)
{
    if (rv == RAFT_NOMEM) {
        return error_set(e, Q_NOMEM, "out of memory for a configuration");
    }
    return error_set(e, Q_CORRUPT, "configuration: server %llu: %s", (unsigned long long)id,
                     raft_strerror(rv));
}

int configuration_copy(const struct raft_configuration *from, struct raft_configuration *ret_copy,
                       struct error *e)
{
    struct raft_configuration copy;

    raft_configuration_init(&copy);
    for (unsigned i = 0; i < from->n; i++) {
        const struct raft_server *s = &from->servers[i];
        int rv = raft_configuration_add(&copy, s->id, s->address, s->role);
        if (rv != 0) {
            raft_configuration_close(&copy);
            return add_error(rv, s->id, e);
        }
    }
    *ret_copy = copy;
    return 0;
}

int configuration_add(struct raft_configuration *c, uint64_t id, const void *address, size_t address_len,
                      int role, struct error *e)
{
    char text[MESSAGE_ADDRESS_MAX + 1];
    int rv;

    if (c->n == MESSAGE_SERVERS_MAX) {
        return error_set(e, Q_TOO_BIG, "configuration: more than %d servers", MESSAGE_SERVERS_MAX);
    }
    if (address_len > MESSAGE_ADDRESS_MAX && !PLANTED("names_of_members_have_no_limit")) {
        return error_set(e, Q_TOO_BIG, "configuration: an address of %zu bytes, the limit is %d", address_len,
                         MESSAGE_ADDRESS_MAX);
    }
    if (id == 0 || address_len == 0 || memchr(address, 0, address_len) != NULL) {
        return error_set(e, Q_CORRUPT, "configuration: a server without id or name");
    }
    memcpy(text, address, address_len);
    text[address_len] = 0;
    rv = raft_configuration_add(c, id, text, role);
    return rv == 0 ? 0 : add_error(rv, id, e);
}

static int decode_server(struct cursor *c, struct raft_configuration *configuration, struct error *e)
{
    uint64_t id = cursor_u64(c);
    const uint8_t *address = c->p;
    const uint8_t *nul = cursor_left(c) > 0 ? memchr(address, 0, cursor_left(c)) : NULL;

    if (nul == NULL) {
        return error_set(e, Q_CORRUPT, "configuration: cut short");
    }
    cursor_bytes(c, (size_t)(nul - address) + 1);
    int role = cursor_u8(c);
    if (c->bad) {
        return error_set(e, Q_CORRUPT, "configuration: cut short");
    }
    return configuration_add(configuration, id, address, (size_t)(nul - address), role, e);
}

int configuration_decode(const void *p, size_t n, struct raft_configuration *ret_configuration,
                         struct error *e)
{
    struct cursor c = cursor_of(p, n);
    struct raft_configuration configuration;
    uint8_t format = cursor_u8(&c);
    uint64_t servers = cursor_u64(&c);
    int rv = 0;

    if (c.bad || format != CONFIGURATION_FORMAT || servers == 0) {
        return error_set(e, Q_CORRUPT, "configuration: no servers, or an unknown format");
    }
    raft_configuration_init(&configuration);
    for (uint64_t i = 0; i < servers && rv == 0; i++) {
        rv = decode_server(&c, &configuration, e);
    }
    if (rv != 0) {
        raft_configuration_close(&configuration);
        return rv;
    }
    *ret_configuration = configuration;
    return 0;
}

const struct raft_server *configuration_find(const struct raft_configuration *c, uint64_t id)
{
    for (unsigned i = 0; i < c->n; i++) {
        if (c->servers[i].id == id) {
            return &c->servers[i];
        }
    }
    return NULL;
}

bool configuration_is_voter(const struct raft_configuration *c, uint64_t id)
{
    const struct raft_server *server = configuration_find(c, id);
    return server != NULL && server->role == RAFT_VOTER;
}

unsigned configuration_voters(const struct raft_configuration *c)
{
    unsigned n = 0;
    for (unsigned i = 0; i < c->n; i++) {
        n += c->servers[i].role == RAFT_VOTER;
    }
    return n;
}

bool configuration_sole_voter(const struct raft_configuration *c, uint64_t id)
{
    return configuration_voters(c) == 1 && configuration_is_voter(c, id);
}

/* How many voters of A do not vote in B. */
static unsigned voters_lost(const struct raft_configuration *a, const struct raft_configuration *b)
{
    unsigned n = 0;
    for (unsigned i = 0; i < a->n; i++) {
        n += a->servers[i].role == RAFT_VOTER && !configuration_is_voter(b, a->servers[i].id);
    }
    return n;
}

int configuration_check_step(const struct raft_configuration *from, const struct raft_configuration *to,
                             struct error *e)
{
    if (voters_lost(from, to) + voters_lost(to, from) > 1) {
        return error_set(e, Q_INVALID, "only one voter may come or go at a time");
    }
    for (unsigned i = 0; from->n == to->n && i < to->n; i++) {
        if (from->servers[i].id != to->servers[i].id) {
            return error_set(e, Q_INVALID,
                             "a server cannot be replaced in one step: add one, then remove one");
        }
    }
    return 0;
}
