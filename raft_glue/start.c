#include "raft_glue/start.h"

#include <limits.h>
#include <string.h>

#include "raft_glue/configuration.h"

static int check(const struct driver_config *c, uint64_t first, uint64_t last, struct error *e)
{
    const struct driver_io *io = c->io;
    const struct raft_snapshot_metadata *snapshot = c->snapshot;
    uint64_t base = snapshot != NULL ? snapshot->index : 0;

    if (c->term == 0 && (c->vote != 0 || snapshot != NULL || last >= first)) {
        return error_set(e, Q_INVALID, "term 0, but there is a vote, a snapshot or a log");
    }
    if (first > base + 1 || last < base || (base > 0 && io->term(c->ctx, base) != snapshot->term)) {
        return error_set(e, Q_INVALID, "the log holds %llu to %llu, the snapshot's entry %llu is not in it",
                         (unsigned long long)first, (unsigned long long)last, (unsigned long long)base);
    }
    if (snapshot == NULL && last >= first && io->type(c->ctx, first) != LOG_CONFIGURATION) {
        return error_set(e, Q_INVALID, "the log does not begin with a configuration");
    }
    if (c->applied + 1 < first || c->applied > last) {
        return error_set(e, Q_INVALID, "the database is at %llu, the log reaches from %llu to %llu",
                         (unsigned long long)c->applied, (unsigned long long)first, (unsigned long long)last);
    }
    if (last - base > UINT_MAX || last + 1 - first > UINT_MAX) {
        return error_set(e, Q_INVALID, "the log has too many entries");
    }
    return 0;
}

/* Appends the payload of the configuration entry at INDEX to what is kept, and makes it the newest. */
static int load_configuration(struct start *s, const struct driver_config *c, uint64_t index,
                              struct raft_entry *entry, struct error *e)
{
    struct raft_configuration configuration;
    struct log_entry found;

    if (!c->io->get(c->ctx, index, &found)) {
        return error_set(e, Q_CORRUPT, "the configuration at %llu cannot be read", (unsigned long long)index);
    }
    buf_put_bytes(&s->payloads, found.data, found.len);
    if (buf_check(&s->payloads, "the configurations in the log", e) != 0) {
        return (int)s->payloads.failed;
    }
    if (configuration_decode(found.data, found.len, &configuration, e) != 0) {
        return error_wrap(e, "the entry at %llu", (unsigned long long)index);
    }
    entry->buf.len = found.len;
    raft_configuration_close(&s->configuration);
    s->configuration = configuration;
    return 0;
}

/* The payloads lie one behind the other, in memory that may have moved while it grew. */
static void point_at_payloads(struct start *s)
{
    uint8_t *at = s->payloads.data;
    for (unsigned i = 0; i < s->n; i++) {
        if (s->entries[i].type == RAFT_CHANGE) {
            s->entries[i].buf.base = at;
            at += s->entries[i].buf.len;
        }
    }
}

static int load_entries(struct start *s, const struct driver_config *c, unsigned n, struct error *e)
{
    void *batch = raft_malloc(1); /* the core wants one, and to free it if it fails */

    s->entries = raft_calloc(n, sizeof *s->entries);
    if (batch == NULL || s->entries == NULL) {
        raft_free(batch);
        return error_set(e, Q_NOMEM, "out of memory for the index of the log");
    }
    s->n = n;
    for (unsigned i = 0; i < n; i++) {
        struct raft_entry *entry = &s->entries[i];
        entry->term = c->io->term(c->ctx, s->first + i);
        entry->type = (enum raft_entry_type)c->io->type(c->ctx, s->first + i);
        entry->batch = batch;
        if (entry->type == RAFT_CHANGE) {
            int rv = load_configuration(s, c, s->first + i, entry, e);
            if (rv != 0) {
                return rv;
            }
        }
    }
    point_at_payloads(s);
    return 0;
}

int start_load(struct start *s, const struct driver_config *config, struct error *e)
{
    uint64_t first = config->io->first(config->ctx), last = config->io->last(config->ctx);
    int rv;

    memset(s, 0, sizeof *s);
    s->first = first;
    buf_init(&s->payloads, SIZE_MAX);
    rv = check(config, first, last, e);
    if (rv == 0 && config->snapshot != NULL) {
        s->snapshot = *config->snapshot;
        raft_configuration_init(&s->snapshot.configuration);
        rv = configuration_copy(&config->snapshot->configuration, &s->snapshot.configuration, e);
        if (rv == 0) {
            rv = configuration_copy(&config->snapshot->configuration, &s->configuration, e);
        }
    }
    if (rv == 0 && last >= first) {
        rv = load_entries(s, config, (unsigned)(last + 1 - first), e);
    }
    if (rv != 0) {
        start_close(s, false);
    }
    return rv;
}

struct raft_event start_event(struct start *s, uint64_t term, uint64_t vote)
{
    struct raft_event event;

    memset(&event, 0, sizeof event);
    event.type = RAFT_START;
    event.start.term = term;
    event.start.voted_for = vote;
    event.start.metadata = s->snapshot.index != 0 ? &s->snapshot : NULL;
    event.start.start_index = s->first;
    event.start.entries = s->entries;
    event.start.n_entries = s->n;
    return event;
}

void start_close(struct start *s, bool entries_freed)
{
    if (s->entries != NULL && !entries_freed) {
        raft_free(s->entries[0].batch);
        raft_free(s->entries);
    }
    raft_configuration_close(&s->snapshot.configuration);
    raft_configuration_close(&s->configuration);
    buf_close(&s->payloads);
    memset(s, 0, sizeof *s);
}
