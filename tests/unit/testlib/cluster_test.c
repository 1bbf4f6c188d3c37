/* Three nodes that chatter over connections, write to their disks, crash, boot, pause and are cut off. */
#include "base/buf.h"
#include "base/crc32c.h"
#include "tests/lib/sim.h"
#include "tests/unit/test.h"

enum { SECOND = 1000000, NODES = 3, HEARTBEAT_US = 75000 };

static const char *const addresses[NODES] = {"n1:1", "n2:1", "n3:1"};

struct chatter;

/* A connection of a node, dialled or accepted. */
struct talk {
    struct chatter *owner;
    struct env_conn *conn;
    unsigned to; /* NODES: accepted */
    bool open;
    struct list link; /* accepted ones */
};

/* What runs on a node. */
struct chatter {
    struct cluster *cluster;
    unsigned id;
    struct sim_node *node;
    struct env *env; /* NULL while down */
    struct env_listener *listener;
    struct env_timer *timer;
    struct env_file *file;
    struct env_write write;
    struct env_work work;
    bool writing, working;
    uint8_t block[512];
    struct talk dialled[NODES];
    struct list accepted;
};

struct cluster {
    struct sim *sim;
    bool durable; /* each heartbeat is written to the disk */
    struct chatter chatters[NODES];
    uint64_t heard, crashes;
};

static void talk_opened(void *owner)
{
    ((struct talk *)owner)->open = true;
}

static void talk_received(void *owner, const uint8_t *bytes, size_t n)
{
    struct talk *talk = owner;
    struct cluster *c = talk->owner->cluster;
    c->heard += n;
    sim_note(c->sim, crc32c(talk->owner->id, bytes, n));
    if (talk->to == NODES) {
        uint8_t *reply = malloc(n);
        memcpy(reply, bytes, n);
        env_send(talk->owner->env, talk->conn, reply, n);
    }
}

static void talk_drained(void *owner)
{
    (void)owner;
}

static void talk_closed(void *owner, const struct error *why)
{
    struct talk *talk = owner;
    sim_note(talk->owner->cluster->sim, why == NULL ? Q_OK : why->code);
    talk->conn = NULL;
    talk->open = false;
    if (talk->to == NODES) {
        list_remove(&talk->link);
        free(talk);
    }
}

static const struct env_conn_callbacks callbacks = {talk_opened, talk_received, talk_drained, talk_closed};

static void on_accepted(void *owner, struct env_conn *conn)
{
    struct chatter *c = owner;
    struct talk *talk = calloc(1, sizeof *talk);
    talk->owner = c;
    talk->conn = conn;
    talk->to = NODES;
    list_push(&c->accepted, &talk->link);
    env_conn_accept(c->env, conn, &callbacks, talk);
}

static void on_written(struct env_write *write, const struct error *failed)
{
    struct chatter *c = CONTAINER_OF(write, struct chatter, write);
    assert_null(failed);
    c->writing = false;
}

static void work_run(struct env_work *work)
{
    struct chatter *c = CONTAINER_OF(work, struct chatter, work);
    size_t n;
    uint8_t bytes[512];
    assert_int_equal(env_read(c->env, c->file, 0, bytes, sizeof bytes, &n, NULL), 0);
    sim_note(c->cluster->sim, crc32c(0, bytes, n));
}

static void work_done(struct env_work *work)
{
    CONTAINER_OF(work, struct chatter, work)->working = false;
}

static void beat(void *owner)
{
    struct chatter *c = owner;
    for (unsigned i = 0; i < NODES; i++) {
        struct talk *talk = &c->dialled[i];
        if (i != c->id && talk->conn == NULL) {
            talk->conn = env_connect(c->env, addresses[i], &callbacks, talk);
        } else if (i != c->id && talk->open) {
            uint8_t *bytes = malloc(40);
            env_random(c->env, bytes, 40);
            env_send(c->env, talk->conn, bytes, 40);
        }
    }
    if (c->cluster->durable && !c->writing) {
        env_random(c->env, c->block, sizeof c->block);
        c->writing = true;
        env_submit_write(c->env, &c->write);
    }
    if (c->cluster->durable && !c->working) {
        c->working = true;
        env_run(c->env, &c->work);
    }
    env_timer_start(c->env, c->timer, env_now_us(c->env) + HEARTBEAT_US);
}

