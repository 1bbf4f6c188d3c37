#include "tests/sim/newcomer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cluster/cluster_id.h"

static void on_joined(void *ctx, const struct join_answer *answer, const struct error *failed)
{
    struct group_node *node = ctx;
    struct newcomer *newcomer = node->newcomer;

    if (failed == NULL) {
        newcomer->answer = *answer;
        node->id = answer->id;
        group_say(node->group, "%s is let in as node %" PRIu64, sim_node_name(node->machine), node->id);
    } else {
        group_say(node->group, "%s is not let in: %s", sim_node_name(node->machine), failed->text);
    }
    newcomer_stop(node);
    if (failed == NULL) {
        group_boot_joined(node);
    }
    if (node->group->watch.joined != NULL) {
        node->group->watch.joined(node->group->watch.ctx, node, failed);
    }
}

void newcomer_again(struct group_node *node)
{
    struct group *g = node->group;
    const char *addresses[GROUP_MAX];
    struct join_config config = {
        .env = sim_node_boot(node->machine),
        .addresses = addresses,
        .secret = group_secret,
        .secret_len = GROUP_SECRET_BYTES,
        .ask = &node->newcomer->ask,
        .deadline_ms = UINT64_MAX,
        .done = on_joined,
        .ctx = node,
    };
    struct error e;
    node->newcomer->since_us = sim_now_us(g->sim);
    unsigned start = (unsigned)sim_random(g->sim, 0, g->count - 1);

    for (unsigned i = 0; i < g->count; i++) {
        const struct group_node *other = &g->nodes[(start + i) % g->count];
        if (other != node && other->id != 0 && other->newcomer == NULL) {
            addresses[config.count++] = other->address;
        }
    }
    if (join_new(&config, &node->newcomer->join, &e) != 0) {
        group_fail(g, "%s cannot ask to be let in: %s", sim_node_name(node->machine), e.text);
    }
}

void newcomer_start(struct group_node *node, uint64_t replaces)
{
    struct newcomer *newcomer = calloc(1, sizeof *newcomer);

    if (newcomer == NULL) {
        abort();
    }
    node->newcomer = newcomer;
    node->lives++;
    node->founder = node->moved = false;
    snprintf(node->address, sizeof node->address, "%s-%u:7000", sim_node_name(node->machine), node->lives);
    newcomer->ask =
        (struct join_ask){.replaces = replaces, .incarnation = sim_random(node->group->sim, 1, UINT64_MAX)};
    snprintf(newcomer->ask.address, sizeof newcomer->ask.address, "%s", node->address);
    snprintf(newcomer->ask.api_address, sizeof newcomer->ask.api_address, "%s", GROUP_API_ADDRESS);
    snprintf(newcomer->ask.cluster_name, sizeof newcomer->ask.cluster_name, "%s", GROUP_NAME);
    cluster_semantics(false, 0, newcomer->ask.semantics);
    group_say(node->group, "%s asks to be let in, in place of node %" PRIu64, sim_node_name(node->machine),
              replaces);
    newcomer_again(node);
}

void newcomer_stop(struct group_node *node)
{
    if (node->newcomer != NULL) {
        join_free(node->newcomer->join);
        node->newcomer->join = NULL;
    }
}

void newcomer_free(struct group_node *node)
{
    newcomer_stop(node);
    free(node->newcomer);
    node->newcomer = NULL;
}
