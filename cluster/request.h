/* request: one client's command on its way through a node, from replica_submit() to its answer.
 * It does not know HTTP or the library's doors. */
#ifndef QUORATE_CLUSTER_REQUEST_H
#define QUORATE_CLUSTER_REQUEST_H

#include "cluster/forward.h"
#include "raft_glue/batcher.h"
#include "raft_glue/consensus.h"
#include "storage/command.h"

enum read_level {
    READ_NONE,         /* what this node has, at once */
    READ_WEAK,         /* what the node that thinks it leads has */
    READ_LINEARIZABLE, /* nothing older than the request: leadership confirmed by a majority */
    READ_STRONG,       /* through the log */
};

struct replica_answer {
    struct error error; /* Q_OK: there is a result. Q_NO_LEADER, Q_BUSY, Q_TIMEOUT, Q_TOO_BIG: nothing was
                           done. Q_UNKNOWN: a write that may or may not be applied later */
    const uint8_t
        *result; /* storage/result.h; borrowed until done returns. NULL if FORMAT was called instead */
    size_t len;
    uint64_t index;     /* the log index that the answer reflects */
    bool logged;        /* it went through the log */
    uint64_t served_by; /* node id: where the command ran or the read index came from */
};

/* Where a request is:
 *
 *   submit -> CLASSIFY (SQL of any mix: does it only read?)
 *      |         |   .--> SEEKING (no leader is known: it waits for an election, and comes back here)
 *      |         |
 *      +---------+--> WRITING (in the batcher)  --------------------+
 *                |--> FORWARDED (to the leader) --------------------+
 *                |--> ASKING (read index: here, or of the leader)   +--> answered
 *                |       |                                          |
 *                |       v                                          |
 *                +--> CATCHING_UP (until the index is applied here) |
 *                        |                                          |
 *                        v                                          |
 *                     READING (on a reader) ------------------------+
 *
 * WRITING, FORWARDED, ASKING, SEEKING and CATCHING_UP end at the deadline; CLASSIFY and READING end when the
 * reader does, which the deadline stops. */
enum request_phase {
    REQUEST_CLASSIFY,
    REQUEST_WRITING,
    REQUEST_FORWARDED,
    REQUEST_ASKING_HERE,
    REQUEST_ASKING_LEADER,
    REQUEST_SEEKING,
    REQUEST_CATCHING_UP,
    REQUEST_READING,
    REQUEST_ANSWERED,
};

/* One request. The caller embeds it, fills the first part and leaves it alone until DONE, which comes exactly
 * once on the loop, never inside replica_submit(). */
struct replica_request {
    const uint8_t *command; /* storage/command.h, already checked; kept until DONE */
    size_t len;
    enum read_level level; /* of commands that read */
    uint64_t freshness_us; /* READ_NONE on a follower: Q_CONFLICT "stale read" if the leader was last heard of
                              longer ago; 0: any age */
    bool freshness_strict; /* also if committed entries wait here, and the last one that was applied came that
                              much later than the leader took it */
    uint64_t
        timeout_ms; /* until DONE, at the latest; a statement on a reader is stopped then ("query timeout") */
    uint64_t sql_timeout_ms; /* of each reading statement, if that is less; 0: not */
    bool only_here;          /* Q_NOT_LEADER instead of forwarding to the leader (the caller redirects) */
    /* Optional. For answers computed on a reader: called there with the result, so that turning rows into
     * reply bytes is not the loop's work. */
    void (*format)(struct replica_request *, const uint8_t *result, size_t n);
    void (*done)(struct replica_request *, const struct replica_answer *);

    /* Private to requests.c. */
    struct list link;
    enum request_phase phase;
    struct requests *owner;
    uint64_t deadline_ms, seek_until_ms;
    struct command decoded;
    bool reads; /* without the log */
    struct batcher_command writing;
    struct forward_call call;
    struct consensus_read asking;
    struct env_work work;
    struct buf result;
    struct replica_answer answer;
};

#endif
