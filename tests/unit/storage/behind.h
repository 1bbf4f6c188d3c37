/* behind: changes a database behind its store's back, as no disk would: the rows are others, and every page
 * has its checksum. Only the digest can tell. */
#ifndef QUORATE_TESTS_BEHIND_H
#define QUORATE_TESTS_BEHIND_H

/* Runs SQL on the database at PATH. Its store is closed, or has never made a checkpoint: else it knows what
 * was in the frames of the WAL that are now others. Returns how many rows the last statement changed. */
int behind_run(const char *path, const char *sql);

#endif
