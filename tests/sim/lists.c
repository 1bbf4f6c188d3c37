#include "tests/sim/lists.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where the append of each operation stands in its final list, counted from 1; 0: nowhere. */
static bool find_places(const struct history *h, const struct final_state *final, uint64_t *place, char *text,
                        size_t n)
{
    for (unsigned list = 0; list < HISTORY_LISTS; list++) {
        for (uint64_t i = 0; i < final->lists[list].items; i++) {
            uint64_t value = final->lists[list].list[i];
            const struct op *op = value >= 1 && value <= h->count ? &h->ops[value - 1] : NULL;
            if (op == NULL || op->kind != OP_APPEND || op->key != list) {
                snprintf(text, n, "list %u holds %" PRIu64 ", which nobody appended", list, value);
                return false;
            }
            if (place[value - 1] != 0) {
                snprintf(text, n, "list %u holds %" PRIu64 " twice", list, value);
                return false;
            }
            place[value - 1] = i + 1;
        }
    }
    return true;
}

static bool check_append(const struct op *op, uint64_t place, char *text, size_t n)
{
    if (op->outcome == OP_DONE && place == 0) {
        snprintf(text, n, "LOST: %" PRIu64 " was acknowledged and is not in list %u", op->value, op->key);
        return false;
    }
    if (op->outcome == OP_NOTHING && place != 0) {
        snprintf(text, n, "list %u holds %" PRIu64 ", whose append was said to have done nothing", op->key,
                 op->value);
        return false;
    }
    return true;
}

static bool check_read(const struct history *h, const struct op *op, const struct final_state *final,
                       char *text, size_t n)
{
    if (op->items > final->lists[op->key].items ||
        (op->items > 0 && memcmp(op->list, final->lists[op->key].list, op->items * sizeof *op->list) != 0)) {
        snprintf(text, n, "list %u was read at %" PRIu64 " us, and that is not how the final one begins",
                 op->key, op->end_us);
        return false;
    }
    for (uint32_t i = 0; i < op->items; i++) {
        if (h->ops[op->list[i] - 1].start_us > op->end_us) {
            snprintf(text, n, "list %u: %" PRIu64 " was seen before its append began", op->key, op->list[i]);
            return false;
        }
    }
    return true;
}

struct moment {
    uint64_t at_us;
    bool ends;
    const struct op *op;
};

static int by_time(const void *a, const void *b)
{
    const struct moment *x = a, *y = b;
    if (x->at_us != y->at_us) {
        return x->at_us < y->at_us ? -1 : 1;
    }
    if (x->ends != y->ends) {
        return x->ends ? 1 : -1;
    }
    return (x->op > y->op) - (x->op < y->op);
}

/* How long the list is at least, as this operation shows. */
static uint64_t shows(const struct history *h, const struct op *op, const uint64_t *place)
{
    return op->kind == OP_LIST ? op->items : place[op - h->ops];
}

/* What an operation that had ended shows, a later one has in front of it. */
static bool check_real_time(const struct history *h, const uint64_t *place, struct moment *moments,
                            uint64_t *floor, char *text, size_t n)
{
    uint64_t longest[HISTORY_LISTS] = {0};
    size_t count = 0;

    for (size_t i = 0; i < h->count; i++) {
        const struct op *op = &h->ops[i];
        if (op->outcome == OP_DONE && (op->kind == OP_APPEND || op->kind == OP_LIST)) {
            moments[count++] = (struct moment){op->start_us, false, op};
            moments[count++] = (struct moment){op->end_us, true, op};
        }
    }
    qsort(moments, count, sizeof *moments, by_time);
    for (size_t i = 0; i < count; i++) {
        const struct op *op = moments[i].op;
        uint64_t known = shows(h, op, place);
        if (!moments[i].ends) {
            floor[op - h->ops] = longest[op->key];
            continue;
        }
        if ((op->kind == OP_APPEND || op->current) && known < floor[op - h->ops] + (op->kind == OP_APPEND)) {
            snprintf(text, n,
                     "list %u: an operation that began at %" PRIu64 " us shows %" PRIu64
                     " items, but %" PRIu64 " had been shown before",
                     op->key, op->start_us, known, floor[op - h->ops]);
            return false;
        }
        longest[op->key] = known > longest[op->key] ? known : longest[op->key];
    }
    return true;
}

bool lists_check(const struct history *h, const struct final_state *final, char *text, size_t n)
{
    uint64_t *place = calloc(h->count + 1, sizeof *place);
    uint64_t *floor = calloc(h->count + 1, sizeof *floor);
    struct moment *moments = calloc(h->count * 2 + 1, sizeof *moments);
    bool ok = place != NULL && floor != NULL && moments != NULL && find_places(h, final, place, text, n);

    for (size_t i = 0; i < h->count && ok; i++) {
        const struct op *op = &h->ops[i];
        ok = op->kind == OP_APPEND                           ? check_append(op, place[i], text, n)
             : op->kind == OP_LIST && op->outcome == OP_DONE ? check_read(h, op, final, text, n)
                                                             : true;
    }
    ok = ok && check_real_time(h, place, moments, floor, text, n);
    free(place);
    free(floor);
    free(moments);
    return ok;
}
