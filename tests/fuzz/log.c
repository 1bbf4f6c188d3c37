/* log: raft_glue/log.h on a disk that lies: a log is written, truncated, trimmed, crashed and opened again as
 * the input says, then its files are damaged, and it is opened once more. Whatever opens holds only entries
 * that were written under their index; those that were durable are there, or said to be damaged. As in Raft,
 * no two entries ever have the same index and term. */
#include <string.h>

#include "base/rng.h"
#include "raft_glue/log.h"
#include "raft_glue/log_format.h"
#include "tests/fuzz/machine.h"

enum {
    ENTRIES_MAX = 64,
    OPERATIONS_MAX = 40,
    PAYLOAD_MAX = 30000,
    SEGMENT_BYTES = 64 * 1024,
    FILES_MAX = 16
};

/* One entry that was ever appended. Its payload says which one it is. */
struct version {
    uint64_t index, term;
    uint32_t len;
};

struct scene {
    struct machine m;
    struct log_config config;
    struct log *log;
    struct version versions[ENTRIES_MAX];
    unsigned count;
    /* Of each index: the version that was appended last, plus one; 0 when it was truncated or never was. */
    unsigned current[ENTRIES_MAX + 1];
    uint64_t certain; /* all current ones up to here are durable */
    uint64_t term;
};

static void on_durable(void *ctx, uint64_t index)
{
    struct scene *s = ctx;
    FUZZ_CHECK(index <= log_last(s->log), "only what is there is durable");
    s->certain = index > s->certain ? index : s->certain;
}

static void on_failed(void *ctx, const struct error *why)
{
    (void)ctx;
    FUZZ_CHECK(false, why->text);
}

static void fill(uint8_t *p, unsigned version, uint32_t len)
{
    for (uint32_t i = 0; i < len; i++) {
        p[i] = (uint8_t)(version * 7 + i * 3 + (i >> 8));
    }
}

static bool is_version(const struct scene *s, const struct log_entry *entry, unsigned version)
{
    const struct version *v = &s->versions[version];
    static uint8_t wanted[PAYLOAD_MAX];

    fill(wanted, version, v->len);
    return entry->index == v->index && entry->term == v->term && entry->len == v->len &&
           (v->len == 0 || memcmp(entry->data, wanted, v->len) == 0);
}

static bool was_written(const struct scene *s, const struct log_entry *entry)
{
    for (unsigned i = 0; i < s->count; i++) {
        if (is_version(s, entry, i)) {
            return true;
        }
    }
    return false;
}

/* Below a detached hole a log may hold entries that a lost group had replaced: those are the ones that
 * mending compares with other members' (log_mend.h). */
static uint64_t doubtful_below(const struct scene *s)
{
    struct log_hole hole;
    uint64_t below = 0;
    for (uint64_t i = log_first(s->log); log_hole(s->log, i, &hole); i = hole.first + 1) {
        below = hole.detached ? hole.first : below;
    }
    return below;
}

/* Reads all of it. DAMAGED: what cannot be read may be said to be so. */
static void check_entries(struct scene *s, bool damaged)
{
    uint64_t first = log_first(s->log), last = log_last(s->log), doubtful = doubtful_below(s);
    struct log_entry entry;
    struct error e;

    FUZZ_CHECK(first >= 1 && last + 1 >= first && last <= ENTRIES_MAX, "the log has a sane extent");
    for (uint64_t i = first; i <= last; i++) {
        if (log_get(s->log, i, &entry, &e) != 0) {
            FUZZ_CHECK(damaged && e.code == Q_CORRUPT, "what is not damaged can be read");
            FUZZ_CHECK(log_damaged(s->log), "a log with a hole is a damaged one");
            continue;
        }
        FUZZ_CHECK(entry.index == i && was_written(s, &entry), "an entry is one that was written");
        FUZZ_CHECK(i > s->certain || i < doubtful ||
                       (s->current[i] > 0 && is_version(s, &entry, s->current[i] - 1)),
                   "what was durable is what was written last");
    }
}

/* What the log has now is what it goes on from. */
static void adopt(struct scene *s)
{
    struct log_entry entry;

    for (uint64_t i = log_first(s->log); i <= ENTRIES_MAX; i++) {
        s->current[i] = 0;
        for (unsigned v = s->count; i <= log_last(s->log) && v > 0 && s->current[i] == 0; v--) {
            FUZZ_CHECK(log_get(s->log, i, &entry, NULL) == 0, "it can be read");
            s->current[i] = is_version(s, &entry, v - 1) ? v : 0;
        }
    }
    s->certain = log_durable(s->log);
}

