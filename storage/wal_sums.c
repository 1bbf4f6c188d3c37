#include "storage/wal_sums.h"

#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "base/plant.h"
#include "storage/page_sum.h"

enum { FRAME_BYTES = WAL_FRAME_HEADER_BYTES + PAGE_BYTES, FIRST_CAP = 1024 };

void wal_sums_init(struct wal_sums *w)
{
    *w = (struct wal_sums){.sum = NULL};
    pthread_mutex_init(&w->lock, NULL);
}

void wal_sums_close(struct wal_sums *w)
{
    pthread_mutex_destroy(&w->lock);
    free(w->sum);
    w->sum = NULL;
}

/* The frames whose pages a range of bytes touches: FIRST to END - 1. */
struct span {
    uint64_t first, end;
};

static uint64_t page_at(uint64_t frame)
{
    return WAL_HEADER_BYTES + frame * FRAME_BYTES + WAL_FRAME_HEADER_BYTES;
}

static struct span touched(uint64_t offset, size_t n)
{
    uint64_t to = offset + n;
    struct span s = {0, 0};

    if (n > 0 && to > page_at(0)) {
        s.first = offset < WAL_HEADER_BYTES ? 0 : (offset - WAL_HEADER_BYTES) / FRAME_BYTES;
        s.end = (to - page_at(0) - 1) / FRAME_BYTES + 1;
    }
    return s;
}

static bool covers(uint64_t offset, size_t n, uint64_t frame)
{
    return offset <= page_at(frame) && page_at(frame) + PAGE_BYTES <= offset + n;
}

static uint64_t sum_of(uint64_t offset, const uint8_t *p, uint64_t frame)
{
    uint64_t sum = XXH3_64bits(p + (page_at(frame) - offset), PAGE_BYTES);
    return sum != 0 ? sum : 1;
}

static bool reserve(struct wal_sums *w, uint64_t frames)
{
    size_t cap = w->cap > 0 ? w->cap : FIRST_CAP;

    while (cap < frames) {
        cap *= 2;
    }
    if (cap > w->cap) {
        uint64_t *sum = realloc(w->sum, cap * sizeof *sum);
        if (sum == NULL) {
            return false;
        }
        w->sum = sum;
        w->cap = cap;
    }
    if (frames > w->n) {
        memset(w->sum + w->n, 0, (frames - w->n) * sizeof *w->sum);
        w->n = frames;
    }
    return true;
}

static void forget(struct wal_sums *w, uint64_t first, uint64_t end)
{
    for (uint64_t i = first; i < end && i < w->n; i++) {
        w->sum[i] = 0;
    }
}

/* One at a time; SQLite writes the page of a frame with one call. */
static bool set(struct wal_sums *w, uint64_t frame, uint64_t sum)
{
    pthread_mutex_lock(&w->lock);
    bool room = reserve(w, frame + 1);
    if (room) {
        w->sum[frame] = sum;
    }
    pthread_mutex_unlock(&w->lock);
    return room;
}

bool wal_sums_written(struct wal_sums *w, uint64_t offset, const uint8_t *p, size_t n)
{
    struct span s = touched(offset, n);
    bool room = true;

    for (uint64_t i = s.first; i < s.end && room; i++) {
        room = set(w, i, covers(offset, n, i) ? sum_of(offset, p, i) : 0);
    }
    return room;
}

void wal_sums_doubt(struct wal_sums *w, uint64_t offset, size_t n)
{
    struct span s = touched(offset, n);

    pthread_mutex_lock(&w->lock);
    forget(w, s.first, s.end);
    pthread_mutex_unlock(&w->lock);
}

void wal_sums_cut(struct wal_sums *w, uint64_t size)
{
    pthread_mutex_lock(&w->lock);
    while (w->n > 0 && page_at(w->n - 1) + PAGE_BYTES > size) {
        w->n--;
    }
    pthread_mutex_unlock(&w->lock);
}

static uint64_t known(struct wal_sums *w, uint64_t frame)
{
    pthread_mutex_lock(&w->lock);
    uint64_t sum = frame < w->n ? w->sum[frame] : 0;
    pthread_mutex_unlock(&w->lock);
    return sum;
}

bool wal_sums_read(struct wal_sums *w, uint64_t offset, const uint8_t *p, size_t n, uint64_t *ret_frame)
{
    struct span s = touched(offset, n);

    for (uint64_t i = s.first; i < s.end && !PLANTED("wal_pages_are_not_verified"); i++) {
        bool whole_frame = offset <= page_at(i) - WAL_FRAME_HEADER_BYTES;
        uint64_t want = known(w, i);

        if (!covers(offset, n, i) || (want == 0 && !whole_frame)) {
            continue;
        }
        uint64_t sum = sum_of(offset, p, i);
        if (want != 0 && sum != want) {
            *ret_frame = i + 1;
            return false;
        }
        if (want == 0) {
            set(w, i, sum); /* without room it stays unknown */
        }
    }
    return true;
}
