#include "cluster/hub.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const struct metric metrics[HUB_METRICS_COUNT] = {
#define X(metric_id, metric_kind, metric_name, metric_labels, metric_help)                                   \
    [HUB_##metric_id] = {                                                                                    \
        .kind = metric_kind, .name = metric_name, .labels = metric_labels, .help = metric_help},
    HUB_METRICS(X)
#undef X
};

static bool is_member(void *ctx, uint64_t id)
{
    return hub_member(ctx, id) != NULL;
}

static int admit(void *ctx, uint64_t id, uint64_t incarnation, struct error *e)
{
    struct hub *h = ctx;
    if (h->closing) {
        return error_set(e, Q_CLOSED, "the node is stopping");
    }
    return h->config.admit(h->config.ctx, id, incarnation, e);
}

static void describe(void *ctx, uint64_t id, struct peers_life *ret_own, struct peers_life *ret_seen)
{
    struct hub *h = ctx;
    if (!h->closing) {
        h->config.describe(h->config.ctx, id, ret_own, ret_seen);
    }
}

static int check_life(void *ctx, uint64_t id, const struct peers_life *seen, struct error *e)
{
    struct hub *h = ctx;
    return h->closing ? error_set(e, Q_CLOSED, "the node is stopping")
                      : h->config.check(h->config.ctx, id, seen, e);
}

static void met(void *ctx, uint64_t id, const struct peers_life *life)
{
    struct hub *h = ctx;
    if (!h->closing) {
        h->config.met(h->config.ctx, id, life);
    }
}

static int check_members(const struct peers_config *c, struct error *e)
{
    bool found = false;

    if (c->count > PEERS_MAX) {
        return error_set(e, Q_INVALID, "%u members are more than the limit of %d", c->count, PEERS_MAX);
    }
    for (unsigned i = 0; i < c->count; i++) {
        const struct peers_member *m = &c->members[i];
        size_t n = strnlen(m->address, sizeof m->address);
        if (m->id == 0) {
            return error_set(e, Q_INVALID, "member %u of the list has the id 0", i + 1);
        }
        if (n == 0 || !handshake_address_ok(m->address, n)) {
            return error_set(e, Q_INVALID, "the address of node %" PRIu64 " is not a host:port", m->id);
        }
        for (unsigned j = 0; j < i; j++) {
            if (c->members[j].id == m->id) {
                return error_set(e, Q_INVALID, "node %" PRIu64 " is in the member list twice", m->id);
            }
        }
        found = found || m->id == c->id;
    }
    return found ? 0 : error_set(e, Q_INVALID, "this node's id %" PRIu64 " is not in the member list", c->id);
}

static int check(const struct peers_config *c, struct error *e)
{
    size_t api_len = strlen(c->api_address);

    if (c->secret_len < PEERS_SECRET_MIN || c->secret_len > PEERS_SECRET_MAX) {
        return error_set(e, Q_INVALID, "the secret has %zu bytes; it must have %d to %d", c->secret_len,
                         PEERS_SECRET_MIN, PEERS_SECRET_MAX);
    }
    if (!handshake_address_ok(c->api_address, api_len)) {
        return error_set(e, Q_INVALID,
                         "the API address has blanks, characters that are not ASCII, or more than %d bytes",
                         PEERS_ADDRESS_MAX);
    }
    return check_members(c, e);
}

int hub_init(struct hub *h, const struct peers_config *c, void (*idle)(struct hub *), struct error *e)
{
    int rc = check(c, e);

    if (rc != 0) {
        return rc;
    }
    *h = (struct hub){.env = c->env, .config = *c, .idle = idle};
    h->members = calloc(c->count, sizeof *h->members);
    if (h->members == NULL) {
        return error_set(e, Q_NOMEM, "out of memory for %u members", c->count);
    }
    for (unsigned i = 0; i < c->count; i++) {
        if (c->members[i].id != c->id) {
            struct hub_member *m = &h->members[h->count++];
            m->id = c->members[i].id;
            memcpy(m->address, c->members[i].address, sizeof m->address);
        }
    }
    memcpy(h->secret, c->secret, c->secret_len);
    memcpy(h->api_address, c->api_address, strlen(c->api_address) + 1);
    h->self = (struct handshake_self){
        .id = c->id,
        .incarnation = c->incarnation,
        .api_address = h->api_address,
        .secret = h->secret,
        .secret_len = c->secret_len,
        .member = is_member,
        .admit = admit,
        .describe = describe,
        .check = check_life,
        .met = met,
        .ctx = h,
    };
    memcpy(h->self.cluster_id, c->cluster_id, sizeof h->self.cluster_id);
    memcpy(h->metrics, metrics, sizeof h->metrics);
    h->config.listen = h->config.api_address = NULL;
    h->config.members = NULL;
    h->config.secret = NULL;
    return 0;
}

void hub_close(struct hub *h)
{
    free(h->members);
    explicit_bzero(h->secret, sizeof h->secret);
    *h = (struct hub){0};
}

struct hub_member *hub_member(const struct hub *h, uint64_t id)
{
    for (unsigned i = 0; i < h->count; i++) {
        if (h->members[i].id == id) {
            return &h->members[i];
        }
    }
    return NULL;
}

void hub_heard(struct hub_member *m, const struct handshake *h)
{
    memcpy(m->api_address, h->api_address, sizeof m->api_address);
}

void hub_session_starts(struct hub *h)
{
    h->sessions++;
}

void hub_session_ended(struct hub *h)
{
    assert(h->sessions > 0);
    h->sessions--;
    if (h->closing && h->sessions == 0) {
        h->idle(h);
    }
}

void hub_refused(struct hub *h, enum handshake_role role, struct hub_member *member, enum hub_metric by,
                 const char *who, const struct error *why)
{
    struct hub_reports *reports = member != NULL ? &member->reports : &h->stranger_reports;
    uint64_t now = env_now_ms(h->env);

    hub_count(h, by, 1);
    if (!h->closing && now >= reports->next_ms[role][why->code]) {
        reports->next_ms[role][why->code] = now + HUB_REPORT_MS;
        h->config.refused(h->config.ctx, who, why);
    }
}
