/* A node inside your own program: a cluster of one, a table, a key, and back.
 *
 *     cc examples/embed.c $(pkg-config --cflags --libs quorate) -o embed && ./embed /tmp/embedded-node
 *
 * For three nodes give each process its own id and directory and the same list of members. */
#include <inttypes.h>
#include <quorate.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(int rv, const struct quorate_error *error)
{
    if (rv != 0) {
        fprintf(stderr, "error %d: %s\n", rv, error->text);
        exit(EXIT_FAILURE);
    }
}

int main(int argc, char **argv)
{
    struct quorate_options *options = quorate_options_new();
    struct quorate_value name = {.type = QUORATE_TEXT, .bytes = "Ada", .len = 3};
    struct quorate_result *result;
    struct quorate_error error;
    struct quorate *node;
    uint64_t version;

    if (argc != 2 || options == NULL) {
        fprintf(stderr, "usage: embed DIRECTORY\n");
        return 2;
    }
    check(quorate_options_set(options, "id", "1", &error), &error);
    check(quorate_options_set(options, "dir", argv[1], &error), &error);
    check(quorate_options_set(options, "members", "1=127.0.0.1:7700", &error), &error);
    check(quorate_options_set(options, "secret", "sixteen bytes or more", &error), &error);
    check(quorate_options_set(options, "http", "", &error), &error);
    check(quorate_start(options, &node, &error), &error);
    quorate_options_free(options);
    check(quorate_wait_ready(node, 10000, &error), &error);

    check(quorate_execute(node, "CREATE TABLE IF NOT EXISTS person (id INTEGER PRIMARY KEY, name TEXT)", NULL,
                          0, NULL, &error),
          &error);
    check(quorate_execute(node, "INSERT INTO person (name) VALUES (?)", &name, 1, NULL, &error), &error);
    check(quorate_query(node, QUORATE_LINEARIZABLE, "SELECT count(*) FROM person", NULL, 0, &result, &error),
          &error);
    printf("%" PRId64 " persons at log index %" PRIu64 "\n", quorate_result_value(result, 0, 0).integer,
           quorate_result_index(result));
    quorate_result_free(result);

    check(quorate_kv_put(node, "app", "greeting", 8, "hello", 5, QUORATE_ANY_VERSION, &version, &error),
          &error);
    printf("greeting has version %" PRIu64 "\n", version);
    quorate_stop(node);
    return 0;
}
