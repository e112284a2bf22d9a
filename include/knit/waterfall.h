/* Steps one after the other, each with the value the former left.
 *
 *     struct order order = {.id = 7};
 *     const knit_step steps[] = {{load, NULL}, {price, &rates}, {print, stdout}};
 *     int r = knit_waterfall(steps, 3, &order); */
#ifndef KNIT_WATERFALL_H
#define KNIT_WATERFALL_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A step: value is what all steps share and change in turn. 0 is success, anything else failure. */
typedef int knit_step_fn(void *arg, void *value);

typedef struct knit_step {
    knit_step_fn *fn;
    void *arg; /* of this step alone */
} knit_step;

/* Call the steps in their order, each with its own arg and the same value, until one does not return
 * 0, and return what that one returned; 0 when all succeeded. No steps: 0, and value is untouched.
 *
 * The steps run in the caller, so their knit_error texts are the caller's, and what they wrote is
 * there when it returns, up to the step that failed.
 *
 * Parks:    as the steps do.
 * Cancel:   -ECANCELED or -ETIMEDOUT when the ambient context has ended before a step: it and those
 *           after it are not called. (During a step: as the step's own calls do.)
 * Errors:   what a step returned; -EINVAL (steps NULL with n > 0, a function NULL: then no step was
 *           called); -ECANCELED, -ETIMEDOUT.
 * Pointers: steps borrowed; value and each arg handed to the steps.
 * Threads:  any task, any thread. */
KNIT_API int knit_waterfall(const knit_step *steps, size_t n, void *value);

#ifdef __cplusplus
}
#endif
#endif
