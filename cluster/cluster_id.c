#include "cluster/cluster_id.h"

#include <assert.h>
#include <inttypes.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/plant.h"
#include "storage/store.h"

/* The default limit of instructions is left out: so it was before there was a limit. */
void cluster_semantics(bool foreign_keys, uint64_t instructions_max, char ret_text[CLUSTER_SEMANTICS_MAX])
{
    bool keys = foreign_keys && !PLANTED("semantics_do_not_make_the_cluster");
    int n = snprintf(ret_text, CLUSTER_SEMANTICS_MAX, "foreign-keys=%s", keys ? "on" : "off");

    if (instructions_max != 0 && instructions_max != STORE_INSTRUCTIONS_DEFAULT) {
        snprintf(ret_text + n, CLUSTER_SEMANTICS_MAX - (size_t)n, ",sql-instructions=%" PRIu64,
                 instructions_max);
    }
}

static int by_id(const void *a, const void *b)
{
    const struct peers_member *const *x = a, *const *y = b;
    return ((*x)->id > (*y)->id) - ((*x)->id < (*y)->id);
}

int cluster_id_make(const char *name, const struct peers_member *members, unsigned count,
                    const char *semantics, const uint8_t origin[CLUSTER_ORIGIN_BYTES],
                    uint8_t ret_id[PEERS_CLUSTER_ID_BYTES], struct error *e)
{
    static const uint8_t none[CLUSTER_ORIGIN_BYTES];
    const struct peers_member *sorted[PEERS_MAX];
    uint8_t hash[SHA256_DIGEST_LENGTH];
    struct buf text;
    int rv;

    assert(count <= PEERS_MAX);
    for (unsigned i = 0; i < count; i++) {
        sorted[i] = &members[i];
    }
    qsort(sorted, count, sizeof sorted[0], by_id);
    buf_init(&text, 1024 * 1024);
    buf_printf(&text, "quorate cluster\n%zu:%s\n%zu:%s\n", strlen(name), name, strlen(semantics), semantics);
    for (unsigned i = 0; i < count; i++) {
        buf_printf(&text, "%" PRIu64 "=%s\n", sorted[i]->id, sorted[i]->address);
    }
    if (memcmp(origin, none, sizeof none) != 0 && !PLANTED("a_restored_cluster_is_the_old_one")) {
        buf_printf(&text, "restored from\n");
        buf_put_bytes(&text, origin, CLUSTER_ORIGIN_BYTES);
    }
    rv = buf_check(&text, "the names that make the cluster id", e);
    if (rv == 0 && SHA256(text.data, text.len, hash) == NULL) {
        rv = error_set(e, Q_NOMEM, "out of memory for the cluster id");
    }
    buf_close(&text);
    if (rv == 0) {
        memcpy(ret_id, hash, PEERS_CLUSTER_ID_BYTES);
    }
    return rv;
}
