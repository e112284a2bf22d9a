/* Result codes to text, without locale and without a buffer. */
#define _GNU_SOURCE
#include <knit/base.h>
#include <string.h>

const char *knit_strerror(int code)
{
    const char *text = NULL;

    if (code == 0)
        return "success";
    if (code > INT32_MIN)
        text = strerrordesc_np(code < 0 ? -code : code);
    if (code == -ECANCELED || code == ECANCELED)
        text = "canceled";
    return text ? text : "unknown error";
}
