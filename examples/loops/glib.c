/* Knit in a GLib program (GTK is one): a source for the loop's descriptor. */
#include "slices.h"

#include <glib-unix.h>
#include <glib.h>
#include <stdio.h>

static gboolean readable(gint fd, GIOCondition condition, gpointer loop)
{
    (void)fd;
    (void)condition;
    knit_loop_dispatch(loop);
    return G_SOURCE_CONTINUE;
}

static GMainLoop *main_loop;

static void quit(struct count *count)
{
    (void)count;
    g_main_loop_quit(main_loop);
}

int main(void)
{
    struct count count;
    knit_loop *loop;
    int r = knit_loop_new(&loop);
    if (r != 0) {
        fprintf(stderr, "no loop: %s\n", knit_strerror(r));
        return 1;
    }
    main_loop = g_main_loop_new(NULL, FALSE);
    guint source = g_unix_fd_add(knit_loop_fd(loop), G_IO_IN, readable, loop);
    r = count_begin(&count, loop, quit);
    if (r == 0)
        g_main_loop_run(main_loop);
    g_source_remove(source);
    g_main_loop_unref(main_loop);
    knit_loop_free(loop);
    if (r != 0) {
        fprintf(stderr, "glib: %s\n", knit_strerror(r));
        return 1;
    }
    return count_report(&count);
}
