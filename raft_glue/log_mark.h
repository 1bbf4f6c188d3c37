/* log_mark: the file `durable`, which says how far the log was durable, apart from the records themselves. It
 * does not know segments. The format is told in log_format.h.
 *
 * The mark follows the log lazily: a mark that is behind is only less of a help in telling damage from a torn
 * tail. It never is ahead. A save that a crash tears leaves the other slot.
 *
 * Threads: loop only. */
#ifndef QUORATE_RAFT_GLUE_LOG_MARK_H
#define QUORATE_RAFT_GLUE_LOG_MARK_H

#include "raft_glue/log_format.h"

enum { MARK_SLOTS = 2 };

struct log_mark {
    OBJECT_MAGIC;
    struct env *env;
    struct env_file *file;
    uint8_t *block;                       /* of the slot that is being written */
    struct format_mark slots[MARK_SLOTS]; /* as they are on disk; zero when not valid */
    struct format_mark saving;
    struct env_write write;
    bool writing;
    void (*saved)(void *ctx, const struct error *failed);
    void *ctx;
};

/* Blocking. Opens the file in DIR; *ret_found says whether a slot is valid. With neither file nor valid slot,
 * log_mark_create() comes next. SAVED is called when a log_mark_save() has ended. Errors: Q_MISMATCH another
 * cluster's; Q_IO, Q_NOMEM. */
int log_mark_open(struct log_mark *m, struct env *env, const char *dir, uint64_t cluster, bool read_only,
                  void (*saved)(void *ctx, const struct error *failed), void *ctx, bool *ret_found,
                  struct error *e);
/* Blocking: makes the file with both slots as AT says, durably. */
int log_mark_create(struct log_mark *m, const char *dir, const struct format_mark *at, struct error *e);
/* No save is under way, or the env is gone. A zeroed mark may be closed. */
void log_mark_close(struct log_mark *m);

/* The slot that counts. */
const struct format_mark *log_mark_newest(const struct log_mark *m);
/* The group that both slots have reached. */
uint64_t log_mark_covered(const struct log_mark *m);

/* Overwrites the older slot; no save is under way. The version is filled in. */
void log_mark_save(struct log_mark *m, const struct format_mark *at);
int log_mark_save_blocking(struct log_mark *m, const struct format_mark *at, struct error *e);

#endif