static void append(struct scene *s, struct cursor *input)
{
    static uint8_t payload[PAYLOAD_MAX];
    struct version *v = &s->versions[s->count];
    static const uint32_t sizes[] = {40, 4000, PAYLOAD_MAX};
    uint32_t len = input_range(input, 0, sizes[input_range(input, 0, 2)]);

    if (s->count == ENTRIES_MAX || log_last(s->log) == ENTRIES_MAX) {
        return;
    }
    s->term += input_range(input, 0, 1);
    *v = (struct version){.index = log_last(s->log) + 1, .term = s->term, .len = len};
    fill(payload, s->count, len);
    FUZZ_CHECK(log_append(s->log, v->term, LOG_COMMANDS, payload, len, NULL) == 0, "there is memory");
    s->current[v->index] = ++s->count;
}

static void truncate_log(struct scene *s, struct cursor *input)
{
    uint64_t first = log_first(s->log), last = log_last(s->log);
    uint64_t from = first + input_range(input, 0, (uint32_t)(last + 1 - first));

    log_truncate(s->log, from);
    s->term += from <= last;
    for (uint64_t i = from; i <= last; i++) {
        s->current[i] = 0;
    }
    s->certain = s->certain < from ? s->certain : from - 1;
}

static void trim(struct scene *s, struct cursor *input)
{
    uint64_t first = log_first(s->log), durable = log_durable(s->log);

    if (durable + 1 > first) {
        uint64_t to = first + input_range(input, 0, (uint32_t)(durable + 1 - first));
        s->config.before_term = log_term(s->log, to - 1);
        s->config.first_index = to; /* as the snapshot's metadata would say */
        log_trim(s->log, to);
    }
}

static void open_again(struct scene *s, bool crash)
{
    struct log_report report;
    struct error e;

    if (crash) {
        sim_node_crash(s->m.node);
    } else {
        sim_node_kill(s->m.node);
    }
    log_close(s->log);
    s->log = NULL;
    s->m.env = s->config.env = sim_node_boot(s->m.node);
    FUZZ_CHECK(log_open(&s->config, &s->log, &report, &e) == 0, e.text);
    FUZZ_CHECK(log_last(s->log) >= s->certain, "nothing durable is lost");
    check_entries(s, false);
    adopt(s);
}

static void operate(struct scene *s, struct cursor *input)
{
    for (unsigned i = 0; i < OPERATIONS_MAX && cursor_left(input) > 0; i++) {
        switch (input_range(input, 0, 9)) {
        case 0: truncate_log(s, input); break;
        case 1: trim(s, input); break;
        case 2: open_again(s, false); break;
        case 3: open_again(s, true); break;
        case 4:
            log_flush(s->log);
            sim_run_until(s->m.sim, sim_now_us(s->m.sim) + input_range(input, 0, 255) * UINT64_C(50));
            break;
        case 5: return;
        default: append(s, input);
        }
    }
}

/* ---- damage ---- */

struct files {
    char path[FILES_MAX][64];
    unsigned count;
};

