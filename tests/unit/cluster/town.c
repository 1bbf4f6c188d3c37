#include "tests/unit/cluster/town.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>

#include "cluster/cluster_id.h"
#include "storage/result.h"

static const uint8_t secret[] = "a secret that is long enough";

static void on_log(void *ctx, const char *line)
{
    struct house *h = ctx;
    size_t n = strlen(h->said);

    if (getenv("TOWN_STORY") != NULL) {
        printf("%8d ms  %s: %s\n", (int)(sim_now_us(h->town->sim) / 1000), sim_node_name(h->machine), line);
    }
    snprintf(h->said + n, sizeof h->said - n, "%s\n", line);
}

static void on_fatal(void *ctx, const struct error *why)
{
    struct house *h = ctx;

    h->broken = true;
    fail_msg("%s: %s", sim_node_name(h->machine), why->text);
}

static struct replica_config config_of(struct house *h)
{
    return (struct replica_config){
        .env = sim_node_env(h->machine),
        .dir = "/node",
        .cluster_name = "town",
        .secret = secret,
        .secret_len = sizeof secret - 1,
        .in_memory = true,
        .readers = 1,
        .voters = h->town->voters,
        .election_ms = TOWN_ELECTION_MS,
        .heartbeat_ms = 75,
        .batches_inflight = 2,
        .queue_bytes = 1024 * 1024,
        .queue_commands = 1000,
        .result_max = 64 * 1024,
        .segment_bytes = 256 * 1024,
        .cache_bytes = 64 * 1024,
        .compact_bytes = 1024 * 1024,
        .advertise = h->quiet ? NULL : h->address,
        .listen = h->address,
        .log = on_log,
        .fatal = on_fatal,
        .ctx = h,
    };
}

static void run(struct house *h, const struct replica_config *config)
{
    struct error e;
    int rv = replica_open(config, &h->replica, &e);

    rv = rv == 0 ? replica_start(h->replica, &e) : rv;
    if (rv != 0) {
        fail_msg("%s does not start: %s", sim_node_name(h->machine), e.text);
    }
}

static void found(struct house *h, uint64_t id)
{
    sim_node_boot(h->machine);
    struct replica_config config = config_of(h);
    config.id = id;
    config.members = h->town->first;
    config.count = h->town->founders;
    run(h, &config);
}

void town_init(struct town *t, uint64_t seed, unsigned founders)
{
    unsigned voters = t->voters;

    memset(t, 0, sizeof *t);
    t->sim = sim_new(seed);
    t->founders = founders;
    t->voters = voters;
    for (unsigned i = 1; i <= TOWN_HOUSES; i++) {
        struct house *h = &t->houses[i];
        char name[16];

        snprintf(name, sizeof name, "h%u", i);
        h->town = t;
        h->machine = sim_node_new(t->sim, name);
        snprintf(h->address, sizeof h->address, "h%u:7000", i);
        if (i <= founders) {
            t->first[i - 1].id = i;
            snprintf(t->first[i - 1].address, sizeof t->first[i - 1].address, "%s", h->address);
        }
    }
    for (unsigned i = 1; i <= founders; i++) {
        found(&t->houses[i], i);
    }
}

struct town_try {
    struct replica_request request;
    struct buf command;
    struct town *town;
    struct replica *replica;
    uint64_t key;
};

static void end_try(struct town_try *try)
{
    for (unsigned i = 0; i < TOWN_TRIES; i++) {
        if (try->town->tries[i] == try) {
            try->town->tries[i] = NULL;
        }
    }
    buf_close(&try->command);
    free(try);
}

void town_close(struct town *t)
{
    for (unsigned i = 1; i <= TOWN_HOUSES; i++) {
        house_kill(&t->houses[i]);
    }
    sim_free(t->sim);
}

