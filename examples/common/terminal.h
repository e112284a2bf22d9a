/* What a program shows while it works, and what it must not show where nobody looks. */
#ifndef EXAMPLES_TERMINAL_H
#define EXAMPLES_TERMINAL_H

#include <stdbool.h>

/* Standard error is a terminal that understands escape sequences: a line may be drawn over. */
bool terminal_is_live(void);
bool terminal_has_colour(void); /* unless NO_COLOR says no: https://no-color.org */
int terminal_width(void);       /* in columns */

/* Without a buffer; a lost picture is no error. */
void terminal_write(const char *text);

/* "56.7 MB" into text. */
enum { SIZE_TEXT = 32 };
const char *size_format(char text[SIZE_TEXT], double bytes);

#endif
