#include "raft_glue/feed.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/plant.h"
#include "raft_glue/configuration.h"

static_assert((int)LOG_COMMANDS == RAFT_COMMAND && (int)LOG_BARRIER == RAFT_BARRIER &&
                  (int)LOG_CONFIGURATION == RAFT_CHANGE,
              "the log names the types of entries as the core does");

int feeds_init(struct feeds *f, const struct feeds_config *config, struct error *e)
{
    memset(f, 0, sizeof *f);
    f->config = *config;
    buf_init(&f->payloads, config->message_bytes);
    f->entries = calloc(MESSAGE_ENTRIES_MAX, sizeof *f->entries);
    return f->entries != NULL ? 0 : error_set(e, Q_NOMEM, "out of memory for outgoing entries");
}

void feeds_close(struct feeds *f)
{
    free(f->entries);
    f->entries = NULL;
    buf_close(&f->payloads);
}

void feeds_reset(struct feeds *f)
{
    memset(f->feed, 0, sizeof f->feed);
}

static struct feed *feed_find(struct feeds *f, uint64_t id)
{
    for (unsigned i = 0; i < MESSAGE_SERVERS_MAX; i++) {
        if (f->feed[i].id == id) {
            return &f->feed[i];
        }
    }
    return NULL;
}

static void feed_restart(struct feed *feed, uint64_t next)
{
    feed->next = next;
    feed->end = feed->acked = next - 1;
    feed->in_flight = 0;
    feed->window = PLANTED("silent_followers_are_flooded") ? FEED_MESSAGES : 1;
}

/* There are as many places as members, so one is free or belongs to a server that was removed. */
static struct feed *feed_add(struct feeds *f, uint64_t id, uint64_t next)
{
    struct feed *feed = feed_find(f, 0);

    for (unsigned i = 0; feed == NULL && i < MESSAGE_SERVERS_MAX; i++) {
        if (configuration_find(&f->config.raft->configuration, f->feed[i].id) == NULL) {
            feed = &f->feed[i];
        }
    }
    assert(feed != NULL);
    *feed = (struct feed){.id = id};
    feed_restart(feed, next);
    return feed;
}

static bool feed_owes(const struct feed *feed)
{
    return feed->next <= feed->end;
}

static struct raft_message feed_message(const struct feeds *f, const struct feed *feed,
                                        const struct raft_server *server)
{
    const struct feeds_config *c = &f->config;
    struct raft_message m;

    memset(&m, 0, sizeof m);
    m.type = RAFT_APPEND_ENTRIES;
    m.server_id = server->id;
    m.server_address = server->address;
    m.append_entries.term = c->raft->current_term;
    m.append_entries.leader_commit = c->raft->commit_index;
    m.append_entries.prev_log_index = feed->next - 1;
    m.append_entries.prev_log_term = feed->next == 1 ? 0 : c->io->term(c->ctx, feed->next - 1);
    return m;
}

/* The log still reaches down to the entry before the message. */
static bool is_anchored(const struct raft_message *m)
{
    return m->append_entries.prev_log_index == 0 || m->append_entries.prev_log_term != 0;
}

/* What the log lends is gone with the next call on it: moves the payload of ENTRY into our own memory. */
static bool keep_payload(struct feeds *f, const struct raft_entry *entry)
{
    buf_put_bytes(&f->payloads, entry->buf.base, entry->buf.len);
    return f->payloads.failed == Q_OK;
}

/* The kept payloads lie one behind the other, in memory that may have moved while it grew. */
static void point_at_kept(struct feeds *f, unsigned kept)
{
    size_t at = 0;
    for (unsigned i = 0; i < kept; i++) {
        f->entries[i].buf.base = f->payloads.len > 0 ? f->payloads.data + at : NULL;
        at += f->entries[i].buf.len;
    }
}

static bool load_entry(struct feeds *f, uint64_t index, uint64_t durable, struct raft_entry *ret_entry)
{
    const struct feeds_config *c = &f->config;
    struct log_entry entry;

    if (guard_chgdur(c->guards, c->io->type(c->ctx, index), index, durable) ||
        !c->io->get(c->ctx, index, &entry)) {
        return false;
    }
    *ret_entry = (struct raft_entry){
        .term = entry.term,
        .type = (enum raft_entry_type)entry.type,
        .buf = {.base = (void *)(uintptr_t)entry.data, .len = entry.len},
    };
    return true;
}