static void add_file(void *ctx, const char *name)
{
    struct files *files = ctx;
    if (files->count < FILES_MAX) {
        snprintf(files->path[files->count++], sizeof files->path[0], "data/log/%.40s", name);
    }
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* Damages one file; true if that changed it. */
static bool damage_file(struct scene *s, const char *path, struct cursor *input)
{
    size_t n, was_n;
    uint8_t *p = machine_get(&s->m, path, &n), *was = malloc(n + 1);
    uint32_t blocks = (uint32_t)(n / ENV_BLOCK), from, to;
    bool changed;

    FUZZ_CHECK(was != NULL, "there is memory");
    memcpy(was, p, n);
    was_n = n;
    switch (input_range(input, 0, 4)) {
    case 0: machine_damage(input, p, n); break;
    case 1: n = input_range(input, 0, (uint32_t)n); break;
    case 2: /* a write that never came */
        if (blocks > 0) {
            memset(p + input_range(input, 0, blocks - 1) * (size_t)ENV_BLOCK, 0, ENV_BLOCK);
        }
        break;
    case 3: /* a write that went somewhere else */
        if (blocks > 1) {
            from = input_range(input, 0, blocks - 1);
            to = input_range(input, 0, blocks - 1);
            memmove(p + to * (size_t)ENV_BLOCK, p + from * (size_t)ENV_BLOCK, ENV_BLOCK);
        }
        break;
    default: /* within the bytes that are not zero */
        machine_damage(input, p, n < 3 * ENV_BLOCK ? n : 3 * ENV_BLOCK);
    }
    changed = n != was_n || memcmp(p, was, n) != 0;
    if (changed) {
        machine_put(&s->m, path, p, n);
    }
    free(was);
    free(p);
    return changed;
}

/* RET_MARK: the mark itself was damaged. */
static void damage(struct scene *s, struct cursor *input, bool *ret_mark)
{
    struct files files = {.count = 0};

    FUZZ_CHECK(env_list_dir(s->m.env, "data/log", add_file, &files, NULL) == 0, "the log has a directory");
    qsort(files.path, files.count, sizeof files.path[0], by_name);
    *ret_mark = false;
    for (unsigned i = input_range(input, 0, 3); i > 0; i--) {
        unsigned which = input_range(input, 0, files.count - 1);
        if (damage_file(s, files.path[which], input)) {
            *ret_mark = *ret_mark || strstr(files.path[which], "durable") != NULL;
        }
    }
}

/* How far the mark says the log was durable. It lags, and speaks of the log as it was: if its entry was
 * replaced since, damage to what replaced it looks like a write that was never told of, and nothing is
 * certain. */
static uint64_t marked(struct scene *s)
{
    size_t n;
    uint8_t *p = machine_get(&s->m, "data/log/durable", &n);
    struct format_mark mark, newest = {.version = 0};

    for (size_t at = 0; at + ENV_BLOCK <= n; at += ENV_BLOCK) {
        if (format_mark_get(p + at, &mark) && mark.version >= newest.version) {
            newest = mark;
        }
    }
    free(p);
    unsigned version = newest.index <= ENTRIES_MAX ? s->current[newest.index] : 0;
    return version > 0 && s->versions[version - 1].term == newest.term ? newest.index : 0;
}

static void open_damaged(struct scene *s, struct cursor *input)
{
    struct log_report report;
    struct error e;
    bool mark_damaged;
    uint64_t last = marked(s);

    last = last < s->certain ? last : s->certain;
    damage(s, input, &mark_damaged);
    if (log_open(&s->config, &s->log, &report, &e) != 0) {
        FUZZ_CHECK(e.code == Q_CORRUPT || e.code == Q_MISMATCH, "a refusal has one of the promised codes");
        return;
    }
    if (mark_damaged) {
        s->certain = 0; /* nothing else tells a torn end from a damaged one */
    } else {
        s->certain = last;
        FUZZ_CHECK(log_last(s->log) >= last, "what was marked durable is not dropped");
    }
    check_entries(s, true);
}

static void run(const uint8_t *p, size_t n)
{
    struct cursor input = cursor_of(p, n);
    struct scene s = {.term = 1};
    struct log_report report;
    struct error e;

    machine_init(&s.m);
    s.config = (struct log_config){.env = s.m.env,
                                   .dir = "data",
                                   .cluster = 77,
                                   .segment_bytes = SEGMENT_BYTES,
                                   .cache_bytes = 4096,
                                   .first_index = 1,
                                   .durable = on_durable,
                                   .failed = on_failed,
                                   .ctx = &s};
    FUZZ_CHECK(log_open(&s.config, &s.log, &report, &e) == 0, e.text);
    operate(&s, &input);
    sim_node_kill(s.m.node);
    log_close(s.log);
    s.log = NULL;
    s.m.env = s.config.env = sim_node_boot(s.m.node);
    open_damaged(&s, &input);
    machine_stop(&s.m);
    log_close(s.log);
    machine_close(&s.m);
}

static void seeds(struct seeds *s)
{
    /* append of 5 bytes in the next term; flush; append of 40 bytes; flush; kill; append; crash; end; damage
     */
    static const uint8_t plain[] = {6, 5, 1, 1, 4, 50, 7, 40, 1, 0,  4, 50, 2, 8, 3,
                                    1, 1, 3, 5, 1, 2,  0, 1,  0, 16, 4, 1,  2, 3, 4};
    /* four appends, a truncation to the second one, an append, a flush, a trim, a kill; the end is cut off */
    static const uint8_t cut[] = {6, 5, 1, 1, 7, 9, 1,  0, 8, 9, 1, 0,  9, 9, 1, 0, 4, 50, 0,
                                  1, 6, 3, 1, 1, 4, 50, 1, 1, 2, 4, 50, 5, 1, 1, 1, 0, 20, 0};

    uint8_t bytes[150];
    struct rng rng;

    seeds_add(s, "plain", plain, sizeof plain);
    seeds_add(s, "cut", cut, sizeof cut);
    rng_init(&rng, 7);
    for (unsigned i = 0; i < 12; i++) { /* any bytes are operations */
        char name[16];
        rng_fill(&rng, bytes, sizeof bytes);
        snprintf(name, sizeof name, "random%u", i);
        seeds_add(s, name, bytes, sizeof bytes);
    }
}

const struct fuzz_target fuzz_target = {.run = run, .seeds = seeds, .cost = 8};
