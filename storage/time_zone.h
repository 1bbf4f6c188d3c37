/* time_zone: makes UTC the time zone that SQLite's date functions see ('localtime', 'utc') on connections of
 * ours, whatever the machine's is, and leaves other connections of the process alone. It does not know
 * clocks.
 *
 * SQLite has one hook for this, for the whole process: an alternative to localtime() for its own tests. Ours
 * answers UTC on a thread that has run a statement of an attached connection (they say so through the
 * statement trace), and asks the C library on all others. So an application that drives connections of its
 * own in a thread that also drives attached ones gets UTC in both. */
#ifndef QUORATE_STORAGE_TIME_ZONE_H
#define QUORATE_STORAGE_TIME_ZONE_H

#include <sqlite3.h>

#include "base/error.h"

/* DB's trace callback is taken. Any thread. Errors: Q_MISMATCH this build of SQLite has no such hook;
 * SQLite's. */
int time_zone_attach(sqlite3 *db, struct error *e);

#endif
