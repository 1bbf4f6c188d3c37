#include "tests/lib/sim_file.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/sched.h"

static const uint8_t zeros[SIM_PAGE];

/* The part of a range that lies in one page. */
struct piece {
    size_t page, at, n;
    const uint8_t *from;
};

/* Steps through [offset, offset + n) page by page; FROM advances with it. */
static bool next_piece(struct piece *piece, uint64_t *offset, const uint8_t **from, size_t *n)
{
    if (*n == 0) {
        return false;
    }
    piece->page = (size_t)(*offset / SIM_PAGE);
    piece->at = (size_t)(*offset % SIM_PAGE);
    piece->n = SIM_PAGE - piece->at < *n ? SIM_PAGE - piece->at : *n;
    piece->from = *from;
    *offset += piece->n;
    *from += piece->n;
    *n -= piece->n;
    return true;
}

static uint8_t sectors_of(const struct piece *piece)
{
    unsigned first = (unsigned)(piece->at / SIM_SECTOR);
    unsigned last = (unsigned)((piece->at + piece->n - 1) / SIM_SECTOR);
    return (uint8_t)((0xffu << first) & (0xffu >> (7 - last)));
}

/* Not zeroed: most pages are written whole at once. */
static uint8_t *page_new(void)
{
    uint8_t *page = malloc(SIM_PAGE);
    assert(page != NULL);
    return page;
}

static uint8_t *image_of(uint8_t **image)
{
    if (*image == NULL) {
        *image = sim_alloc(SIM_PAGE);
    }
    return *image;
}

static void copy_sectors(uint8_t **to, const uint8_t *from, uint8_t mask)
{
    for (unsigned i = 0; i < 8; i++) {
        if (mask & (1u << i)) {
            memcpy(image_of(to) + i * SIM_SECTOR, (from != NULL ? from : zeros) + i * SIM_SECTOR, SIM_SECTOR);
        }
    }
}

static void settle(struct sim_page *p)
{
    if (p->safe != p->now) {
        free(p->safe);
        p->safe = p->now;
    }
}

static struct sim_page *page_at(struct sim_file *f, size_t i)
{
    if (i >= f->n_pages) {
        size_t n = f->n_pages * 2 > i + 1 ? f->n_pages * 2 : i + 1;
        f->pages = realloc(f->pages, n * sizeof *f->pages);
        assert(f->pages != NULL);
        memset(f->pages + f->n_pages, 0, (n - f->n_pages) * sizeof *f->pages);
        f->n_pages = n;
    }
    return &f->pages[i];
}

