/* JSON, written by hand: the caller writes the punctuation, these the strings. */
#ifndef EXAMPLES_JSON_H
#define EXAMPLES_JSON_H

#include <stdio.h>

/* The text in quotes, escaped; null for NULL. Bytes that are no UTF-8 become U+FFFD. */
void json_string(FILE *f, const char *text);

/* The file a report goes to: standard output for "-". NULL after a message. Open it before the work
 * begins: a report that cannot be written should be known before, not after it. */
FILE *json_open(const char *program, const char *path);

/* 0, or -1 after a message when not all of it could be written. */
int json_close(const char *program, const char *path, FILE *f);

#endif
