/* check: what must hold after a storm. It does not know what the storm was. Everything here fails the test
 * when it does not hold. */
#ifndef QUORATE_TESTS_CLUSTER_CHECK_H
#define QUORATE_TESTS_CLUSTER_CHECK_H

#include "tests/cluster/load.h"

/* Waits until all nodes are ready, everything that any of them has in its log is applied on each, and no more
 * comes; then their digests must be equal. */
void check_settled(struct processes *ps);
/* The same of the first COUNT nodes. */
void check_settled_among(struct processes *ps, unsigned count);
/* On each node, by itself (level none): every acknowledged write with the value that was written, no refused
 * one, nothing that nobody wrote; and no reader has a complaint. Call it settled, and the load stopped. */
void check_writes(struct processes *ps, const struct load *load);

/* One question through node I, which must be answered; returns the status. RET_BODY may be NULL; otherwise
 * the body is returned, terminated. */
int check_ask(struct processes *ps, unsigned i, const char *method, const char *target, const char *body,
              char **ret_body);
/* The same, and the status must be this one. */
void check_answer(struct processes *ps, unsigned i, const char *method, const char *target, const char *body,
                  int status);
/* GET of KEY ("namespace/key") on node I at LEVEL: 200 and exactly this value. */
void check_value(struct processes *ps, unsigned i, const char *key, const char *level, const char *value);

#endif
