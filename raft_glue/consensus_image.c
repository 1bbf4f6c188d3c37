/* Compaction, and the images that stand for what it dropped. */
#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "base/buf.h"
#include "base/plant.h"
#include "raft_glue/configuration.h"
#include "raft_glue/consensus_impl.h"
#include "raft_glue/log_swap.h"

/* An image's configuration, as everybody else carries it: u64 a term in which its entries were committed,
 * then the configuration as the core encodes it. */
enum { KNOWN_IN_BYTES = 8 };

/* STATE with a snapshot at INDEX of TERM; the log begins behind it. */
static void set_snapshot(struct meta_state *state, uint64_t index, uint64_t term)
{
    state->snapshot_index = index;
    state->snapshot_term = term;
    state->log_first = index + 1;
    state->log_before_term = term;
}

/* Compaction */

/* The newest configuration up to INDEX, a committed one that is not before the snapshot, into STATE. Errors:
 * Q_BUSY it is not known; Q_TOO_BIG; those of a read. */
static int configuration_at(struct consensus *c, uint64_t index, struct meta_state *state, struct error *e)
{
    struct log_entry entry;
    uint64_t i = index;

    while (i >= log_first(c->log) && i > state->configuration_index &&
           log_type(c->log, i) != LOG_CONFIGURATION) {
        i--;
    }
    if (i < log_first(c->log) || i <= state->configuration_index) {
        return state->configuration_len > 0
                   ? 0
                   : error_set(e, Q_BUSY, "the members as of index %" PRIu64 " are not known", index);
    }
    int rv = log_get(c->log, i, &entry, e);
    if (rv == 0 && entry.len > sizeof state->configuration) {
        rv = error_set(e, Q_TOO_BIG, "the configuration of %" PRIu32 " bytes is over the limit of %zu",
                       entry.len, sizeof state->configuration);
    }
    if (rv == 0) {
        memcpy(state->configuration, entry.data, entry.len);
        state->configuration_len = entry.len;
        state->configuration_index = i;
    }
    return rv;
}

static void keep_from(struct consensus *c, uint64_t from, struct meta_state *state)
{
    uint64_t first = log_first(c->log);

    from = from > first ? from : first;
    if (from <= state->snapshot_index && !PLANTED("nothing_is_kept_below_a_compaction")) {
        state->log_first = from;
        state->log_before_term = log_term(c->log, from - 1);
    }
}

int consensus_compact(struct consensus *c, uint64_t index, uint64_t from, struct error *e)
{
    struct meta_state state = *meta_state(c->meta);
    struct raft_snapshot_metadata metadata;
    struct error failed;
    int rv;

    if (index <= state.snapshot_index) {
        return 0;
    }
    if (!consensus_takes_part(c) || consensus_installing(c)) {
        return error_set(e, Q_BUSY, "not while an image is being installed, nor after the end");
    }
    assert(index <= driver_applicable(c->driver) && from > 0 && from <= index + 1);
    if (index == 1) { /* the core cannot do it (driver_compacted()), and meta may not be ahead of the core */
        return error_set(e, Q_BUSY, "the first entry is not compacted alone");
    }
    rv = configuration_at(c, index, &state, e);
    if (rv != 0) {
        return rv;
    }
    set_snapshot(&state, index, log_term(c->log, index));
    rv = consensus_snapshot(&state, &metadata, e);
    if (rv != 0) {
        return rv;
    }
    keep_from(c, from, &state);
    rv = driver_compacted(c->driver, env_now_ms(c->config.env), &metadata, index + 1 - state.log_first,
                          &failed);
    raft_configuration_close(&metadata.configuration);
    if (rv == Q_BUSY) {
        return error_set(e, Q_BUSY, "%s", failed.text);
    }
    /* Meta names the new beginning durably before the log lets go of what lies before it. */
    if (rv == 0) {
        rv = PLANTED("compaction_is_not_noted") ? 0 : consensus_save(c, &state, &failed);
    }
    if (rv == 0) {
        log_trim(c->log, state.log_first);
    }
    consensus_must(c, rv, &failed, "compaction");
    return 0;
}

uint64_t consensus_index_within(const struct consensus *c, uint64_t bytes)
{
    return log_index_within(c->log, bytes);
}

/* What an image carries */

/* The snapshot of STATE, as others are given it. */
static int carry(struct consensus *c, const struct meta_state *state, struct consensus_image *ret_image,
                 struct error *e)
{
    buf_clear(&c->image);
    buf_put_u64(&c->image, consensus_term(c));
    buf_put_bytes(&c->image, state->configuration, state->configuration_len);
    *ret_image = (struct consensus_image){
        .index = state->snapshot_index,
        .term = state->snapshot_term,
        .configuration_index = state->configuration_index,
        .configuration = c->image.data,
        .configuration_len = (uint32_t)c->image.len,
    };
    return buf_check(&c->image, "the configuration", e);
}

