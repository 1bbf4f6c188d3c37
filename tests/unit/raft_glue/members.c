#include "tests/unit/raft_glue/members.h"

#include "raft_glue/envelope.h"

enum { DELAY_US = 300 };

struct letter {
    struct list link;
    struct members *all;
    uint64_t from, to;
    size_t len;
    uint8_t bytes[];
};

static void deliver(void *ctx)
{
    struct letter *letter = ctx;
    struct members *m = letter->all;
    struct member *to = &m->member[letter->to];
    struct error e;

    list_remove(&letter->link);
    if (to->c != NULL && !to->cut && !m->member[letter->from].cut &&
        !(to->deaf && letter->bytes[0] == ENVELOPE_CORE) &&
        consensus_receive(to->c, letter->from, letter->bytes, letter->len, &e) != 0) {
        fail_msg("member %d refuses a message: %s", (int)to->id, e.text);
    }
    free(letter);
}

static void on_send(void *ctx, uint64_t to, const uint8_t *bytes, size_t n)
{
    struct member *member = ctx;
    struct letter *letter = malloc(sizeof *letter + n);

    assert_in_range(to, 1, member->all->count);
    assert_int_equal(member->fatals, 0);
    *letter = (struct letter){.all = member->all, .from = member->id, .to = to, .len = n};
    memcpy(letter->bytes, bytes, n);
    list_push(&member->all->letters, &letter->link);
    sim_call(member->all->sim, sim_now_us(member->all->sim) + DELAY_US, deliver, letter);
    member->sent++;
}

static void on_changed(void *ctx)
{
    struct member *member = ctx;
    assert_false(member->quiet);
    member->changes++;
    if (member->on_changed != NULL) {
        member->on_changed(member);
    }
}

static void on_fatal(void *ctx, const struct error *why)
{
    struct member *member = ctx;
    member->fatals++;
    member->fatal = *why;
}

static void boot(struct member *member)
{
    struct error e;
    member->env = member->config.env = sim_node_boot(member->node);
    assert_int_equal(env_make_dir(member->env, "data", &e), 0);
    assert_int_equal(env_sync_dir(member->env, "/", &e), 0);
}

void members_init(struct members *m, unsigned count)
{
    static const char *const addresses[MEMBERS_MAX] = {"a:1", "b:1", "c:1", "d:1", "e:1"};

    memset(m, 0, sizeof *m);
    m->sim = sim_new(7);
    m->count = count;
    list_init(&m->letters);
    for (unsigned i = 1; i <= count; i++) {
        struct member *member = &m->member[i];
        char name[16];
        snprintf(name, sizeof name, "n%u", i);
        m->servers[i - 1] = (struct consensus_server){i, addresses[i - 1]};
        *member = (struct member){.all = m, .node = sim_node_new(m->sim, name), .id = i};
        member->config = (struct consensus_config){
            .dir = "data",
            .id = i,
            .cluster_id = {0xc1},
            .founder = true,
            .members = m->servers,
            .count = count,
            .election_ms = MEMBERS_ELECTION_MS,
            .heartbeat_ms = MEMBERS_HEARTBEAT_MS,
            .segment_bytes = 64 * 1024,
            .cache_bytes = 16 * 1024,
            .send = on_send,
            .changed = on_changed,
            .fatal = on_fatal,
            .ctx = member,
        };
        boot(member);
    }
}

void members_close(struct members *m)
{
    struct list *link;
    for (unsigned i = 1; i <= m->count; i++) {
        sim_node_kill(m->member[i].node);
        consensus_free(m->member[i].c);
    }
    sim_free(m->sim);
    while ((link = list_pop(&m->letters)) != NULL) {
        free(CONTAINER_OF(link, struct letter, link));
    }
}

int member_open(struct member *member, struct error *e)
{
    return consensus_open(&member->config, &member->c, &member->report, e);
}

void member_start(struct member *member)
{
    struct error e;
    if (member_open(member, &e) != 0 || consensus_start(member->c, 0, 0, &e) != 0) {
        fail_msg("member %d: %s", (int)member->id, e.text);
    }
}

void members_start(struct members *m)
{
    for (unsigned i = 1; i <= m->count; i++) {
        member_start(&m->member[i]);
    }
}

void member_crash(struct member *member)
{
    sim_node_crash(member->node);
    consensus_free(member->c);
    member->c = NULL;
    boot(member);
}

void members_run_ms(struct members *m, uint64_t ms)
{
    sim_run_until(m->sim, sim_now_us(m->sim) + ms * 1000);
}

static struct member *find_leader(struct members *m)
{
    for (unsigned i = 1; i <= m->count; i++) {
        struct member *member = &m->member[i];
        struct log_entry entry;
        struct error e;
        if (member->c != NULL && !member->cut && consensus_leads(member->c) &&
            consensus_commit(member->c) >= consensus_first(member->c) &&
            consensus_entry(member->c, consensus_commit(member->c), &entry, &e) == 0 &&
            entry.term == consensus_term(member->c)) {
            return member;
        }
    }
    return NULL;
}

struct member *members_leader(struct members *m)
{
    MEMBERS_UNTIL(m, find_leader(m) != NULL);
    return find_leader(m);
}

const uint8_t *members_letter(struct members *m, uint64_t from, uint64_t to, uint8_t kind, size_t *ret_len)
{
    LIST_EACH (&m->letters, item) {
        const struct letter *letter = CONTAINER_OF(item, struct letter, link);
        if (letter->from == from && letter->to == to && letter->bytes[0] == kind) {
            *ret_len = letter->len;
            return letter->bytes;
        }
    }
    return NULL;
}

void member_submit(struct member *member, unsigned n, uint32_t len)
{
    static const uint8_t bytes[4096] = {7};
    struct error e;

    assert_in_range(len, 0, sizeof bytes);
    member->quiet = true;
    for (unsigned i = 0; i < n; i++) {
        if (consensus_submit(member->c, LOG_COMMANDS, bytes, len, &e) != 0) {
            fail_msg("%s", e.text);
        }
    }
    member->quiet = false;
}

static void on_read(struct consensus_read *read, uint64_t index, const struct error *failed)
{
    struct member_read *r = CONTAINER_OF(read, struct member_read, read);
    r->done++;
    r->index = index;
    r->code = failed ? failed->code : Q_OK;
}

void member_read(struct member *member, struct member_read *read)
{
    bool quiet = member->quiet;
    *read = (struct member_read){.read.done = on_read};
    member->quiet = true;
    consensus_read(member->c, &read->read);
    member->quiet = quiet;
    assert_int_equal(read->done, 0);
}
