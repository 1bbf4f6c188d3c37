/* store: the deterministic state machine: a log entry in, results out, kept in one SQLite database.
 * It does not know sockets, raft, or the wall clock; time and randomness come with each entry.
 *
 * One writer applies entries in index order, each as one transaction in which every command has a savepoint
 * of its own; the applied index and the content digest are in the same transaction. Readers are separate
 * read-only connections. The tables it keeps for itself are named quorate_*: clients may read them but not
 * write them.
 *
 * Threads: store_apply() and store_verify() on the apply lane, one at a time; store_read() and
 * store_is_read_only() on any lane where waiting for a free reader does no harm, many at a time;
 * store_checkpoint(), store_hold() and store_swap() on the worker lane, one at a time; store_release() and
 * the getters anywhere. */
#ifndef QUORATE_STORAGE_STORE_H
#define QUORATE_STORAGE_STORE_H

#include "storage/batch.h"
#include "storage/build.h"
#include "storage/command.h"
#include "storage/result.h"

struct store;

enum { STORE_READERS_MAX = 16, STORE_RESULT_MIN = 64 * 1024 };

/* 22 s of a 2.x GHz core for a recursion, measured; an UPDATE of ten million rows takes about a fifth of it.
 */
#define STORE_INSTRUCTIONS_DEFAULT UINT64_C(1000000000)
#define STORE_INSTRUCTIONS_MIN     UINT64_C(100000)

/* What decides results (result_max, foreign_keys, instructions_max) must be the same on every member. Strings
 * are copied. */
struct store_config {
    const char *path;    /* of the database file; NULL: in memory only (setting storage=memory, tests) */
    const char *vfs;     /* name of a registered SQLite VFS to build on; NULL for SQLite's default */
    unsigned readers;    /* reader connections, 1 to STORE_READERS_MAX */
    uint64_t result_max; /* bytes of one result, from STORE_RESULT_MIN; a larger one becomes a Q_TOO_BIG error
                            result */
    bool foreign_keys;   /* enforce them (rqlite's -fk) */
    uint64_t instructions_max; /* of one command (budget.h), from STORE_INSTRUCTIONS_MIN; 0 for the default */
    bool adopt_sqlite; /* record this SQLite where another is recorded, instead of Q_MISMATCH: an upgrade */
    uint64_t (*elapsed_ns)(void *ctx); /* a monotonic clock, any thread, for timings and for the timeouts of
                                          readers; NULL: all timings are 0 and nothing times out */
    void *ctx;
    void (*say)(void *ctx, const char *line); /* for the operator, `event key=value ...`, while the store is
                                                 being opened; NULL: nobody hears */
    void *say_ctx;
};

/* Opens or creates; restores applied index and digest; recovers SQLite's own journal; converts a
 * file whose pages have no room for checksums (convert.h), which takes a while and is said first. Blocking.
 * Errors: Q_CORRUPT, Q_MISMATCH (a newer format, a database that is not a store's, or another SQLite than the
 * one that is recorded and matters), Q_INVALID (the configuration), Q_IO, Q_NO_SPACE, Q_NOMEM. */
int store_open(const struct store_config *config, struct store **ret_store, struct error *e);
/* The same for a database that is not there, or that nothing good is known of: touches no file, and position
 * is 0. Until store_swap() has put one in its place, whatever reads, applies, checks or copies is Q_CORRUPT
 * ("has no database yet"), and no command only reads. Not in memory (Q_INVALID). */
int store_open_absent(const struct store_config *config, struct store **ret_store, struct error *e);
/* Nothing may be running. Copies the WAL back, so that the next start finds one file. NULL is fine. */
void store_close(struct store *s);

/* Index of the last applied entry, its term, and the digest after it; 0 before the first. A read may return
 * an index that is not here yet; a checkpoint does not. */
struct store_position {
    uint64_t index, term, time_ms;
    uint8_t digest[DIGEST_BYTES];
};
void store_position(struct store *s, struct store_position *ret_position);

/* Applies entry INDEX of TERM; INDEX must be the applied index + 1. P and N are its payload: a batch
 * (batch.h), or NULL and 0 for an entry that carries no commands (barrier, configuration). For each command,
 * one blob (buf_put_blob) is appended to RESULTS, in order: its result. What a client did wrong is a result,
 * the same on every replica; an error return means this node's disk, memory or database failed: the caller
 * stops the process, and after a restart the entry is applied again. After Q_NO_SPACE everything is as it
 * was, and the entry may also be applied again without one. Q_CORRUPT: the batch contradicts index or term or
 * does not decode; Q_MISMATCH: it, or one of its commands, is of a newer version than this. RESULTS is then
 * as it was. Its maximum must have room for all the results of a batch; to pass it is an error return, not a
 * result. */
