/* What may come on the port that is for the other members only: anything, from anybody who reaches it. */
#include "tests/cluster/scene.h"

#include <string.h>

#include "base/rng.h"

enum {
    ROUNDS = 300,
    BYTES_MAX = 4096,
    SILENT = 300, /* more than a node keeps that have not proved who they are */
    SOME = 60,
    WAIT_MS = 15000,
    GROWTH_KB = 64 * 1024,
};

/* Sends the bytes to a node's peer port on a connection of its own, which is left open in CLIENT. */
static void say(struct http_client *client, const struct node *node, const void *bytes, size_t n)
{
    struct deadline deadline = deadline_in(WAIT_MS);
    http_client_init(client, &node->peer);
    http_client_send_bytes(client, bytes, n, &deadline);
}

/* The beginning of a handshake that another member could have sent, as far as the magic goes. */
static size_t put_likely(struct rng *rng, uint8_t *bytes, size_t n)
{
    rng_fill(rng, bytes, n);
    put_le32(bytes, (uint32_t)rng_between(rng, 0, 2 * BYTES_MAX));
    return n;
}

static void garbage_on_the_peer_port_harms_nobody(void **state)
{
    static const char request[] = "GET /status HTTP/1.1\r\nHost: q\r\n\r\n";
    struct scene *scene = *state;
    struct processes *nodes = scene_start(scene, NULL);
    struct load *load = scene_load(scene);
    uint8_t bytes[BYTES_MAX];
    struct rng rng;

    rng_init(&rng, 7);
    for (unsigned i = 0; i < ROUNDS; i++) {
        const struct node *node = &nodes->node[i % nodes->count];
        size_t n = (size_t)rng_between(&rng, 4, sizeof bytes);
        struct http_client client;

        switch (i % 4) {
        case 0: rng_fill(&rng, bytes, n); break;
        case 1: n = put_likely(&rng, bytes, n); break;
        case 2: memset(bytes, i % 8 == 2 ? 0xff : 0, n); break;
        case 3:
            n = strlen(request);
            memcpy(bytes, request, n);
            break;
        }
        say(&client, node, bytes, n);
        http_client_close(&client);
    }
    processes_check_alive(nodes);
    load_wait_acknowledged(load, SOME);
    scene_check(scene);
    scene_finish(scene);
}

static void strangers_that_say_nothing_on_the_peer_port_keep_no_member_out(void **state)
{
    static struct http_client silent[SILENT];
    struct scene *scene = *state;
    struct processes *nodes = scene_prepare(scene, NULL);
    unsigned long before;
    struct load *load;

    for (unsigned i = 0; i < nodes->count; i++) {
        process_set_variable(&nodes->node[i].process, "ASAN_OPTIONS", "quarantine_size_mb=8");
    }
    processes_start(nodes);
    load = scene_load(scene);
    load_wait_acknowledged(load, SOME);
    before = process_memory_kb(&nodes->node[0].process);
    for (unsigned i = 0; i < SILENT; i++) {
        say(&silent[i], &nodes->node[0], "Q", i % 2);
    }

    /* A member that must connect anew finds a place among them. */
    processes_kill(nodes, 1);
    load_wait_acknowledged(load, SOME);
    processes_start(nodes);
    load_wait_acknowledged(load, SOME);
    if (process_memory_kb(&nodes->node[0].process) > before + GROWTH_KB) {
        fail_msg("node 1 grew from %lu to %lu kB", before, process_memory_kb(&nodes->node[0].process));
    }
    /* The handshake's deadline ends them. */
    for (unsigned i = 0; i < SILENT; i++) {
        struct deadline deadline = deadline_in(WAIT_MS);
        assert_true(http_client_wait_closed(&silent[i], &deadline));
    }
    scene_check(scene);
    scene_finish(scene);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SCENE(garbage_on_the_peer_port_harms_nobody),
        SCENE(strangers_that_say_nothing_on_the_peer_port_keep_no_member_out),
    };
    scene_choose(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
