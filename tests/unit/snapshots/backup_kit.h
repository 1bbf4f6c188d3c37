/* backup_kit: backups of images of "a" in the directory "backups" of the same machine. */
#ifndef QUORATE_TESTS_UNIT_SNAPSHOTS_BACKUP_KIT_H
#define QUORATE_TESTS_UNIT_SNAPSHOTS_BACKUP_KIT_H

#include "snapshots/backup.h"
#include "snapshots/backup_verify.h"
#include "tests/unit/snapshots/kit.h"
#include "tests/unit/test.h"

struct backup *backups_open(struct rig *r);
/* What BACKUP lacks of the manifest that it was begun with, up to MAX chunks, out of the store of "a".
 * Returns how many; -1 if the disk refused. */
int backups_copy(struct rig *r, struct backup *backup, const struct manifest *m, unsigned max);
/* Takes IMAGE as of INDEX and backs it up, from beginning to end. */
struct backup_totals backups_make(struct rig *r, const struct image *image, uint64_t index);
/* The same, of a manifest that is there; 0, or the code of what the disk refused. */
int backups_try(struct rig *r, const struct manifest *m, struct backup_totals *ret_totals);

/* What verify finds, as lines "...\n"; static until the next call. */
const char *backups_verify(struct rig *r, struct backup_verify *verify);
/* Restores backup INDEX of term 1 into "b"; whether b/db.sqlite is IMAGE then. */
bool backups_restore(struct rig *r, uint64_t index, const struct image *image);
/* How many files are in a directory of the backups. */
unsigned backups_count(struct rig *r, const char *dir);

#endif
