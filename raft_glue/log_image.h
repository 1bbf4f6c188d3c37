/* log_image: one segment of the log, whole in memory, and the groups that are found in it. It does not know
 * which of them belong to the log. */
#ifndef QUORATE_RAFT_GLUE_LOG_IMAGE_H
#define QUORATE_RAFT_GLUE_LOG_IMAGE_H

#include "raft_glue/segment.h"

struct log_image {
    struct env *env;
    const char *dir; /* borrowed */
    uint64_t
        largest; /* bytes of the largest segment: so what was found stays in its place, whatever is loaded */
    struct segment *segment;
    uint8_t *bytes;
};

/* A group whose header is whole, or, if not PROVED, looks like one: its segment has lost its salt. */
struct log_found {
    struct format_group head;
    uint64_t chain; /* behind the header */
    const uint8_t *bytes;
    struct segment *segment;
    uint64_t offset;
    bool proved;
};

/* Blocking. What the file does not have any more reads as zeros. Errors: Q_IO, Q_NOMEM. */
int log_image_load(struct log_image *image, struct segment *s, struct error *e);
void log_image_close(struct log_image *image);
/* Whether a group's header stands at OFFSET of what was loaded last. */
bool log_image_group(const struct log_image *image, uint64_t offset, struct log_found *ret_found);

/* The records of a group, one after the other. */
struct log_records {
    const struct log_found *found;
    uint32_t at;     /* how many have passed */
    uint64_t offset; /* of the next one, in the segment */
    uint64_t chain;  /* behind those that have passed */
    bool blind;      /* it is not known: the next record was found by searching */
};

enum log_record_state {
    LOG_RECORD_END,
    LOG_RECORD_GOOD, /* checksums are good, and the chain is that of the records before */
    /* The payload is damaged. What the header says is right if the chain behind all records is: it is part of
       it. */
    LOG_RECORD_BAD,
    LOG_RECORD_LOST, /* nothing of it is known, nor of what follows in this group */
};

struct log_records log_records_of(const struct log_found *found);
/* Fills RET_ENTRY, which borrows from the image, for GOOD and BAD ones, and RET_OFFSET, where the record is
 * in its segment, but for the END. After LOST or END comes nothing more. */
enum log_record_state log_records_next(struct log_records *records, struct log_entry *ret_entry,
                                       uint64_t *ret_offset);
/* The chain behind the last record, if one can get there; what BAD ones say is believed. */
bool log_found_chain(const struct log_found *found, uint64_t *ret_chain);
/* Whether the records that come lead to CHAIN: then what BAD ones say is right. */
bool log_records_lead_to(struct log_records records, uint64_t chain);
/* Whether the records of a group, as far as they are there, lead to CHAIN. */
bool log_found_leads_to(const struct log_found *found, uint64_t chain);
/* Moves behind what is damaged here, to the next place from which the records lead to CHAIN. False: none. */
bool log_records_find(struct log_records *records, uint64_t chain);
/* All records are good. */
bool log_found_whole(const struct log_found *found);

#endif
