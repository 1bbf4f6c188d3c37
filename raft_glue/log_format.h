/* log_format: the bytes of the durable log on disk: segments, groups, records and the durable mark, and the
 * rule by which a reader finds the end of the log. It does not know files, memory or the order of work.
 *
 * Everything is little-endian. A block is ENV_BLOCK bytes; a disk tears writes anywhere between sectors of
 * 512 bytes.
 *
 * SEGMENT: a file of a fixed size, a multiple of a block. The first block holds its header, groups follow.
 * Written and durable before the file gets the name of a segment, so no crash ever leaves a damaged one.
 *     0  8 bytes  "QRTSEGMT"
 *     8  u32      version, 1
 *    12  u32      flags; 1: the log begins here, whatever segments of lower sequence say
 *    16  u64      sequence number, also in the file's name
 *    24  u64      cluster
 *    32  u64      size of the file in bytes
 *    40  u64      salt: random, new in each life of a recycled file
 *    48  u64      where the log begins here, else 0: number of the first group
 *    56  u64        chain before it
 *    64  u64        index of the first entry
 *    72  u64        term of the entry before that
 *    80  u32      0
 *    84  u32      CRC32C of bytes 0 to 83
 *         zeros to the end of the block
 * Magic, version and checksum stay where they are in every later version. A reader refuses an unknown one.
 *
 * GROUP: what one write brought: a run of whole blocks, padded with zeros. All its records or none count.
 *     0  u32      "QRTG"
 *     4  u32      size in bytes, padding included
 *     8  u64      number: one more than that of the group before
 *    16  u64      boot: random, new each time the log is opened
 *    24  u64      durable: groups up to this number were durable when this one was made
 *    32  u64      first: the index of its first record. Entries from it on that earlier groups brought are
 *                 dropped; so a group without records is a bare truncation
 *    40  u64      term of the entry before that
 *    48  u64      chain before this group
 *    56  u32      number of records
 *    60  u32      0
 *    64  u64      XXH3-64 of bytes 0 to 63, seeded with the segment's salt
 *
 * RECORD: follows the header or the record before without a gap. The payload follows its header.
 *     0  u32      length of the payload
 *     4  u8       type (enum log_entry_type); 3 bytes 0
 *     8  u64      index: that of the record before, plus one
 *    16  u64      term
 *    24  u64      chain, this record included
 *    32  u32      CRC32C of the payload
 *    36  u32      CRC32C of bytes 0 to 35
 *
 * CHAIN: the hash of all history. A group without records leaves the hash in its header; a record leaves
 * XXH3-64 of its payload, seeded with the XXH3-64 of its bytes 0 to 23, seeded with the chain before it.
 *
 * MARK: the file `durable` holds two blocks, each a slot. The valid one with the higher version counts.
 *     0  8 bytes  "QRTMARK1"
 *     8  u64      version: one more with each save, which overwrites the slot of the lower version
 *    16  u64      cluster
 *    24  u64      number of the highest group known to be durable, and behind that group:
 *    32  u64        the chain
 *    40  u64        the index of the last entry
 *    48  u64        its term
 *    56  u64        the sequence number of the segment
 *    64  u64        the offset in it where the group ends
 *    72  u32      0
 *    76  u32      CRC32C of bytes 0 to 75
 *
 * READING. The log starts in the segment of highest sequence that says so; if none does, in the oldest one
 * there is, behind the mark if the mark lies before its groups (in a segment that has been trimmed), else
 * with its first group, which then is durable. From there, the next group is the one of the next number whose
 * chain is that of the group before, with a good header hash and only good records; it stands where the group
 * before ended, or else at the start of the next segment. Where neither place holds it, the log ends.
 *
 * WHY THE END IS RIGHT. At most LOG_WRITES_MAX groups are in flight, and one counts as durable after all
 * before it. So whatever a crash does to the sectors in flight, every durable group is whole and the chain
 * reaches it.
 *   - A later group that arrived while an earlier one did not is not reached: the chain breaks at the gap.
 *   - Nor is it after the gap has been written again, even with the same entries: the boot number of the new
 *     group is in the chain.
 *   - A torn group does not become whole when the same payload is written to its place and tears in turn:
 *     before the log goes on, the header of a group that is next but not whole is overwritten with zeros.
 *   - Bytes of a former life of a recycled file have another salt. Payload that imitates a group (block by
 *     block, a client chooses it) would have to know the salt.
 * A damaged durable group looks like the end too. It is told apart by what says how far the log was durable:
 * the mark, and the durable field of any good group header behind the end, wherever it stands, even if
 * nothing reaches it. Both speak of numbers, never of indexes, so a truncation takes nothing back; and a
 * number that was once durable is never given to another group. What the database has applied was durable,
 * too. If none of them says that the next group was durable, what stands behind the end is a torn write that
 * nobody was told about.
 *
 * DAMAGE. If the next group was durable, the log goes on behind it, and what cannot be read is a hole.
 *   - Its header is good and follows on what was read: the records are known by number. A record whose
 *     payload is damaged is lost alone; one whose header is damaged hides those behind it in its group. What
 *     follows in the group counts only if the chain leads to the one that the next group or the mark names.
 *   - Its header is not: reading goes on at the next group that surely belongs to this log (log_resync.h), or
 *     at the mark, whichever comes first. Both name the index and term of the entry before. If the log as it
 *     was read has that entry, nothing is lost: what the lost groups held was replaced since. Else everything
 *     up to it is a hole; and as a lost group may have replaced entries before it, what stands below the hole
 *     is only certain when the terms on both sides are equal (one leader had them all) or once somebody's log
 *     shows that they belong together (log_mend.h).
 *   - A segment without a good header has no salt. Groups that follow on what was read can still be told: by
 *     number, chain and whole records; behind anything else in it all is lost. So is what is not there.
 * A log with damage is not written any more. Without a good slot of the mark, or without any segment, nothing
 * tells how long it was: that is refused.
 *
 * Trimming removes a segment only when both slots of the mark have reached its last group: so the mark is a
 * starting point, whichever slot is left. */
