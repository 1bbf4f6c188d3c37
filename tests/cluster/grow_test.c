/* Machines come and go while clients write: what was acknowledged is there at the end, on each that stayed.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <string.h>

#include "tests/cluster/roster.h"
#include "tests/cluster/scene.h"

enum { SOME = 40 };

static void three_nodes_become_five_and_three_again_without_their_leader(void **state)
{
    static const char *const options[] = {"--voters=5", NULL};
    struct scene *scene = *state;
    struct processes *nodes = scene_prepare(scene, options);
    unsigned fourth = processes_add_joiner(nodes, 0, options);
    unsigned fifth = processes_add_joiner(nodes, 0, options);
    processes_start(nodes);
    struct load *load = scene_load(scene);

    load_wait_acknowledged(load, SOME);
    processes_join(nodes, fourth);
    processes_join(nodes, fifth);
    roster_wait(nodes, "1:voter 2:voter 3:voter 4:voter 5:voter");
    load_wait_acknowledged(load, SOME);

    unsigned leader = processes_leader(nodes);
    struct status led;
    char target[64], wanted[128] = "";
    assert_true(processes_status(nodes, leader, &led));
    snprintf(target, sizeof target, "/v1/cluster/members/%" PRIu64, led.id);
    roster_change(nodes, processes_other(nodes, leader), "DELETE", target, NULL);
    for (uint64_t id = 1; id <= 5; id++) {
        size_t n = strlen(wanted);
        if (id != led.id) {
            snprintf(wanted + n, sizeof wanted - n, "%s%" PRIu64 ":voter", n > 0 ? " " : "", id);
        }
    }
    roster_wait_removed(nodes, leader);
    processes_retire(nodes, leader);
    roster_wait(nodes, wanted);
    load_wait_acknowledged(load, SOME);

    unsigned next = processes_leader(nodes), other = processes_other(nodes, next);
    struct status spare;
    assert_true(processes_status(nodes, other, &spare));
    snprintf(target, sizeof target, "/v1/cluster/members/%" PRIu64 "?wait&timeout=30s", spare.id);
    check_answer(nodes, next, "DELETE", target, NULL, 200);
    processes_retire(nodes, other);
    load_wait_acknowledged(load, SOME);

    scene_check(scene);
    scene_finish(scene);
}

static void each_machine_is_replaced_once_by_one_command(void **state)
{
    struct scene *scene = *state;
    struct processes *nodes = scene_prepare(scene, NULL);
    unsigned fresh[3];
    for (unsigned i = 0; i < 3; i++) {
        fresh[i] = processes_add_joiner(nodes, i + 4, NULL);
        process_add_argument(&nodes->node[fresh[i]].process, "--replace=%u", i + 1);
    }
    processes_start(nodes);
    struct load *load = scene_load(scene);

    static const char *const wanted[] = {"2:voter 3:voter 4:voter", "3:voter 4:voter 5:voter",
                                         "4:voter 5:voter 6:voter"};
    for (unsigned i = 0; i < 3; i++) {
        load_wait_acknowledged(load, SOME);
        processes_retire(nodes, i); /* gone for good, at once */
        processes_join(nodes, fresh[i]);
        roster_wait(nodes, wanted[i]);
    }
    load_wait_acknowledged(load, SOME);

    processes_start_one(nodes, 2); /* somebody switches it on again: it knows nodes 4 and 5, and they know */
    roster_wait_removed(nodes, 2);
    processes_stop(nodes, 2);
    roster_wait(nodes, wanted[2]);

    scene_check(scene);
    scene_finish(scene);
}

static void a_member_that_comes_back_elsewhere_is_found_there(void **state)
{
    struct scene *scene = *state;
    struct processes *nodes = scene_start(scene, NULL);
    unsigned spare = processes_add(nodes, 9); /* a port that is nobody else's */
    char address[64], known[64] = "";
    struct deadline deadline = deadline_in(PROCESSES_WAIT_MS);
    nodes->node[spare].gone = true;
    struct load *load = scene_load(scene);

    load_wait_acknowledged(load, SOME);
    unsigned moved = processes_other(nodes, processes_leader(nodes));
    snprintf(address, sizeof address, "127.0.0.1:%u", ntohs(nodes->node[spare].peer.sin_port));
    processes_stop(nodes, moved);
    process_add_argument(&nodes->node[moved].process, "--listen=%s", address);
    process_add_argument(&nodes->node[moved].process, "--advertise=%s", address);
    processes_start_one(nodes, moved);
    processes_wait_ready(nodes, moved);
    while (strcmp(known, address) != 0) {
        roster_address(nodes, processes_leader(nodes), moved + 1, known, sizeof known);
        assert_true(deadline_wait(&deadline));
    }
    load_wait_acknowledged(load, SOME);

    scene_check(scene);
    scene_finish(scene);
}

