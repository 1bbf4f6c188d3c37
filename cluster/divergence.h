/* divergence: finds out whose database is the odd one when two members have different digests at one index.
 * It does not know how digests are made, nor what becomes of the odd one.
 *
 * The digest in a batch header is a leader's. A node that has another one at that index cannot know who is
 * wrong, so it asks all members what they have there (ASK, which says what the asker has). Whoever is asked
 * answers (SAY), and asks the others in turn if its own digest is different: so the leader learns of it, too.
 * Each node counts for itself, itself included:
 *
 *   A majority of the voters has one digest: whoever has another is odd, a standby too. A voter's own word
 *   counts as much as the others', so all come to the same result.
 *
 *   All voters have spoken and there is none, or DIVERGENCE_PATIENCE_MS have passed: the node that differs
 * from the header of the leader is odd, to be on the safe side. Its content may be right, but nobody can
 * tell, and the cluster goes on as its leader has it. Who was only asked, the leader among them, goes on.
 *
 * Digests are remembered for some time and not over a restart; who does not know any more says so. That loses
 * nothing: contents that differ go on to differ, and the next header asks again. Until it is decided the node
 * that differs from the leader answers no reads (divergence_suspects()).
 *
 * Frame body, little-endian: u8 version 1, u8 kind (1 ASK, 2 SAY), u8 state (0 not known, 1 known, 2 not
 * applied yet), u64 index, 16 bytes digest (of a known one; else zeros). A frame may be lost: ASK is
 * repeated.
 *
 * Threads: loop only. */
#ifndef QUORATE_CLUSTER_DIVERGENCE_H
#define QUORATE_CLUSTER_DIVERGENCE_H

#include "base/metrics.h"
#include "cluster/members.h"
#include "storage/batch.h"

struct divergence;

enum { DIVERGENCE_PATIENCE_MS = 5000, DIVERGENCE_REPEAT_MS = 200, DIVERGENCE_FRAME_BYTES = 27 };

/* How an inquiry ended. */
struct divergence_verdict {
    uint64_t index;
    bool majority; /* a majority of the voters has one digest; false: there is none, or not enough have spoken
                    */
    unsigned agree;              /* voters that have the majority's digest or, without one, this node's */
    uint64_t members[PEERS_MAX]; /* their ids */
    unsigned differ;             /* voters that are known to have another */
    uint64_t others[PEERS_MAX];
};

struct divergence_config {
    struct env *env;
    uint64_t id;
    const struct members *members;         /* kept */
    bool (*voter)(void *ctx, uint64_t id); /* whether ID counts in a majority */
    unsigned (*voters)(void *ctx);         /* how many do, also those that are not in MEMBERS yet */
    /* This node's digest after INDEX; false if it is not known (any more, or not yet). */
    bool (*digest)(void *ctx, uint64_t index, uint8_t ret_digest[DIGEST_BYTES]);
    uint64_t (*applied)(void *ctx);
    void (*send)(void *ctx, uint64_t to, const uint8_t *body, size_t n);
    /* This node is the odd one: it must be fenced. Nothing is asked any more after that. */
    void (*odd)(void *ctx, const struct divergence_verdict *verdict);
    /* Another one is, or nobody knows. */
    void (*settled)(void *ctx, const struct divergence_verdict *verdict);
    void *ctx;
};

int divergence_new(const struct divergence_config *config, struct divergence **ret_divergence,
                   struct error *e);
void divergence_free(struct divergence *d); /* NULL is fine */

/* A leader's digest at INDEX is not this node's. ODD or SETTLED may come inside. */
void divergence_differs(struct divergence *d, uint64_t index);
/* A frame of member FROM. Errors: Q_CORRUPT, Q_MISMATCH (a newer version). */
int divergence_received(struct divergence *d, uint64_t from, const uint8_t *body, size_t n, struct error *e);
/* Call about every 50 ms. */
void divergence_tick(struct divergence *d);
/* This node's content is known to be wrong: it asks no more, but still answers. */
void divergence_fenced(struct divergence *d);
/* It has another content now, that of the others. */
void divergence_lifted(struct divergence *d);
/* It differs from the leader, and it is not known yet who is wrong. */
bool divergence_suspects(const struct divergence *d);

void divergence_metrics(struct divergence *d, struct metrics *metrics);

#endif
