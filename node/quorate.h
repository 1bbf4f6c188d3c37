/* libquorate: a replicated SQLite database and key-value store inside your own process.
 *
 *     struct quorate_options *o = quorate_options_new();
 *     quorate_options_set(o, "id", "1", &e); quorate_options_set(o, "dir", "/var/lib/app/node1", &e); ...
 *     struct quorate *node;
 *     quorate_start(o, &node, &e);
 *     quorate_execute(node, "INSERT INTO t VALUES (?)", &value, 1, &result, &e);
 *     quorate_stop(node);
 *
 * Every function may be called from any thread, also at the same time, but for the functions on one result
 * and on one set of options, and quorate_stop(), which must be the last call on a node. Calls block until
 * they are done or their time is over; none may be made from a callback of the library.
 *
 * Errors: functions that can fail return 0 or an enum quorate_code, and explain themselves in *ERROR (which
 * may be NULL). QUORATE_UNKNOWN means that a write may or may not have been done: it is safe to try again
 * what may be done twice. */
#ifndef QUORATE_H
#define QUORATE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum quorate_code {
    QUORATE_OK = 0,
    QUORATE_INVALID,    /* bad input */
    QUORATE_TOO_BIG,    /* over a named limit */
    QUORATE_NOMEM,      /* out of memory */
    QUORATE_IO,         /* the operating system refused something */
    QUORATE_NO_SPACE,   /* disk full */
    QUORATE_CORRUPT,    /* stored bytes are damaged */
    QUORATE_MISMATCH,   /* another cluster, node or version */
    QUORATE_DENIED,     /* not allowed */
    QUORATE_NOT_FOUND,  /* no such key */
    QUORATE_CONFLICT,   /* the condition did not hold */
    QUORATE_NO_LEADER,  /* no leader can be reached; nothing was done */
    QUORATE_NOT_LEADER, /* this node does not lead; nothing was done */
    QUORATE_BUSY,       /* a queue is full; nothing was done */
    QUORATE_TIMEOUT,    /* time ran out; nothing was done */
    QUORATE_UNKNOWN,    /* the outcome is unknown */
    QUORATE_CLOSED,     /* the node is stopping */
    QUORATE_SQL         /* SQLite refused the statement; the text is SQLite's */
};

struct quorate_error {
    enum quorate_code code;
    char text[512]; /* a sentence for a person; terminated */
};

/* Options: the same names, values and defaults as quorated's flags (quorated --help), without the dashes. */
struct quorate_options;
struct quorate_options *quorate_options_new(void); /* NULL: out of memory */
void quorate_options_free(struct quorate_options *options);
/* VALUE is copied. QUORATE_INVALID: unknown name or bad value; the text names the limit. */
int quorate_options_set(struct quorate_options *options, const char *name, const char *value,
                        struct quorate_error *error);
/* Reads an INI file of name = value lines. */
int quorate_options_file(struct quorate_options *options, const char *path, struct quorate_error *error);

struct quorate;

/* Opens the directory, listens, joins the cluster; returns when the node runs (there need not be a leader
 * yet). OPTIONS stay the caller's and may be freed. With the option join, a new directory is made only when a
 * member of the cluster has let this node in: that is asked for until it is answered, or for join-timeout
 * (QUORATE_TIMEOUT), and a refusal is the leader's own sentence. */
int quorate_start(const struct quorate_options *options, struct quorate **ret_node,
                  struct quorate_error *error);
/* Hands over leadership, makes everything durable, ends the threads and frees NODE. Calls that other threads
 * are in end first, with their result or with QUORATE_CLOSED. NULL is fine. */
void quorate_stop(struct quorate *node);
/* Waits until this node is ready (a leader is known and its first entry is applied here). QUORATE_TIMEOUT. */
int quorate_wait_ready(struct quorate *node, uint64_t timeout_ms, struct quorate_error *error);
/* The port that the HTTP door listens on; 0 if it is switched off. */
int quorate_http_port(struct quorate *node);

/* Who is in the cluster: see `quorate member --help`, which does the same. Each is decided by the log and
 * done by the leader, whichever node is asked. Asked for again, what is so already succeeds. */
enum quorate_member_verb {
    QUORATE_MEMBER_ADD,     /* ID at ADDRESS may join */
    QUORATE_MEMBER_REMOVE,  /* ID goes for good; a leader hands over before */
    QUORATE_MEMBER_PROMOTE, /* ID, a standby, is to vote */
    QUORATE_MEMBER_DEMOTE,  /* ID is not to vote */
    QUORATE_MEMBER_MOVE,    /* ID is reached at ADDRESS */
    QUORATE_MEMBER_REPLACE  /* ID, which is gone, makes room for WITH; 0: for the next that joins */
};