int consensus_compaction(struct consensus *c, struct consensus_image *ret_image, struct error *e)
{
    const struct meta_state *state = meta_state(c->meta);

    return state->snapshot_index > 0 && !consensus_installing(c)
               ? carry(c, state, ret_image, e)
               : error_set(e, Q_NOT_FOUND, "nothing was compacted");
}

int consensus_image_at(struct consensus *c, uint64_t index, struct consensus_image *ret_image,
                       struct error *e)
{
    struct meta_state state = *meta_state(c->meta);
    uint64_t term = log_term(c->log, index);
    int rv;

    if (c->driver == NULL || consensus_installing(c) || index > driver_applicable(c->driver)) {
        return error_set(e, Q_BUSY, "index %" PRIu64 " is not known to be committed now", index);
    }
    if (index == 0 || term == 0 || index < state.snapshot_index) {
        return error_set(e, Q_NOT_FOUND, "the log does not go back to index %" PRIu64, index);
    }
    rv = configuration_at(c, index, &state, e);
    if (rv != 0) {
        return rv;
    }
    set_snapshot(&state, index, term);
    return carry(c, &state, ret_image, e);
}

static int decode(const struct consensus_image *image, struct raft_snapshot_metadata *ret_metadata,
                  uint64_t *ret_known_in, struct error *e)
{
    const uint8_t *bytes = image->configuration;

    if (image->configuration_len <= KNOWN_IN_BYTES || image->index == 0 || image->term == 0 ||
        image->configuration_index == 0 || image->configuration_index > image->index) {
        return error_set(e, Q_CORRUPT, "the image at index %" PRIu64 " does not say who the members are",
                         image->index);
    }
    if (image->configuration_len - KNOWN_IN_BYTES > META_CONFIGURATION_MAX) {
        return error_set(e, Q_TOO_BIG, "the image's configuration is longer than %d bytes",
                         META_CONFIGURATION_MAX);
    }
    *ret_metadata = (struct raft_snapshot_metadata){
        .index = image->index, .term = image->term, .configuration_index = image->configuration_index};
    *ret_known_in = get_le64(bytes);
    if (configuration_decode(bytes + KNOWN_IN_BYTES, image->configuration_len - KNOWN_IN_BYTES,
                             &ret_metadata->configuration, e) != 0) {
        return error_wrap(e, "the image at index %" PRIu64, image->index);
    }
    return 0;
}

/* In place of the log */

bool consensus_installing(const struct consensus *c)
{
    return meta_state(c->meta)->installing != META_NOT_INSTALLING;
}

/* The lowest index of an image behind which all of a damaged log is there, and can be told to follow it. */
static uint64_t behind_losses(const struct consensus *c)
{
    struct log_hole hole = {0};
    uint64_t index = 0;

    for (uint64_t i = meta_state(c->meta)->snapshot_index + 1; log_hole(c->log, i, &hole);
         i = hole.last + 1) {
        index = hole.term == 0 && hole.last < log_last(c->log) ? hole.last + 1 : hole.last;
    }
    return index;
}

uint64_t consensus_image_wanted(const struct consensus *c)
{
    if (c->dead || c->removed || consensus_installing(c)) {
        return 0;
    }
    if (consensus_recovering(c)) {
        return behind_losses(c);
    }
    return c->driver != NULL ? driver_snapshot_wanted(c->driver) : 0;
}

static int note_image(struct meta_state *state, const struct raft_snapshot_metadata *metadata,
                      struct error *e)
{
    struct raft_buffer members;

    if (raft_configuration_encode(&metadata->configuration, &members) != 0) {
        return error_set(e, Q_NOMEM, "out of memory for the configuration");
    }
    assert(members.len <= sizeof state->configuration); /* decode() has seen to it */
    if (!PLANTED("configuration_of_images_is_not_taken")) {
        memcpy(state->configuration, members.base, members.len);
        state->configuration_len = (uint32_t)members.len;
        state->configuration_index = metadata->configuration_index;
    }
    raft_free(members.base);
    set_snapshot(state, metadata->index, metadata->term);
    return 0;
}

/* The commit point. */
static int begin_install(struct consensus *c, enum meta_installing kind,
                         const struct raft_snapshot_metadata *metadata, struct meta_state *state,
                         struct error *e)
{
    int rv = note_image(state, metadata, e);

    state->installing = kind;
    state->installing_index = metadata->index;
    state->installing_term = metadata->term;
    if (rv == 0) {
        rv = consensus_save(c, state, e);
    }
    return rv == 0 ? 0 : error_wrap(e, "the image at index %" PRIu64, state->installing_index);
}