#ifndef QUORATE_RAFT_GLUE_LOG_FORMAT_H
#define QUORATE_RAFT_GLUE_LOG_FORMAT_H

#include "raft_glue/log.h"

enum {
    FORMAT_SEGMENT_BYTES = 88,
    FORMAT_GROUP_BYTES = 72,
    FORMAT_RECORD_BYTES = 40,
    FORMAT_MARK_BYTES = 80,
    LOG_WRITES_MAX = 2, /* groups in flight */
};

struct format_segment {
    bool begins; /* the four last fields say where */
    uint64_t sequence, cluster, bytes, salt;
    uint64_t number, chain, first, before_term;
};

struct format_group {
    uint32_t bytes, records;
    uint64_t number, boot, durable, first, before_term, chain;
};

struct format_mark {
    uint64_t version, cluster;
    uint64_t number, chain, index, term, sequence, end;
};

/* Fills BLOCK, ENV_BLOCK bytes. */
void format_segment_put(const struct format_segment *s, uint8_t *block);
/* Errors: Q_CORRUPT; Q_MISMATCH unknown version. */
int format_segment_get(const uint8_t *block, struct format_segment *ret_segment, struct error *e);

/* Fills FORMAT_GROUP_BYTES and returns the chain behind the header. */
uint64_t format_group_put(const struct format_group *g, uint64_t salt, uint8_t *p);
/* Whether P, with N bytes to the end of its segment, is a group's header: hash good, size within N, and it
 * calls only groups before it durable. */
bool format_group_get(const uint8_t *p, size_t n, uint64_t salt, struct format_group *ret_group,
                      uint64_t *ret_chain);

/* The same without the salt: nothing says that the header is good. */
bool format_group_peek(const uint8_t *p, size_t n, struct format_group *ret_group, uint64_t *ret_chain);

/* Fills FORMAT_RECORD_BYTES + ENTRY->len bytes and returns the chain behind the record. */
uint64_t format_record_put(const struct log_entry *entry, uint64_t chain, uint8_t *p);
enum format_record_state { FORMAT_RECORD_GOOD, FORMAT_RECORD_BAD_PAYLOAD, FORMAT_RECORD_LOST };
/* The record that P, of N bytes, starts with. The payload borrows from P; ret_chain is what the record says.
 * LOST: its header is damaged, nothing is filled. */
enum format_record_state format_record_get(const uint8_t *p, size_t n, struct log_entry *ret_entry,
                                           uint64_t *ret_chain);
/* The chain behind ENTRY, when CHAIN is the one before it. */
uint64_t format_record_chain(const struct log_entry *entry, uint64_t chain);

/* Fills BLOCK, ENV_BLOCK bytes. */
void format_mark_put(const struct format_mark *m, uint8_t *block);
bool format_mark_get(const uint8_t *block, struct format_mark *ret_mark);

#endif
