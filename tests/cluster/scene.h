/* scene: what each test of this folder stands on: a cluster, a load if it wants one, and an end that is clean
 * when the test passes and tells all it can when it fails. It does not know what is tested. */
#ifndef QUORATE_TESTS_CLUSTER_SCENE_H
#define QUORATE_TESTS_CLUSTER_SCENE_H

#include "tests/cluster/check.h"
#include "tests/unit/test.h"

struct scene {
    struct processes nodes;
    struct load *load;
    bool open; /* nodes are there that nobody has ended */
};

/* For cmocka_unit_test_setup_teardown(): *state is the scene. */
int scene_setup(void **state);
int scene_teardown(void **state);

/* For main(): an argument is a pattern (* and ?), and only tests whose name matches are run. */
void scene_choose(int argc, char **argv);

#define SCENE(test) cmocka_unit_test_setup_teardown(test, scene_setup, scene_teardown)

/* Three nodes that run and are ready. OPTIONS as in processes_init(). */
struct processes *scene_start(struct scene *scene, const char *const *options);
/* The same without starting them. */
struct processes *scene_prepare(struct scene *scene, const char *const *options);
/* Writers and readers at work: two and one, with values of some hundred bytes. */
struct load *scene_load(struct scene *scene);
/* The load ends, the nodes come to rest, and all that check.h demands holds. */
void scene_check(struct scene *scene);
/* The nodes stop, cleanly. The last line of a test. */
void scene_finish(struct scene *scene);

#endif
