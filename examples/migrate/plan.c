/* The migrations of a directory: NUMBER_NAME.sql. */
#define _GNU_SOURCE
#include "migrate.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* 64-bit FNV-1a (Fowler, Noll, Vo). It finds edits, not forgeries. */
static void checksum(char text[CHECKSUM_TEXT], const char *data, size_t n)
{
    uint64_t hash = 0xcbf29ce484222325;
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ (unsigned char)data[i]) * 0x100000001b3;
    snprintf(text, CHECKSUM_TEXT, "%016" PRIx64, hash);
}

/* NUMBER_NAME.sql, of characters that need no quotes in SQL. */
static bool name_parse(const char *name, int64_t *ret_version)
{
    enum { DIGITS = 18 };
    size_t digits = strspn(name, "0123456789");
    const char *rest = name + digits;
    if (digits == 0 || digits > DIGITS || *rest != '_')
        return false;
    if (strspn(rest, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") !=
        strlen(rest))
        return false;
    *ret_version = strtoll(name, NULL, 10);
    return true;
}

static int is_sql(const struct dirent *e)
{
    size_t n = strlen(e->d_name);
    return n > 4 && strcmp(e->d_name + n - 4, ".sql") == 0;
}

/* The content of a text file. */
static int text_read(const char *path, char **ret_text, size_t *ret_n)
{
    FILE *f = fopen(path, "re");
    if (!f)
        return -errno;
    char *text = NULL;
    size_t room = 0;
    ssize_t n = getdelim(&text, &room, 0, f); /* up to a NUL byte, which no SQL has */
    int r = ferror(f) ? -errno : n > 0 && !text[n - 1] ? -EILSEQ : 0;
    fclose(f);
    if (r == 0 && n < 0) { /* an empty file */
        free(text);
        text = strdup("");
        n = 0;
    }
    if (!text)
        r = -ENOMEM;
    if (r < 0) {
        free(text);
        return r;
    }
    *ret_text = text;
    *ret_n = (size_t)n;
    return 0;
}

static int migration_read(struct migration *m, const char *directory, const char *name)
{
    if (!name_parse(name, &m->version)) {
        fprintf(stderr, "migrate: %s/%s: the name is not NUMBER_NAME.sql\n", directory, name);
        return -1;
    }
    char *path = NULL;
    size_t n = 0;
    int r = -ENOMEM;
    m->name = strdup(name);
    if (m->name && asprintf(&path, "%s/%s", directory, name) >= 0)
        r = text_read(path, &m->sql, &n);
    free(path);
    if (r < 0) {
        fprintf(stderr, "migrate: read %s/%s: %s\n", directory, name, knit_strerror(r));
        return -1;
    }
    checksum(m->checksum, m->sql, n);
    return 0;
}

static int compare(const void *left, const void *right)
{
    const struct migration *a = left, *b = right;
    return (a->version > b->version) - (a->version < b->version);
}

static int plan_sort(struct plan *p)
{
    qsort(p->at, p->n, sizeof *p->at, compare);
    for (size_t i = 1; i < p->n; i++) {
        if (p->at[i].version == p->at[i - 1].version) {
            fprintf(stderr, "migrate: %s and %s have the same number\n", p->at[i - 1].name,
                    p->at[i].name);
            return -1;
        }
    }
    return 0;
}

int plan_read(struct plan *p, const char *directory)
{
    struct dirent **entries;
    int n = scandir(directory, &entries, is_sql, alphasort);
    if (n < 0) {
        fprintf(stderr, "migrate: read %s: %s\n", directory, strerror(errno));
        return -1;
    }
    int r = 0;
    *p = (struct plan){.at = calloc((size_t)n + 1, sizeof *p->at)};
    if (!p->at) {
        fprintf(stderr, "migrate: %s\n", knit_strerror(-ENOMEM));
        r = -1;
    }
    for (int i = 0; i < n; i++) {
        if (r == 0)
            r = migration_read(&p->at[p->n++], directory, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    return r < 0 ? r : plan_sort(p);
}

void plan_fini(struct plan *p)
{
    for (size_t i = 0; i < p->n; i++) {
        free(p->at[i].name);
        free(p->at[i].sql);
    }
    free(p->at);
}
