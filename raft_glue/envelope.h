/* envelope: the first byte of what consensus members send each other: which of its parts the rest is for. */
#ifndef QUORATE_RAFT_GLUE_ENVELOPE_H
#define QUORATE_RAFT_GLUE_ENVELOPE_H

enum envelope {
    ENVELOPE_CORE = 1,        /* a message of the consensus core follows (message.h) */
    ENVELOPE_READ_ASK = 2,    /* read_index.h */
    ENVELOPE_READ_ANSWER = 3, /* read_index.h */
};

#endif
