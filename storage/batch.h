/* batch: the payload of one log entry: a header that makes its execution the same everywhere, and commands.
 * It does not know who made it (raft_glue/batcher) nor what the commands mean.
 *
 * Format, version 1, little-endian:
 *     u8  version         1; a reader refuses any other with Q_MISMATCH
 *     u8  0, u16 0        reserved: refused with Q_MISMATCH if not zero
 *     u32 commands        1 to BATCH_COMMANDS_MAX
 *     u64 term            of the entry; must equal what the log says
 *     u64 index           of the entry; must equal what the log says
 *     u64 time_ms         the leader's clock, Unix time; never falls from entry to entry: the leader sees to
 *                         it, and the writer takes the larger of this and the last one
 *     16 bytes seed       for random() and randomblob() of all its commands
 *     u64 durable_index   all members had the log up to here durable: compaction may not pass it
 *     u64 digest_index    0, or the index at which the leader's database had the digest that follows
 *     16 bytes digest
 *     then each command: blob (command.h) */
#ifndef QUORATE_STORAGE_BATCH_H
#define QUORATE_STORAGE_BATCH_H

#include "base/buf.h"

enum {
    BATCH_VERSION = 1,
    BATCH_COMMANDS_MAX = 1024,
    BATCH_BYTES_MAX = 64 * 1024, /* a batch of more than one command is no larger */
    BATCH_HEADER_BYTES = 80,
    BATCH_SEED_BYTES = 16,
    DIGEST_BYTES = 16,
};

struct batch {
    uint64_t term, index, time_ms;
    uint8_t seed[BATCH_SEED_BYTES];
    uint64_t durable_index;
    uint64_t digest_index;
    uint8_t digest[DIGEST_BYTES];
    uint32_t commands;
    struct cursor command; /* the first of them; borrowed. Walk with cursor_blob() */
};

/* Appends the header; then one buf_put_blob() a command. */
void batch_put_header(struct buf *b, const struct batch *batch);
/* Checks the header and that the commands' lengths fill the bytes exactly. Commands themselves are not
 * decoded. Errors: Q_MISMATCH, Q_CORRUPT. */
int batch_decode(const void *p, size_t n, struct batch *ret_batch, struct error *e);

#endif