static void chatter_boot(struct chatter *c)
{
    c->env = sim_node_boot(c->node);
    list_init(&c->accepted);
    for (unsigned i = 0; i < NODES; i++) {
        c->dialled[i] = (struct talk){.owner = c, .to = i};
    }
    c->writing = c->working = false;
    assert_int_equal(env_listen(c->env, addresses[c->id], on_accepted, c, &c->listener, NULL), 0);
    if (env_open(c->env, "/f", ENV_WRITE | ENV_DURABLE, &c->file, NULL) != 0) {
        assert_int_equal(env_open(c->env, "/f", ENV_CREATE | ENV_WRITE | ENV_DURABLE, &c->file, NULL), 0);
        assert_int_equal(env_sync_dir(c->env, "/", NULL), 0);
    }
    c->write =
        (struct env_write){.file = c->file, .data = c->block, .len = sizeof c->block, .done = on_written};
    c->work = (struct env_work){.run = work_run, .done = work_done, .lane = ENV_READER};
    c->timer = env_timer_new(c->env, beat, c);
    env_timer_start(c->env, c->timer, 0);
}

/* After a crash or a kill. */
static void chatter_free(struct chatter *c)
{
    env_timer_free(c->env, c->timer);
    env_close(c->env, c->file);
    env_listener_close(c->env, c->listener);
    for (unsigned i = 0; i < NODES; i++) {
        if (c->dialled[i].conn != NULL) {
            env_conn_close(c->env, c->dialled[i].conn);
        }
    }
    LIST_EACH_SAFE (&c->accepted, l) {
        struct talk *talk = CONTAINER_OF(l, struct talk, link);
        env_conn_close(c->env, talk->conn);
        free(talk);
    }
    c->env = NULL;
}

static struct cluster *cluster_new(uint64_t seed, bool durable)
{
    static const char *const names[NODES] = {"n1", "n2", "n3"};
    struct cluster *c = calloc(1, sizeof *c);
    c->sim = sim_new(seed);
    c->durable = durable;
    for (unsigned i = 0; i < NODES; i++) {
        c->chatters[i].cluster = c;
        c->chatters[i].id = i;
        c->chatters[i].node = sim_node_new(c->sim, names[i]);
        chatter_boot(&c->chatters[i]);
    }
    return c;
}

static uint64_t cluster_free(struct cluster *c)
{
    uint64_t hash = sim_hash(c->sim);
    for (unsigned i = 0; i < NODES; i++) {
        if (c->chatters[i].env != NULL) {
            sim_node_kill(c->chatters[i].node);
            chatter_free(&c->chatters[i]);
        }
    }
    sim_free(c->sim);
    free(c);
    return hash;
}

static void torment(struct cluster *c)
{
    struct sim_net *net = sim_network(c->sim);
    struct chatter *victim = &c->chatters[sim_random(c->sim, 0, NODES - 1)];
    struct chatter *other = &c->chatters[sim_random(c->sim, 0, NODES - 1)];
    struct sim_disk_faults disk = {.stuck = sim_random(c->sim, 0, 3) == 0, .slow_us = 100000};
    switch (sim_random(c->sim, 0, 6)) {
    case 0: sim_net_cut(net, victim->node, other->node, true); break;
    case 1: sim_net_heal(net); break;
    case 2: sim_node_pause(victim->node); break;
    case 3: sim_node_resume(victim->node); break;
    case 4: sim_node_disk_faults(victim->node, &disk); break;
    case 5:
        if (victim->env == NULL) {
            chatter_boot(victim);
        }
        break;
    case 6:
        if (victim->env != NULL) {
            c->crashes++;
            if (sim_random(c->sim, 0, 1) == 0) {
                sim_node_crash(victim->node);
            } else {
                sim_node_kill(victim->node);
            }
            chatter_free(victim);
        }
        break;
    }
}

static uint64_t tormented_run(uint64_t seed)
{
    struct cluster *c = cluster_new(seed, true);
    struct sim_net_faults faults = {.drop = 50000, .duplicate = 50000, .reorder = 50000, .split = 200000};
    sim_net_set_faults(sim_network(c->sim), &faults);
    for (unsigned i = 0; i < 200; i++) {
        torment(c);
        sim_run_until(c->sim, sim_now_us(c->sim) + sim_random(c->sim, 0, 500000));
    }
    assert_true(c->heard > 0 && c->crashes > 0);
    return cluster_free(c);
}

static void every_fault_at_once_is_replayed_by_its_seed(void **state)
{
    (void)state;
    uint64_t before = 0;
    for (uint64_t seed = 0; seed < 10; seed++) {
        uint64_t hash = tormented_run(seed);
        assert_true(tormented_run(seed) == hash);
        assert_true(hash != before);
        before = hash;
    }
}

static void a_healthy_cluster_loses_no_heartbeat(void **state)
{
    (void)state;
    struct cluster *c = cluster_new(1, false);

    sim_run_until(c->sim, 10 * 60 * SECOND);

    /* Each node tells two others every 75 ms, and each of those answers. */
    uint64_t beats = (uint64_t)10 * 60 * SECOND / HEARTBEAT_US * NODES * 2 * 2 * 40;
    assert_in_range(c->heard, beats * 99 / 100, beats);
    cluster_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_fault_at_once_is_replayed_by_its_seed),
        cmocka_unit_test(a_healthy_cluster_loses_no_heartbeat),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