static void a_machine_that_is_not_wanted_is_told_why_and_ends(void **state)
{
    static const char *const names[] = {"--cluster-name=another", NULL};
    struct scene *scene = *state;
    struct processes *nodes = scene_prepare(scene, NULL);
    unsigned other_name = processes_add_joiner(nodes, 0, names);
    unsigned same_id = processes_add_joiner(nodes, 2, NULL);
    processes_start(nodes);

    for (unsigned i = other_name; i <= same_id; i++) {
        struct process *p = &nodes->node[i].process;
        process_add_argument(p, "--join=127.0.0.1:%u", ntohs(nodes->node[0].peer.sin_port));
        process_start(p);
        assert_int_not_equal(process_wait(p, PROCESSES_WAIT_MS), 0);
    }
    assert_true(process_said(&nodes->node[other_name].process, "another"));
    assert_true(process_said(&nodes->node[same_id].process, "2"));
    roster_wait(nodes, "1:voter 2:voter 3:voter");

    scene_finish(scene);
}

static void a_machine_that_waits_to_be_let_in_stops_when_it_is_asked_to(void **state)
{
    struct scene *scene = *state;
    struct processes *nodes = scene_prepare(scene, NULL); /* nobody runs */
    unsigned alone = processes_add_joiner(nodes, 0, NULL);
    struct process *p = &nodes->node[alone].process;

    process_add_argument(p, "--join=127.0.0.1:%u", ntohs(nodes->node[0].peer.sin_port));
    process_start(p);
    process_wait_said(p, "join_asking", PROCESSES_WAIT_MS);
    process_ask_to_stop(p);
    assert_int_equal(process_wait(p, PROCESSES_WAIT_MS), 0);

    scene_finish(scene);
}

/* How many lines it has said in all its lives. */
static unsigned lines_of(const struct process *p)
{
    char *output = process_output(p);
    unsigned n = 0;

    for (const char *c = output; *c != 0; c++) {
        n += *c == '\n';
    }
    free(output);
    return n;
}

static void twenty_kills_on_the_way_of_an_image_only_delay_it(void **state)
{
    static const char *const options[] = {"--compact-bytes=64K", "--ship-rate=4M", NULL};
    enum { KILLS = 20, LINES = 7, ROWS = 16 };
    struct scene *scene = *state;
    struct processes *nodes = scene_prepare(scene, options);
    unsigned fourth = processes_add_joiner(nodes, 0, options);
    struct process *p = &nodes->node[fourth].process;
    struct deadline deadline = deadline_in(PROCESSES_WAIT_MS);
    struct status status = {.log_first = 0};
    processes_start(nodes);
    check_answer(nodes, 0, "POST", "/db/execute", "[\"CREATE TABLE big (id INTEGER PRIMARY KEY, b BLOB)\"]",
                 200);
    for (unsigned i = 0; i < ROWS; i++) {
        check_answer(nodes, 0, "POST", "/db/execute", "[\"INSERT INTO big (b) VALUES (randomblob(500000))\"]",
                     200);
    }
    struct load *load = scene_load(scene);

    while (!processes_status(nodes, processes_leader(nodes), &status) || status.log_first < ROWS) {
        assert_true(deadline_wait(&deadline));
    }
    process_add_argument(p, "--join=127.0.0.1:%u,127.0.0.1:%u", ntohs(nodes->node[1].peer.sin_port),
                         ntohs(nodes->node[2].peer.sin_port));
    for (unsigned i = 0; i < KILLS; i++) {
        unsigned before = lines_of(p);
        struct deadline soon = deadline_in(PROCESSES_ELECTION_MS * 2);
        process_start(p);
        while (lines_of(p) < before + 1 + i % LINES && deadline_wait(&soon)) {
        }
        assert_true(process_runs(p));
        process_kill(p);
    }
    nodes->node[fourth].gone = false;
    processes_start_one(nodes, fourth);
    processes_wait_ready(nodes, fourth);
    assert_true(process_said(p, "installed"));
    roster_wait(nodes, "1:voter 2:voter 3:voter 4:standby");
    load_wait_acknowledged(load, SOME);

    scene_check(scene);
    scene_finish(scene);
}

