#include "tests/cluster/scene.h"

const char *__asan_default_options(void);

/* Nodes are checked for leaks when they stop. A test that fails leaves memory behind, and a list of it would
 * only bury what went wrong. */
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

int scene_setup(void **state)
{
    *state = calloc(1, sizeof(struct scene));
    return *state != NULL ? 0 : -1;
}

int scene_teardown(void **state)
{
    struct scene *scene = *state;

    if (scene->open) {
        processes_abandon(&scene->nodes);
    }
    load_free(scene->load);
    free(scene);
    return 0;
}

void scene_choose(int argc, char **argv)
{
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
}

struct processes *scene_prepare(struct scene *scene, const char *const *options)
{
    processes_init(&scene->nodes, options);
    scene->open = true;
    return &scene->nodes;
}

struct processes *scene_start(struct scene *scene, const char *const *options)
{
    scene_prepare(scene, options);
    processes_start(&scene->nodes);
    return &scene->nodes;
}

struct load *scene_load(struct scene *scene)
{
    struct load_config config = {.nodes = &scene->nodes, .writers = 2, .readers = 1, .value_bytes = 300};
    scene->load = load_start(&config);
    return scene->load;
}

void scene_check(struct scene *scene)
{
    load_stop(scene->load);
    check_settled(&scene->nodes);
    check_writes(&scene->nodes, scene->load);
}

void scene_finish(struct scene *scene)
{
    processes_finish(&scene->nodes);
    scene->open = false;
}
