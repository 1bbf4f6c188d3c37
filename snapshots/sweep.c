#include "snapshots/sweep.h"

#include "base/plant.h"
#include "snapshots/name_set.h"

struct sweep {
    struct name_set kept;
    struct buf doomed; /* names, one after the other: the store does not change while it is walked */
};

static void judge(void *ctx, const struct chunk_name *name)
{
    struct sweep *w = ctx;
    if (!name_set_has(&w->kept, name)) {
        buf_put_bytes(&w->doomed, name, sizeof *name);
    }
}

/* One chunk, and what it is stored as a difference to, and so on. */
static int keep_chunk(struct sweep *w, struct chunk_store *s, struct chunk_name name, struct error *e)
{
    bool is_over = true;
    int rc = 0;
    while (rc == 0 && is_over && !name_set_has(&w->kept, &name)) {
        is_over = false;
        rc = name_set_add(&w->kept, &name, e);
        if (rc == 0 && chunk_store_has(s, &name) && !PLANTED("sweep_forgets_bases")) {
            rc = chunk_store_base(s, &name, &is_over, &name, e);
        }
    }
    return rc == Q_NOT_FOUND ? 0 : rc;
}

static int keep(struct sweep *w, struct chunk_store *s, const struct manifest *m, struct error *e)
{
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < m->chunks; i++) {
        rc = keep_chunk(w, s, m->chunk[i], e);
    }
    return rc;
}

static int remove_doomed(struct sweep *w, struct chunk_store *s, uint64_t *ret_chunks, uint64_t *ret_bytes,
                         struct error *e)
{
    uint64_t chunks = 0, bytes = 0;
    int rc = buf_check(&w->doomed, "the list of chunks to remove", e);
    for (size_t at = 0; rc == 0 && at < w->doomed.len; at += sizeof(struct chunk_name)) {
        const struct chunk_name *name = (const struct chunk_name *)(w->doomed.data + at);
        uint64_t n = 0;
        rc = chunk_store_bytes(s, name, &n, e);
        rc = rc == 0 || rc == Q_NOT_FOUND ? chunk_store_remove(s, name, e) : rc;
        chunks++;
        bytes += n;
    }
    if (rc == 0) {
        *ret_chunks = chunks;
        *ret_bytes = bytes;
    }
    return rc;
}

int sweep_run(struct chunk_store *s, const struct manifest *const *kept, unsigned count, uint64_t *ret_chunks,
              uint64_t *ret_bytes, struct error *e)
{
    struct sweep w = {0};
    int rc = 0;
    buf_init(&w.doomed, chunk_store_count(s) * sizeof(struct chunk_name));
    for (unsigned i = PLANTED("sweep_forgets_the_first_kept_one") ? 1 : 0; rc == 0 && i < count; i++) {
        rc = keep(&w, s, kept[i], e);
    }
    if (rc == 0) {
        chunk_store_each(s, judge, &w);
        rc = remove_doomed(&w, s, ret_chunks, ret_bytes, e);
    }
    name_set_close(&w.kept);
    buf_close(&w.doomed);
    return rc;
}
