/* options: one table of everything that can be set, which feeds flags, environment, configuration file,
 * --help and the library. It does not know what the options do.
 *
 * Precedence: flags, then environment (QUORATE_ and the name in capitals, '-' as '_'), then the INI file (its
 * keys are the names; sections are ignored), then the default. Sizes take K, M, G; times take ms, s, m. The
 * secret never comes from the command line: everybody on the machine can read that. */
#ifndef QUORATE_NODE_OPTIONS_H
#define QUORATE_NODE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"

enum option_kind { OPTION_TEXT, OPTION_NUMBER, OPTION_SIZE, OPTION_TIME, OPTION_FLAG };

/* X(field, name, kind, default, min, max, help): min and max are bytes of a text, or bounds of a number. */
#define OPTIONS(X)                                                                                           \
    X(config, "config", OPTION_TEXT, "", 0, 4000, "INI file to read options from")                           \
    X(id, "id", OPTION_NUMBER, "0", 1, INT64_MAX,                                                            \
      "id of this node, one of the members'; with join any that is free")                                    \
    X(dir, "dir", OPTION_TEXT, "", 1, 4000, "directory of this node's data, of its own")                     \
    X(members, "members", OPTION_TEXT, "", 1, 16384,                                                         \
      "the first members, the same on each: 1=host:port,2=host:port,3=host:port")                            \
    X(join, "join", OPTION_TEXT, "", 0, 4096,                                                                \
      "host:port of members to ask, one or more: a new machine becomes a member of their cluster")           \
    X(replace, "replace", OPTION_NUMBER, "0", 1, INT64_MAX,                                                  \
      "with join: the member, gone for good, whose place this machine takes")                                \
    X(join_timeout, "join-timeout", OPTION_TIME, "0", 0, 86400000,                                           \
      "how long a new machine asks to join; 0: until it is answered")                                        \
    X(cluster_name, "cluster-name", OPTION_TEXT, "quorate", 1, 255,                                          \
      "name that makes this cluster another than others")                                                    \
    X(listen, "listen", OPTION_TEXT, "", 0, 255,                                                             \
      "host:port for the other members (default: this node's in members)")                                   \
    X(advertise, "advertise", OPTION_TEXT, "", 0, 255,                                                       \
      "host:port at which the other members reach this node, if it is not the one to listen on")             \
    X(voters, "voters", OPTION_NUMBER, "3", 1, 63,                                                           \
      "how many members vote; further ones stand by until one of these is removed")                          \
    X(secret_file, "secret-file", OPTION_TEXT, "", 0, 4000,                                                  \
      "file with the secret that members prove to each other (or environment QUORATE_SECRET)")               \
    X(secret, "secret", OPTION_TEXT, "", 16, 1024,                                                           \
      "the secret itself: from the environment or the INI file only")                                        \
    X(http, "http", OPTION_TEXT, "127.0.0.1:4001", 0, 255, "host:port of the HTTP door; empty: none")        \
    X(http_advertise, "http-advertise", OPTION_TEXT, "", 0, 255, "URL of the HTTP door as clients reach it") \
    X(storage, "storage", OPTION_TEXT, "sqlite", 1, 16, "sqlite or memory")                                  \
    X(foreign_keys, "foreign-keys", OPTION_FLAG, "false", 0, 1,                                              \
      "enforce foreign keys; the same on each node")                                                         \
    X(sql_instructions, "sql-instructions", OPTION_NUMBER, "1000000000", 100000, INT64_C(1) << 50,           \
      "SQLite instructions that one write may take; the same on each node")                                  \
    X(readers, "readers", OPTION_NUMBER, "2", 1, 16, "threads that answer reads")                            \
    X(election, "election-timeout", OPTION_TIME, "300ms", 50, 60000,                                         \
      "silence after which a new leader is sought")                                                          \
    X(heartbeat, "heartbeat-interval", OPTION_TIME, "75ms", 5, 10000,                                        \
      "how often a leader is heard of at least")                                                             \
    X(inflight, "batches-inflight", OPTION_NUMBER, "2", 1, 4, "log entries on their way at once")            \
    X(queue_bytes, "queue-bytes", OPTION_SIZE, "64M", 65536, INT64_C(1) << 34,                               \
      "writes that may wait, in bytes")                                                                      \
    X(queue_commands, "queue-commands", OPTION_NUMBER, "100000", 1, 10000000, "writes that may wait")        \
    X(request_max, "request-max", OPTION_SIZE, "8M", 1024, 12 << 20, "bytes of one request's body")          \
    X(request_timeout, "request-timeout", OPTION_TIME, "10s", 10, 3600000,                                   \
      "for a request that names no timeout")                                                                 \
    X(connections_max, "http-connections", OPTION_NUMBER, "4096", 1, 100000, "client connections at once")   \
    X(http_memory, "http-memory", OPTION_SIZE, "256M", 1 << 20, INT64_C(1) << 40,                            \
      "bytes of requests, and of answers that clients have not taken, at once")                              \
    X(idle, "http-idle-timeout", OPTION_TIME, "60s", 100, 86400000,                                          \
      "until a connection without requests is closed")                                                       \
    X(segment_bytes, "segment-bytes", OPTION_SIZE, "16M", 65536, INT64_C(1) << 30, "size of a log segment")  \
    X(cache_bytes, "log-cache-bytes", OPTION_SIZE, "32M", 65536, INT64_C(1) << 34,                           \
      "log entries kept in memory")                                                                          \
    X(compact_bytes, "compact-bytes", OPTION_SIZE, "32M", 65536, INT64_C(1) << 40,                           \
      "log that starts a compaction")                                                                        \
    X(log_keep_bytes, "log-keep-bytes", OPTION_SIZE, "256M", 0, INT64_C(1) << 40,                            \
      "log kept beyond that while a snapshot is on its way to a member")                                     \
    X(ship_rate, "ship-rate", OPTION_SIZE, "0", 0, INT64_C(1) << 40,                                         \
      "bytes a second of snapshots that this node sends; 0: as fast as the network takes them")              \
    X(verify_installs, "verify-installs", OPTION_FLAG, "false", 0, 1,                                        \
      "compare the whole content of an installed snapshot with its digest before serving it")                \
    X(backup_dir, "backup-dir", OPTION_TEXT, "", 0, 4000, "directory for backups that this node makes")      \
    X(backup_every, "backup-every", OPTION_TIME, "0", 0, INT64_C(31) * 86400000,                             \
      "between two backups; 0: none")                                                                        \
    X(backup_keep, "backup-keep", OPTION_NUMBER, "24", 1, 100000, "backups that are kept")                   \
    X(backup_leader, "backup-leader", OPTION_FLAG, "false", 0, 1,                                            \
      "let the leader make the backups, not a follower")                                                     \
    X(ballast_bytes, "ballast-bytes", OPTION_SIZE, "64M", 0, INT64_C(1) << 40,                               \
      "held back on the disk, to be given up when it is full; 0: none")                                      \
    X(space_min_bytes, "space-min-bytes", OPTION_SIZE, "0", 0, INT64_C(1) << 50,                             \
      "free bytes on the disk below which writes are refused; 0: two segments and 32M")                      \
    X(io_uring, "io-uring", OPTION_FLAG, "true", 0, 1, "use io_uring for log writes where the kernel has it")