void house_kill(struct house *h)
{
    if (sim_node_env(h->machine) != NULL) {
        sim_node_kill(h->machine);
    }
    join_free(h->join);
    replica_free(h->replica);
    for (unsigned i = 0; i < TOWN_TRIES && h->replica != NULL; i++) {
        if (h->town->tries[i] != NULL && h->town->tries[i]->replica == h->replica) {
            end_try(h->town->tries[i]);
        }
    }
    h->join = NULL;
    h->replica = NULL;
}

static void on_joined(void *ctx, const struct join_answer *answer, const struct error *failed)
{
    struct house *h = ctx;

    if (failed != NULL) {
        h->refused = *failed;
    } else {
        h->answer = *answer;
    }
    join_free(h->join);
    h->join = NULL;
    if (failed == NULL) {
        struct replica_config config = config_of(h);
        config.id = h->answer.id;
        config.incarnation = h->ask.incarnation;
        config.joined = &h->answer;
        run(h, &config);
    }
}

void house_join(struct house *h, const struct house *at, uint64_t id, uint64_t replaces)
{
    house_join_as(h, at, id, replaces, sim_random(h->town->sim, 1, UINT64_MAX));
}

void house_join_as(struct house *h, const struct house *at, uint64_t id, uint64_t replaces,
                   uint64_t incarnation)
{
    const char *address = at->address;
    struct error e;

    sim_node_boot(h->machine);
    h->refused.code = Q_OK;
    h->answer.count = 0;
    h->ask = (struct join_ask){.id = id, .replaces = replaces, .incarnation = incarnation};
    snprintf(h->ask.address, sizeof h->ask.address, "%s", h->address);
    snprintf(h->ask.cluster_name, sizeof h->ask.cluster_name, "%s",
             h->cluster_name != NULL ? h->cluster_name : "town");
    cluster_semantics(h->foreign_keys, 0, h->ask.semantics);
    struct join_config config = {
        .env = sim_node_env(h->machine),
        .addresses = &address,
        .count = 1,
        .secret = secret,
        .secret_len = sizeof secret - 1,
        .ask = &h->ask,
        .deadline_ms = UINT64_MAX,
        .done = on_joined,
        .ctx = h,
    };
    if (join_new(&config, &h->join, &e) != 0) {
        fail_msg("%s", e.text);
    }
}

void house_restart(struct house *h)
{
    sim_node_boot(h->machine);
    struct replica_config config = config_of(h);
    run(h, &config);
}

void house_expect_refused(struct house *h, enum error_code code, const char *text)
{
    TOWN_UNTIL(h->town, h->refused.code != Q_OK);
    if (h->refused.code != code || strstr(h->refused.text, text) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", h->refused.text, text);
    }
}

uint64_t house_id(const struct house *h)
{
    return h->replica != NULL ? house_status(h).id : 0;
}

struct replica_status house_status(const struct house *h)
{
    struct replica_status status;

    replica_status(h->replica, &status);
    return status;
}

bool house_said(const struct house *h, const char *what)
{
    return strstr(h->said, what) != NULL;
}

void town_run_ms(struct town *t, uint64_t ms)
{
    sim_run_until(t->sim, sim_now_us(t->sim) + ms * 1000);
}

struct house *town_leader(struct town *t)
{
    struct house *best = NULL;
    uint64_t best_term = 0;

    for (unsigned i = 1; i <= TOWN_HOUSES; i++) {
        struct house *h = &t->houses[i];
        struct replica_role role;

        if (h->replica == NULL || sim_node_paused(h->machine)) {
            continue;
        }
        replica_role(h->replica, &role);
        if (role.leads && role.term > best_term) {
            best = h;
            best_term = role.term;
        }
    }
    return best;
}

static bool is_member(const struct house *h, const struct replica_status *leader)
{
    uint64_t id = h->replica != NULL ? house_status(h).id : 0;

    for (unsigned i = 0; i < leader->count && id != 0; i++) {
        if (leader->members[i].id == id) {
            return true;
        }
    }
    return false;
}

