/* ship_target: gets an image from other members into the stage. It does not know why one is needed, nor how
 * it takes the database's place.
 *
 *     IDLE --ship_target_want()--> ASKING: one member after the other, for the manifest of an image
 *                                    |
 *                                  OPENING, SCANNING: what is there already is found and taken
 *                                    |
 *                                  FETCHING: what is not comes, several chunks at a time
 *                                    |
 *                                  VERIFYING, FINISHING: all is read back, and made durable
 *                                    |
 *                                  STAGED
 *
 * Chunks are asked from whoever gave the manifest, and from each other member that turns out to have one.
 * When nobody is left who has them, another manifest is asked for; all that was staged stays and is used
 * again. A member that gives a chunk or a manifest that is wrong is named, and not asked again for
 * SHIP_WRONG_MS.
 *
 * A chunk in whose place there is something is asked for as a delta; one that does not make the chunk is
 * nobody's fault (delta.h), and the chunk is asked for whole. At most SHIP_FLIGHTS chunks are on their
 * way or wait for the disk, which bounds the memory. A full disk makes it wait.
 *
 * Threads: loop only; files are touched on the worker lane, a few chunks at a time. */
#ifndef QUORATE_CLUSTER_SHIP_TARGET_H
#define QUORATE_CLUSTER_SHIP_TARGET_H

#include "base/metrics.h"
#include "cluster/images.h"
#include "cluster/peers.h"
#include "cluster/ship.h"
#include "snapshots/stage.h"

struct ship_target;

enum {
    SHIP_FLIGHTS = 8,
    SHIP_ASK_MS = 3000,     /* for an answer about a manifest; then the next member is asked */
    SHIP_BUSY_MS = 200,     /* until a member that takes an image is asked again */
    SHIP_AGAIN_MS = 1000,   /* until all are asked again when none could help */
    SHIP_SILENT_MS = 10000, /* a member from which no chunk came for so long is not asked for more */
    SHIP_WRONG_MS = 15000,
    SHIP_AVOID_MS = 2 * IMAGES_SHIP_MS, /* then the image that was wrong is not kept there any more */
    SHIP_AVOID_TIMES = 16,              /* so much longer at most, if it is wrong again and again */
};

enum ship_state {
    SHIP_IDLE,
    SHIP_ASKING,
    SHIP_OPENING,
    SHIP_SCANNING,
    SHIP_FETCHING,
    SHIP_VERIFYING,
    SHIP_FINISHING,
    SHIP_STAGED,
};

struct ship_target_progress {
    enum ship_state state;
    uint64_t from;        /* who gave the manifest */
    uint64_t index, term; /* of the image; 0: none yet */
    uint64_t bytes_all, bytes_wire, bytes_per_s;
    uint32_t chunks_all, chunks_reused, chunks_fetched;
    uint64_t eta_ms; /* UINT64_MAX: not known */
};

/* What the operator hears. */
enum ship_event {
    SHIP_STARTED, /* a manifest is there */
    SHIP_RESUMED, /* with another one: what was staged is used again */
    SHIP_MOVES,   /* every SHIP_SAY_MS */
    SHIP_WRONG,   /* member WHO gave what is not what it should be */
    SHIP_WAITS,   /* for WHY */
};
enum { SHIP_SAY_MS = 3000 };

struct ship_target_config {
    struct env *env;
    const char *dir;       /* of the node; kept */
    const char *own_path;  /* its database; kept */
    struct images *images; /* for its chunk store */
    uint8_t question_type;
    /* The members that can be asked now, best first. */
    unsigned (*members)(void *ctx, uint64_t ret_ids[PEERS_MAX]);
    bool (*send)(void *ctx, uint64_t to, uint8_t type, const void *body, size_t n);
    /* Whether an image of this manifest is of any use here: 0 or why not. */
    int (*check)(void *ctx, const struct manifest *m, struct error *e);
    /* The image of M is complete and durable. Comes again for each ship_target_want() that it satisfies. M is
     * borrowed. */
    void (*staged)(void *ctx, const struct manifest *m);
    void (*said)(void *ctx, enum ship_event event, uint64_t who, const struct error *why);
    void (*fatal)(void *ctx, const struct error *why); /* the disk failed */
    void *ctx;
};

int ship_target_new(const struct ship_target_config *config, struct ship_target **ret_target,
                    struct error *e);
/* Idle, or the world has crashed. NULL is fine. */
void ship_target_free(struct ship_target *t);

/* An image that holds INDEX is needed. Repeated, it changes nothing as long as the one that is on its way
 * does; if not, what is staged is used for a newer one. */
void ship_target_want(struct ship_target *t, uint64_t index);
/* None is needed any more; what is staged stays for the next time, unless CLEAR. */
void ship_target_end(struct ship_target *t, bool clear);
/* The image that was staged last was read as a database: is it what its manifest says? If not, whoever gave
 * the manifest is asked for none for SHIP_AVOID_MS, twice as long for each time in a row; returns that time.
 */
uint64_t ship_target_judge(struct ship_target *t, bool right);
/* A member is reached. */
void ship_target_up(struct ship_target *t);
void ship_target_down(struct ship_target *t, uint64_t id);
/* An answer of member FROM. Q_CORRUPT: it is not understood. */
int ship_target_received(struct ship_target *t, uint64_t from, const uint8_t *body, size_t n,
                         struct error *e);
/* Call about every 50 ms. */
void ship_target_tick(struct ship_target *t);
void ship_target_stop(struct ship_target *t); /* wait for ship_target_idle() */
bool ship_target_idle(const struct ship_target *t);

struct ship_target_progress ship_target_progress(const struct ship_target *t);
void ship_target_metrics(struct ship_target *t, struct metrics *metrics);

#endif
