/* join_message: what a node that wants to join says, and what it is answered. It does not know connections,
 * or who decides.
 *
 * Both are bodies of control frames on a connection of a guest (handshake.h); little-endian, strings as
 * {u32 length, bytes}:
 *
 *   JOIN     u8 version (1), u64 id, u64 incarnation, u64 id of the member that it replaces, string address,
 *            string URL of its HTTP port, string cluster's name, string semantics
 *   JOINED   u8 version (1), u16 error code, string text of the error, u64 id, 16 bytes cluster id,
 *            string cluster's name, u32 number of members, each {u64 id, u64 incarnation, u64 changed, u8
 * state, string address}
 *
 * Every length is checked; who finds another version says so. */
#ifndef QUORATE_CLUSTER_JOIN_MESSAGE_H
#define QUORATE_CLUSTER_JOIN_MESSAGE_H

#include "base/buf.h"
#include "cluster/members.h"

enum {
    JOIN_NAME_MAX = 255,
    JOIN_SEMANTICS_MAX = 127,
    JOIN_ASK_BYTES_MAX = 1 + 3 * 8 + 4 * 4 + 2 * PEERS_ADDRESS_MAX + JOIN_NAME_MAX + JOIN_SEMANTICS_MAX,
    JOIN_MEMBER_BYTES_MAX = 3 * 8 + 1 + 4 + PEERS_ADDRESS_MAX,
    JOIN_ANSWER_BYTES_MAX = 1 + 2 + 4 + ERROR_TEXT_MAX + 8 + PEERS_CLUSTER_ID_BYTES + 4 + JOIN_NAME_MAX + 4 +
                            PEERS_MAX * JOIN_MEMBER_BYTES_MAX,
};

struct join_ask {
    uint64_t id; /* 0: any that is free */
    uint64_t incarnation;
    uint64_t replaces; /* a member that is to leave; 0: none */
    char address[PEERS_ADDRESS_MAX + 1], api_address[PEERS_ADDRESS_MAX + 1];
    char cluster_name[JOIN_NAME_MAX + 1], semantics[JOIN_SEMANTICS_MAX + 1];
};

/* With an error, nothing but that counts. */
struct join_answer {
    struct error error; /* Q_OK: it is a member */
    uint64_t id;
    uint8_t cluster_id[PEERS_CLUSTER_ID_BYTES];
    char cluster_name[JOIN_NAME_MAX + 1];
    unsigned count; /* of the members, the new one among them */
    struct member members[PEERS_MAX];
};

/* Bodies, appended to OUT; failure is sticky in it. */
void join_ask_put(struct buf *out, const struct join_ask *ask);
void join_answer_put(struct buf *out, const struct join_answer *answer);

/* The N bytes of a body. Errors: Q_MISMATCH (another version), Q_CORRUPT. */
int join_ask_get(const void *p, size_t n, struct join_ask *ret_ask, struct error *e);
int join_answer_get(const void *p, size_t n, struct join_answer *ret_answer, struct error *e);

#endif
