/* gate: lets many through at once, or one alone, who is not kept waiting by those who come after him. It does
 * not know what is behind it. */
#ifndef QUORATE_STORAGE_GATE_H
#define QUORATE_STORAGE_GATE_H

#include <pthread.h>

struct gate {
    pthread_rwlock_t lock;
};

/* Returns 0 or an errno value. */
int gate_init(struct gate *g);
void gate_close(struct gate *g);
/* Neither nests, not even in itself. */
void gate_share(struct gate *g);
void gate_alone(struct gate *g);
void gate_leave(struct gate *g);

#endif
