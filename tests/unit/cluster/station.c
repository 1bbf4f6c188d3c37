#include "tests/unit/cluster/station.h"

static void on_closed(void *ctx)
{
    struct station *s = ctx;
    assert_true(s->closing);
    s->closing = false;
    s->peers = NULL;
    s->closed++;
}

static void close_if(struct station *s, enum station_callback where, uint64_t id)
{
    assert_false(s->closing);
    assert_int_equal(s->closed, 0);
    if (s->close_in == where) {
        s->close_in = STATION_NOWHERE;
        s->closing = true;
        peers_close(s->peers, on_closed);
    } else if (s->inside != NULL) {
        s->inside(s, where, id);
    }
}

static void on_moved(void *ctx, uint64_t id, const char *address)
{
    struct station *s = ctx;
    assert_in_range(id, 1, STATION_MEMBERS - 1);
    s->moved[id]++;
    snprintf(s->moved_to[id], sizeof s->moved_to[id], "%s", address);
    close_if(s, STATION_MOVED, id);
}

static uint64_t removed(void *ctx, uint64_t id)
{
    const struct station *s = ctx;
    return id < STATION_MEMBERS ? s->removed_at[id] : 0;
}

static void introduced(void *ctx, uint64_t id, const char *address)
{
    struct station *s = ctx;
    s->introduced = id;
    snprintf(s->introduced_at, sizeof s->introduced_at, "%s", address);
}

static void told_removed(void *ctx, uint64_t by, uint64_t index)
{
    struct station *s = ctx;
    s->told++;
    s->told_by = by;
    s->told_at = index;
}

static void on_asked(void *ctx, uint64_t guest, const struct join_ask *ask)
{
    struct station *s = ctx;
    s->asked++;
    s->guest = guest;
    s->ask = *ask;
    if (s->answer.error.code != Q_OK || s->answer.count > 0) {
        peers_answer_guest(s->peers, guest, &s->answer);
    }
    close_if(s, STATION_ASKED, 0);
}

static void describe(void *ctx, uint64_t id, struct peers_life *ret_own, struct peers_life *ret_seen)
{
    (void)ctx;
    *ret_own = (struct peers_life){.boots = id};
    *ret_seen = (struct peers_life){.boots = 0};
}

static int check(void *ctx, uint64_t id, const struct peers_life *seen, struct error *e)
{
    (void)ctx;
    (void)id;
    (void)seen;
    (void)e;
    return 0;
}

static void met(void *ctx, uint64_t id, const struct peers_life *life)
{
    (void)ctx;
    (void)id;
    (void)life;
}

static int on_admit(void *ctx, uint64_t id, uint64_t incarnation, struct error *e)
{
    struct station *s = ctx;
    (void)incarnation;
    close_if(s, STATION_ADMIT, id);
    if (s->refuse.code != Q_OK) {
        *e = s->refuse;
        return (int)e->code;
    }
    assert_in_range(id, 1, STATION_MEMBERS - 1);
    s->admitted[id]++;
    return 0;
}

static uint8_t content(uint64_t number, size_t i)
{
    return (uint8_t)(number * 31 + i * 7 + (i >> 8));
}

static void on_received(void *ctx, uint64_t from, uint8_t type, const uint8_t *body, size_t n)
{
    struct station *s = ctx;
    struct heard *h;

    assert_in_range(s->n_heard, 0, STATION_FRAMES_MAX - 1);
    h = &s->heard[s->n_heard++];
    *h = (struct heard){.from = from, .type = type, .len = n, .intact = true};
    if (n >= 8) {
        h->number = get_le64(body);
        for (size_t i = 8; i < n; i++) {
            h->intact = h->intact && body[i] == content(h->number, i);
        }
    }
    close_if(s, STATION_RECEIVED, from);
}

static void on_up(void *ctx, uint64_t id)
{
    struct station *s = ctx;
    assert_in_range(id, 1, STATION_MEMBERS - 1);
    s->up[id]++;
    assert_int_equal(s->up[id], s->down[id] + 1);
    assert_true(peers_connected(s->peers, id));
    close_if(s, STATION_UP, id);
}

static void on_down(void *ctx, uint64_t id)
{
    struct station *s = ctx;
    assert_in_range(id, 1, STATION_MEMBERS - 1);
    s->down[id]++;
    assert_int_equal(s->up[id], s->down[id]);
    assert_false(peers_connected(s->peers, id));
    close_if(s, STATION_DOWN, id);
}

static void on_refused(void *ctx, const char *who, const struct error *why)
{
    struct station *s = ctx;
    size_t len = strlen(s->refused);
    assert_int_not_equal(why->code, Q_OK);
    snprintf(s->refused + len, sizeof s->refused - len, "%s: %s\n", who, why->text);
    s->refusals++;
    close_if(s, STATION_REFUSED, 0);
}

