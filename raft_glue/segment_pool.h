/* segment_pool: keeps segments ready for the log and takes back those that it has done with, on the worker
 * lane. It does not know entries.
 *
 *            take                     retire                  covered, written
 *     ready ------> (in the log's use) ------> old, in order ----------------> spare, or unlinked
 *       ^                                                                        |
 *       +------------------------------------------------------------------------+
 *                        new header, next sequence number
 *
 * A full disk only means waiting: no new file is made until a segment comes back, the log asks for one for
 * the first time, or segment_pool_retry() is called. A failed attempt leaves no file.
 *
 * One piece of work is under way at a time. Old segments go in the order of their sequence numbers, each
 * durably before the next, so that a crash never leaves a hole.
 *
 * Threads: loop only; RUN of the embedded work is on the worker lane. */
#ifndef QUORATE_RAFT_GLUE_SEGMENT_POOL_H
#define QUORATE_RAFT_GLUE_SEGMENT_POOL_H

#include "raft_glue/segment.h"

enum {
    POOL_READY = 2,  /* segments prepared ahead of the writer */
    POOL_SPARES = 4, /* files kept for them; the compaction of a busy log frees several segments at once */
};

enum pool_job { POOL_IDLE, POOL_PREPARE, POOL_RETIRE };

struct segment_pool {
    OBJECT_MAGIC;
    struct env *env;
    const char *dir; /* borrowed for the pool's life */
    uint64_t bytes, cluster;

    struct list ready, old; /* of struct segment */
    unsigned ready_count;
    uint64_t next_sequence;
    uint64_t spares[POOL_SPARES]; /* their numbers */
    unsigned spare_count;
    uint64_t next_spare;
    uint64_t covered; /* the mark has reached this group in both slots */

    enum pool_job job;
    struct env_work work;
    struct segment *segment; /* that the job makes or retires */
    struct format_segment head;
    uint64_t spare; /* number of the file that the job begins or ends with */
    bool zero;      /* the job has to make that file */
    bool drop;      /* the job unlinks it */
    int rc;
    struct error error;

    bool wanted;  /* the log waits for a segment */
    bool no_room; /* the disk was full: a new file is made only on AGAIN */
    bool again;   /* one attempt is due in spite of it */
    bool stopped;
    void (*prepared)(void *ctx);                        /* a segment is ready */
    void (*idle)(void *ctx);                            /* a job has ended; after PREPARED */
    void (*failed)(void *ctx, const struct error *why); /* instead of PREPARED */
    void *ctx;
};

/* ENV, DIR, BYTES, CLUSTER and the callbacks are filled by the caller. */
void segment_pool_init(struct segment_pool *p);
/* Frees what it holds. No job is under way, or the env is gone. */
void segment_pool_close(struct segment_pool *p);

/* Blocking, while opening: a file that was found. Files of a wrong size and surplus ones are unlinked. */
int segment_pool_found_spare(struct segment_pool *p, uint64_t number, struct error *e);
/* Blocking: S, the last ready one, loses its name; its file is a spare, or goes if its size is wrong. */
int segment_pool_back_to_spare(struct segment_pool *p, struct segment *s, struct error *e);
/* Blocking: makes the segment in which the log begins anew, as HEAD's four last fields say; sequence, salt
 * and so on are filled in. Everything ready before is older and has to go: it becomes old. */
int segment_pool_begin(struct segment_pool *p, const struct format_segment *head,
                       struct segment **ret_segment, struct error *e);

/* The next segment, or NULL: then PREPARED is called when there is one. Given to the log. */
struct segment *segment_pool_take(struct segment_pool *p);
/* S is given: it goes when the mark covers it and its writes are done. */
void segment_pool_retire(struct segment_pool *p, struct segment *s);
/* The mark has reached group NUMBER in both slots. */
void segment_pool_covered(struct segment_pool *p, uint64_t number);
/* The number that the mark must reach for all old segments to go; 0 when none waits for it. */
uint64_t segment_pool_wants_covered(const struct segment_pool *p);
/* Starts the next job, if there is one to do and none under way. Call when something changed. */
void segment_pool_work(struct segment_pool *p);
/* After NO_ROOM: there may be room now. */
void segment_pool_retry(struct segment_pool *p);

#endif
