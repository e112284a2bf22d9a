/* The walk: directory trees to numbered jobs, names sorted in each directory.
 *
 * Like `find -type f`: regular files only, symbolic links are neither listed nor followed. What is
 * named on the command line is followed. The open directories of a path are kept as lists of names,
 * not as descriptors, on a stack of our own: a tree may be deeper than a task's stack. */
#define _GNU_SOURCE
#include "digest.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <knit/errno.h> /* last: a task may go on on another thread after a send */

struct entry {
    char *name;
    bool is_dir;
};

struct listing {
    struct listing *parent;
    char *path;
    struct entry *entries;
    size_t n_entries, capacity;
    size_t next;
};

struct walk {
    struct pipeline *p;
    uint64_t next_number;
    struct listing *top;
};

/* Send one job to the hash tasks; takes over `path`. With code < 0 it carries an error to where it
 * is reported: there is one place for errors, and it knows about --keep-going. */
static int walk_send(struct walk *w, char *path, bool follow, int code, const char *doing)
{
    struct job *job;
    int r = knit_chan_recv(w->p->unused, &job);
    if (r < 0) {
        free(path);
        return r;
    }
    job->number = w->next_number++;
    job->path = path;
    job->follow = follow;
    job->code = code;
    job->doing = doing;
    return knit_chan_send(w->p->work, &job);
}

/* The end marker overtakes the hash tasks, but not the order: it has the last number. */
static int walk_send_end(struct walk *w)
{
    struct job *job;
    int r = knit_chan_recv(w->p->unused, &job);
    if (r < 0)
        return r;
    job->number = w->next_number++;
    job->path = NULL;
    r = knit_chan_send(w->p->done, &job);
    if (r < 0)
        return r;
    return knit_chan_close(w->p->work);
}

static char *path_join(const char *dir, const char *name)
{
    size_t dir_len = strlen(dir), name_len = strlen(name);
    char *path = malloc(dir_len + name_len + 2);
    if (!path)
        return NULL;
    memcpy(path, dir, dir_len);
    if (dir_len > 0 && dir[dir_len - 1] != '/')
        path[dir_len++] = '/';
    memcpy(path + dir_len, name, name_len + 1);
    return path;
}

static void listing_free(struct listing *l)
{
    if (!l)
        return;
    for (size_t i = 0; i < l->n_entries; i++)
        free(l->entries[i].name);
    free(l->entries);
    free(l->path);
    free(l);
}

static int listing_add(struct listing *l, const char *name, bool is_dir)
{
    if (l->n_entries == l->capacity) {
        size_t capacity = l->capacity ? l->capacity * 2 : 16;
        struct entry *entries = reallocarray(l->entries, capacity, sizeof *entries);
        if (!entries)
            return -ENOMEM;
        l->entries = entries;
        l->capacity = capacity;
    }
    char *copy = strdup(name);
    if (!copy)
        return -ENOMEM;
    l->entries[l->n_entries++] = (struct entry){.name = copy, .is_dir = is_dir};
    return 0;
}

/* The type of an entry, DT_UNKNOWN when it has gone meanwhile. */
static unsigned char entry_type(DIR *dir, const struct dirent *e)
{
    struct stat st;
    if (e->d_type != DT_UNKNOWN)
        return e->d_type;
    if (fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return DT_UNKNOWN;
    return (unsigned char)IFTODT(st.st_mode);
}

static int entry_compare(const void *left, const void *right)
{
    const struct entry *a = left, *b = right;
    return strcmp(a->name, b->name);
}

static int listing_read(struct listing *l, DIR *dir)
{
    for (;;) {
        errno = 0;
        const struct dirent *e = readdir(dir);
        if (!e)
            return -errno; /* 0 at the end */
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        unsigned char type = entry_type(dir, e);
        if (type != DT_DIR && type != DT_REG)
            continue;
        int r = listing_add(l, e->d_name, type == DT_DIR);
        if (r < 0)
            return r;
    }
}

/* Read and sort a directory. Takes over path on success. */
static int listing_new(char *path, bool follow, struct listing **ret_listing)
{
    int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW);
    int fd = open(path, flags);
    if (fd < 0)
        return -errno;

    DIR *dir = fdopendir(fd);
    if (!dir) {
        int r = -errno;
        close(fd);
        return r;
    }
    int r = -ENOMEM;
    struct listing *l = calloc(1, sizeof *l);
    if (l)
        r = listing_read(l, dir);
    closedir(dir);
    if (r < 0) {
        listing_free(l);
        return r;
    }
    if (l->n_entries > 1)
        qsort(l->entries, l->n_entries, sizeof *l->entries, entry_compare);
    l->path = path;
    *ret_listing = l;
    return 0;
}

/* Go down into a directory; takes over `path`. One that cannot be read is one more failed job. */
static int walk_push(struct walk *w, char *path, bool follow)
{
    struct listing *l = NULL;
    int r = listing_new(path, follow, &l);
    if (r == -ENOMEM) {
        free(path);
        return r;
    }
    if (r < 0)
        return walk_send(w, path, follow, r, "read directory");
    l->parent = w->top;
    w->top = l;
    return 0;
}

static void walk_pop(struct walk *w)
{
    struct listing *l = w->top;
    w->top = l->parent;
    listing_free(l);
}

static int walk_tree(struct walk *w, char *path)
{
    int r = walk_push(w, path, true);
    while (r == 0 && w->top) {
        struct listing *l = w->top;
        if (l->next == l->n_entries) {
            walk_pop(w);
            continue;
        }
        const struct entry *e = &l->entries[l->next++];
        char *child = path_join(l->path, e->name);
        if (!child)
            r = -ENOMEM;
        else if (e->is_dir)
            r = walk_push(w, child, false);
        else
            r = walk_send(w, child, false, 0, NULL);
    }
    while (w->top)
        walk_pop(w);
    return r;
}

static int walk_root(struct walk *w, const char *root)
{
    char *path = strdup(root);
    if (!path)
        return -ENOMEM;
    struct stat st;
    if (stat(path, &st) < 0)
        return walk_send(w, path, true, -errno, "open");
    if (S_ISDIR(st.st_mode))
        return walk_tree(w, path);
    return walk_send(w, path, true, 0, NULL); /* what is no regular file fails at its open */
}

int walk_roots(void *arg)
{
    struct pipeline *p = arg;
    struct walk w = {.p = p};
    int r = 0;
    for (char **root = p->roots; *root && r == 0; root++)
        r = walk_root(&w, *root);
    if (r == 0)
        r = walk_send_end(&w);
    if (r < 0 && r != -ECANCELED)
        return pipeline_abort(p, knit_error(r, "walk"));
    return r;
}
