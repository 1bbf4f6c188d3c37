#include "tests/unit/snapshots/backup_kit.h"

#include <stdio.h>

struct backup *backups_open(struct rig *r)
{
    struct backup *b;
    struct error e;

    must(backup_open(r->env, "backups", &b, &e), &e);
    return b;
}

int backups_copy(struct rig *r, struct backup *backup, const struct manifest *m, unsigned max)
{
    struct buf encoded;
    struct error e;
    uint32_t chunk = 0;
    int n = 0;

    buf_init(&encoded, CHUNK_ENCODED_MAX);
    while (n >= 0 && (unsigned)n < max && backup_missing(backup, chunk, &chunk)) {
        if (chunk_store_read(r->env, "a", &m->chunk[chunk], &encoded, &e) != 0 ||
            backup_put(backup, chunk, encoded.data, encoded.len, &e) != 0) {
            n = -1;
        } else {
            n++;
        }
    }
    buf_close(&encoded);
    return n;
}

int backups_try(struct rig *r, const struct manifest *m, struct backup_totals *ret_totals)
{
    struct backup *b = NULL;
    struct error e;
    int rv = backup_open(r->env, "backups", &b, &e);

    rv = rv == 0 ? backup_begin(b, m, &e) : rv;
    if (rv == 0 && backups_copy(r, b, m, UINT32_MAX) < 0) {
        rv = Q_IO;
    }
    rv = rv == 0 ? backup_commit(b, &e) : rv;
    if (rv == 0) {
        backup_totals(b, ret_totals);
    }
    backup_close(b);
    return rv;
}

struct backup_totals backups_make(struct rig *r, const struct image *image, uint64_t index)
{
    struct backup_totals totals;
    struct manifest m;

    rig_take(r, image, index, &m);
    assert_int_equal(backups_try(r, &m, &totals), 0);
    manifest_close(&m);
    return totals;
}

static void on_damage(void *ctx, const struct error *what)
{
    char *text = ctx;
    size_t n = strlen(text);
    snprintf(text + n, 8192 - n, "%s\n", what->text);
}

const char *backups_verify(struct rig *r, struct backup_verify *verify)
{
    static char text[8192];
    struct backup *b = backups_open(r);
    struct error e;

    text[0] = 0;
    verify->damage = on_damage;
    verify->ctx = text;
    must(backup_verify(b, verify, &e), &e);
    backup_close(b);
    return text;
}

bool backups_restore(struct rig *r, uint64_t index, const struct image *image)
{
    struct backup *b = backups_open(r);
    struct manifest m;
    struct stage *stage;
    struct error e;
    uint32_t chunk;

    must(catalog_load(backup_catalog(b), index, 1, &m, &e), &e);
    stage = rig_stage(r, &m, backup_chunks(b));
    rig_scan(r, stage);
    assert_false(stage_missing(stage, 0, &chunk));
    must(stage_finish(stage, &e), &e);
    stage_close(stage);
    must(stage_swap(r->env, "b", index, 1, &e), &e);
    manifest_close(&m);
    backup_close(b);
    return rig_holds(r, "b/db.sqlite", image);
}

static void count_one(void *ctx, const char *name)
{
    (void)name;
    ++*(unsigned *)ctx;
}

unsigned backups_count(struct rig *r, const char *dir)
{
    char path[100];
    unsigned n = 0;
    struct error e;

    snprintf(path, sizeof path, "backups/%s", dir);
    must(env_list_dir(r->env, path, count_one, &n, &e), &e);
    return n;
}
