#include "raft_glue/log_format.h"

#include <assert.h>
#include <string.h>
#include <xxhash.h>

#include "base/buf.h"
#include "base/crc32c.h"
#include "base/plant.h"

enum { SEGMENT_VERSION = 1, SEGMENT_BEGINS = 1, GROUP_HASHED = 64, RECORD_CHAINED = 24, RECORD_SUMMED = 36 };

static const char segment_magic[8] = "QRTSEGMT", mark_magic[8] = "QRTMARK1", group_magic[4] = "QRTG";

void format_segment_put(const struct format_segment *s, uint8_t *block)
{
    memset(block, 0, ENV_BLOCK);
    memcpy(block, segment_magic, sizeof segment_magic);
    put_le32(block + 8, SEGMENT_VERSION);
    put_le32(block + 12, s->begins ? SEGMENT_BEGINS : 0);
    put_le64(block + 16, s->sequence);
    put_le64(block + 24, s->cluster);
    put_le64(block + 32, s->bytes);
    put_le64(block + 40, s->salt);
    put_le64(block + 48, s->number);
    put_le64(block + 56, s->chain);
    put_le64(block + 64, s->first);
    put_le64(block + 72, s->before_term);
    put_le32(block + 84, crc32c(0, block, 84));
}

int format_segment_get(const uint8_t *block, struct format_segment *ret_segment, struct error *e)
{
    if (memcmp(block, segment_magic, sizeof segment_magic) != 0 ||
        (get_le32(block + 84) != crc32c(0, block, 84) && !PLANTED("segment_sum_is_not_checked"))) {
        return error_set(e, Q_CORRUPT, "offset 0: the segment's header is damaged");
    }
    if (get_le32(block + 8) != SEGMENT_VERSION) {
        return error_set(e, Q_MISMATCH, "segment of version %u; this program knows version %d",
                         get_le32(block + 8), SEGMENT_VERSION);
    }
    *ret_segment = (struct format_segment){
        .begins = get_le32(block + 12) & SEGMENT_BEGINS,
        .sequence = get_le64(block + 16),
        .cluster = get_le64(block + 24),
        .bytes = get_le64(block + 32),
        .salt = get_le64(block + 40),
        .number = get_le64(block + 48),
        .chain = get_le64(block + 56),
        .first = get_le64(block + 64),
        .before_term = get_le64(block + 72),
    };
    return 0;
}

uint64_t format_group_put(const struct format_group *g, uint64_t salt, uint8_t *p)
{
    memcpy(p, group_magic, sizeof group_magic);
    put_le32(p + 4, g->bytes);
    put_le64(p + 8, g->number);
    put_le64(p + 16, g->boot);
    put_le64(p + 24, g->durable);
    put_le64(p + 32, g->first);
    put_le64(p + 40, g->before_term);
    put_le64(p + 48, g->chain);
    put_le32(p + 56, g->records);
    put_le32(p + 60, 0);
    uint64_t hash = XXH3_64bits_withSeed(p, GROUP_HASHED, salt);
    put_le64(p + 64, hash);
    return hash;
}

bool format_group_peek(const uint8_t *p, size_t n, struct format_group *ret_group, uint64_t *ret_chain)
{
    uint32_t bytes = get_le32(p + 4);
    if (n < ENV_BLOCK || memcmp(p, group_magic, sizeof group_magic) != 0 || bytes == 0 ||
        bytes % ENV_BLOCK != 0 || bytes > n || get_le64(p + 24) >= get_le64(p + 8)) {
        return false;
    }
    *ret_group = (struct format_group){
        .bytes = bytes,
        .number = get_le64(p + 8),
        .boot = get_le64(p + 16),
        .durable = get_le64(p + 24),
        .first = get_le64(p + 32),
        .before_term = get_le64(p + 40),
        .chain = get_le64(p + 48),
        .records = get_le32(p + 56),
    };
    *ret_chain = get_le64(p + 64);
    return true;
}