int store_apply(struct store *s, uint64_t index, uint64_t term, const void *p, size_t n, struct buf *results,
                struct error *e);

/* Runs a command that only reads, on a reader connection that sees at least what is applied now; appends its
 * result (not a blob: just the result). Waits for a free reader. A command that would write gets an error
 * item or result. TIMEOUT_MS stops each statement that runs longer (error item "query timeout"), 0 for none.
 * ret_index: the applied index that the answer reflects. Errors are this node's: disk, memory, database. */
int store_read(struct store *s, const struct command *command, uint64_t timeout_ms, struct buf *result,
               uint64_t *ret_index, struct error *e);

/* Whether every statement of an SQL command only reads, as SQLite's compiler sees it. One that does not
 * compile counts as writing: this node may lag behind the one that made its table, and the log gives the
 * right answer. */
bool store_is_read_only(struct store *s, const struct command *command);

/* Makes the database durable up to some applied index at or above the one at the call, by copying the WAL
 * back in steps that do not block the writer for long; ret_index says which. Unless a reader keeps an old
 * snapshot all the while, the database file alone, without its WAL, then holds that index, and the WAL starts
 * anew. Worker lane. In-memory stores say their applied index without doing anything. Q_NO_SPACE: the file
 * could not grow; it may be tried again. Any other error: the caller stops the process, because a failed
 * fsync must not be tried again. */
int store_checkpoint(struct store *s, uint64_t *ret_index, struct error *e);

/* What the database file alone is, byte for byte, while it is held. */
struct store_image {
    struct store_position position;
    const char *path;            /* borrowed, as long as the store lives */
    uint64_t bytes;              /* of the file */
    char sqlite[BUILD_TEXT_MAX]; /* which SQLite can open it (build.h) */
};
/* A checkpoint after which the file stands still: until store_release() it is, without its WAL, the database
 * at one position, durable, and may be read as a file. The writer goes on meanwhile, in the WAL, which grows;
 * store_checkpoint() copies nothing and says the held index. Not held already. Q_BUSY: a reader of an older
 * snapshot was in the way for too long, try again; Q_INVALID: in memory; others as store_checkpoint(). */
int store_hold(struct store *s, struct store_image *ret_image, struct error *e);
/* Lets checkpoints go on. Not held is fine. */
void store_release(struct store *s);

/* Puts another database in the place of this one, in the same struct store: waits for the reads that are
 * running and lets no new one begin, closes every connection without copying the WAL back (it would be copied
 * over the new file), calls SWAP, which may do with the files what it likes, and opens what it finds as
 * store_open() would. Nobody may apply meanwhile. A hold ends. After success position and answers are those
 * of the new database, which may be of a lower index. After an error, SWAP's or that of opening, there is no
 * database: every call is Q_CORRUPT, and the caller stops the process or swaps again. */
int store_swap(struct store *s, int (*swap)(void *ctx, struct error *e), void *ctx, struct error *e);

/* Bytes of the WAL that a start would have to read, as of the last commit; 0 in memory. Any lane. */
uint64_t store_wal_bytes(const struct store *s);

/* Forgets who the members of the cluster are, at the index that is applied: what a new cluster begins with
 * that is made of this content. Nothing else may run. Errors: this node's. */
int store_forget_members(struct store *s, struct error *e);

/* How often a page of the file or the WAL failed its checksum since the store was opened; 0 in memory. Any
 * lane. */
uint64_t store_bad_pages(const struct store *s);

/* What a scan of the whole content found. */
enum { STORE_CHECK_NAMES_MAX = 256 };
struct store_check {
    uint64_t index; /* of the snapshot that was read */
    bool ok;
    uint8_t digest[DIGEST_BYTES];          /* of what was found there */
    char differing[STORE_CHECK_NAMES_MAX]; /* not OK: the tables, with ", " between them; cut short */
};
/* Recomputes the digest from a full scan on a reader connection, at one snapshot, and compares it with the
 * one that is kept there: finds a row that changed without a statement. As long as it lasts the reader is
 * taken, the WAL grows, and an in-memory store applies nothing. Lanes as store_read(). Errors: this node's;
 * Q_CORRUPT: the database cannot even be read. */
int store_check(struct store *s, struct store_check *ret_check, struct error *e);

/* The content as SQL (dump.h), at one snapshot, whose index is RET_INDEX. As long as it lasts the reader is
 * taken, the WAL grows, and an in-memory store applies nothing. Lanes as store_read(). Errors: those of
 * dump_sql(). */
struct dump_out;
int store_dump(struct store *s, const char *tables, const struct dump_out *out, uint64_t *ret_index,
               struct error *e);

/* Recomputes the digest from a full scan; Q_CORRUPT if it differs from the one that is kept, naming the
 * table. */
int store_verify(struct store *s, struct error *e);

#endif