/* Whether HOUSE, if it is a member, knows what the leader knows. */
static bool follows(const struct house *h, const struct replica_status *leader)
{
    if (!is_member(h, leader)) {
        return true;
    }
    struct replica_status s = house_status(h);
    return s.leader == leader->id && s.applied == leader->log_last && s.count == leader->count && s.ready;
}

static bool as_wanted(const struct replica_member *m)
{
    return m->wanted == MEMBER_AUTO || (m->wanted == MEMBER_VOTER && m->role == ROLE_VOTER) ||
           (m->wanted == MEMBER_STANDBY && m->role == ROLE_STANDBY);
}

/* Of one voter there are never two; whoever is wanted as one waits for good if all others are wanted as
 * standbys. */
static bool waits_for_third(const struct replica_status *leader)
{
    return strstr(leader->steward, "two voters would both have to live") != NULL;
}

bool town_settled(struct town *t)
{
    struct house *leader = town_leader(t);

    if (leader == NULL) {
        return false;
    }
    struct replica_status s = house_status(leader);
    for (unsigned i = 0; i < s.count; i++) {
        if ((!as_wanted(&s.members[i]) && !waits_for_third(&s)) || s.members[i].role == ROLE_OUT) {
            return false;
        }
    }
    if (!consensus_settled(leader->replica->consensus)) {
        return false;
    }
    for (unsigned i = 1; i <= TOWN_HOUSES; i++) {
        if (!follows(&t->houses[i], &s)) {
            return false;
        }
    }
    return true;
}

struct house *town_follower(struct town *t, unsigned n)
{
    struct house *leader = town_leader(t);

    for (unsigned i = 1; i <= TOWN_HOUSES; i++) {
        if (&t->houses[i] != leader && t->houses[i].replica != NULL && n-- == 0) {
            return &t->houses[i];
        }
    }
    fail_msg("no such follower");
    return NULL;
}

const char *town_members(struct town *t)
{
    static char text[256];
    struct replica_status s = house_status(town_leader(t));
    size_t n = 0;

    for (unsigned i = 0; i < s.count; i++) {
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%" PRIu64 "%c%s", i > 0 ? " " : "",
                              s.members[i].id, "OSV"[s.members[i].role], s.members[i].reachable ? "" : "-");
    }
    return text;
}

void town_expect(struct town *t, const char *members)
{
    uint64_t deadline = sim_now_us(t->sim) + 60 * (uint64_t)SECOND;

    while (!(town_settled(t) && strcmp(town_members(t), members) == 0) && sim_now_us(t->sim) < deadline &&
           sim_step(t->sim)) {
    }
    if (town_leader(t) == NULL || strcmp(town_members(t), members) != 0 || !town_settled(t)) {
        fail_msg("\"%s\" instead of \"%s\": %s", town_leader(t) != NULL ? town_members(t) : "no leader",
                 members, town_leader(t) != NULL ? house_status(town_leader(t)).steward : "");
    }
}

struct asked {
    struct replica_request request;
    struct replica_change change;
    struct buf command;
    bool done, found;
    struct error failed;
};

static void on_put(struct replica_request *request, const struct replica_answer *answer)
{
    struct asked *a = CONTAINER_OF(request, struct asked, request);

    a->failed = answer->error;
    a->done = true;
    a->found = answer->error.code == Q_OK && answer->len > 2 && answer->result[2] == 1;
}

static bool ask(struct town *t, struct house *h, struct asked *a, enum read_level level)
{
    a->done = false;
    a->request = (struct replica_request){.command = a->command.data,
                                          .len = a->command.len,
                                          .level = level,
                                          .timeout_ms = 5000,
                                          .done = on_put};
    replica_submit(h->replica, &a->request);
    TOWN_UNTIL(t, a->done);
    return a->failed.code == Q_OK;
}

static struct cursor key_of(uint64_t i, char text[24])
{
    return cursor_of(text, (size_t)snprintf(text, 24, "k%" PRIu64, i));
}

