/* knit_strerror: a text for every number, never NULL, always the same. */
#include "knittest.h"

#include <limits.h>
#include <string.h>

static void the_sign_does_not_matter(void)
{
    for (int code = 1; code < 200; code++)
        CHECK_INT(strcmp(knit_strerror(code), knit_strerror(-code)), 0);
    CHECK_HAS(knit_strerror(-ENOENT), "No such file");
    CHECK_HAS(knit_strerror(-ENOMEM), "memory");
}

static void our_own_words_for_our_own_ends(void)
{
    CHECK_INT(strcmp(knit_strerror(0), "success"), 0);
    CHECK_INT(strcmp(knit_strerror(-ECANCELED), "canceled"), 0);
    CHECK_INT(strcmp(knit_strerror(ECANCELED), "canceled"), 0);
}

static void an_unknown_number_is_an_unknown_error(void)
{
    static const int numbers[] = {4000, -4000, INT_MAX, -INT_MAX, INT_MIN};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        CHECK_INT(strcmp(knit_strerror(numbers[i]), "unknown error"), 0);
}

static void errno_is_left_alone(void)
{
    errno = EXDEV;
    (void)knit_strerror(-EIO);
    (void)knit_strerror(4000);
    CHECK_INT(errno, EXDEV);
}

static const knittest tests[] = {
    COLD(the_sign_does_not_matter),
    COLD(our_own_words_for_our_own_ends),
    COLD(an_unknown_number_is_an_unknown_error),
    COLD(errno_is_left_alone),
};
KNITTEST_MAIN(tests)
