/* fuzz: a target as libFuzzer runs it. With --seeds DIR it writes the target's seeds there instead. */
#include <errno.h>
#include <string.h>

#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

struct seeds {
    const char *dir;
};

void seeds_add(struct seeds *s, const char *name, const void *p, size_t n)
{
    char path[4096];
    FILE *to;

    snprintf(path, sizeof path, "%s/%s", s->dir, name);
    to = fopen(path, "w");
    if (to == NULL || fwrite(p, 1, n, to) != n || fclose(to) != 0) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(2);
    }
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    if (*argc == 3 && strcmp((*argv)[1], "--seeds") == 0) {
        struct seeds s = {.dir = (*argv)[2]};
        fuzz_target.seeds(&s);
        exit(0);
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* libFuzzer's own block is larger than the input. A block of no bytes has one, so that is left out. */
    size_t before = size == 0 ? 1 : 0;
    uint8_t *block = malloc(before + size);

    FUZZ_CHECK(block != NULL, "there is memory");
    memcpy(block + before, data, size);
    fuzz_target.run(block + before, size);
    free(block);
    return 0;
}
