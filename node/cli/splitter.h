/* splitter: where one SQL statement ends and the next begins in a text of several. It knows quotes, comments
 * and the body of a trigger, and nothing else of SQL. */
#ifndef QUORATE_NODE_CLI_SPLITTER_H
#define QUORATE_NODE_CLI_SPLITTER_H

#include <stdbool.h>
#include <stddef.h>

/* The length of the first statement in N bytes at P, with its semicolon; 0 if it has not ended. ret_blank: it
 * (or what there is of it) is made of white space, comments and the semicolon only. */
size_t splitter_next(const char *p, size_t n, bool *ret_blank);
/* Whether the statement can only read: it begins with SELECT, VALUES or EXPLAIN. (A WITH may begin either.)
 */
bool splitter_reads(const char *p, size_t n);

#endif
