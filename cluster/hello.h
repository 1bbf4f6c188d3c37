/* hello: what each of two nodes says of itself at the beginning of a connection. It does not know who is
 * believed, nor what comes next (handshake.h).
 *
 * Little-endian:
 *
 *   u32 magic 0x50525551 ("QURP"), u16 protocol version,
 *   16 bytes cluster id, u64 sender's node id, u64 wanted node id, u64 sender's incarnation,
 *   the sender's life: u64 boots, u32 mark, u64 term, u64 index, u64 term of that entry,
 *   what it remembers of the receiver's: u64 incarnation (0: nothing), and the same five,
 *   32 bytes nonce, {u32 length, bytes} URL of the sender's HTTP port,
 *   {u32 length, bytes} address at which the sender's peers reach it
 *
 * A guest's, and the one that answers it, is all zeros and empty but for magic, version and nonce.
 *
 * Magic and version keep their place in all versions; who finds another version reads no further. Version 1
 * had no lives, version 2 no peers' address and no guests. */
#ifndef QUORATE_CLUSTER_HELLO_H
#define QUORATE_CLUSTER_HELLO_H

#include "base/buf.h"
#include "cluster/peers.h"

enum {
    HELLO_MAGIC = 0x50525551,
    HELLO_VERSION = 3,
    HELLO_NONCE_BYTES = 32,
    HELLO_LIFE_BYTES = 8 + 4 + 3 * 8,
    HELLO_MAX = 4 + 2 + PEERS_CLUSTER_ID_BYTES + 4 * 8 + 2 * HELLO_LIFE_BYTES + HELLO_NONCE_BYTES +
                2 * (4 + PEERS_ADDRESS_MAX),
};

struct hello {
    uint8_t cluster_id[PEERS_CLUSTER_ID_BYTES];
    uint64_t id, wanted;
    struct peers_life life, seen; /* the sender's own, and what it remembers of the receiver's */
    uint8_t nonce[HELLO_NONCE_BYTES];
    char api_address[PEERS_ADDRESS_MAX + 1], address[PEERS_ADDRESS_MAX + 1];
};

/* A URL or host:port that may be passed on: printable ASCII without blanks, at most PEERS_ADDRESS_MAX bytes;
 * may be empty. */
bool hello_address_ok(const char *address, size_t n);

/* Whether it is a guest's: nothing but the secret counts then. */
bool hello_is_guest(const struct hello *h);

/* Both addresses pass hello_address_ok(). Returns the length. */
size_t hello_write(const struct hello *h, uint8_t ret_bytes[HELLO_MAX]);
/* All of the N bytes. Errors: Q_MISMATCH (another version), Q_CORRUPT. */
int hello_read(const void *p, size_t n, struct hello *ret_hello, struct error *e);

#endif
