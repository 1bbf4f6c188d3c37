/* requests_impl: what requests.c and requests_deadlines.c share. */
#ifndef QUORATE_CLUSTER_REQUESTS_IMPL_H
#define QUORATE_CLUSTER_REQUESTS_IMPL_H

#include "base/object.h"
#include "cluster/requests.h"

enum { REQUESTS_MAGIC = 0x51c0de05 };

enum request_counter {
    C_WRITES,
    C_READS_NONE,
    C_READS_WEAK,
    C_READS_LINEARIZABLE,
    C_FORWARDED,
    C_TIMEOUTS,
    G_UNDER_WAY,
    REQUEST_COUNTERS
};

struct requests {
    OBJECT_MAGIC;
    struct requests_config config;
    struct list under_way;   /* struct replica_request */
    struct list catching_up; /* as well, in no order of index */
    struct list seeking;     /* as well: a leader */
    struct list answered;    /* to be told from the timer, because they ended inside requests_submit() */
    struct env_timer *soon;
    bool submitting, stopped;
    unsigned count;
    struct metric counters[REQUEST_COUNTERS];
};

/* Sends a request on its way, or ends it. */
void requests_route(struct replica_request *q);
/* Ends a request: Q is its owner's again, now or, while SUBMITTING, from the timer. */
void requests_finish_code(struct replica_request *q, enum error_code code, const char *text);

#endif
