#include "raft_glue/segment.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/plant.h"

enum { ZERO_CHUNK = 256 * 1024, NAME_DIGITS = 16 };

static const char segment_prefix[] = "segment-", spare_prefix[] = "spare-";

void segment_path(const char *dir, uint64_t sequence, char *p)
{
    snprintf(p, SEGMENT_PATH_MAX, "%.*s/%s%016" PRIx64, SEGMENT_DIR_MAX, dir, segment_prefix, sequence);
}

void segment_spare_path(const char *dir, uint64_t number, char *p)
{
    snprintf(p, SEGMENT_PATH_MAX, "%.*s/%s%" PRIu64, SEGMENT_DIR_MAX, dir, spare_prefix, number);
}

/* Only digits as we write them: no sign, no space, no upper case, and no number that does not fit. */
static bool digits_parse(const char *digits, int base, uint64_t *ret_value)
{
    static const char known[] = "0123456789abcdef";
    uint64_t value = 0;
    for (const char *p = digits; *p != '\0'; p++) {
        const char *digit = memchr(known, *p, (size_t)base);
        if (digit == NULL || value > (UINT64_MAX - 15) / (unsigned)base) {
            return false;
        }
        value = value * (unsigned)base + (uint64_t)(digit - known);
    }
    *ret_value = value;
    return *digits != '\0';
}

bool segment_name_parse(const char *name, uint64_t *ret_sequence)
{
    size_t prefix = sizeof segment_prefix - 1;
    return strncmp(name, segment_prefix, prefix) == 0 && strlen(name + prefix) == NAME_DIGITS &&
           digits_parse(name + prefix, 16, ret_sequence);
}

bool segment_spare_name_parse(const char *name, uint64_t *ret_number)
{
    size_t prefix = sizeof spare_prefix - 1;
    return strncmp(name, spare_prefix, prefix) == 0 && digits_parse(name + prefix, 10, ret_number);
}

void *segment_memory(size_t bytes)
{
    void *p;
    return posix_memalign(&p, ENV_BLOCK, bytes) == 0 ? p : NULL;
}

static int zero_file(struct env *env, struct env_file *file, uint64_t bytes, struct error *e)
{
    uint8_t *zeros = calloc(1, ZERO_CHUNK);
    int rc = zeros != NULL ? 0 : error_set(e, Q_NOMEM, "out of memory for a zero-filled segment");
    for (uint64_t at = 0; rc == 0 && at < bytes; at += ZERO_CHUNK) {
        rc = env_write(env, file, at, zeros, bytes - at < ZERO_CHUNK ? (size_t)(bytes - at) : ZERO_CHUNK, e);
    }
    free(zeros);
    return rc != 0 || PLANTED("spares_are_not_synced") ? rc : env_sync(env, file, e);
}

int segment_zero(struct env *env, const char *dir, uint64_t number, uint64_t bytes, struct error *e)
{
    char path[SEGMENT_PATH_MAX];
    struct env_file *file;
    segment_spare_path(dir, number, path);
    int rc = env_open(env, path, ENV_CREATE | ENV_WRITE, &file, e);
    if (rc != 0) {
        return rc;
    }
    rc = zero_file(env, file, bytes, e);
    env_close(env, file);
    if (rc != 0) {
        env_unlink(env, path, NULL);
    }
    return rc;
}

static int header_write(struct env *env, struct env_file *file, const struct format_segment *head,
                        struct error *e)
{
    uint8_t *block = segment_memory(ENV_BLOCK);
    if (block == NULL) {
        return error_set(e, Q_NOMEM, "out of memory for a segment's header");
    }
    format_segment_put(head, block);
    int rc = env_write(env, file, 0, block, ENV_BLOCK, e);
    free(block);
    return rc;
}

static int spare_write_header(struct env *env, const char *path, const struct format_segment *head,
                              struct error *e)
{
    struct env_file *file;
    int rc = env_open(env, path, ENV_WRITE | ENV_DURABLE, &file, e);
    if (rc == 0) {
        rc = header_write(env, file, head, e);
        env_close(env, file);
    }
    return rc;
}