struct quorate_member_change {
    enum quorate_member_verb verb;
    uint64_t id, with;
    const char *address; /* "host:port"; NULL where none is needed */
};

/* Returns when it is decided, or, unless WAIT_MS is 0, when it is done. QUORATE_CONFLICT: it would do harm
 * now, and the text says what to do first; QUORATE_NOT_FOUND: no such member; QUORATE_TIMEOUT: it is decided
 * and goes on, but was not done after WAIT_MS. */
int quorate_member_change(struct quorate *node, const struct quorate_member_change *change, uint64_t wait_ms,
                          struct quorate_error *error);
/* Hands leadership to member TO, 0: to the one that is furthest; returns when that has begun. */
int quorate_transfer(struct quorate *node, uint64_t to, struct quorate_error *error);

enum quorate_type { QUORATE_NULL, QUORATE_INTEGER, QUORATE_REAL, QUORATE_TEXT, QUORATE_BLOB };

/* A parameter or a column value. TEXT and BLOB are LEN bytes at BYTES, text in UTF-8 and not terminated:
 * borrowed until the call returns, or, from a result, valid until quorate_result_free(). */
struct quorate_value {
    enum quorate_type type;
    int64_t integer;
    double real;
    const void *bytes;
    size_t len;
};

enum quorate_level { QUORATE_NONE, QUORATE_WEAK, QUORATE_LINEARIZABLE, QUORATE_STRONG };

struct quorate_result;

/* Runs one SQL string (of one or more statements) as one command of the replicated log, all or nothing, with
 * COUNT positional parameters. ret_result may be NULL if nobody wants it; otherwise it is returned:
 * quorate_result_free(). */
int quorate_execute(struct quorate *node, const char *sql, const struct quorate_value *parameters,
                    size_t count, struct quorate_result **ret_result, struct quorate_error *error);
/* Runs one SQL string that only reads. */
int quorate_query(struct quorate *node, enum quorate_level level, const char *sql,
                  const struct quorate_value *parameters, size_t count, struct quorate_result **ret_result,
                  struct quorate_error *error);

void quorate_result_free(struct quorate_result *result); /* NULL is fine */
/* Of a result with rows: its columns and rows. Of any other: 0. */
size_t quorate_result_columns(const struct quorate_result *result);
size_t quorate_result_rows(const struct quorate_result *result);
/* COLUMN below quorate_result_columns(), ROW below quorate_result_rows(). The name is terminated. */
const char *quorate_result_name(const struct quorate_result *result, size_t column);
struct quorate_value quorate_result_value(const struct quorate_result *result, size_t row, size_t column);
int64_t quorate_result_last_insert_id(const struct quorate_result *result);
uint64_t quorate_result_rows_affected(const struct quorate_result *result);
/* The log index that the result reflects. */
uint64_t quorate_result_index(const struct quorate_result *result);

/* Keys live in namespaces (1 to 128 of A-Z a-z 0-9 _ . -); a key is 1 to 4096 bytes. */
enum { QUORATE_ANY_VERSION = 0 };

/* Stores LEN bytes. IF_VERSION: QUORATE_ANY_VERSION, or the version that the key must have (QUORATE_CONFLICT
 * if not; then ret_version says which it has, 0 for none). ret_version may be NULL. */
int quorate_kv_put(struct quorate *node, const char *ns, const void *key, size_t key_len, const void *value,
                   size_t len, uint64_t if_version, uint64_t *ret_version, struct quorate_error *error);
/* As quorate_kv_put(), but only if the key does not exist. */
int quorate_kv_create(struct quorate *node, const char *ns, const void *key, size_t key_len,
                      const void *value, size_t len, uint64_t *ret_version, struct quorate_error *error);
/* The bytes are returned: free(). QUORATE_NOT_FOUND. */
int quorate_kv_get(struct quorate *node, enum quorate_level level, const char *ns, const void *key,
                   size_t key_len, void **ret_value, size_t *ret_len, uint64_t *ret_version,
                   struct quorate_error *error);
/* QUORATE_NOT_FOUND if there is no such key; QUORATE_CONFLICT as above. */
int quorate_kv_delete(struct quorate *node, const char *ns, const void *key, size_t key_len,
                      uint64_t if_version, struct quorate_error *error);

#ifdef __cplusplus
}
#endif
#endif
