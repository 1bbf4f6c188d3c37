/* feed: what a leader still owes its followers of the log, and the AppendEntries messages that bring it. It
 * does not know elections, snapshots or why the core wants something sent.
 *
 * The core names the entries of an AppendEntries by count alone, thousands at a time, and takes them for
 * sent. A feed notes them as owed and sends them as a window of messages: each is cut by bytes and count, at
 * most FEED_MESSAGES of them are on their way to a follower, and each acknowledgement lets the next ones go.
 * So the bytes that are under way are bounded, nothing has to be left out, and a follower that is far behind
 * catches up without waiting for heartbeats.
 *
 *       acknowledged      on their way          owed          not asked for yet
 *     ---------------|--------------------|--------------|---------------------
 *                acked                  next            end
 *
 * When the core does not go on where it ended (it saw a rejection or silence), the feed starts over from
 * there with a window of one message, which doubles with every acknowledgement: a follower that does not
 * answer is not flooded. */
#ifndef QUORATE_RAFT_GLUE_FEED_H
#define QUORATE_RAFT_GLUE_FEED_H

#include "base/buf.h"
#include "raft_glue/guards.h"
#include "raft_glue/message.h"

enum { FEED_MESSAGES = 8 };

struct feed {
    uint64_t id;                    /* the follower; 0: this one is free */
    uint64_t next, end;             /* owed: next .. end; end is next - 1 when nothing is */
    uint64_t acked;                 /* since the last start; below all that is on its way */
    uint64_t flight[FEED_MESSAGES]; /* last index of each message on its way, oldest first */
    unsigned in_flight, window;     /* messages */
    uint64_t sent_ms;               /* when the last message left, an empty one too */
};

struct feeds_config {
    const struct raft *raft;    /* kept: the current term, commit index and addresses */
    struct guards *guards;      /* kept */
    const struct driver_io *io; /* kept: last, term, type, get, send */
    void *ctx;
    uint32_t message_bytes;
    unsigned heartbeat_ms;
};

struct feeds {
    struct feeds_config config;
    struct feed feed[MESSAGE_SERVERS_MAX];
    struct raft_entry *entries; /* of the message that is being made */
    struct buf payloads;        /* of all its entries but the last */
};

/* Errors: Q_NOMEM. A zeroed struct may be closed. */
int feeds_init(struct feeds *f, const struct feeds_config *config, struct error *e);
void feeds_close(struct feeds *f);
/* Nothing is owed to anybody: this node does not lead (any more). */
void feeds_reset(struct feeds *f);

/* ID rejected what it was sent: nothing is owed, and the core starts over from where it thinks fit. */
void feeds_forget(struct feeds *f, uint64_t id);

/* The core wants this AppendEntries sent (its entries are not filled in). Sends what the window lets through;
 * an empty message if that is nothing and the follower might think us dead. Entries above DURABLE may go,
 * configurations excepted. */
void feeds_append(struct feeds *f, uint64_t now_ms, uint64_t durable, const struct raft_message *message);
/* Follower FROM acknowledged everything up to INDEX: makes room for more. */
void feeds_acked(struct feeds *f, uint64_t from, uint64_t index);
/* Something was acknowledged or became durable: sends what may go now. */
void feeds_continue(struct feeds *f, uint64_t now_ms, uint64_t durable);

#endif
