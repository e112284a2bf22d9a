/* Dialling inside: the race between addresses, and their order. */
#include "io/net.h"

#include "sockets.h"

#include <errno.h>

enum { LONG = 3600 }; /* s: a race that waits so long for its next attempt does not end in time */

static knit_address address_of(int fd)
{
    knit_address a;
    CHECK_INT(knit_local_address(fd, &a), 0);
    return a;
}

static knit_address missing_path(void)
{
    knit_address a;
    CHECK_INT(knit__address_unix("/no-such-folder/socket", &a), 0);
    return a;
}

/* fd is connected to `to`. */
static void check_connected(int fd, const knit_address *to)
{
    knit_address peer;
    CHECK(fd >= 0);
    CHECK_INT(knit_peer_address(fd, &peer), 0);
    CHECK_INT(knit_address_port(&peer), knit_address_port(to));
    CHECK_INT(knit_close(fd), 0);
}

static void the_first_that_answers_wins(void)
{
    char text[KNIT_ADDRESS_TEXT];
    int listener = listen_here("tcp", text), index;
    deaf d = deaf_new("tcp");
    for (int place = 0; place < 3; place++) {
        knit_address list[3] = {d.at, d.at, d.at};
        list[place] = address_of(listener);
        check_connected(knit__race(list, 3, SOCK_STREAM, KNIT_MILLISECOND, KNIT_FOREVER, &index),
                        &list[place]);
    }
    deaf_free(&d);
    CHECK_INT(knit_close(listener), 0);
}

static void a_failure_starts_the_next_attempt_at_once(void)
{
    char text[KNIT_ADDRESS_TEXT];
    int listener = listen_here("tcp", text), index;
    knit_address list[20];
    int port = closed_port(&list[0]);
    for (int i = 1; i < 19; i++)
        list[i] = i % 2 ? missing_path() : list[0];
    list[19] = address_of(listener);
    check_connected(knit__race(list, 20, SOCK_STREAM, LONG * KNIT_SECOND, KNIT_FOREVER, &index),
                    &list[19]);
    CHECK_INT(knit_close(listener) | knit_close(port), 0);
}

static void the_first_failure_is_told_when_all_fail(void)
{
    knit_address list[3];
    int port = closed_port(&list[0]), index;
    list[1] = list[2] = missing_path();
    CHECK_INT(knit__race(list, 3, SOCK_STREAM, LONG * KNIT_SECOND, KNIT_FOREVER, &index),
              -ECONNREFUSED);
    CHECK_INT(index, 0);
    list[1] = list[0];
    list[0] = missing_path();
    CHECK_INT(knit__race(list, 3, SOCK_STREAM, LONG * KNIT_SECOND, KNIT_FOREVER, &index), -ENOENT);
    CHECK_INT(index, 0);
    CHECK_INT(knit__race(list, 1, SOCK_STREAM, LONG * KNIT_SECOND, KNIT_FOREVER, &index), -ENOENT);
    CHECK_INT(index, 0);
    CHECK_INT(knit_close(port), 0);
}

static void a_race_nobody_answers_ends_with_the_deadline(void)
{
    deaf d = deaf_new("tcp");
    knit_address list[2] = {d.at, d.at};
    int index;
    for (int n = 1; n <= 2; n++) {
        knit_time deadline = knit_now() + 3 * KNIT_MILLISECOND;
        CHECK_INT(knit__race(list, n, SOCK_STREAM, KNIT_MILLISECOND, deadline, &index), -ETIMEDOUT);
    }
    CHECK_INT(index, -1);
    deaf_free(&d);
}

static int race_for_ever(void *arg)
{
    deaf *d = arg;
    knit_address list[3] = {d->at, d->at, d->at};
    int index, r = knit__race(list, 3, SOCK_STREAM, KNIT_MILLISECOND, KNIT_FOREVER, &index);
    CHECK(r < 0);
    return r;
}

static void a_race_ends_with_the_context(void)
{
    deaf d = deaf_new("tcp");
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, &(knit_errgroup_options){.timeout = 3 * KNIT_MILLISECOND}), 0);
    CHECK_INT(knit_errgroup_go(&g, race_for_ever, &d), 0);
    CHECK_INT(knit_errgroup_wait(&g), -ETIMEDOUT);
    CHECK_INT(knit_errgroup_close(&g), -ETIMEDOUT);
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    CHECK_INT(knit_errgroup_go(&g, race_for_ever, &d), 0);
    CHECK_INT(knit_sleep(2 * KNIT_MILLISECOND), 0); /* some of the attempts have begun */
    knit_errgroup_cancel(&g, 0);
    CHECK_INT(knit_errgroup_close(&g), -ECANCELED);
    deaf_free(&d);
}

/* ---- order ---- */

/* Letters for addresses: lower case is one family, upper case the other. */
static void interleave(const char *from, const char *want)
{
    knit_address list[8] = {{.size = 0}};
    char got[9] = "";
    int n = (int)strlen(from);
    kt_note(from);
    for (int i = 0; i < n; i++) {
        list[i].size = (socklen_t)from[i];
        list[i].data.ss_family = from[i] >= 'a' ? AF_INET : AF_INET6;
    }
    knit__interleave(list, n);
    for (int i = 0; i < n; i++)
        got[i] = (char)list[i].size;
    CHECK_HAS(got, want);
}

static void families_take_turns(void)
{
    interleave("", "");
    interleave("a", "a");
    interleave("abc", "abc");
    interleave("aB", "aB");
    interleave("abAB", "aAbB");
    interleave("ABab", "AaBb");
    interleave("ABCDab", "AaBbCD");
    interleave("aABCD", "aABCD");
    interleave("abcdA", "aAbcd");
}

static const knittest tests[] = {
    BOTH(the_first_that_answers_wins),
    BOTH(a_failure_starts_the_next_attempt_at_once),
    BOTH(the_first_failure_is_told_when_all_fail),
    BOTH(a_race_nobody_answers_ends_with_the_deadline),
    BOTH(a_race_ends_with_the_context),
    THREAD(families_take_turns),
};

KNITTEST_MAIN(tests)
