/* list: an intrusive doubly linked list. The link lives in the object; the list owns nothing. */
#ifndef QUORATE_BASE_LIST_H
#define QUORATE_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/object.h"

struct list {
    struct list *next, *prev;
};

static inline void list_init(struct list *l)
{
    l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
    return l->next == l;
}

static inline void list_push(struct list *l, struct list *item)
{
    item->prev = l->prev;
    item->next = l;
    l->prev->next = item;
    l->prev = item;
}

/* ITEM is left as an empty list of its own, so removing it twice does no harm. */
static inline void list_remove(struct list *item)
{
    item->prev->next = item->next;
    item->next->prev = item->prev;
    list_init(item);
}

/* The first link, taken out; NULL when the list is empty. */
static inline struct list *list_pop(struct list *l)
{
    struct list *item = l->next;
    if (item == l) {
        return NULL;
    }
    list_remove(item);
    return item;
}

/* Moves all items of FROM, in order, into TO, which must be empty or uninitialised. FROM is then empty. */
static inline void list_take(struct list *to, struct list *from)
{
    list_init(to);
    if (!list_empty(from)) {
        *to = *from;
        to->next->prev = to;
        to->prev->next = to;
        list_init(from);
    }
}

#define LIST_EACH(head, item) for (struct list *item = (head)->next; item != (head); item = item->next)

/* As LIST_EACH, but ITEM may be removed in the body. */
#define LIST_EACH_SAFE(head, item)                                                                           \
    for (struct list *item = (head)->next, *item##_next = item->next; item != (head);                        \
         item = item##_next, item##_next = item->next)

#endif
