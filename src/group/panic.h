/* Panics in a group. */
#ifndef KNIT_GROUP_PANIC_H
#define KNIT_GROUP_PANIC_H

#include "group.h"

/* The calling waiter of g, which raises panics again, goes on with one if there was any. */
void knit__panic_again(const struct knit__group *g);

#endif
