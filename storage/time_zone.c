#include "storage/time_zone.h"

#include <pthread.h>
#include <stdbool.h>
#include <time.h>

#include "storage/sql_error.h"

/* What the alternative to localtime() answers on this thread. SQLite passes it neither connection nor
 * context, so the thread is all there is to tell them apart by. */
enum zone { ZONE_OF_MACHINE, ZONE_UTC, ZONE_PROBE };

static _Thread_local enum zone zone;

enum { PROBE_SECONDS = 1234 };

static int local_time(const void *seconds, void *ret_tm)
{
    time_t t = *(const time_t *)seconds;
    const struct tm *done = NULL;

    switch (zone) {
    case ZONE_OF_MACHINE: done = localtime_r(&t, ret_tm); break;
    case ZONE_PROBE: t += PROBE_SECONDS; /* fall through */
    case ZONE_UTC: done = gmtime_r(&t, ret_tm); break;
    }
    return done == NULL;
}

static void install(void)
{
    sqlite3_test_control(SQLITE_TESTCTRL_LOCALTIME_FAULT, 2, local_time);
}

static int on_statement(unsigned event, void *context, void *statement, void *text)
{
    (void)event;
    (void)context;
    (void)statement;
    (void)text;
    if (zone == ZONE_OF_MACHINE) {
        zone = ZONE_UTC;
    }
    return 0;
}

/* Whether SQLite asks us: the test control may be compiled out. */
static int probe(sqlite3 *db, struct error *e)
{
    enum zone before = zone;
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(db, "SELECT CAST(strftime('%s', 0, 'unixepoch', 'localtime') AS INTEGER)", -1,
                                &statement, NULL);
    bool asked = false;

    zone = ZONE_PROBE;
    rc = rc == SQLITE_OK ? sqlite3_step(statement) : rc;
    if (rc == SQLITE_ROW) {
        asked = sqlite3_column_int(statement, 0) == PROBE_SECONDS;
    }
    zone = before;
    sqlite3_finalize(statement);
    if (rc != SQLITE_ROW) {
        return sql_error(db, rc, "asking for the time zone", e);
    }
    return asked ? Q_OK
                 : error_set(e, Q_MISMATCH, "SQLite %s cannot be told the time zone", sqlite3_libversion());
}

int time_zone_attach(sqlite3 *db, struct error *e)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    int rc;

    pthread_once(&once, install);
    rc = sqlite3_trace_v2(db, SQLITE_TRACE_STMT, on_statement, NULL);
    return rc == SQLITE_OK ? probe(db, e) : sql_error(db, rc, "setting the trace", e);
}
