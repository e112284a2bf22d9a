/* Addresses as text, what they resolve to, and what is refused. */
#include "sockets.h"

#include <errno.h>

/* The texts of what an address resolves to, with spaces between. */
static int resolve_to(const char *network, const char *address, char *ret_text, size_t room)
{
    knit_address *list;
    int n = knit_resolve(network, address, &list);
    ret_text[0] = 0;
    for (int i = 0; i < n; i++) {
        char one[KNIT_ADDRESS_TEXT];
        size_t at = strlen(ret_text);
        CHECK_INT(knit_address_text(&list[i], one), 0);
        snprintf(ret_text + at, room - at, "%s%s", i ? " " : "", one);
    }
    if (n >= 0)
        knit_addresses_free(list);
    return n;
}

static void literal_addresses_are_read_as_they_stand(void)
{
    static const struct {
        const char *network, *address, *want;
    } cases[] = {
        {"tcp", "127.0.0.1:80", "127.0.0.1:80"},
        {"udp4", "1.2.3.4:0", "1.2.3.4:0"},
        {"tcp", "[::1]:65535", "[::1]:65535"},
        {"udp6", "[2001:db8::7]:53", "[2001:db8::7]:53"},
        {"tcp6", "[::ffff:1.2.3.4]:1", "[::ffff:1.2.3.4]:1"},
        {"tcp", "[fe80::1%1]:9", "[fe80::1%lo]:9"},
        {"tcp", "[fe80::1%lo]:9", "[fe80::1%lo]:9"},
        {"tcp", ":80", "127.0.0.1:80 [::1]:80"},
        {"udp4", ":80", "127.0.0.1:80"},
        {"tcp6", ":80", "[::1]:80"},
        {"unix", "/a/b", "/a/b"},
        {"unix", "relative", "relative"},
        {"unix", "@name", "@name"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[300];
        kt_note(cases[i].address);
        CHECK(resolve_to(cases[i].network, cases[i].address, text, sizeof text) >= 1);
        CHECK_HAS(text, cases[i].want);
        CHECK_HAS(cases[i].want, text);
    }
}

static void what_cannot_be_understood_is_refused(void)
{
    static const char *const bad[][2] = {
        {"tcp", ""},
        {"tcp", "127.0.0.1"},
        {"tcp", "127.0.0.1:"},
        {"tcp", "::1"},
        {"tcp", "::1:80"},
        {"tcp", "[::1]"},
        {"tcp", "[::1]80"},
        {"tcp", "[::1"},
        {"tcp", "[1.2.3.4]:1"},
        {"tcp", "[]:80"},
        {"tcp", "[host]:80"},
        {"tcp4", "[::1]:80"},
        {"tcp6", "1.2.3.4:80"},
        {"tcp5", ":80"},
        {"", ":80"},
        {"unix", ""},
        {"unix", "@"},
        {"tcp", "[fe80::1%no-such-thing]:9"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        knit_address *list = NULL;
        kt_note(bad[i][1]);
        CHECK_INT(knit_resolve(bad[i][0], bad[i][1], &list), -EINVAL);
        CHECK(!list);
        CHECK_INT(knit_dial(bad[i][0], bad[i][1]), -EINVAL);
        CHECK_INT(knit_listen(bad[i][0], bad[i][1]), -EINVAL);
    }
}

static void pointers_that_are_missing_are_refused(void)
{
    char text[KNIT_ADDRESS_TEXT];
    knit_address a = {.size = 0}, *list;
    CHECK_INT(knit_resolve(NULL, ":80", &list), -EINVAL);
    CHECK_INT(knit_resolve("tcp", NULL, &list), -EINVAL);
    CHECK_INT(knit_resolve("tcp", ":80", NULL), -EINVAL);
    CHECK_INT(knit_dial(NULL, ":80"), -EINVAL);
    CHECK_INT(knit_dial("tcp", NULL), -EINVAL);
    CHECK_INT(knit_listen(NULL, ":0"), -EINVAL);
    CHECK_INT(knit_listen("unix", NULL), -EINVAL);
    CHECK_INT(knit_connect(0, NULL), -EINVAL);
    CHECK_INT(knit_local_address(0, NULL), -EINVAL);
    CHECK_INT(knit_peer_address(0, NULL), -EINVAL);
    CHECK_INT(knit_address_text(NULL, text), -EINVAL);
    CHECK_INT(knit_address_text(&a, NULL), -EINVAL);
    CHECK_INT(knit_address_port(NULL), -EINVAL);
    knit_addresses_free(NULL);
}

static void an_unknown_family_has_no_text(void)
{
    char text[KNIT_ADDRESS_TEXT] = "as before";
    knit_address a = {.size = 0}, *list;
    CHECK_INT(knit_address_text(&a, text), -EAFNOSUPPORT);
    CHECK_INT(knit_address_port(&a), -EAFNOSUPPORT);
    CHECK_INT(knit_resolve("unix", "/x", &list), 1);
    CHECK_INT(knit_address_port(list), -EAFNOSUPPORT);
    knit_addresses_free(list);
    CHECK_HAS(text, "as before");
}

static void a_path_may_be_as_long_as_the_system_has_room(void)
{
    char path[200], text[KNIT_ADDRESS_TEXT];
    knit_address *list;
    memset(path, 'x', sizeof path);
    path[107] = 0;
    CHECK_INT(knit_resolve("unix", path, &list), 1);
    CHECK_INT(knit_address_text(list, text), 0);
    CHECK(strcmp(text, path) == 0);
    knit_addresses_free(list);
    path[107] = 'x';
    path[108] = 0;
    CHECK_INT(knit_resolve("unix", path, &list), -ENAMETOOLONG);
    CHECK_INT(knit_listen("unix", path), -ENAMETOOLONG);
    CHECK_INT(knit_dial("unix", path), -ENAMETOOLONG);
}

static void a_name_is_looked_up(void)
{
    char text[300];
    int n = resolve_to("tcp4", "localhost:80", text, sizeof text);
    if (n == -ENOENT || n == -EAGAIN)
        kt_skip("localhost has no address here");
    CHECK(n >= 1);
    CHECK_HAS(text, "127.0.0.1:80");
}

/* The resolver would take what is left of it in 16 bits. */
static void a_number_that_is_no_port_is_refused(void)
{
    static const char *const texts[] = {"127.0.0.1:65536", ":65616",        "127.0.0.1:99999999999",
                                        "127.0.0.1:+80",   "127.0.0.1: 80", "localhost:65536"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        knit_address *list;
        kt_note(texts[i]);
        CHECK_INT(knit_resolve("tcp", texts[i], &list), -EINVAL);
        CHECK_INT(knit_listen("tcp", texts[i]), -EINVAL);
    }
    kt_note(NULL);
}

/* Not its name, so nobody outside is asked. */
static void an_unknown_service_is_refused(void)
{
    knit_address *list;
    CHECK_INT(knit_resolve("tcp", "127.0.0.1:no-such-service", &list), -EINVAL);
    CHECK_INT(knit_resolve("tcp", ":no-such-service", &list), -EINVAL);
}

/* ---- what the system refuses ---- */

static void a_listener_is_refused_for_these_reasons(void)
{
    char text[KNIT_ADDRESS_TEXT];
    int listener = listen_here("tcp", text);
    CHECK_INT(knit_listen("tcp", text), -EADDRINUSE);
    CHECK_INT(knit_listen("tcp", "203.0.113.1:0"), -EADDRNOTAVAIL);
    CHECK_INT(knit_listen("unix", "/no-such-folder/socket"), -ENOENT);
    CHECK_INT(knit_listen("unix", "/dev/null/socket"), -ENOTDIR);
    CHECK_INT(knit_close(listener), 0);
}

static void a_call_is_refused_for_these_reasons(void)
{
    char text[KNIT_ADDRESS_TEXT];
    knit_address closed;
    int port = closed_port(&closed), udp = listen_here("udp", text), fd, pipes[2];
    CHECK_INT(knit_address_text(&closed, text), 0);
    CHECK_INT(knit_dial("tcp", text), -ECONNREFUSED);
    CHECK_INT(knit_dial("unix", "/no-such-folder/socket"), -ENOENT);
    CHECK_INT(knit_dial("unix", "/dev/null/socket"), -ENOTDIR);
    CHECK_INT(knit_dial("unix", "/dev/null"), -ECONNREFUSED);
    CHECK_INT(knit_pipe(pipes), 0);
    CHECK_INT(knit_connect(-1, &closed), -EBADF);
    CHECK_INT(knit_connect(pipes[0], &closed), -ENOTSOCK);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_INT(knit_connect(fd, &closed), -ECONNREFUSED);
    CHECK_INT(listen(fd, 1), 0);
    CHECK_INT(knit_connect(fd, &closed), -EISCONN);
    closed.size = 1;
    CHECK_INT(knit_connect(fd, &closed), -EINVAL);
    close_pair(pipes);
    CHECK_INT(knit_close(fd) | knit_close(udp) | knit_close(port), 0);
}

static void accept_is_refused_for_these_reasons(void)
{
    char text[KNIT_ADDRESS_TEXT];
    int udp = listen_here("udp", text), fd = socket(AF_INET, SOCK_STREAM, 0), pipes[2];
    CHECK_INT(knit_pipe(pipes), 0);
    CHECK_INT(knit_accept(-1, NULL), -EBADF);
    CHECK_INT(knit_accept(pipes[0], NULL), -ENOTSOCK);
    CHECK_INT(knit_accept(fd, NULL), -EINVAL);
    CHECK_INT(knit_accept(udp, NULL), -EOPNOTSUPP);
    CHECK_INT(fcntl(udp, F_SETFL, 0), 0);
    CHECK_INT(knit_accept(udp, NULL), -EOPNOTSUPP);
    close_pair(pipes);
    CHECK_INT(knit_close(fd) | knit_close(udp), 0);
}

static void an_end_is_unknown_for_these_reasons(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0), pipes[2];
    knit_address a;
    CHECK_INT(knit_pipe(pipes), 0);
    CHECK_INT(knit_local_address(-1, &a), -EBADF);
    CHECK_INT(knit_local_address(pipes[0], &a), -ENOTSOCK);
    CHECK_INT(knit_peer_address(-1, &a), -EBADF);
    CHECK_INT(knit_peer_address(pipes[0], &a), -ENOTSOCK);
    CHECK_INT(knit_peer_address(fd, &a), -ENOTCONN);
    close_pair(pipes);
    CHECK_INT(knit_close(fd), 0);
}

/* The words of a failed call are in the group's record. */
static int dial_nobody(void *arg)
{
    return knit_dial("tcp", arg);
}

static void the_text_of_the_error_names_the_address(void)
{
    char text[KNIT_ADDRESS_TEXT];
    knit_address closed;
    knit_error_record record;
    knit_errgroup g;
    int port = closed_port(&closed);
    CHECK_INT(knit_address_text(&closed, text), 0);
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    CHECK_INT(knit_errgroup_go(&g, dial_nobody, text), 0);
    CHECK_INT(knit_errgroup_wait(&g), -ECONNREFUSED);
    CHECK_INT(knit_errgroup_error(&g, 0, &record), 0);
    CHECK_HAS(record.text, text);
    CHECK_INT(knit_errgroup_close(&g), -ECONNREFUSED);
    CHECK_INT(knit_close(port), 0);
}

static const knittest tests[] = {
    BOTH(literal_addresses_are_read_as_they_stand),     BOTH(what_cannot_be_understood_is_refused),
    BOTH(pointers_that_are_missing_are_refused),        BOTH(an_unknown_family_has_no_text),
    BOTH(a_path_may_be_as_long_as_the_system_has_room), ALONE(a_name_is_looked_up),
    BOTH(a_number_that_is_no_port_is_refused),          BOTH(an_unknown_service_is_refused),
    BOTH(a_listener_is_refused_for_these_reasons),      BOTH(a_call_is_refused_for_these_reasons),
    BOTH(accept_is_refused_for_these_reasons),          BOTH(an_end_is_unknown_for_these_reasons),
    BOTH(the_text_of_the_error_names_the_address),
};

KNITTEST_MAIN(tests)
