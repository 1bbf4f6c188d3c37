/* ini: the lines "name = value" of a configuration file, of any length. It does not know which names there
 * are.
 *
 * Blank lines, lines that begin with ; or #, [sections] and a byte order mark mean nothing. Every other line
 * is a name, = or :, and a value that may be empty; blanks around both are cut off. A ; behind a blank begins
 * a comment. A line stands alone: none continues another. */
#ifndef QUORATE_NODE_INI_H
#define QUORATE_NODE_INI_H

#include "base/error.h"

enum { INI_BYTES_MAX = 1024 * 1024 };

/* Calls PAIR (strings borrowed) for each line in order, until it returns an error. Errors name file and line:
 * Q_NOT_FOUND, Q_IO, Q_NOMEM, Q_TOO_BIG (the file), Q_INVALID (a line that is none of the above), PAIR's. */
int ini_read(const char *path, int (*pair)(void *ctx, const char *name, const char *value, struct error *e),
             void *ctx, struct error *e);

#endif