bool format_group_get(const uint8_t *p, size_t n, uint64_t salt, struct format_group *ret_group,
                      uint64_t *ret_chain)
{
    struct format_group group;
    uint64_t hash;
    if (!format_group_peek(p, n, &group, &hash) ||
        (XXH3_64bits_withSeed(p, GROUP_HASHED, salt) != hash && !PLANTED("group_hash_is_not_checked"))) {
        return false;
    }
    *ret_group = group;
    *ret_chain = hash;
    return true;
}

static void record_fields_put(const struct log_entry *entry, uint8_t *p)
{
    put_le32(p, entry->len);
    put_le32(p + 4, (uint32_t)entry->type);
    put_le64(p + 8, entry->index);
    put_le64(p + 16, entry->term);
}

uint64_t format_record_chain(const struct log_entry *entry, uint64_t chain)
{
    uint8_t fields[RECORD_CHAINED];
    record_fields_put(entry, fields);
    return XXH3_64bits_withSeed(entry->len ? entry->data : fields, entry->len,
                                XXH3_64bits_withSeed(fields, sizeof fields, chain));
}

uint64_t format_record_put(const struct log_entry *entry, uint64_t chain, uint8_t *p)
{
    chain = format_record_chain(entry, chain);
    record_fields_put(entry, p);
    put_le64(p + 24, chain);
    put_le32(p + 32, crc32c(0, entry->data, entry->len));
    put_le32(p + 36, crc32c(0, p, RECORD_SUMMED));
    if (entry->len > 0) {
        memcpy(p + FORMAT_RECORD_BYTES, entry->data, entry->len);
    }
    return chain;
}

enum format_record_state format_record_get(const uint8_t *p, size_t n, struct log_entry *ret_entry,
                                           uint64_t *ret_chain)
{
    if (n < FORMAT_RECORD_BYTES ||
        (get_le32(p + 36) != crc32c(0, p, RECORD_SUMMED) && !PLANTED("record_sum_is_not_checked"))) {
        return FORMAT_RECORD_LOST;
    }
    uint32_t len = get_le32(p), type = get_le32(p + 4);
    if (len > n - FORMAT_RECORD_BYTES || type < LOG_COMMANDS || type > LOG_CONFIGURATION) {
        return FORMAT_RECORD_LOST;
    }
    *ret_entry = (struct log_entry){
        .index = get_le64(p + 8),
        .term = get_le64(p + 16),
        .type = (enum log_entry_type)type,
        .data = p + FORMAT_RECORD_BYTES,
        .len = len,
    };
    *ret_chain = get_le64(p + 24);
    bool good = get_le32(p + 32) == crc32c(0, p + FORMAT_RECORD_BYTES, len);
    return good || PLANTED("payload_sum_is_not_checked") ? FORMAT_RECORD_GOOD : FORMAT_RECORD_BAD_PAYLOAD;
}

void format_mark_put(const struct format_mark *m, uint8_t *block)
{
    memset(block, 0, ENV_BLOCK);
    memcpy(block, mark_magic, sizeof mark_magic);
    put_le64(block + 8, m->version);
    put_le64(block + 16, m->cluster);
    put_le64(block + 24, m->number);
    put_le64(block + 32, m->chain);
    put_le64(block + 40, m->index);
    put_le64(block + 48, m->term);
    put_le64(block + 56, m->sequence);
    put_le64(block + 64, m->end);
    put_le32(block + 76, crc32c(0, block, 76));
}

bool format_mark_get(const uint8_t *block, struct format_mark *ret_mark)
{
    if (memcmp(block, mark_magic, sizeof mark_magic) != 0 ||
        (get_le32(block + 76) != crc32c(0, block, 76) && !PLANTED("mark_sum_is_not_checked"))) {
        return false;
    }
    *ret_mark = (struct format_mark){
        .version = get_le64(block + 8),
        .cluster = get_le64(block + 16),
        .number = get_le64(block + 24),
        .chain = get_le64(block + 32),
        .index = get_le64(block + 40),
        .term = get_le64(block + 48),
        .sequence = get_le64(block + 56),
        .end = get_le64(block + 64),
    };
    return true;
}