/* Fills entries[] with what comes next, up to the limits of one message, and returns how many. */
static unsigned load_entries(struct feeds *f, const struct feed *feed, uint64_t durable)
{
    uint64_t bytes = 0;
    unsigned n = 0, kept = 0;

    buf_clear(&f->payloads);
    while (n < MESSAGE_ENTRIES_MAX && feed->next + n <= feed->end && bytes < f->config.message_bytes) {
        if (n > kept) {
            if (!keep_payload(f, &f->entries[n - 1])) {
                break;
            }
            kept++;
        }
        if (!load_entry(f, feed->next + n, durable, &f->entries[n])) {
            break;
        }
        bytes += f->entries[n++].buf.len;
    }
    point_at_kept(f, kept);
    return n;
}

static void send(struct feeds *f, struct feed *feed, uint64_t now_ms, const struct raft_message *m)
{
    feed->sent_ms = now_ms;
    f->config.io->send(f->config.ctx, m);
}

/* Sends messages with entries while the window has room; returns how many. */
static unsigned feed_send(struct feeds *f, struct feed *feed, uint64_t now_ms, uint64_t durable)
{
    const struct raft_server *server = configuration_find(&f->config.raft->configuration, feed->id);
    unsigned messages = 0;

    while (server != NULL && feed_owes(feed) && feed->in_flight < feed->window) {
        struct raft_message m = feed_message(f, feed, server);
        unsigned n = is_anchored(&m) ? load_entries(f, feed, durable) : 0;
        if (n == 0) {
            break;
        }
        m.append_entries.entries = f->entries;
        m.append_entries.n_entries = n;
        feed->next += n;
        feed->flight[feed->in_flight++] = feed->next - 1;
        send(f, feed, now_ms, &m);
        messages++;
    }
    return messages;
}

static void feed_send_empty(struct feeds *f, struct feed *feed, uint64_t now_ms,
                            const struct raft_message *wanted)
{
    const struct raft_server server = {.id = wanted->server_id, .address = (char *)wanted->server_address};
    struct raft_message m = feed_message(f, feed, &server);

    if (!is_anchored(&m)) {
        /* Compaction overtook this feed. The follower will reject what the core sends instead, and the core
         * will see that it needs a snapshot. */
        feed_restart(feed, wanted->append_entries.prev_log_index + 1);
        m = *wanted;
        m.append_entries.n_entries = 0;
    }
    send(f, feed, now_ms, &m);
}

void feeds_forget(struct feeds *f, uint64_t id)
{
    struct feed *feed = feed_find(f, id);

    if (feed != NULL) {
        feed->id = 0;
    }
}

void feeds_append(struct feeds *f, uint64_t now_ms, uint64_t durable, const struct raft_message *message)
{
    const struct raft_append_entries *ae = &message->append_entries;
    struct feed *feed = feed_find(f, message->server_id);

    if (feed == NULL) {
        feed = feed_add(f, message->server_id, ae->prev_log_index + 1);
    } else if (feed->end != ae->prev_log_index) {
        feed_restart(feed, ae->prev_log_index + 1);
    }
    feed->end = ae->prev_log_index + ae->n_entries;
    if (feed_send(f, feed, now_ms, durable) > 0) {
        return;
    }
    if (!feed_owes(feed) || now_ms - feed->sent_ms >= f->config.heartbeat_ms / 2) {
        feed_send_empty(f, feed, now_ms, message);
    }
}

void feeds_acked(struct feeds *f, uint64_t from, uint64_t index)
{
    struct feed *feed = feed_find(f, from);
    uint64_t last = f->config.io->last(f->config.ctx);
    unsigned done = 0;

    if (index > last) {
        index = last; /* the tail of a longer log from an earlier term */
    }
    if (feed == NULL || index <= feed->acked) {
        return;
    }
    feed->acked = index;
    while (done < feed->in_flight && feed->flight[done] <= index) {
        done++;
    }
    feed->in_flight -= done;
    memmove(feed->flight, feed->flight + done, feed->in_flight * sizeof feed->flight[0]);
    feed->window = feed->window * 2 < FEED_MESSAGES ? feed->window * 2 : FEED_MESSAGES;
    if (feed->next <= index) {
        feed->next = index + 1;
    }
    if (feed->end < feed->next - 1) {
        feed->end = feed->next - 1;
    }
}

void feeds_continue(struct feeds *f, uint64_t now_ms, uint64_t durable)
{
    for (unsigned i = 0; i < MESSAGE_SERVERS_MAX; i++) {
        if (f->feed[i].id != 0) {
            feed_send(f, &f->feed[i], now_ms, durable);
        }
    }
}
