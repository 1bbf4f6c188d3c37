/* question: an operation as the bytes of a command, and the bytes of a result as what the operation was told.
 * It does not know who asks.
 *
 * Every write carries the value of its operation, which no other has: so it can be found in the log. */
#ifndef QUORATE_TESTS_SIM_QUESTION_H
#define QUORATE_TESTS_SIM_QUESTION_H

#include "cluster/request.h"
#include "tests/sim/history.h"

void question_put(struct buf *b, const struct op *op);
/* Makes the tables; it may be asked again and again. BULK: more than a megabyte of rows besides, of which
 * each append changes some, so that an image of the database has several chunks. */
void question_put_setup(struct buf *b, bool bulk);
/* The value of the operation whose write this command is; 0 for reads and the setup. */
uint64_t question_value(struct cursor command);

/* Takes an answer without an error into OP. False with a sentence in TEXT: it is not an answer to this
 * question. */
bool question_answered(struct op *op, const struct replica_answer *answer, char *text, size_t n);

#endif