static void a_machine_that_has_joined_is_started_with_the_same_words(void **state)
{
    struct scene *scene = *state;
    struct processes *nodes = scene_prepare(scene, NULL);
    unsigned fourth = processes_add_joiner(nodes, 0, NULL);
    processes_start(nodes);
    struct load *load = scene_load(scene);

    processes_join(nodes, fourth);
    roster_wait(nodes, "1:voter 2:voter 3:voter 4:standby");
    load_wait_acknowledged(load, SOME);
    processes_kill(nodes, fourth);
    processes_start(nodes);
    assert_true(process_said(&nodes->node[fourth].process, "joined already"));
    roster_wait(nodes, "1:voter 2:voter 3:voter 4:standby");

    scene_check(scene);
    scene_finish(scene);
}

static void a_machine_that_comes_after_the_log_was_dropped_gets_an_image(void **state)
{
    static const char *const options[] = {"--compact-bytes=64K", "--segment-bytes=128K", "--request-max=64K",
                                          NULL};
    struct scene *scene = *state;
    struct processes *nodes = scene_prepare(scene, options);
    unsigned fourth = processes_add_joiner(nodes, 0, options);
    processes_start(nodes);
    struct load *load = scene_load(scene);
    struct deadline deadline = deadline_in(PROCESSES_WAIT_MS);
    struct status status = {.log_first = 0};

    while (!processes_status(nodes, processes_leader(nodes), &status) || status.log_first < SOME) {
        assert_true(deadline_wait(&deadline));
    }
    processes_join(nodes, fourth);
    assert_true(process_said(&nodes->node[fourth].process, "installed"));
    roster_wait(nodes, "1:voter 2:voter 3:voter 4:standby");
    load_wait_acknowledged(load, SOME);

    scene_check(scene);
    scene_finish(scene);
}

static void a_machine_that_is_killed_while_it_joins_is_one_member_in_the_end(void **state)
{
    static const char *const steps[] = {"join_asking", "joined id=", "log_opened", "start id=", "peer_up"};
    struct scene *scene = *state;
    struct processes *nodes = scene_prepare(scene, NULL);
    unsigned fourth = processes_add_joiner(nodes, 0, NULL);
    struct process *p = &nodes->node[fourth].process;
    processes_start(nodes);
    struct load *load = scene_load(scene);

    load_wait_acknowledged(load, SOME);
    process_add_argument(p, "--join=127.0.0.1:%u,127.0.0.1:%u", ntohs(nodes->node[1].peer.sin_port),
                         ntohs(nodes->node[2].peer.sin_port));
    for (unsigned i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        process_start(p);
        process_wait_said(p, steps[i], PROCESSES_WAIT_MS);
        process_kill(p);
    }
    nodes->node[fourth].gone = false;
    processes_start_one(nodes, fourth);
    processes_wait_ready(nodes, fourth);
    roster_wait(nodes, "1:voter 2:voter 3:voter 4:standby");

    scene_check(scene);
    scene_finish(scene);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SCENE(three_nodes_become_five_and_three_again_without_their_leader),
        SCENE(each_machine_is_replaced_once_by_one_command),
        SCENE(a_member_that_comes_back_elsewhere_is_found_there),
        SCENE(a_machine_that_is_not_wanted_is_told_why_and_ends),
        SCENE(a_machine_that_waits_to_be_let_in_stops_when_it_is_asked_to),
        SCENE(a_machine_that_comes_after_the_log_was_dropped_gets_an_image),
        SCENE(a_machine_that_is_killed_while_it_joins_is_one_member_in_the_end),
        SCENE(twenty_kills_on_the_way_of_an_image_only_delay_it),
        SCENE(a_machine_that_has_joined_is_started_with_the_same_words),
    };
    scene_choose(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
