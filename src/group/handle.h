/* Handles: what a task that has one does at its end. */
#ifndef KNIT_GROUP_HANDLE_H
#define KNIT_GROUP_HANDLE_H

#include "group.h"

#include <knit/handle.h>

/* With KNIT__REC_HANDLE, rec.arg is the handle. */

/* A handle under which fn(arg) is to run; NULL: no memory. And its start. */
knit_task *knit__handle_new(knit_fn *fn, void *arg);
int knit__handle_start(struct knit__group *g, knit_task *task, knit_task **ret_task,
                       const knit_site *site, uint32_t rec_flags);
/* What the handle's function is called with. */
void *knit__handle_arg(const knit_task *task);
/* The result says no more than that the task itself was cancelled. */
bool knit__handle_echo(const struct knit__run *run, int r);
/* The task has ended (skipped: it never ran): drops the record's reference. */
void knit__handle_ended(const struct knit__rec *rec, int r, bool skipped);

#endif