void consensus_io_install(void *ctx, const struct raft_snapshot_metadata *metadata)
{
    struct consensus *c = consensus_of(ctx);
    struct meta_state state = *meta_state(c->meta);
    struct error e;

    bool early = PLANTED("install_begins_before_it_is_noted");

    if (early) {
        c->config.install(c->config.ctx);
    }
    c->install_due = !early;
    if (!c->dead && begin_install(c, META_INSTALLING_LOG, metadata, &state, &e) != 0) {
        consensus_die(c, &e);
    }
}

/* What was durable here may have been acknowledged, so it may be committed: the image has to reach as far as
 * the losses. What is there behind it stays, unless it is of another history than the image: then it was
 * never committed. */
static int stage_recovering(struct consensus *c, const struct raft_snapshot_metadata *metadata,
                            uint64_t known_in, struct error *e)
{
    struct meta_state state = *meta_state(c->meta);
    uint64_t term = known_in > metadata->term ? known_in : metadata->term, losses = behind_losses(c);
    bool goes_on = metadata->index < log_last(c->log) && log_term(c->log, metadata->index) == metadata->term;
    struct error failed;

    if (metadata->index < losses && !PLANTED("recovery_takes_any_image")) {
        return error_set(e, Q_INVALID,
                         "the image is of index %" PRIu64
                         ", but what is lost of the log reaches up to %" PRIu64,
                         (uint64_t)metadata->index, losses);
    }
    if (losses == 0) {
        return 0; /* the log can do without */
    }
    if (term > state.term) {
        state.term = term; /* no log has entries of a later term than its owner's */
        state.vote = 0;
    }
    c->install_due = true;
    if (begin_install(c, goes_on ? META_INSTALLING_DATABASE : META_INSTALLING_LOG, metadata, &state,
                      &failed) != 0) {
        consensus_die(c, &failed);
        return 0;
    }
    consensus_settle_soon(c);
    return 0;
}

int consensus_staged(struct consensus *c, const struct consensus_image *image, struct error *e)
{
    struct raft_snapshot_metadata metadata;
    struct error failed;
    uint64_t known_in;
    int rv;

    if (c->dead || c->removed) {
        return 0;
    }
    if (consensus_installing(c)) {
        return error_set(e, Q_BUSY, "an image is being installed");
    }
    rv = decode(image, &metadata, &known_in, e);
    if (rv != 0) {
        return rv;
    }
    if (consensus_recovering(c)) {
        rv = stage_recovering(c, &metadata, known_in, e);
    } else if (c->driver != NULL) {
        rv = driver_snapshot_staged(c->driver, env_now_ms(c->config.env), &metadata, known_in, &failed);
        if (rv == Q_INVALID || rv == Q_BUSY) {
            rv = error_set(e, (enum error_code)rv, "%s", failed.text);
        } else {
            consensus_must_soon(c, rv, &failed, "snapshot staged");
            rv = 0;
        }
    }
    raft_configuration_close(&metadata.configuration);
    return rv;
}

int consensus_skip(struct consensus *c, const struct consensus_image *image, struct error *e)
{
    struct meta_state state = *meta_state(c->meta);
    struct raft_snapshot_metadata metadata;
    uint64_t known_in;

    assert(consensus_recovering(c) && !consensus_installing(c));
    if (image->index <= state.snapshot_index || image->index > log_last(c->log)) {
        return error_set(e, Q_INVALID, "the log ends at index %" PRIu64 ", before %" PRIu64, log_last(c->log),
                         image->index);
    }
    int rv = decode(image, &metadata, &known_in, e);
    if (rv != 0) {
        return rv;
    }
    rv = note_image(&state, &metadata, e);
    raft_configuration_close(&metadata.configuration);
    if (rv == 0) {
        rv = consensus_save(c, &state, e);
    }
    if (rv == 0) {
        log_skip(c->log, image->index, image->term);
    }
    return rv;
}

/* Meta says that it is done, and that the database is as good as any. */
static int end_install(struct consensus *c, struct error *e)
{
    struct meta_state state = *meta_state(c->meta);

    state.installing = META_NOT_INSTALLING;
    state.installing_index = state.installing_term = 0;
    state.fence = META_NO_FENCE;
    state.fence_index = 0;
    return consensus_save(c, &state, e);
}

/* The log that was is nothing any more: it is cleared away, and what opens next begins behind the snapshot. A
 * crash in the middle of it leaves meta, which says that it is to be done. */
static int clear_log(struct consensus *c, struct error *e)
{
    int rv = log_swap_recover(c->config.env, c->dir, e);
    if (rv == 0 && !PLANTED("interrupted_installs_keep_the_log")) {
        rv = log_swap_clear(c->config.env, c->dir, e);
    }
    return rv == 0 ? end_install(c, e) : rv;
}

