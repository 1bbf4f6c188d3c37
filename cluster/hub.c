#include "cluster/hub.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
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

static uint64_t removed(void *ctx, uint64_t id)
{
    struct hub *h = ctx;
    return h->closing ? 0 : h->config.removed(h->config.ctx, id);
}

static void told_removed(void *ctx, uint64_t by, uint64_t index)
{
    struct hub *h = ctx;
    if (!h->closing) {
        h->config.told_removed(h->config.ctx, by, index);
    }
}

static void introduced(void *ctx, uint64_t id, const char *address)
{
    struct hub *h = ctx;
    if (!h->closing) {
        h->config.introduced(h->config.ctx, id, address);
    }
}

int hub_check_members(const struct peers_member *members, unsigned count, struct error *e)
{
    if (count > PEERS_MAX) {
        return error_set(e, Q_INVALID, "%u members are more than the limit of %d", count, PEERS_MAX);
    }
    for (unsigned i = 0; i < count; i++) {
        const struct peers_member *m = &members[i];
        size_t n = strnlen(m->address, sizeof m->address);
        if (m->id == 0) {
            return error_set(e, Q_INVALID, "member %u of the list has the id 0", i + 1);
        }
        if (n == 0 || !hello_address_ok(m->address, n)) {
            return error_set(e, Q_INVALID, "the address of node %" PRIu64 " is not a host:port", m->id);
        }
        for (unsigned j = 0; j < i; j++) {
            if (members[j].id == m->id) {
                return error_set(e, Q_INVALID, "node %" PRIu64 " is in the member list twice", m->id);
            }
        }
    }
    return 0;
}

static int check_secret(size_t n, struct error *e)
{
    if (n < PEERS_SECRET_MIN || n > PEERS_SECRET_MAX) {
        return error_set(e, Q_INVALID, "the secret has %zu bytes; it must have %d to %d", n, PEERS_SECRET_MIN,
                         PEERS_SECRET_MAX);
    }
    return 0;
}

static int check_told(const char *what, const char *address, struct error *e)
{
    if (!hello_address_ok(address, strlen(address))) {
        return error_set(e, Q_INVALID,
                         "the %s address has blanks, characters that are not ASCII, or more than %d bytes",
                         what, PEERS_ADDRESS_MAX);
    }
    return 0;
}

int hub_init(struct hub *h, const struct peers_config *c, struct error *e)
{
    const char *own = c->advertise;
    int rc = check_secret(c->secret_len, e);

    if (rc == 0) {
        rc = check_told("API", c->api_address, e);
    }
    if (rc == 0) {
        rc = hub_check_members(c->members, c->count, e);
    }
    for (unsigned i = 0; i < c->count && rc == 0; i++) {
        own = c->members[i].id == c->id && own == NULL ? c->members[i].address : own;
    }
    if (rc == 0 && own == NULL) {
        rc = error_set(e, Q_INVALID, "this node's id %" PRIu64 " is not in the member list", c->id);
    }
    if (rc == 0) {
        rc = check_told("advertised", own, e);
    }
    if (rc != 0) {
        return rc;
    }
    *h = (struct hub){.env = c->env, .config = *c};
    list_init(&h->gone);
    memcpy(h->secret, c->secret, c->secret_len);
    memcpy(h->api_address, c->api_address, strlen(c->api_address) + 1);
    memcpy(h->address, own, strlen(own) + 1);
    h->self = (struct handshake_self){
        .id = c->id,
        .incarnation = c->incarnation,
        .api_address = h->api_address,
        .address = h->address,
        .secret = h->secret,
        .secret_len = c->secret_len,
        .member = is_member,
        .removed = removed,
        .told_removed = told_removed,
        .introduced = introduced,
        .admit = admit,
        .describe = describe,
        .check = check_life,
        .met = met,
        .ctx = h,
    };
    memcpy(h->self.cluster_id, c->cluster_id, sizeof h->self.cluster_id);
    memcpy(h->metrics, metrics, sizeof h->metrics);
    h->config.listen = h->config.api_address = h->config.advertise = NULL;
    h->config.members = NULL;
    h->config.secret = NULL;
    return 0;
}

int hub_init_guest(struct hub *h, struct env *env, const uint8_t *secret, size_t secret_len, struct error *e)
{
    int rc = check_secret(secret_len, e);

    if (rc != 0) {
        return rc;
    }
    *h = (struct hub){.env = env};
    list_init(&h->gone);
    memcpy(h->secret, secret, secret_len);
    h->self = (struct handshake_self){
        .guest = true, .api_address = "", .address = "", .secret = h->secret, .secret_len = secret_len};
    memcpy(h->metrics, metrics, sizeof h->metrics);
    return 0;
}

void hub_close(struct hub *h)
{
    explicit_bzero(h->secret, sizeof h->secret);
    *h = (struct hub){0};
}

struct hub_member *hub_member(const struct hub *h, uint64_t id)
{
    for (unsigned i = 0; i < h->count; i++) {
        if (h->members[i]->id == id) {
            return h->members[i];
        }
    }
    return NULL;
}

void hub_add(struct hub *h, struct hub_member *m)
{
    assert(h->count < PEERS_MAX);
    h->members[h->count++] = m;
}

void hub_remove(struct hub *h, struct hub_member *m)
{
    unsigned to = 0;

    for (unsigned i = 0; i < h->count; i++) {
        if (h->members[i] != m) {
            h->members[to++] = h->members[i];
        }
    }
    h->count = to;
    m->gone = true;
    list_push(&h->gone, &m->link);
}

bool hub_heard(struct hub_member *m, const struct handshake *h)
{
    const char *told = strcmp(h->address, m->address) != 0 ? h->address : "";
    bool news = told[0] != '\0' && strcmp(told, m->told) != 0;

    memcpy(m->api_address, h->api_address, sizeof m->api_address);
    snprintf(m->told, sizeof m->told, "%s", told);
    return news;
}

void hub_tell_moved(struct hub *h, const struct hub_member *m)
{
    char told[PEERS_ADDRESS_MAX + 1]; /* the owner may change the member's */

    if (m->told[0] != '\0' && !m->gone && !h->closing) {
        memcpy(told, m->told, sizeof told);
        h->config.moved(h->config.ctx, m->id, told);
    }
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
