/* Intrusive doubly linked lists with a head in the list itself (a ring). A node that is in no list
 * is linked to itself, so removing it again does no harm. The caller locks. */
#ifndef KNIT_BASE_LIST_H
#define KNIT_BASE_LIST_H

#include <stdbool.h>

struct knit__list {
    struct knit__list *next;
    struct knit__list *prev;
};

static inline void knit__list_init(struct knit__list *l)
{
    l->next = l;
    l->prev = l;
}

static inline bool knit__list_empty(const struct knit__list *l)
{
    return l->next == l;
}

static inline void knit__list_append(struct knit__list *head, struct knit__list *node)
{
    node->next = head;
    node->prev = head->prev;
    head->prev->next = node;
    head->prev = node;
}

static inline void knit__list_remove(struct knit__list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    knit__list_init(node);
}

#endif
