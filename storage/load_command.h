/* load_command: one step of replacing the whole content of the database, as an entry of the log carries it.
 * It does not know what the steps do (load.h).
 *
 * Format, the body of COMMAND_LOAD (storage/command.h), little-endian:
 *     u8  step            enum load_step; a reader refuses an unknown one with Q_MISMATCH
 *     u64 load            which one; not 0; drawn at random by who begins it
 *     BEGIN, ABORT: nothing
 *     PIECE:  u64 number  from 1
 *             blob        1 to LOAD_PIECE_MAX bytes of the stream (load.h)
 *     FINISH: u64 pieces  as many as there are */
#ifndef QUORATE_STORAGE_LOAD_COMMAND_H
#define QUORATE_STORAGE_LOAD_COMMAND_H

#include "base/buf.h"

enum { LOAD_PIECE_MAX = 64 * 1024 };

enum load_step { LOAD_BEGIN = 1, LOAD_PIECE = 2, LOAD_FINISH = 3, LOAD_ABORT = 4 };

struct load_command {
    enum load_step step;
    uint64_t load, number; /* NUMBER: of PIECE; of FINISH, how many */
    struct cursor bytes;   /* borrowed */
};

/* Reads a body to its end. Errors: Q_MISMATCH, Q_CORRUPT. */
int load_command_get(struct cursor *c, struct load_command *ret_load, struct error *e);
void load_command_put(struct buf *b, const struct load_command *load);

#endif
