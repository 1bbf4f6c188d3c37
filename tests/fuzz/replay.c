/* replay: a target without libFuzzer, for any compiler: its kept crashes, its seeds, and simple damage to
 * these, the same in every run.
 *
 *     fuzz_replay_TARGET [CRASHES]     all of this; CRASHES is the directory of inputs that once failed
 *     fuzz_replay_TARGET CRASHES FILE  that input alone
 *
 * A failure ends the process inside the target; what was being tried is written to a file first found in
 * QUORATE_FUZZ_KEEP, if that is set. */
#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "base/rng.h"
#include "tests/fuzz/target.h"

enum {
    SEEDS_MAX = 64,
    ROUNDS = 3000,        /* of damage at random places */
    PLACES_MAX = 6 * 800, /* of damage at each place, over all seeds: with more bytes, not at each */
};

struct seed {
    uint8_t *p;
    size_t n;
};

struct seeds {
    struct seed seed[SEEDS_MAX];
    unsigned count;
};

static unsigned long tried;

void seeds_add(struct seeds *s, const char *name, const void *p, size_t n)
{
    struct seed *seed = &s->seed[s->count];

    FUZZ_CHECK(s->count < SEEDS_MAX && n <= FUZZ_INPUT_MAX && strchr(name, '/') == NULL,
               "a target has few and small seeds");
    seed->p = malloc(n + 1);
    FUZZ_CHECK(seed->p != NULL, "there is memory");
    if (n > 0) {
        memcpy(seed->p, p, n);
    }
    seed->n = n;
    s->count++;
}

static void keep(const uint8_t *p, size_t n)
{
    const char *path = getenv("QUORATE_FUZZ_KEEP");
    FILE *to = path != NULL ? fopen(path, "w") : NULL;

    if (to != NULL) {
        fwrite(p, 1, n, to);
        fclose(to);
    }
}

/* In a block that ends where the input does. */
static void try(const uint8_t *p, size_t n)
{
    size_t before = n == 0 ? 1 : 0;
    uint8_t *block = malloc(before + n);

    FUZZ_CHECK(block != NULL, "there is memory");
    memcpy(block + before, p, n);
    keep(p, n);
    fuzz_target.run(block + before, n);
    free(block);
    tried++;
}

/* ---- damage ---- */

static unsigned cost(void)
{
    return fuzz_target.cost > 0 ? fuzz_target.cost : 1;
}

static void try_cuts(const struct seed *seed, size_t step)
{
    for (size_t n = 0; n < seed->n; n += step) {
        try(seed->p, n);
    }
}

/* Every byte in turn: what is a length, a count, a version or a type there gets out of its bounds. */
static void try_bytes(const struct seed *seed, size_t step)
{
    static const uint8_t values[] = {0x00, 0x01, 0x7f, 0x80, 0xff};

    for (size_t i = 0; i < seed->n; i += step) {
        uint8_t was = seed->p[i];
        for (unsigned v = 0; v < sizeof values; v++) {
            seed->p[i] = values[v];
            try(seed->p, seed->n);
        }
        seed->p[i] = was;
    }
}

static size_t change(struct rng *rng, uint8_t *p, size_t n, const struct seed *other)
{
    static const uint32_t numbers[] = {0, 1, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffffff0, 0x00ffffff};
    size_t at = n > 0 ? rng_between(rng, 0, n - 1) : 0;

    switch (rng_between(rng, 0, 5)) {
    case 0: /* a bit */
        if (n > 0) {
            p[at] = (uint8_t)(p[at] ^ 1u << rng_between(rng, 0, 7));
        }
        return n;
    case 1: /* a number */
        if (n >= 4 && at <= n - 4) {
            put_le32(p + at, numbers[rng_between(rng, 0, sizeof numbers / sizeof numbers[0] - 1)]);
        }
        return n;
    case 2: /* a few bytes of noise */
        for (size_t i = at; i < n && i < at + 8; i++) {
            p[i] = (uint8_t)rng_next(rng);
        }
        return n;
    case 3: /* some bytes go */
        if (n > at) {
            size_t gone = rng_between(rng, 1, n - at);
            gone = gone > 16 ? 16 : gone;
            memmove(p + at, p + at + gone, n - at - gone);
            n -= gone;
        }
        return n;
    case 4: /* some come twice */
        if (n > at && n + 16 <= FUZZ_INPUT_MAX) {
            size_t more = n - at < 16 ? n - at : 16;
            memmove(p + at + more, p + at, n - at);
            n += more;
        }
        return n;
    default: /* another seed's end instead of this one's */
        if (other->n > at) {
            memcpy(p + at, other->p + at, other->n - at);
            n = other->n;
        }
        return n;
    }
}

static void try_damage(const struct seeds *s)
{
    static uint8_t p[FUZZ_INPUT_MAX];
    struct rng rng;

    rng_init(&rng, 1);
    for (unsigned i = 0; i < ROUNDS / cost(); i++) {
        const struct seed *seed = &s->seed[rng_between(&rng, 0, s->count - 1)];
        size_t n = seed->n;
        memcpy(p, seed->p, n);
        for (uint64_t changes = rng_between(&rng, 1, 4); changes > 0; changes--) {
            n = change(&rng, p, n, &s->seed[rng_between(&rng, 0, s->count - 1)]);
        }
        try(p, n);
    }
}

/* ---- files ---- */

static void try_file(const char *path)
{
    static uint8_t p[FUZZ_INPUT_MAX];
    FILE *from = fopen(path, "r");
    size_t n;

    if (from == NULL) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(2);
    }
    n = fread(p, 1, sizeof p, from);
    fclose(from);
    fprintf(stderr, "%s\n", path); /* the last one printed is the one that failed */
    try(p, n);
}

/* A target without a directory has never failed. */
static void try_crashes(const char *dir)
{
    DIR *d = opendir(dir);
    struct dirent *entry;

    while (d != NULL && (entry = readdir(d)) != NULL) {
        char path[4096];
        if (entry->d_name[0] != '.') {
            snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
            try_file(path);
        }
    }
    if (d != NULL) {
        closedir(d);
    }
}

int main(int argc, char **argv)
{
    static struct seeds s;
    size_t bytes = 0, step;

    if (argc == 3) {
        try_file(argv[2]);
        return 0;
    }
    if (argc > 3) {
        fprintf(stderr, "usage: %s [CRASHES [FILE]]\n", argv[0]);
        return 2;
    }
    if (argc == 2) {
        try_crashes(argv[1]);
    }
    fuzz_target.seeds(&s);
    FUZZ_CHECK(s.count > 0, "a target has seeds");
    for (unsigned i = 0; i < s.count; i++) {
        bytes += s.seed[i].n;
    }
    step = 6 * bytes * cost() / PLACES_MAX + 1;
    for (unsigned i = 0; i < s.count; i++) {
        try(s.seed[i].p, s.seed[i].n);
        try_cuts(&s.seed[i], step);
        try_bytes(&s.seed[i], step);
    }
    try_damage(&s);
    for (unsigned i = 0; i < s.count; i++) {
        free(s.seed[i].p);
    }
    printf("%lu inputs\n", tried);
    return 0;
}
