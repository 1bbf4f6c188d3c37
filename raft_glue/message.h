/* message: the consensus core's messages as bytes. Only raft_glue/ sees this header, because it shows
 * <raft.h>. It does not know the network; the sender's identity comes from the connection, never from the
 * bytes.
 *
 * Format, version 1, little-endian: u8 version (1; any other is Q_MISMATCH), u8 type (enum
 * raft_message_type), then the type's fields in the order of <raft.h>, each integer as u64, each bool as u8
 * (0 or 1); AppendEntries ends in u32 entries, each u64 term, u8 type (enum raft_entry_type), blob payload;
 * InstallSnapshot carries its configuration as u32 servers, each u64 id, u8 role, blob address. Nothing may
 * follow. */
#ifndef QUORATE_RAFT_GLUE_MESSAGE_H
#define QUORATE_RAFT_GLUE_MESSAGE_H

#include <raft.h>

#include "base/buf.h"

enum {
    MESSAGE_ENTRIES_MAX = 4096,           /* in one AppendEntries; a sender cuts, a reader refuses */
    MESSAGE_BYTES_MAX = 20 * 1024 * 1024, /* of one message */
    MESSAGE_SERVERS_MAX = 64,
    MESSAGE_ADDRESS_MAX = 255,
};

/* Appends MESSAGE; failures are B's sticky ones. */
void message_encode(const struct raft_message *message, struct buf *b);
/* Decodes; all lengths are checked first. server_id and server_address are set to FROM and ADDRESS
 * (borrowed). Entry payloads borrow from P; the entries array and the configuration are returned: free with
 * message_close(). Errors: Q_MISMATCH, Q_CORRUPT, Q_TOO_BIG, Q_NOMEM. */
int message_decode(const void *p, size_t n, uint64_t from, const char *address,
                   struct raft_message *ret_message, struct error *e);
/* Frees what message_decode() made, but the configuration if it was given away (then pass given_away). */
void message_close(struct raft_message *message, bool given_away);

#endif
