#include "tests/sim/coverage.h"

#include <inttypes.h>
#include <stdio.h>

enum { TOGETHER_US = 1000000 };

#define PATH_NAME(NAME, text) text,
static const char *const path_names[] = {PATHS(PATH_NAME)};

void coverage_begin(struct coverage *c, enum fault fault, uint64_t now_us)
{
    c->faults[fault]++;
    for (unsigned other = 0; other < FAULT_COUNT; other++) {
        if (other != fault && (c->active[other] > 0 || c->until_us[other] > now_us)) {
            c->pairs[fault][other]++;
            c->pairs[other][fault]++;
        }
    }
    c->active[fault]++;
}

void coverage_end(struct coverage *c, enum fault fault, uint64_t now_us)
{
    if (c->active[fault] > 0) {
        c->active[fault]--;
        c->until_us[fault] = now_us + TOGETHER_US;
    }
}

void coverage_path(struct coverage *c, enum path path)
{
    c->paths[path]++;
}

void coverage_add(struct coverage *sum, const struct coverage *of_run)
{
    for (unsigned i = 0; i < FAULT_COUNT; i++) {
        sum->faults[i] += of_run->faults[i];
        for (unsigned j = 0; j < FAULT_COUNT; j++) {
            sum->pairs[i][j] += of_run->pairs[i][j];
        }
    }
    for (unsigned i = 0; i < PATH_COUNT; i++) {
        sum->paths[i] += of_run->paths[i];
    }
}

uint64_t coverage_faults(const struct coverage *c)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < FAULT_COUNT; i++) {
        sum += c->faults[i];
    }
    return sum;
}

static void print_pairs(const struct coverage *c)
{
    unsigned missing = 0;
    printf("\npairs of faults within a second of each other\n%-12s", "");
    for (unsigned i = 0; i < FAULT_COUNT; i++) {
        printf(" %10.10s", fault_name(i));
    }
    putchar('\n');
    for (unsigned i = 0; i < FAULT_COUNT; i++) {
        printf("%-12s", fault_name(i));
        for (unsigned j = 0; j < i; j++) {
            printf(" %10" PRIu64, c->pairs[i][j]);
            missing += c->pairs[i][j] == 0;
        }
        putchar('\n');
    }
    printf("%u of %u pairs seen\n", FAULT_COUNT * (FAULT_COUNT - 1) / 2 - missing,
           FAULT_COUNT * (FAULT_COUNT - 1) / 2);
}

void coverage_print(const struct coverage *c)
{
    printf("faults\n");
    for (unsigned i = 0; i < FAULT_COUNT; i++) {
        printf("  %-12s %8" PRIu64 "\n", fault_name(i), c->faults[i]);
    }
    print_pairs(c);
    printf("\nways out of trouble\n");
    for (unsigned i = 0; i < PATH_COUNT; i++) {
        printf("  %-58s %8" PRIu64 "\n", path_names[i], c->paths[i]);
    }
}

bool coverage_complete(const struct coverage *c)
{
    bool complete = true;
    for (unsigned i = 0; i < PATH_COUNT; i++) {
        if (c->paths[i] == 0) {
            printf("NEVER TAKEN: %s\n", path_names[i]);
            complete = false;
        }
    }
    return complete;
}
