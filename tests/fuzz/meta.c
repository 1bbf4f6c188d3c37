/* meta: raft_glue/meta.h from a file of any content: one that was saved is read back; one that was damaged,
 * with checksums put right or not, gives a state within its limits or a refusal. */
#include <string.h>

#include "base/crc32c.h"
#include "raft_glue/meta.h"
#include "tests/fuzz/machine.h"

enum { SLOTS = 2, SUM_AT = META_SLOT_BYTES - 4 };

static void check_state(struct machine *m, struct meta *meta)
{
    struct meta_state state = *meta_state(meta);
    struct meta *again;
    struct error e;

    FUZZ_CHECK(state.configuration_len <= META_CONFIGURATION_MAX && state.peers <= META_PEERS_MAX,
               "the state is within its limits");
    state.term++;
    FUZZ_CHECK(meta_save(meta, &state, &e) == 0, "it can be saved");
    FUZZ_CHECK(meta_open(m->env, "data", &again, &e) == 0, "and opened again");
    FUZZ_CHECK(memcmp(meta_state(again), &state, sizeof state) == 0, "as it was");
    meta_close(again);
}

/* WAS: what a slot that is not damaged says; NULL if nothing is known of the bytes. WHOLE: how many such
 * slots there are. */
static void open_file(struct machine *m, const uint8_t *p, size_t n, const struct meta_state *was,
                      unsigned whole)
{
    struct meta *meta;
    struct error e;

    machine_put(m, "data/meta", p, n);
    if (meta_open(m->env, "data", &meta, &e) == 0) {
        FUZZ_CHECK(was == NULL || (whole > 0 && memcmp(meta_state(meta), was, sizeof *was) == 0),
                   "a damaged slot is not believed");
        check_state(m, meta);
        meta_close(meta);
    } else {
        FUZZ_CHECK(was == NULL || whole == 0, "one good slot is enough");
        FUZZ_CHECK(e.code == Q_CORRUPT || e.code == Q_MISMATCH, "a refusal has one of the promised codes");
    }
}

static void take_state(struct cursor *input, struct meta_state *s)
{
    struct cursor configuration = input_bytes(input, 300);

    memset(s, 0, sizeof *s);
    s->node_id = cursor_u64(input);
    s->incarnation = cursor_u64(input);
    s->term = cursor_u8(input);
    s->vote = cursor_u8(input);
    s->snapshot_index = cursor_u8(input);
    s->snapshot_term = cursor_u8(input);
    s->configuration_index = cursor_u8(input);
    s->configuration_len = (uint32_t)cursor_left(&configuration);
    memcpy(s->configuration, configuration.p, s->configuration_len);
    s->peers = input_range(input, 0, META_PEERS_MAX);
    for (uint32_t i = 0; i < s->peers; i++) {
        s->peer[i].id = cursor_u8(input);
        s->peer[i].incarnation = cursor_u8(input);
    }
    s->boots = cursor_u8(input);
    s->marks[s->boots % META_MARKS] = cursor_u32(input);
    s->retired = input_range(input, 0, 1) != 0;
    s->fence = (enum meta_fence)input_range(input, 0, META_FENCE_PAGE);
    s->fence_index = cursor_u8(input);
    for (uint32_t i = 0; i < s->peers; i++) {
        s->peer[i].boots = cursor_u8(input);
        s->peer[i].mark = cursor_u8(input);
        s->peer[i].term = cursor_u8(input);
        s->peer[i].durable_index = cursor_u8(input);
        s->peer[i].durable_term = cursor_u8(input);
    }
    s->founder = input_range(input, 0, 1) != 0;
    s->begun = input_range(input, 0, 1) != 0;
    s->removed = input_range(input, 0, 1) != 0;
    s->origin[0] = cursor_u8(input);
    s->log_first = input_range(input, 1, (uint32_t)s->snapshot_index + 1);
    s->log_before_term = cursor_u8(input);
    s->installing = (enum meta_installing)input_range(input, 0, META_INSTALLING_DATABASE);
    s->installing_index = cursor_u8(input);
    s->installing_term = cursor_u8(input);
}

static void run(const uint8_t *p, size_t n)
{
    struct cursor input = cursor_of(p, n);
    struct machine m;
    struct meta_state state;
    struct meta *meta;
    uint8_t *file;
    size_t len;
    unsigned right, whole = 0;
    struct error e;

    machine_init(&m);
    take_state(&input, &state);
    FUZZ_CHECK(meta_create(m.env, "data", &state, &meta, &e) == 0, "any state can be saved");
    meta_close(meta);
    FUZZ_CHECK(meta_open(m.env, "data", &meta, &e) == 0 &&
                   memcmp(meta_state(meta), &state, sizeof state) == 0,
               "and is read as it was");
    meta_close(meta);

    file = machine_get(&m, "data/meta", &len);
    FUZZ_CHECK(len == SLOTS * META_SLOT_BYTES, "the file is two slots");
    right = input_range(&input, 0, 3); /* slots whose checksum is put right behind the damage */
    for (unsigned i = 0; i < SLOTS; i++) {
        uint8_t *slot = file + i * (size_t)META_SLOT_BYTES;
        whole += !machine_damage(&input, slot, META_SLOT_BYTES);
        if ((right & (1u << i)) != 0) {
            put_le32(slot + SUM_AT, crc32c(0, slot, SUM_AT));
        }
    }
    if (input_range(&input, 0, 7) == 7) {
        len = input_range(&input, 0, (uint32_t)len);
    }
    open_file(&m, file, len, right == 0 && len == SLOTS * META_SLOT_BYTES ? &state : NULL, whole);
    free(file);
    open_file(&m, p, n, NULL, 0);
    machine_stop(&m);
    machine_close(&m);
}

static void seeds(struct seeds *s)
{
    struct buf b;

    buf_init(&b, FUZZ_INPUT_MAX);
    buf_put_u8(&b, 0); /* two bytes of length */
    buf_put_u8(&b, 3);
    buf_put_bytes(&b, "abc", 3);
    for (unsigned i = 0; i < 2 * 8 + 5; i++) {
        buf_put_u8(&b, (uint8_t)(i + 1));
    }
    buf_put_u8(&b, 2); /* peers */
    buf_put_u32(&b, 0x01020304);
    buf_put_u8(&b, 3); /* both checksums */
    buf_put_u8(&b, 1); /* one damage each: of the configuration's length */
    buf_put_u8(&b, 0);
    buf_put_u8(&b, 80);
    buf_put_u8(&b, 4);
    buf_put_u32(&b, 0x10010000);
    buf_put_u8(&b, 1);
    buf_put_u8(&b, 0);
    buf_put_u8(&b, 8);
    buf_put_u8(&b, 1);
    buf_put_u8(&b, 9);
    seeds_add(s, "saved", b.data, b.len);
    b.data[b.len - 12] = 0; /* no checksum is right */
    seeds_add(s, "damaged", b.data, b.len);
    buf_close(&b);
}

const struct fuzz_target fuzz_target = {.run = run, .seeds = seeds, .cost = 8};