void town_put(struct town *t, struct house *h)
{
    struct asked a = {.done = false};
    char key[24];

    buf_init(&a.command, 1024);
    command_put_kv_put(&a.command, cursor_of("ns", 2), key_of(++t->put, key), cursor_of("v", 1), KV_ALWAYS,
                       0);
    for (unsigned tries = 0; !ask(t, h, &a, READ_LINEARIZABLE); tries++) {
        if (tries == 20) {
            fail_msg("%s", a.failed.text);
        }
        town_run_ms(t, 100);
    }
    t->known[t->put] = true;
    t->acknowledged++;
    buf_close(&a.command);
}

static void on_tried(struct replica_request *request, const struct replica_answer *answer)
{
    struct town_try *try = CONTAINER_OF(request, struct town_try, request);

    if (answer->error.code == Q_OK) {
        try->town->known[try->key] = true;
        try->town->acknowledged++;
    }
    end_try(try);
}

void town_try_put(struct town *t, struct house *h)
{
    unsigned place = 0;
    char key[24];

    while (place < TOWN_TRIES && t->tries[place] != NULL) {
        place++;
    }
    if (h == NULL || place == TOWN_TRIES || t->put + 1 == TOWN_PUTS) {
        return;
    }
    struct town_try *try = calloc(1, sizeof *try);
    try->town = t;
    try->replica = h->replica;
    try->key = ++t->put;
    buf_init(&try->command, 1024);
    command_put_kv_put(&try->command, cursor_of("ns", 2), key_of(try->key, key), cursor_of("v", 1), KV_ALWAYS,
                       0);
    try->request = (struct replica_request){
        .command = try->command.data, .len = try->command.len, .timeout_ms = 3000, .done = on_tried};
    t->tries[place] = try;
    replica_submit(h->replica, &try->request);
}

/* Whether no attempt may still become a write. */
static bool tries_ended(const struct town *t)
{
    for (unsigned i = 0; i < TOWN_TRIES; i++) {
        if (t->tries[i] != NULL) {
            return false;
        }
    }
    return true;
}

void town_expect_all_there(struct town *t)
{
    TOWN_UNTIL(t, tries_ended(t) && town_settled(t)); /* else one is acknowledged while this looks */
    struct replica_status leader = house_status(town_leader(t));

    for (unsigned i = 1; i <= TOWN_HOUSES; i++) {
        struct house *h = &t->houses[i];

        for (uint64_t n = 1; n <= t->put && is_member(h, &leader); n++) {
            struct asked a = {.done = false};
            char key[24];

            buf_init(&a.command, 1024);
            command_put_kv_get(&a.command, cursor_of("ns", 2), key_of(n, key));
            assert_true(ask(t, h, &a, READ_NONE));
            if (t->known[n] && !a.found) {
                fail_msg("%s lacks write %d", sim_node_name(h->machine), (int)n);
            }
            buf_close(&a.command);
        }
    }
}

static void on_changed(struct replica_change *change, const struct error *failed)
{
    struct asked *a = CONTAINER_OF(change, struct asked, change);

    a->done = true;
    a->failed = failed != NULL ? *failed : (struct error){.code = Q_OK};
}

const char *town_change(struct town *t, struct house *h, enum replica_verb verb, uint64_t id, uint64_t with,
                        const char *address)
{
    static char text[ERROR_TEXT_MAX + 32];
    struct asked a = {.done = false};

    a.change = (struct replica_change){
        .verb = verb, .id = id, .with = with, .timeout_ms = 10000, .done = on_changed};
    snprintf(a.change.address, sizeof a.change.address, "%s", address);
    replica_change_member(h->replica, &a.change);
    assert_false(a.done);
    TOWN_UNTIL(t, a.done);
    snprintf(text, sizeof text, a.failed.code == Q_OK ? "done" : "%s: %s", error_name(a.failed.code),
             a.failed.text);
    return text;
}
