/* Values of options, and lists that may be long. */
#ifndef EXAMPLES_OPTIONS_H
#define EXAMPLES_OPTIONS_H

#include <knit.h>
#include <stdbool.h>

/* false after a message that names the option. */
bool option_number(const char *program, const char *option, const char *text, int least, int most,
                   int *ret_number);
bool option_seconds(const char *program, const char *option, const char *text,
                    knit_duration *ret_duration);

/* Strings, all owned. */
struct strings {
    char **at;
    size_t n;
};

int strings_add(struct strings *s, const char *text); /* 0 or -ENOMEM */
void strings_fini(struct strings *s);

/* Add the lines of a file ("-": standard input) but for empty ones and comments (#). false after a
 * message. */
bool strings_read(const char *program, struct strings *s, const char *path);

#endif
