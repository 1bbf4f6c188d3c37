#include "raft_glue/log_image.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/plant.h"

int log_image_load(struct log_image *image, struct segment *s, struct error *e)
{
    size_t n;
    if (image->segment == s) {
        return 0;
    }
    image->segment = NULL;
    if (image->bytes == NULL && s->head.bytes > 0) {
        image->bytes = segment_memory(image->largest);
    }
    if (image->bytes == NULL && s->head.bytes > 0) {
        return error_set(e, Q_NOMEM, "out of memory to read a segment of %" PRIu64 " bytes", s->head.bytes);
    }
    if (s->head.bytes == 0) {
        image->segment = s;
        return 0;
    }
    int rc = env_read(image->env, s->file, 0, image->bytes, s->head.bytes, &n, e);
    if (rc == 0) {
        memset(image->bytes + n, 0, s->head.bytes - n);
        image->segment = s;
    }
    return rc;
}

void log_image_close(struct log_image *image)
{
    free(image->bytes);
    image->bytes = NULL;
}

bool log_image_group(const struct log_image *image, uint64_t offset, struct log_found *ret_found)
{
    const struct segment *s = image->segment;
    struct log_found found = {.segment = image->segment, .offset = offset, .proved = !s->damaged};
    if (offset >= s->head.bytes) {
        return false;
    }
    size_t n = s->head.bytes - offset;
    found.bytes = image->bytes + offset;
    if (!(found.proved ? format_group_get(found.bytes, n, s->head.salt, &found.head, &found.chain)
                       : format_group_peek(found.bytes, n, &found.head, &found.chain))) {
        return false;
    }
    *ret_found = found;
    return true;
}

struct log_records log_records_of(const struct log_found *found)
{
    return (struct log_records){
        .found = found, .offset = found->offset + FORMAT_GROUP_BYTES, .chain = found->chain};
}

enum log_record_state log_records_next(struct log_records *records, struct log_entry *ret_entry,
                                       uint64_t *ret_offset)
{
    const struct log_found *found = records->found;
    uint64_t at = records->offset - found->offset, said;
    struct log_entry entry;
    if (records->at == found->head.records) {
        return LOG_RECORD_END;
    }
    *ret_offset = records->offset;
    enum format_record_state state =
        format_record_get(found->bytes + at, found->head.bytes - at, &entry, &said);
    if (state == FORMAT_RECORD_LOST || entry.index != found->head.first + records->at ||
        (state == FORMAT_RECORD_GOOD && !records->blind &&
         format_record_chain(&entry, records->chain) != said &&
         !PLANTED("chain_of_records_is_not_checked"))) {
        return LOG_RECORD_LOST;
    }
    records->blind = false;
    records->at++;
    records->offset += FORMAT_RECORD_BYTES + entry.len;
    records->chain = said;
    *ret_entry = entry;
    return state == FORMAT_RECORD_GOOD ? LOG_RECORD_GOOD : LOG_RECORD_BAD;
}

static bool walk(struct log_records *records)
{
    struct log_entry entry;
    uint64_t offset;
    enum log_record_state state;
    do {
        state = log_records_next(records, &entry, &offset);
    } while (state == LOG_RECORD_GOOD || state == LOG_RECORD_BAD);
    return state == LOG_RECORD_END;
}

bool log_found_chain(const struct log_found *found, uint64_t *ret_chain)
{
    struct log_records records = log_records_of(found);
    bool there = walk(&records);
    *ret_chain = records.chain;
    return there;
}

bool log_records_lead_to(struct log_records records, uint64_t chain)
{
    return walk(&records) && records.chain == chain;
}

/* Nobody who chooses payloads can imitate a record for this: it would have to say the chain that the one
 * after it was made with. */
bool log_records_find(struct log_records *records, uint64_t chain)
{
    const struct log_found *found = records->found;
    uint64_t end = found->offset + found->head.bytes;
    for (uint64_t offset = records->offset + 1; offset + FORMAT_RECORD_BYTES <= end; offset++) {
        struct log_entry entry;
        uint64_t said;
        const uint8_t *p = found->bytes + (offset - found->offset);
        if (format_record_get(p, end - offset, &entry, &said) != FORMAT_RECORD_GOOD ||
            entry.index <= found->head.first + records->at ||
            entry.index >= found->head.first + found->head.records) {
            continue;
        }
        struct log_records behind = {
            .found = found,
            .at = (uint32_t)(entry.index - found->head.first) + 1,
            .offset = offset + FORMAT_RECORD_BYTES + entry.len,
            .chain = said,
        };
        if (log_records_lead_to(behind, chain)) {
            records->at = behind.at - 1;
            records->offset = offset;
            records->blind = true;
            return true;
        }
    }
    return false;
}

bool log_found_leads_to(const struct log_found *found, uint64_t chain)
{
    struct log_records records = log_records_of(found), before = records;
    struct log_entry entry;
    uint64_t offset;
    enum log_record_state state;
    while ((state = log_records_next(&records, &entry, &offset)) == LOG_RECORD_GOOD ||
           state == LOG_RECORD_BAD) {
        before = records;
    }
    return state == LOG_RECORD_END ? records.chain == chain : log_records_find(&before, chain);
}

bool log_found_whole(const struct log_found *found)
{
    struct log_records records = log_records_of(found);
    struct log_entry entry;
    uint64_t offset;
    enum log_record_state state;
    while ((state = log_records_next(&records, &entry, &offset)) == LOG_RECORD_GOOD) {
    }
    return state == LOG_RECORD_END;
}
