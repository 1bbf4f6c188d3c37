#include "tests/unit/cluster/surgeon.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/test.h"

enum { PIECES_MAX = 64 };

struct search {
    struct sim_disk *disk;
    const char *log;
    struct {
        char path[128];
        uint64_t size;
    } segments[PIECES_MAX]; /* in the order of their names, which is that of their sequence numbers */
    unsigned n;
};

static void note(void *ctx, const char *path, uint64_t size)
{
    struct search *s = ctx;
    char prefix[96];
    snprintf(prefix, sizeof prefix, "%s/segment-", s->log);
    if (strncmp(path, prefix, strlen(prefix)) == 0) {
        assert_in_range(s->n, 0, PIECES_MAX - 1);
        snprintf(s->segments[s->n].path, sizeof s->segments[s->n].path, "%s", path);
        s->segments[s->n++].size = size;
    }
}

static void look_into_group(const uint8_t *p, const struct format_group *head, uint64_t offset,
                            uint64_t index, const char *path, struct surgeon_place *place, bool *found)
{
    size_t at = FORMAT_GROUP_BYTES;
    for (uint32_t i = 0; i < head->records; i++) {
        struct log_entry entry;
        uint64_t chain;
        if (format_record_get(p + at, head->bytes - at, &entry, &chain) == FORMAT_RECORD_LOST) {
            return;
        }
        if (entry.index == index) {
            *place = (struct surgeon_place){
                .group = offset, .record = offset + at, .term = entry.term, .len = entry.len};
            snprintf(place->path, sizeof place->path, "%s", path);
            *found = true;
        }
        at += FORMAT_RECORD_BYTES + entry.len;
    }
}

bool surgeon_find(struct sim_disk *disk, const char *log, uint64_t index, struct surgeon_place *ret_place)
{
    struct search *s = calloc(1, sizeof *s);
    bool found = false;
    s->disk = disk;
    s->log = log;
    sim_disk_each_file(disk, note, s);
    for (unsigned i = 0; i < s->n; i++) {
        struct sim_inode *inode;
        struct format_segment head;
        struct error e;
        size_t n;
        uint8_t *bytes = malloc(s->segments[i].size);
        assert_int_equal(sim_disk_open(disk, s->segments[i].path, 0, &inode, &e), 0);
        assert_int_equal(sim_disk_read(disk, inode, 0, bytes, s->segments[i].size, &n, &e), 0);
        sim_disk_close(disk, inode);
        if (format_segment_get(bytes, &head, &e) == 0) {
            for (uint64_t at = ENV_BLOCK; at < n; at += ENV_BLOCK) {
                struct format_group group;
                uint64_t chain;
                if (format_group_get(bytes + at, n - at, head.salt, &group, &chain)) {
                    look_into_group(bytes + at, &group, at, index, s->segments[i].path, ret_place, &found);
                }
            }
        }
        free(bytes);
    }
    free(s);
    return found;
}

static void flip(struct sim_disk *disk, const struct surgeon_place *place, uint64_t offset)
{
    struct error e;
    assert_int_equal(sim_disk_flip(disk, place->path, offset, 3, &e), 0);
}

static struct surgeon_place must_find(struct sim_disk *disk, const char *log, uint64_t index)
{
    struct surgeon_place place;
    if (!surgeon_find(disk, log, index, &place)) {
        fail_msg("no record %llu", (unsigned long long)index);
    }
    return place;
}

void surgeon_damage_record(struct sim_disk *disk, const char *log, uint64_t index)
{
    struct surgeon_place place = must_find(disk, log, index);
    flip(disk, &place, place.record + (place.len > 0 ? FORMAT_RECORD_BYTES + place.len / 2 : 20));
}

void surgeon_damage_group(struct sim_disk *disk, const char *log, uint64_t index)
{
    struct surgeon_place place = must_find(disk, log, index);
    flip(disk, &place, place.group + 33);
}

void surgeon_damage_segment(struct sim_disk *disk, const char *log, uint64_t index)
{
    struct surgeon_place place = must_find(disk, log, index);
    flip(disk, &place, 41);
    flip(disk, &place, ENV_BLOCK + 33); /* with the first group good, what follows on it could be told */
}
