#include "json.h"

#include <errno.h>
#include <string.h>

/* How many bytes the UTF-8 sequence at p has (RFC 3629, section 4); 0: it is none. */
static int utf8_length(const unsigned char *p)
{
    unsigned char least = 0x80, most = 0xbf;
    int n;
    if (p[0] < 0x80)
        return 1;
    if (p[0] >= 0xc2 && p[0] <= 0xdf)
        n = 2;
    else if (p[0] >= 0xe0 && p[0] <= 0xef)
        n = 3;
    else if (p[0] >= 0xf0 && p[0] <= 0xf4)
        n = 4;
    else
        return 0;
    if (p[0] == 0xe0)
        least = 0xa0; /* shorter forms would do */
    if (p[0] == 0xed)
        most = 0x9f; /* surrogates */
    if (p[0] == 0xf0)
        least = 0x90;
    if (p[0] == 0xf4)
        most = 0x8f; /* above U+10FFFF */
    if (p[1] < least || p[1] > most)
        return 0;
    for (int i = 2; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    }
    return n;
}

void json_string(FILE *f, const char *text)
{
    if (!text) {
        fputs("null", f);
        return;
    }
    putc('"', f);
    for (const unsigned char *p = (const unsigned char *)text; *p;) {
        int n = utf8_length(p);
        if (n == 0)
            fputs("\\ufffd", f);
        else if (*p == '"' || *p == '\\')
            fprintf(f, "\\%c", *p);
        else if (*p < 0x20)
            fprintf(f, "\\u%04x", *p);
        else
            fwrite(p, 1, (size_t)n, f);
        p += n ? n : 1;
    }
    putc('"', f);
}

FILE *json_open(const char *program, const char *path)
{
    FILE *f = strcmp(path, "-") == 0 ? stdout : fopen(path, "we");
    if (!f)
        fprintf(stderr, "%s: open %s: %s\n", program, path, strerror(errno));
    return f;
}

int json_close(const char *program, const char *path, FILE *f)
{
    int failed = ferror(f) ? EIO : 0;
    if (fclose(f) != 0 && !failed)
        failed = errno;
    if (!failed)
        return 0;
    fprintf(stderr, "%s: write %s: %s\n", program, path, strerror(failed));
    return -1;
}
