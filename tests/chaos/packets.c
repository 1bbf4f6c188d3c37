#include "tests/chaos/packets.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>

static bool before(const struct packet *a, const struct packet *b)
{
    return a->due_us != b->due_us ? a->due_us < b->due_us : a->number < b->number;
}

static void swap(struct packets *p, size_t i, size_t j)
{
    struct packet *kept = p->at[i];
    p->at[i] = p->at[j];
    p->at[j] = kept;
}

void packets_put(struct packets *p, struct packet *packet)
{
    size_t i = p->count;

    if (p->count == p->capacity) {
        p->capacity = p->capacity ? p->capacity * 2 : 256;
        p->at = realloc(p->at, p->capacity * sizeof(struct packet *));
        assert(p->at != NULL);
    }
    p->at[p->count++] = packet;
    while (i > 0 && before(p->at[i], p->at[(i - 1) / 2])) {
        swap(p, i, (i - 1) / 2);
        i = (i - 1) / 2;
    }
}

static void sink(struct packets *p)
{
    for (size_t i = 0;;) {
        size_t least = i;
        for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < p->count; child++) {
            least = before(p->at[child], p->at[least]) ? child : least;
        }
        if (least == i) {
            return;
        }
        swap(p, i, least);
        i = least;
    }
}

uint64_t packets_next_us(const struct packets *p)
{
    return p->count > 0 ? p->at[0]->due_us : UINT64_MAX;
}

struct packet *packets_take(struct packets *p, uint64_t now_us)
{
    struct packet *first;

    if (packets_next_us(p) > now_us) {
        return NULL;
    }
    first = p->at[0];
    p->at[0] = p->at[--p->count];
    sink(p);
    return first;
}

void packets_close(struct packets *p)
{
    struct packet *packet;

    while ((packet = packets_take(p, UINT64_MAX - 1)) != NULL) {
        free(packet);
    }
    free(p->at);
    *p = (struct packets){.count = 0};
}
