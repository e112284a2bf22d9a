/* Steps one after the other. Tasks would add nothing: only one of them could run at a time. */
#include "../sync/ctx.h"

#include <errno.h>
#include <knit/waterfall.h>

int knit_waterfall(const knit_step *steps, size_t n, void *value)
{
    int r = 0;

    if (!steps && n > 0)
        return -EINVAL;
    for (size_t i = 0; i < n; i++) {
        if (!steps[i].fn)
            return -EINVAL;
    }
    for (size_t i = 0; i < n && r == 0; i++) {
        r = knit_ctx_err(knit_ctx_current());
        if (r == 0)
            r = steps[i].fn(steps[i].arg, value);
    }
    return r;
}
