/* handshake: two nodes make sure of each other before anything else is read.
 * It does not know connections, time, or what comes after it: frames in, frames out.
 *
 *     dialler                                  acceptor
 *        | HELLO {who I am, whom I want}  ------> |  version, cluster, ids checked
 *        | <--- ANSWER {who I am, acceptor's MAC} |
 *        |  the same checks, MAC, admit           |
 *        | PROOF {dialler's MAC}  --------------> |  MAC, admit
 *        | <----------------------------- WELCOME |
 *        |                                        |
 *     either, instead of its next message: REFUSED {code, text} or REMOVED {index, MAC}
 *
 * Messages are frames (frame.h) with FRAME_CONTROL; bodies, little-endian:
 *
 *   hello    hello.h
 *   HELLO    hello of the dialler
 *   ANSWER   {u32 length, hello of the acceptor}, 32 bytes MAC
 *   PROOF    32 bytes MAC
 *   WELCOME  nothing
 *   REFUSED  u16 error code, {u32 length, bytes} text
 *   REMOVED  u64 index, 32 bytes MAC: the receiver was a member and was removed by the log entry at INDEX
 *
 *   MAC = HMAC-SHA256(secret, {u32 length, role}, {u32 length, hello of the dialler},
 *                             {u32 length, hello of the acceptor}, u64 index)
 *
 * where role is "quorate acceptor", "quorate dialler" or "quorate removed", and index is 0 but in REMOVED.
 * The fresh nonces of both sides make a recorded MAC useless later, the role makes a reflected one useless at
 * once, and all that a hello says is covered.
 *
 * A node that hears that it was further than it is stops before it says or hears more (check): its disk is an
 * old copy. What it says of its own life is remembered only when the handshake is done (met), that is, after
 * it could find that out.
 *
 * A removed member hears that it was only when it has proved that it knows the secret, and believes it only
 * with a MAC: it acts upon it for ever.
 *
 * A GUEST is a node without a cluster that wants to join. Its hello is all zeros and empty but for magic,
 * version and nonce, and so is the one that answers it: who has not proved anything learns nothing. Both
 * prove the secret as ever; admit, check and met are for members.
 *
 * Who finds another version in a hello reads no further, says which one it speaks and refuses.
 *
 * Every refusal is one sentence that names what was expected and what came. The other side is told it when
 * it reveals nothing but version, cluster and ids, or that the secrets differ, or when the other side has
 * proved to know the secret. Bytes that are no message of the handshake get no answer.
 *
 * What it does not do: the MAC proves who opened the connection, not who wrote the later bytes. Against
 * somebody who can change traffic on its way, run the peers' connections inside a protected network. An
 * acceptor's MAC can be had by anybody who reaches the port, so the secret must be random, not a word. */
#ifndef QUORATE_CLUSTER_HANDSHAKE_H
#define QUORATE_CLUSTER_HANDSHAKE_H

#include "cluster/frame.h"
#include "cluster/hello.h"
#include "cluster/peers.h"

enum {
    HANDSHAKE_NONCE_BYTES = HELLO_NONCE_BYTES,
    HANDSHAKE_MAC_BYTES = 32,
    HANDSHAKE_READ_MAX = 1536, /* bytes that one side may send before it is done */
};

/* Types of the control frames of a connection. */
enum handshake_type {
    HANDSHAKE_HELLO = 1,
    HANDSHAKE_ANSWER,
    HANDSHAKE_PROOF,
    HANDSHAKE_WELCOME,
    HANDSHAKE_REFUSED,
    HANDSHAKE_REMOVED,
    HANDSHAKE_TYPES
};

enum handshake_role { HANDSHAKE_DIALLER, HANDSHAKE_ACCEPTOR };

/* What a node knows of itself. Kept by every handshake. */
struct handshake_self {
    bool guest; /* this node wants to join: nothing but the secret is looked at */
    uint64_t id, incarnation;
    uint8_t cluster_id[PEERS_CLUSTER_ID_BYTES];
    const char *api_address, *address; /* both pass hello_address_ok() */
    const uint8_t *secret;
    size_t secret_len;
    bool (*member)(void *ctx, uint64_t id);      /* is ID one of the other members? */
    uint64_t (*removed)(void *ctx, uint64_t id); /* the index at which it ceased to be one; 0: it did not */
    void (*told_removed)(void *ctx, uint64_t by, uint64_t index);
    void (*introduced)(void *ctx, uint64_t id, const char *address);
    /* As in struct peers_config. */
    int (*admit)(void *ctx, uint64_t id, uint64_t incarnation, struct error *e);
    void (*describe)(void *ctx, uint64_t id, struct peers_life *ret_own, struct peers_life *ret_seen);
    int (*check)(void *ctx, uint64_t id, const struct peers_life *seen, struct error *e);
    void (*met)(void *ctx, uint64_t id, const struct peers_life *life);
    void *ctx;
};

enum handshake_state {
    HANDSHAKE_GOING,
    HANDSHAKE_DONE,
    HANDSHAKE_REFUSED_HERE,
    HANDSHAKE_REFUSED_THERE, /* the other side refused */
};

struct handshake {
    const struct handshake_self *self;
    enum handshake_role role;
    enum handshake_state state;
    enum handshake_type expected; /* the next message */
    uint64_t wanted;              /* dialler: whom it wants to reach */
    uint8_t nonce[HANDSHAKE_NONCE_BYTES];
    uint8_t hello[2][HELLO_MAX]; /* by enum handshake_role */
    size_t hello_len[2];
    bool guest; /* one of the two is a guest */
    /* What the other side says of itself; an id of 0: nothing yet. True only in HANDSHAKE_DONE. */
    uint64_t id, incarnation;
    struct peers_life life, seen; /* its own, and what it remembers of ours */
    char api_address[PEERS_ADDRESS_MAX + 1], address[PEERS_ADDRESS_MAX + 1];
};

/* WANTED is the id that a dialler wants to reach; not looked at for an acceptor. NONCE is fresh random
 * bytes, copied. No memory is taken. */
void handshake_init(struct handshake *h, const struct handshake_self *self, enum handshake_role role,
                    uint64_t wanted, const uint8_t nonce[HANDSHAKE_NONCE_BYTES]);

/* Dialler: appends the first message to OUT. Failure is sticky in OUT. */
void handshake_start(struct handshake *h, struct buf *out);

/* Takes a frame while the state is HANDSHAKE_GOING, and appends the frame that answers it, if any, to OUT.
 * 0: the state is HANDSHAKE_GOING or HANDSHAKE_DONE. Otherwise it is one of the refused ones, E says why,
 * and OUT may hold what the other side is to be told before the connection is closed.
 * E is not NULL. Errors: Q_MISMATCH (version, cluster, ids), Q_DENIED (the secrets differ), what admit says,
 * Q_CORRUPT (not a message of the handshake), Q_NOMEM, and any code that the other side refused with. Who was
 * removed gets Q_DENIED, on both sides. */
int handshake_receive(struct handshake *h, const struct frame *f, struct buf *out, struct error *e);

#endif
