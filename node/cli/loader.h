/* loader: writes that may be repeated, kept going until every one is acknowledged: many under way at once,
 * sent again after whatever happened to them, to whichever node answers. It does not know what they write.
 *
 *     loader_take() -> the caller fills the job -> loader_submit() -> waiting -> on the wire -> acknowledged
 *                                                                        ^            |
 *                                                                        `------------' 503, lost, silent
 *
 * After a failure one write at a time is sent, to one node after the other, until the first is acknowledged:
 * then all the others follow at once. So a cluster that seeks a leader is asked often, and not flooded.
 *
 * A refusal (a bad statement, a wrong namespace, no space) ends the load: sending it again would not help. So
 * does a write that was not acknowledged for the whole timeout. */
#ifndef QUORATE_NODE_CLI_LOADER_H
#define QUORATE_NODE_CLI_LOADER_H

#include "base/buf.h"
#include "base/list.h"
#include "node/cli/endpoints.h"

struct loader;

struct loader_config {
    const struct endpoints *endpoints; /* the preferred one first; copied */
    unsigned connections, depth;       /* as for wire */
    unsigned jobs;                     /* at most so many are taken and not acknowledged */
    uint64_t timeout_ms;               /* of one write, over all attempts */
    uint64_t attempt_ms;               /* until a silent node is given up for another */
};

enum { LOADER_TARGET_MAX = 64 * 1024, LOADER_BODY_MAX = 64 * 1024 * 1024 };

/* One write. The first part is the caller's to fill; buffers are empty when taken and keep their memory. */
struct loader_job {
    const char *method, *type; /* static */
    struct buf target, body;   /* target: terminated by a zero byte */
    unsigned rows;             /* how many rows or entries it stands for */
    uint64_t bytes;            /* of input that it stands for */
    bool sql;                  /* the answer is one of /db/: errors may stand in a 200 */
    /* Private. */
    struct list link;
    uint64_t first_us;
    unsigned attempts;
};

struct loader_totals {
    uint64_t rows, bytes, requests; /* acknowledged */
    uint64_t retried;               /* requests that were sent again, each time counted */
    uint64_t failures;              /* attempts without an acknowledgement */
    uint64_t first_us, last_us;     /* of the first and the last acknowledgement; 0: none yet */
    uint64_t longest_gap_us;        /* between two acknowledgements */
};

/* Errors: as wire_new(). */
int loader_new(const struct loader_config *config, struct loader **ret_loader, struct error *e);
void loader_free(struct loader *l); /* NULL is fine */

/* A job to fill, or NULL if all are taken: then loader_run() and ask again. Borrowed until submitted. */
struct loader_job *loader_take(struct loader *l);
void loader_submit(struct loader *l, struct loader_job *job);
/* Sends, and waits up to TIMEOUT_MS for answers. Errors: Q_UNKNOWN or Q_NO_LEADER (a write timed out), or
 * what the node refused; the load cannot go on after one. */
int loader_run(struct loader *l, uint64_t timeout_ms, struct error *e);
/* Everything submitted has been acknowledged. */
bool loader_is_done(const struct loader *l);
const struct loader_totals *loader_totals(const struct loader *l);

/* The endpoint that the last acknowledgement came from, NULL before the first; and where to go from now on.
 */
const char *loader_answering(const struct loader *l);
void loader_prefer(struct loader *l, const char *url);

#endif
