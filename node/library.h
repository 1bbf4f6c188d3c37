/* library: the functions of quorate.h: commands out of arguments, and results taken apart. This is what its
 * parts share. */
#ifndef QUORATE_NODE_LIBRARY_H
#define QUORATE_NODE_LIBRARY_H

#include "base/error.h"
#include "node/quorate.h"

enum { LIBRARY_COMMAND_MAX = 16 * 1024 * 1024 };

/* Tells the caller of an error, if RV is one and TO is not NULL; returns RV. */
int library_report(struct quorate_error *to, int rv, const struct error *e);
/* Q_INVALID */
int library_check_level(enum quorate_level level, struct error *e);

#endif
