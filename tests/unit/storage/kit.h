/* kit: one store under test, with helpers that build an entry of commands, apply it, and show results as
 * text: write ID/ROWS          rows a:text,b | 1,'x' | 2,NULL      error TEXT      empty       items
 * separated by "; " failed CODE: TEXT      put done v3      delete refused v0      get v1 'value'      get
 * none list k1 v1 'a', k2 v3 'b', more      member changed      member as it was */
#ifndef QUORATE_TEST_STORAGE_KIT_H
#define QUORATE_TEST_STORAGE_KIT_H

#include "storage/store.h"
#include "tests/unit/test.h"

struct kit {
    struct store_config config;
    struct store *s;
    char dir[64], path[80];
    uint64_t term, time_ms; /* of the next entry; time goes on by a second with each */
    uint8_t seed;
    struct buf commands; /* blobs, of the next entry */
    uint32_t count;
    struct buf results; /* of the last entry */
    char shown[8192];
};

/* In a file of a directory of its own, or in memory. */
void kit_open_file(struct kit *k);
void kit_open_memory(struct kit *k);
void kit_close(struct kit *k);
void kit_reopen(struct kit *k);

/* Add a command to the next entry. The strings of SQL end with NULL. */
void kit_add_sql(struct kit *k, enum command_op op, unsigned flags, ...) __attribute__((sentinel));
void kit_add_bytes(struct kit *k, const struct buf *command);
void kit_add_put(struct kit *k, const char *ns, const char *key, const char *value,
                 enum kv_condition condition, uint64_t version);
void kit_add_delete(struct kit *k, const char *ns, const char *key, enum kv_condition condition,
                    uint64_t version);
/* Applies the entry; kit_try() leaves the entry as it is when it fails, so that it can be tried again. */
void kit_apply(struct kit *k);
int kit_try(struct kit *k, struct error *e);
/* The result of command I of the last entry. */
const char *kit_result(struct kit *k, unsigned i);

/* An entry of one command. */
const char *kit_execute(struct kit *k, const char *sql);
const char *kit_put(struct kit *k, const char *ns, const char *key, const char *value);
/* On a reader. */
const char *kit_query(struct kit *k, const char *sql);
const char *kit_read(struct kit *k, const struct buf *command, uint64_t timeout_ms, uint64_t *ret_index);

/* One result, as text. */
const char *kit_show(struct kit *k, const void *p, size_t n);
void kit_position(struct kit *k, struct store_position *ret_position);

struct cursor kit_cursor(const char *text);

#endif
