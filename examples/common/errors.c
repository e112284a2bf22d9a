#include "errors.h"

#include <stdio.h>
#include <stdlib.h>

void errors_print(const char *program, const knit_errgroup *group, int r, bool keep_going)
{
    int length = knit_errgroup_format(group, NULL, 0);
    char *text = length > 0 ? malloc((size_t)length + 1) : NULL;
    if (!text) {
        fprintf(stderr, "%s: %s\n", program, knit_strerror(r));
        return;
    }
    knit_errgroup_format(group, text, (size_t)length + 1);
    fprintf(stderr, "%s: %s\n%s", program,
            keep_going ? "errors:" : "stopped at the first error:", text);
    free(text);

    knit_errgroup_counts counts;
    if (knit_errgroup_stats(group, &counts) == 0 && counts.failed > KEEP_ERRORS)
        fprintf(stderr, "and %zu more\n", counts.failed - KEEP_ERRORS);
}
