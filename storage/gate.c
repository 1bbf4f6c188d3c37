#include "storage/gate.h"

#include <assert.h>

int gate_init(struct gate *g)
{
    pthread_rwlockattr_t attributes;
    int rc = pthread_rwlockattr_init(&attributes);

    if (rc != 0) {
        return rc;
    }
    /* The default lets those who share overtake for ever the one who waits to be alone. */
    rc = pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    if (rc == 0) {
        rc = pthread_rwlock_init(&g->lock, &attributes);
    }
    pthread_rwlockattr_destroy(&attributes);
    return rc;
}

void gate_close(struct gate *g)
{
    pthread_rwlock_destroy(&g->lock);
}

void gate_share(struct gate *g)
{
    int rc = pthread_rwlock_rdlock(&g->lock);
    assert(rc == 0);
}

void gate_alone(struct gate *g)
{
    int rc = pthread_rwlock_wrlock(&g->lock);
    assert(rc == 0);
}

void gate_leave(struct gate *g)
{
    int rc = pthread_rwlock_unlock(&g->lock);
    assert(rc == 0);
}
