#include "raft_glue/log_mark.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/plant.h"
#include "raft_glue/segment.h"

#define MARK_MAGIC 0x6d61726bu

static void mark_path(const char *dir, char *p)
{
    snprintf(p, SEGMENT_PATH_MAX, "%.*s/durable", SEGMENT_DIR_MAX, dir);
}

static int slots_read(struct log_mark *m, uint64_t cluster, bool *ret_found, struct error *e)
{
    bool found = false;
    for (unsigned i = 0; i < MARK_SLOTS; i++) {
        size_t n;
        int rc = env_read(m->env, m->file, i * ENV_BLOCK, m->block, ENV_BLOCK, &n, e);
        if (rc != 0) {
            return rc;
        }
        if (n < ENV_BLOCK || !format_mark_get(m->block, &m->slots[i])) {
            continue;
        }
        if (m->slots[i].cluster != cluster) {
            return error_set(e, Q_MISMATCH, "the log's durable mark belongs to another cluster");
        }
        found = true;
    }
    *ret_found = found;
    return 0;
}

int log_mark_open(struct log_mark *m, struct env *env, const char *dir, uint64_t cluster, bool read_only,
                  void (*saved)(void *ctx, const struct error *failed), void *ctx, bool *ret_found,
                  struct error *e)
{
    char path[SEGMENT_PATH_MAX];
    *m = (struct log_mark){.magic = MARK_MAGIC, .env = env, .saved = saved, .ctx = ctx};
    m->block = segment_memory(ENV_BLOCK);
    if (m->block == NULL) {
        return error_set(e, Q_NOMEM, "out of memory for the log's durable mark");
    }
    mark_path(dir, path);
    int rc = env_open(env, path, read_only ? ENV_DIRECT : ENV_WRITE | ENV_DURABLE | ENV_DIRECT, &m->file, e);
    if (rc == Q_NOT_FOUND) {
        *ret_found = false;
        return 0;
    }
    return rc != 0 ? rc : slots_read(m, cluster, ret_found, e);
}

static unsigned newest(const struct log_mark *m)
{
    return m->slots[1].version > m->slots[0].version;
}

static void next_version(struct log_mark *m, const struct format_mark *at)
{
    m->saving = *at;
    m->saving.version = m->slots[newest(m)].version + 1;
    format_mark_put(&m->saving, m->block);
}

int log_mark_save_blocking(struct log_mark *m, const struct format_mark *at, struct error *e)
{
    assert(!m->writing);
    unsigned slot = !newest(m);
    next_version(m, at);
    int rc = env_write(m->env, m->file, slot * ENV_BLOCK, m->block, ENV_BLOCK, e);
    if (rc == 0) {
        m->slots[slot] = m->saving;
    }
    return rc;
}

int log_mark_create(struct log_mark *m, const char *dir, const struct format_mark *at, struct error *e)
{
    char path[SEGMENT_PATH_MAX];
    int rc = 0;
    mark_path(dir, path);
    if (m->file == NULL) {
        rc = env_open(m->env, path, ENV_CREATE | ENV_WRITE | ENV_DURABLE | ENV_DIRECT, &m->file, e);
    }
    for (unsigned i = 0; rc == 0 && i < MARK_SLOTS; i++) {
        rc = log_mark_save_blocking(m, at, e);
    }
    return rc != 0 ? rc : env_sync_dir(m->env, dir, e);
}

void log_mark_close(struct log_mark *m)
{
    if (m->magic == MARK_MAGIC) {
        env_close(m->env, m->file);
        free(m->block);
        m->magic = 0;
    }
}

const struct format_mark *log_mark_newest(const struct log_mark *m)
{
    return &m->slots[newest(m)];
}

uint64_t log_mark_covered(const struct log_mark *m)
{
    if (PLANTED("one_slot_of_the_mark_is_enough")) {
        return log_mark_newest(m)->number;
    }
    return m->slots[0].number < m->slots[1].number ? m->slots[0].number : m->slots[1].number;
}

static void saved(struct env_write *write, const struct error *failed)
{
    struct log_mark *m = CAST(struct log_mark, CONTAINER_OF(write, struct log_mark, write), MARK_MAGIC);
    m->writing = false;
    if (failed == NULL) {
        m->slots[write->offset / ENV_BLOCK] = m->saving;
    }
    m->saved(m->ctx, failed);
}

void log_mark_save(struct log_mark *m, const struct format_mark *at)
{
    assert(!m->writing);
    unsigned slot = PLANTED("mark_overwrites_its_newest_slot") ? newest(m) : !newest(m);
    next_version(m, at);
    m->writing = true;
    m->write = (struct env_write){
        .file = m->file,
        .data = m->block,
        .len = ENV_BLOCK,
        .offset = slot * (uint64_t)ENV_BLOCK,
        .done = saved,
    };
    env_submit_write(m->env, &m->write);
}
