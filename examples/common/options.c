#define _GNU_SOURCE
#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool option_number(const char *program, const char *option, const char *text, int least, int most,
                   int *ret_number)
{
    char *end;
    errno = 0;
    long n = strtol(text, &end, 10);
    if (*end || end == text || errno || n < least || n > most) {
        fprintf(stderr, "%s: %s takes a number from %d to %d\n", program, option, least, most);
        return false;
    }
    *ret_number = (int)n;
    return true;
}

bool option_seconds(const char *program, const char *option, const char *text,
                    knit_duration *ret_duration)
{
    enum { MOST = 1000000 };
    char *end;
    double seconds = strtod(text, &end);
    if (*end || end == text || !(seconds >= 0 && seconds <= MOST)) {
        fprintf(stderr, "%s: %s takes seconds, from 0 to %d\n", program, option, MOST);
        return false;
    }
    *ret_duration = (knit_duration)(seconds * (double)KNIT_SECOND);
    return true;
}

int strings_add(struct strings *s, const char *text)
{
    if ((s->n & (s->n - 1)) == 0) { /* full: the room is always a power of two */
        char **at = reallocarray(s->at, s->n ? s->n * 2 : 1, sizeof *at);
        if (!at)
            return -ENOMEM;
        s->at = at;
    }
    char *copy = strdup(text);
    if (!copy)
        return -ENOMEM;
    s->at[s->n++] = copy;
    return 0;
}

void strings_fini(struct strings *s)
{
    for (size_t i = 0; i < s->n; i++)
        free(s->at[i]);
    free(s->at);
    *s = (struct strings){0};
}

/* 0 or a negative errno. */
static int lines_add(struct strings *s, FILE *f)
{
    char *line = NULL;
    size_t room = 0;
    int r = 0;
    for (ssize_t n; r == 0 && (n = getline(&line, &room, f)) >= 0;) {
        while (n > 0 && strchr(" \t\r\n", line[n - 1]))
            line[--n] = 0;
        const char *text = line + strspn(line, " \t");
        if (*text && *text != '#')
            r = strings_add(s, text);
    }
    if (r == 0 && ferror(f))
        r = -errno;
    free(line);
    return r;
}

bool strings_read(const char *program, struct strings *s, const char *path)
{
    bool standard = strcmp(path, "-") == 0;
    FILE *f = standard ? stdin : fopen(path, "re");
    int r = f ? lines_add(s, f) : -errno;
    if (f && !standard)
        fclose(f);
    if (r < 0)
        fprintf(stderr, "%s: read %s: %s\n", program, path, knit_strerror(r));
    return r == 0;
}