int segment_from_spare(struct env *env, const char *dir, uint64_t number, const struct format_segment *head,
                       struct segment **ret_segment, struct error *e)
{
    char spare[SEGMENT_PATH_MAX], path[SEGMENT_PATH_MAX];
    struct segment *s = calloc(1, sizeof *s);
    int rc;
    if (s == NULL) {
        return error_set(e, Q_NOMEM, "out of memory for a segment");
    }
    s->head = *head;
    list_init(&s->link);
    segment_spare_path(dir, number, spare);
    segment_path(dir, head->sequence, path);
    /* Opened again under its own name, so that errors do not speak of a file that is not there any more. */
    if ((rc = spare_write_header(env, spare, head, e)) != 0 || (rc = env_rename(env, spare, path, e)) != 0 ||
        (!PLANTED("segment_name_is_not_synced") && (rc = env_sync_dir(env, dir, e)) != 0) ||
        (rc = env_open(env, path, ENV_WRITE | ENV_DURABLE | ENV_DIRECT, &s->file, e)) != 0) {
        segment_free(env, s);
        return rc;
    }
    *ret_segment = s;
    return 0;
}

/* Whether the block and the size of the file make a good header; Q_CORRUPT is damage. */
static int header_verify(const uint8_t *block, size_t n, uint64_t size, const struct format_segment *expected,
                         struct format_segment *ret_head, struct error *e)
{
    struct format_segment head;
    int rc = n < ENV_BLOCK ? Q_CORRUPT : format_segment_get(block, &head, e);
    if (rc == 0 && head.cluster != expected->cluster) {
        return error_set(e, Q_MISMATCH, "the segment belongs to another cluster");
    }
    if (rc == 0 && (head.bytes != size || size % ENV_BLOCK != 0 || size > SEGMENT_BYTES_MAX ||
                    head.sequence != expected->sequence)) {
        rc = Q_CORRUPT;
    }
    if (rc == 0) {
        *ret_head = head;
    }
    return rc;
}

static int header_read(struct env *env, struct segment *s, struct error *e)
{
    uint64_t size;
    size_t n = 0;
    uint8_t *block = segment_memory(ENV_BLOCK);
    int rc = block != NULL ? 0 : error_set(e, Q_NOMEM, "out of memory for a segment's header");
    if (rc == 0) {
        rc = env_read(env, s->file, 0, block, ENV_BLOCK, &n, e);
    }
    if (rc == 0) {
        rc = env_size(env, s->file, &size, e);
    }
    if (rc == 0) {
        rc = header_verify(block, n, size, &s->head, &s->head, e);
    }
    if (rc == Q_CORRUPT) {
        s->damaged = true;
        s->head.bytes = size < SEGMENT_BYTES_MAX ? size / ENV_BLOCK * ENV_BLOCK : SEGMENT_BYTES_MAX;
        rc = 0;
    }
    free(block);
    return rc;
}

int segment_open(struct env *env, const char *dir, uint64_t sequence, uint64_t cluster, bool read_only,
                 struct segment **ret_segment, struct error *e)
{
    char path[SEGMENT_PATH_MAX];
    struct segment *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return error_set(e, Q_NOMEM, "out of memory for a segment");
    }
    list_init(&s->link);
    s->head = (struct format_segment){.sequence = sequence, .cluster = cluster};
    segment_path(dir, sequence, path);
    int rc = env_open(env, path, read_only ? ENV_DIRECT : ENV_WRITE | ENV_DURABLE | ENV_DIRECT, &s->file, e);
    if (rc == 0 && (rc = header_read(env, s, e)) != 0) {
        error_wrap(e, "%s", path);
    }
    if (rc != 0) {
        segment_free(env, s);
        return rc;
    }
    *ret_segment = s;
    return 0;
}

int segment_to_spare(struct env *env, const char *dir, const struct segment *s, uint64_t number,
                     struct error *e)
{
    char path[SEGMENT_PATH_MAX], spare[SEGMENT_PATH_MAX];
    segment_path(dir, s->head.sequence, path);
    segment_spare_path(dir, number, spare);
    int rc = env_rename(env, path, spare, e);
    return rc != 0 ? rc : env_sync_dir(env, dir, e);
}

void segment_free(struct env *env, struct segment *s)
{
    if (s != NULL) {
        env_close(env, s->file);
        free(s);
    }
}