struct sim *stations_new(struct station stations[STATIONS + 1], uint64_t seed)
{
    static const uint8_t secret[] = "correct horse battery staple";
    struct sim *sim = sim_new(seed);

    for (uint64_t id = 1; id <= STATIONS; id++) {
        struct station *s = &stations[id];
        char name[16];
        *s = (struct station){.sim = sim};
        snprintf(name, sizeof name, "n%d", (int)id);
        snprintf(s->listen, sizeof s->listen, "n%d:9000", (int)id);
        snprintf(s->api_address, sizeof s->api_address, "http://n%d:4001", (int)id);
        s->node = sim_node_new(sim, name);
        s->heard = calloc(STATION_FRAMES_MAX, sizeof *s->heard);
        for (unsigned i = 0; i < STATIONS; i++) {
            s->members[i].id = i + 1;
            snprintf(s->members[i].address, sizeof s->members[i].address, "n%u:9000", i + 1);
        }
        s->config = (struct peers_config){
            .id = id,
            .incarnation = 100 + id,
            .cluster_id = {0xc1},
            .listen = s->listen,
            .api_address = s->api_address,
            .members = s->members,
            .count = STATIONS,
            .secret = secret,
            .secret_len = sizeof secret - 1,
            .admit = on_admit,
            .describe = describe,
            .check = check,
            .met = met,
            .received = on_received,
            .moved = on_moved,
            .removed = removed,
            .told_removed = told_removed,
            .introduced = introduced,
            .asked_to_join = on_asked,
            .up = on_up,
            .down = on_down,
            .refused = on_refused,
            .ctx = s,
        };
    }
    return sim;
}

void stations_free(struct sim *sim, struct station stations[STATIONS + 1])
{
    for (unsigned i = 1; i <= STATIONS; i++) {
        struct station *s = &stations[i];
        if (sim_node_env(s->node) != NULL) {
            sim_node_kill(s->node);
        }
        peers_free(s->peers);
        free(s->heard);
    }
    sim_free(sim);
}

void station_start(struct station *s)
{
    struct error e;

    s->env = s->config.env = sim_node_boot(s->node);
    s->closed = 0;
    s->closing = false;
    memset(s->up, 0, sizeof s->up);
    memset(s->down, 0, sizeof s->down);
    if (peers_open(&s->config, &s->peers, &e) != 0) {
        fail_msg("%s", e.text);
    }
    metrics_init(&s->metrics);
    peers_metrics(s->peers, &s->metrics);
}

void stations_start(struct station stations[STATIONS + 1])
{
    for (unsigned i = 1; i <= STATIONS; i++) {
        station_start(&stations[i]);
    }
}

static bool all_connected(struct station stations[STATIONS + 1])
{
    for (unsigned i = 1; i <= STATIONS; i++) {
        for (unsigned j = 1; j <= STATIONS; j++) {
            if (i != j && !peers_connected(stations[i].peers, j)) {
                return false;
            }
        }
    }
    return true;
}

void stations_connect(struct station stations[STATIONS + 1])
{
    RUN_UNTIL(stations[1].sim, all_connected(stations));
}

void station_crash(struct station *s)
{
    sim_node_crash(s->node);
    peers_free(s->peers);
    s->peers = NULL;
}

void station_stop(struct station *s)
{
    s->closing = true;
    peers_close(s->peers, on_closed);
    assert_int_equal(s->closed, 0);
    RUN_UNTIL(s->sim, s->closed == 1);
    run_for(s->sim, SECOND);
    assert_int_equal(s->closed, 1);
}

bool station_send(struct station *s, uint64_t to, enum peers_queue queue, uint64_t number, size_t n)
{
    uint8_t *body = malloc(n);
    bool sent;

    put_le64(body, number);
    for (size_t i = 8; i < n; i++) {
        body[i] = content(number, i);
    }
    sent = peers_send(s->peers, to, queue, (uint8_t)number, body, n);
    free(body);
    return sent;
}

int64_t station_metric(const struct station *s, const char *name, const char *labels)
{
    LIST_EACH (&s->metrics.all, item) {
        const struct metric *m = CONTAINER_OF(item, struct metric, link);
        if (strcmp(m->name, name) == 0 && (labels == NULL || strcmp(m->labels, labels) == 0)) {
            return metric_get(m);
        }
    }
    fail_msg("no metric %s", name);
    return 0;
}

void run_for(struct sim *sim, uint64_t us)
{
    sim_run_until(sim, sim_now_us(sim) + us);
}
