/* forward: questions from one node to another, mostly the leader, and their answers, over the peer
 * connections.
 * It does not know where questions come from nor how they are answered: that is told to it.
 *
 * Frame bodies, little-endian.
 * A question: u8 kind (enum forward_kind), u64 session, u64 number, then the command's bytes
 * (FORWARD_COMMAND), u64 member (FORWARD_TRANSFER), or a wish (FORWARD_MEMBER: changes.h). An answer: u64
 * session, u64 number, u16 code (enum error_code), blob text, u64 index, then the result's bytes (code Q_OK).
 *
 * The session is drawn by the asking process, numbers grow: so an answer that comes late finds nobody, and a
 * question that comes twice is taken once.
 *
 * Threads: loop only. */
#ifndef QUORATE_CLUSTER_FORWARD_H
#define QUORATE_CLUSTER_FORWARD_H

#include "base/buf.h"
#include "base/env.h"

enum forward_kind {
    FORWARD_COMMAND = 1,           /* put this into the log; answer: its result */
    FORWARD_READ_LINEARIZABLE = 2, /* answer: the index of a confirmed leader */
    FORWARD_READ_WEAK = 3,         /* answer: the commit index of whoever thinks it leads */
    FORWARD_PING = 4,              /* to any node; answer: nothing but that it is there */
    FORWARD_TRANSFER = 5,          /* hand your leadership to that member, 0: to any */
    FORWARD_MEMBER = 6,            /* change the members (changes.h); answer: which member */
};

struct forward;

struct forward_answer {
    struct error error;
    const uint8_t *result; /* borrowed until done returns */
    size_t len;
    uint64_t index;
};

/* A question that waits for its answer. Embedded by the asker. */
struct forward_call {
    void (*done)(struct forward_call *, const struct forward_answer *);
    /* Private. */
    struct list link;
    uint64_t number, to;
    enum forward_kind kind;
    uint64_t stray_ms; /* since when TO is not the leader any more; 0: it is */
};

/* A question of another node, to be answered with forward_reply(). */
struct forward_question {
    uint64_t from, session, number;
    enum forward_kind kind;
};

struct forward_config {
    struct env *env;
    uint64_t grace_ms; /* for an answer after its node has lost the leadership */
    bool (*send)(void *ctx, uint64_t to, uint8_t type, const void *body, size_t n);
    uint8_t question_type, answer_type; /* of frames */
    /* Command bytes are borrowed. */
    void (*asked)(void *ctx, const struct forward_question *question, const uint8_t *command, size_t n);
    size_t answer_max; /* bytes of an answer's body */
    void *ctx;
};

int forward_new(const struct forward_config *config, struct forward **ret_forward, struct error *e);
/* Pending calls get no callback. NULL is fine. */
void forward_free(struct forward *f);

/* Sends a question; false if it cannot be sent (nothing was done). CALL is kept until DONE or
 * forward_forget(). */
bool forward_ask(struct forward *f, uint64_t to, enum forward_kind kind, const void *command, size_t n,
                 struct forward_call *call);
void forward_forget(struct forward_call *call);
/* A command's result that is over answer_max, or that the network does not take, becomes Q_UNKNOWN. */
void forward_reply(struct forward *f, const struct forward_question *question,
                   const struct forward_answer *answer);

/* A frame of one of the two types came. A body that does not decode is dropped: Q_CORRUPT. */
int forward_received(struct forward *f, uint64_t from, uint8_t type, const uint8_t *body, size_t n,
                     struct error *e);
/* The connection to TO broke: its calls fail, commands, transfers and changes of the members as
 * Q_UNKNOWN, others as Q_NO_LEADER. */
void forward_down(struct forward *f, uint64_t to);
/* Fails, after the grace time, the calls to nodes that are not LEADER (0: none is known), but for
 * FORWARD_PING and FORWARD_MEMBER. Call at least every grace_ms. */
void forward_tick(struct forward *f, uint64_t leader);

#endif
