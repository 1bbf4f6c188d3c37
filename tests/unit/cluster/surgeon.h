/* surgeon: finds the records of a log on a simulated disk, and damages them while the node is off. */
#ifndef QUORATE_TESTS_SURGEON_H
#define QUORATE_TESTS_SURGEON_H

#include "raft_glue/log_format.h"
#include "tests/lib/sim_disk.h"

/* Where the newest record of an index is. */
struct surgeon_place {
    char path[128];
    uint64_t group, record; /* offsets of the headers */
    uint64_t term;
    uint32_t len;
};

/* LOG is the log's directory. False if there is no such record. */
bool surgeon_find(struct sim_disk *disk, const char *log, uint64_t index, struct surgeon_place *ret_place);
/* Flips a bit of the record's payload, or of its header if it has none. */
void surgeon_damage_record(struct sim_disk *disk, const char *log, uint64_t index);
/* Flips a bit of the header of the group in which the record is. */
void surgeon_damage_group(struct sim_disk *disk, const char *log, uint64_t index);
/* Flips bits of the segment in which the record is, so that nothing of it can be read. */
void surgeon_damage_segment(struct sim_disk *disk, const char *log, uint64_t index);

#endif
