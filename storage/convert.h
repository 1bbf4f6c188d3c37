/* convert: makes room for checksums (page_sum.h) in a database file from before there were any, or that came
 * from elsewhere, once. It does not know who uses the database afterwards.
 *
 * VACUUM INTO writes the database anew into PATH-converted, with the bytes reserved; it keeps rowids, which
 * an ordinary VACUUM would count anew. The digest that is recorded in the database is compared with a full
 * scan of what came out. Then all its pages are copied over the old ones, into the WAL, as one transaction:
 * whatever happens, the database is the old one or the new one. The pages get their checksums on the way from
 * the WAL into the file, by the next checkpoint on a page_vfs; until then the file is the old one, and a
 * start finds the new one in the WAL.
 */
#ifndef QUORATE_STORAGE_CONVERT_H
#define QUORATE_STORAGE_CONVERT_H

#include "storage/connection.h"

/* Blocking, before the database is opened on a page_vfs. PLAIN is the place without one. A file that is not
 * there, that is no database or that has the room already is left alone. SAY gets a line before it starts
 * and one after it; NULL: nobody hears. Errors: Q_MISMATCH it has tables, but not those of a store; Q_CORRUPT
 * it is damaged (it had checksums, or its digest is not that of its rows); SQLite's: it takes the room of the
 * database twice. */
int convert_if_needed(const struct connection_place *plain, void (*say)(void *ctx, const char *line),
                      void *ctx, struct error *e);

#endif
