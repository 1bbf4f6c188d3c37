/* spool: files in DIR/spool for what is too large for memory: bodies on their way in, dumps on their way out.
 * What a crash left there goes at the next start. It does not know what is in them. */
#ifndef QUORATE_NODE_HTTP_SPOOL_H
#define QUORATE_NODE_HTTP_SPOOL_H

#include "node/http/api.h"

enum {
    SPOOL_PATH_MAX = REPLICA_DIR_MAX + 40,
    SPOOL_PENDING_MAX = 256 * 1024, /* bytes of a body that wait for the disk; then reading stops */
};

/* Blocking, at the start: makes the directory, and empties it. Errors: the disk's. */
int spool_open(struct api *api, struct error *e);
/* A name that no file has had since the start. */
void spool_path(struct api *api, char ret_path[SPOOL_PATH_MAX]);

/* A body that goes to a file while it arrives. */
struct spool;

/* RET_STATUS: 503 out of memory, or 507 there is no room for what is announced; RET_WHY is static. */
struct spool *spool_new(struct api *api, uint64_t announced, int *ret_status, const char **ret_why);
struct http_sink *spool_sink(struct spool *s);
struct spool *spool_of(struct http_sink *sink);
/* The whole body has come, and the sink was taken: DONE, once, later, on the loop, when the file is complete.
 * FAILED NULL: it is. Q_NO_SPACE, Q_NOMEM, Q_IO. */
void spool_finish(struct spool *s, void (*done)(void *ctx, const struct error *failed), void *ctx);
/* From DONE on. */
const char *spool_file(const struct spool *s);
uint64_t spool_bytes(const struct spool *s);
/* Not while it finishes. The file goes too. NULL is fine. */
void spool_free(struct spool *s);

#endif
