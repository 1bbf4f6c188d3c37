#include "tests/sim/mirror.h"

#include <stdlib.h>
#include <string.h>

void mirror_close(struct mirror *m)
{
    free(m->terms);
    *m = (struct mirror){.terms = NULL};
}

static void make_room(struct mirror *m, uint64_t index)
{
    uint64_t more = m->capacity ? m->capacity : 256;
    while (more <= index) {
        more *= 2;
    }
    if (more != m->capacity) {
        m->terms = realloc(m->terms, more * sizeof *m->terms);
        if (m->terms == NULL) {
            abort();
        }
        memset(m->terms + m->capacity, 0, (more - m->capacity) * sizeof *m->terms);
        m->capacity = more;
    }
}

struct mirror_change mirror_log(struct mirror *m, struct replica *r, const struct peek *now)
{
    uint64_t low = now->last < m->seen.last ? now->last : m->seen.last;
    uint64_t lowest = now->first > m->seen.first ? now->first : m->seen.first;
    struct mirror_change change = {.from = now->last + 1};

    /* By Log Matching, logs that agree at an index agree below it. */
    while (low >= lowest && low > 0 && m->terms[low] != peek_term(r, low)) {
        low--;
    }
    low = low + 1 < now->first ? now->first - 1 : low;
    if (low < m->seen.last) {
        change.removed = m->seen.last - low;
    }
    make_room(m, now->last);
    for (uint64_t i = low + 1; i <= now->last; i++) {
        m->terms[i] = peek_term(r, i);
        change.from = i < change.from ? i : change.from;
    }
    m->seen.first = now->first;
    m->seen.last = now->last;
    return change;
}