#define OPTIONS_FIELD(field, name, kind, default_, min, max, help) OPTION_##field,
enum option { OPTIONS(OPTIONS_FIELD) OPTION_COUNT };
#undef OPTIONS_FIELD

enum option_source { FROM_DEFAULT, FROM_FILE, FROM_ENVIRONMENT, FROM_FLAG };

struct options {
    char *text[OPTION_COUNT];     /* owned; NULL until something but the default was set */
    int64_t number[OPTION_COUNT]; /* numbers, sizes in bytes, times in milliseconds, flags as 0 or 1 */
    enum option_source source[OPTION_COUNT];
};

/* All defaults. */
void options_init(struct options *o);
void options_close(struct options *o);
/* Q_NOMEM. ret_copy is to be closed by the caller. */
int options_copy(const struct options *from, struct options *ret_copy, struct error *e);

/* Sets one option by name unless a stronger source has set it. Errors: Q_INVALID (unknown name, or a value
 * that is refused: the text names the option, the value and the limits), Q_NOMEM. */
int options_set(struct options *o, const char *name, const char *value, enum option_source source,
                struct error *e);
/* Reads an INI file (ini.h); errors name file and line. Q_DENIED: it holds the secret, and others may read
 * it. */
int options_file(struct options *o, const char *path, struct error *e);
/* Reads all QUORATE_ variables that name an option. */
int options_environment(struct options *o, struct error *e);
/* Reads flags (--name value, --name=value; flags of kind OPTION_FLAG also as --name and --no-name), then the
 * environment, then the file that either of them names. ret_help is true if --help was asked for. Q_INVALID
 * also for a bare word. */
int options_arguments(struct options *o, int argc, char **argv, bool *ret_help, bool *ret_version,
                      struct error *e);

/* A text option's value, never NULL. */
const char *options_text(const struct options *o, enum option option);
int64_t options_number(const struct options *o, enum option option);
const char *options_name(enum option option);
/* The table for people. */
void options_help(FILE *to);

#endif