/* The damaged log goes, and with it the recovery; or what is left of it is to be mended. */
static int replace_damaged_log(struct consensus *c, struct error *e)
{
    const struct meta_state *state = meta_state(c->meta);
    struct log *damaged = c->log;
    struct log_report report;

    c->known_index = state->snapshot_index;
    c->known_term = state->snapshot_term;
    if (state->installing == META_INSTALLING_DATABASE) {
        log_skip(c->log, state->snapshot_index, state->snapshot_term);
        return end_install(c, e);
    }
    log_mend_free(c->mend);
    c->mend = NULL;
    int rv = clear_log(c, e);
    if (rv == 0) {
        rv = consensus_open_log(c, &report, e);
    }
    if (rv == 0) {
        log_close(damaged);
    }
    return rv;
}

static int install(struct consensus *c, struct error *e)
{
    const struct meta_state *state = meta_state(c->meta);
    struct raft_snapshot_metadata metadata;
    int rv;

    if (c->driver == NULL) {
        return replace_damaged_log(c, e);
    }
    rv = consensus_snapshot(state, &metadata, e);
    if (rv != 0) {
        return rv;
    }
    if (!PLANTED("installed_log_is_not_reset")) {
        rv = log_reset(c->log, state->snapshot_index + 1, state->snapshot_term, e);
    }
    if (rv == 0) {
        rv = end_install(c, e);
    }
    if (rv == 0) {
        driver_let_campaign(c->driver, true);
        rv = driver_snapshot_installed(c->driver, env_now_ms(c->config.env), &metadata, e);
    }
    raft_configuration_close(&metadata.configuration);
    return rv;
}

static int finish(struct consensus *c, int rv, const char *what, struct error *e)
{
    if (rv != 0) {
        error_wrap(e, "%s", what);
        consensus_die(c, e);
        return rv;
    }
    c->dirty = true;
    if (c->driver != NULL) {
        consensus_settle_soon(c);
    }
    return 0;
}

int consensus_installed(struct consensus *c, struct error *e)
{
    assert(consensus_installing(c));
    if (c->dead) {
        return error_set(e, c->cause.code, "%s", c->cause.text);
    }
    return finish(c, install(c, e), "the log of an installed image", e);
}

/* Beside the log */

int consensus_rebuild(struct consensus *c, const struct consensus_image *image, struct error *e)
{
    struct meta_state state = *meta_state(c->meta);

    if (c->dead || consensus_installing(c) || log_damaged(c->log) || image->index > log_durable(c->log)) {
        return error_set(e, Q_BUSY, "the log is not durable up to the image at index %" PRIu64 " now",
                         image->index);
    }
    bool follows = image->index + 1 >= log_first(c->log) && log_term(c->log, image->index) == image->term;
    if (!follows && !PLANTED("rebuild_takes_any_image")) {
        return error_set(e, Q_CONFLICT,
                         "the log, from index %" PRIu64 " on, does not follow the image at index %" PRIu64
                         " of term %" PRIu64,
                         log_first(c->log), image->index, image->term);
    }
    state.installing = META_INSTALLING_DATABASE;
    state.installing_index = image->index;
    state.installing_term = image->term;
    int rv = consensus_save(c, &state, e);
    if (rv != 0) {
        consensus_die(c, e);
    }
    return rv;
}

int consensus_rebuilt(struct consensus *c, struct error *e)
{
    assert(meta_state(c->meta)->installing == META_INSTALLING_DATABASE);
    if (c->dead) {
        return error_set(e, c->cause.code, "%s", c->cause.text);
    }
    int rv = end_install(c, e);
    if (rv == 0 && c->driver != NULL) {
        driver_let_campaign(c->driver, true);
    }
    return finish(c, rv, "the fence of a rebuilt database", e);
}

/* A crash has interrupted it, and it is done once more, from the beginning. */
int consensus_finish_install(struct consensus *c, struct error *e)
{
    const struct meta_state *state = meta_state(c->meta);
    struct consensus_image image = {.index = state->installing_index, .term = state->installing_term};
    int rv;

    if (!consensus_installing(c)) {
        return 0;
    }
    if (c->config.swap == NULL) {
        return error_set(e, Q_CORRUPT, "%s: an image was being installed, and there is nobody to finish it",
                         c->dir);
    }
    rv = c->config.swap(c->config.ctx, &image, e);
    if (rv != 0) {
        return rv;
    }
    return state->installing == META_INSTALLING_LOG ? clear_log(c, e) : end_install(c, e);
}

/* Tells the owner what the core asked for. */
void consensus_tell_images(struct consensus *c)
{
    if (c->fetch.index != 0) {
        struct consensus_fetch fetch = c->fetch;
        c->fetch.index = 0;
        c->config.fetch(c->config.ctx, fetch.from, fetch.index, fetch.term);
    }
    if (c->install_due && !c->dead) {
        c->install_due = false;
        c->config.install(c->config.ctx);
    }
}