static void unsettle(struct sim_file *f, size_t i)
{
    struct sim_page *p = &f->pages[i];
    p->now = p->now == NULL ? sim_alloc(SIM_PAGE) : memcpy(page_new(), p->now, SIM_PAGE);
    if (p->listed) {
        return;
    }
    p->listed = true;
    if (f->n_unsettled == f->cap_unsettled) {
        f->cap_unsettled = f->cap_unsettled == 0 ? 16 : f->cap_unsettled * 2;
        f->unsettled = realloc(f->unsettled, f->cap_unsettled * sizeof *f->unsettled);
        assert(f->unsettled != NULL);
    }
    f->unsettled[f->n_unsettled++] = i;
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* The truncation that waits reaches the disk. */
static void make_cut_safe(struct sim_file *f)
{
    if (!f->cut) {
        return;
    }
    f->cut = false;
    f->size_safe = min_u64(f->size_safe, f->cut_at);
    size_t at = (size_t)(f->cut_at % SIM_PAGE);
    for (size_t i = (size_t)(f->cut_at / SIM_PAGE); i < f->n_pages; i++, at = 0) {
        struct sim_page *page = &f->pages[i];
        if (page->safe != NULL && page->safe != page->now) {
            memset(page->safe + at, 0, SIM_PAGE - at);
        }
    }
}

/* Whether what is written there stands on a truncation that is not safe. */
static bool waits_for_cut(const struct sim_file *f, size_t page)
{
    return f->cut && page >= f->cut_at / SIM_PAGE;
}

void sim_file_close(struct sim_file *f)
{
    for (size_t i = 0; i < f->n_pages; i++) {
        settle(&f->pages[i]);
        free(f->pages[i].now);
    }
    free(f->pages);
    free(f->unsettled);
    memset(f, 0, sizeof *f);
}

size_t sim_file_read(const struct sim_file *f, uint64_t offset, void *p, size_t n)
{
    uint8_t *to = p;
    if (offset >= f->size_now) {
        return 0;
    }
    if (n > f->size_now - offset) {
        n = (size_t)(f->size_now - offset);
    }
    size_t left = n;
    while (left > 0) {
        size_t page = (size_t)(offset / SIM_PAGE);
        size_t at = (size_t)(offset % SIM_PAGE);
        size_t k = SIM_PAGE - at < left ? SIM_PAGE - at : left;
        const uint8_t *now = page < f->n_pages ? f->pages[page].now : NULL;
        memcpy(to, (now != NULL ? now : zeros) + at, k);
        to += k;
        offset += k;
        left -= k;
    }
    return n;
}

void sim_file_write(struct sim_file *f, uint64_t offset, const void *p, size_t n, struct rng *rng)
{
    const uint8_t *from = p;
    struct piece piece;
    f->size_now = max_u64(f->size_now, offset + n);
    while (next_piece(&piece, &offset, &from, &n)) {
        struct sim_page *page = page_at(f, piece.page);
        if (page->now == page->safe) {
            if (page->now == NULL && memcmp(piece.from, zeros, piece.n) == 0) {
                continue;
            }
            unsettle(f, piece.page);
        }
        uint8_t mask = sectors_of(&piece);
        uint8_t again = mask & page->dirty;
        if (again != 0 && !waits_for_cut(f, piece.page)) {
            copy_sectors(&page->safe, page->now, again & (uint8_t)rng_next(rng));
        }
        page->dirty |= mask;
        page->lost &= (uint8_t)~mask;
        memcpy(page->now + piece.at, piece.from, piece.n);
    }
}

static void write_piece_safe(struct sim_file *f, const struct piece *piece)
{
    struct sim_page *page = page_at(f, piece->page);
    if (page->now == page->safe) {
        if (page->now == NULL && memcmp(piece->from, zeros, piece->n) == 0) {
            return;
        }
        if (page->now == NULL && piece->n == SIM_PAGE) {
            page->now = page_new();
        }
        page->safe = image_of(&page->now);
        memcpy(page->now + piece->at, piece->from, piece->n);
        return;
    }
    uint8_t mask = sectors_of(piece);
    memcpy(page->now + piece->at, piece->from, piece->n);
    page->dirty &= (uint8_t)~mask;
    page->lost &= (uint8_t)~mask;
    if ((page->dirty | page->lost) == 0) {
        settle(page);
    } else {
        copy_sectors(&page->safe, page->now, mask);
    }
}

void sim_file_write_safe(struct sim_file *f, uint64_t offset, const void *p, size_t n)
{
    const uint8_t *from = p;
    struct piece piece;
    make_cut_safe(f);
    f->size_now = max_u64(f->size_now, offset + n);
    f->size_safe = max_u64(f->size_safe, offset + n);
    while (next_piece(&piece, &offset, &from, &n)) {
        write_piece_safe(f, &piece);
    }
}

/* Out of 16, how likely a sector is kept: all and nothing are as likely as a mixture. */
static uint64_t tearing(struct rng *rng)
{
    static const uint64_t kept_of_16[] = {0, 16, 8, 8, 2, 14};
    return kept_of_16[rng_between(rng, 0, 5)];
}

static bool keep(struct rng *rng, uint64_t of_16, struct sim_torn *torn)
{
    bool kept = rng_between(rng, 0, 15) < of_16;
    *(kept ? &torn->kept : &torn->dropped) += 1;
    return kept;
}

void sim_file_write_torn(struct sim_file *f, uint64_t offset, const void *p, size_t n, struct rng *rng,
                         struct sim_torn *torn)
{
    const uint8_t *from = p;
    uint64_t of_16 = tearing(rng);
    while (n > 0) {
        size_t k = SIM_SECTOR - (size_t)(offset % SIM_SECTOR);
        k = k < n ? k : n;
        if (keep(rng, of_16, torn)) {
            sim_file_write_safe(f, offset, from, k);
        }
        offset += k;
        from += k;
        n -= k;
    }
}

void sim_file_sync(struct sim_file *f)
{
    size_t left = 0;
    make_cut_safe(f);
    for (size_t i = 0; i < f->n_unsettled; i++) {
        struct sim_page *page = &f->pages[f->unsettled[i]];
        if (page->lost != 0) {
            copy_sectors(&page->safe, page->now, page->dirty);
            f->unsettled[left++] = f->unsettled[i];
        } else {
            settle(page);
            page->listed = false;
        }
        page->dirty = 0;
    }
    f->n_unsettled = left;
    f->size_safe = f->size_now;
}

void sim_file_truncate(struct sim_file *f, uint64_t size)
{
    size_t at = (size_t)(size % SIM_PAGE);
    uint64_t had = f->size_now;
    f->size_now = size;
    if (size >= had) {
        return;
    }
    f->cut_at = f->cut ? min_u64(f->cut_at, size) : size;
    f->cut = true;
    for (size_t i = (size_t)(size / SIM_PAGE); i < f->n_pages; i++, at = 0) {
        struct sim_page *page = &f->pages[i];
        struct piece piece = {.page = i, .at = at, .n = SIM_PAGE - at};
        if (page->now == page->safe && page->now != NULL) {
            unsettle(f, i);
        }
        if (page->now != NULL) {
            memset(page->now + at, 0, SIM_PAGE - at);
            page->dirty |= sectors_of(&piece);
            page->lost &= (uint8_t)~page->dirty;
        }
    }
}

void sim_file_sync_failed(struct sim_file *f, struct rng *rng)
{
    if (f->cut && rng_between(rng, 0, 1) == 0) {
        make_cut_safe(f);
    }
    for (size_t i = 0; i < f->n_unsettled; i++) {
        struct sim_page *page = &f->pages[f->unsettled[i]];
        uint8_t saved = page->dirty & (uint8_t)rng_next(rng);
        if (waits_for_cut(f, f->unsettled[i])) {
            saved = 0;
        }
        copy_sectors(&page->safe, page->now, saved);
        page->lost |= page->dirty & (uint8_t)~saved;
        page->dirty = 0;
    }
}

/* After a crash nothing may be left behind the end, because a file that grows again shows zeros there. */
static void cut_to(struct sim_file *f, uint64_t size)
{
    for (size_t i = (size_t)(size / SIM_PAGE); i < f->n_pages; i++) {
        struct sim_page *page = &f->pages[i];
        if (i == size / SIM_PAGE && size % SIM_PAGE != 0) {
            if (page->now != NULL) {
                memset(page->now + size % SIM_PAGE, 0, SIM_PAGE - size % SIM_PAGE);
            }
        } else {
            free(page->now);
            page->now = page->safe = NULL;
        }
    }
    f->size_now = f->size_safe = size;
}

void sim_file_crash(struct sim_file *f, struct rng *rng, struct sim_torn *torn)
{
    uint64_t of_16 = tearing(rng);
    if (f->cut && rng_between(rng, 0, 1) == 0) {
        make_cut_safe(f);
    }
    uint64_t size = f->size_safe;
    for (size_t i = 0; i < f->n_unsettled; i++) {
        struct sim_page *page = &f->pages[f->unsettled[i]];
        uint8_t mask = 0;
        if (waits_for_cut(f, f->unsettled[i])) {
            page->dirty = 0;
        }
        for (unsigned s = 0; s < 8; s++) {
            if ((page->dirty & (1u << s)) && keep(rng, of_16, torn)) {
                mask |= (uint8_t)(1u << s);
            }
        }
        copy_sectors(&page->safe, page->now, mask);
        if (page->now != page->safe) {
            free(page->now);
        }
        page->now = page->safe;
        page->dirty = page->lost = 0;
        page->listed = false;
    }
    f->n_unsettled = 0;
    if (!f->cut && f->size_now > f->size_safe) {
        switch (rng_between(rng, 0, 2)) {
        case 0: break;
        case 1: size = f->size_now; break;
        case 2: size = rng_between(rng, f->size_safe, f->size_now); break;
        }
    }
    f->cut = false;
    if (f->size_now > size) {
        cut_to(f, size);
    }
    f->size_now = f->size_safe = size;
}

bool sim_file_unsynced(const struct sim_file *f, struct rng *rng, size_t *ret_page)
{
    uint64_t n = 0;
    for (size_t i = 0; i < f->n_unsettled && !f->cut; i++) {
        size_t page = f->unsettled[i];
        bool inside = (uint64_t)(page + 1) * SIM_PAGE <= f->size_safe;
        if (f->pages[page].dirty != 0 && inside && rng_between(rng, 0, n++) == 0) {
            *ret_page = page;
        }
    }
    return n > 0;
}

void sim_file_lose(struct sim_file *f, size_t page)
{
    f->pages[page].lost |= f->pages[page].dirty;
    f->pages[page].dirty = 0;
}

void sim_file_copy(struct sim_file *to, const struct sim_file *from)
{
    for (size_t i = 0; i < from->n_pages; i++) {
        if (from->pages[i].now != NULL) {
            struct sim_page *page = page_at(to, i);
            memcpy(image_of(&page->now), from->pages[i].now, SIM_PAGE);
            page->safe = page->now;
        }
    }
    to->size_now = to->size_safe = from->size_now;
}

void sim_file_flip(struct sim_file *f, uint64_t offset, unsigned bit)
{
    assert(offset < f->size_now && bit < 8);
    struct sim_page *page = page_at(f, (size_t)(offset / SIM_PAGE));
    bool same = page->now == page->safe;
    image_of(&page->now)[offset % SIM_PAGE] ^= (uint8_t)(1u << bit);
    if (same) {
        page->safe = page->now;
    } else {
        image_of(&page->safe)[offset % SIM_PAGE] ^= (uint8_t)(1u << bit);
    }
}
