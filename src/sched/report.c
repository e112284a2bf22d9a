/* The parked tasks, on stderr: for a process that ends because nothing can run any more. Nothing
 * runs beside it, so no lock is taken. */
#include "report.h"

#include "park.h"

#include <stdio.h>

static void report_task(struct knit__stack *s, void *unused)
{
    const struct knit__task *t = (void *)s;
    uint32_t state = atomic_load_explicit(&t->wait, memory_order_acquire) & KNIT__WAIT_STATE;
    const struct knit__run *run = t->run;
    const knit_site *site;

    (void)unused;
    if (state != KNIT__WAIT_PARKED || !run)
        return;
    site = run->rec.site;
    fprintf(stderr, "knit:   task %s", knit__run_name(run));
    if (site)
        fprintf(stderr, ", started at %s:%d", site->file, site->line);
    fputs(", is parked\n", stderr);
}

void knit__report_parked(void)
{
    knit__stacks_each(report_task, NULL);
}
