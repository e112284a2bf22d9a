/* Reads that give less than was asked for although there is more: the next one must not wait. */
#include "sockets.h"

#include <errno.h>
#include <sys/uio.h>

/* One read, of which so much comes. */
static void read_some(int fd, const char *want)
{
    char got[100];
    size_t n = strlen(want);
    CHECK_INT(knit_read_until(fd, got, sizeof got, knit_now() + 20 * KNIT_SECOND), n);
    CHECK(memcmp(got, want, n) == 0);
}

/* A read of TCP ends before urgent data, and goes on after it. */
static void urgent_data_does_not_stall_a_reader(void)
{
    int fds[2];
    connect_pair("tcp", fds);
    for (int round = 0; round < 3; round++) {
        CHECK_INT(send(fds[0], "abc", 3, 0), 3);
        CHECK_INT(send(fds[0], "!", 1, MSG_OOB), 1);
        CHECK_INT(send(fds[0], "def", 3, 0), 3);
        read_some(fds[1], "abc");
        read_some(fds[1], "def");
    }
    close_pair(fds);
}

static void send_with_descriptor(int over, const char *text)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } c = {.header = {.cmsg_len = CMSG_LEN(sizeof(int)),
                      .cmsg_level = SOL_SOCKET,
                      .cmsg_type = SCM_RIGHTS}};
    struct iovec iov = {(char *)(uintptr_t)text, strlen(text)};
    struct msghdr m = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof c};
    memcpy(CMSG_DATA(&c.header), &over, sizeof over);
    CHECK_INT(sendmsg(over, &m, 0), strlen(text));
}

/* A read of a Unix stream ends with what carries descriptors. */
static void descriptors_on_the_way_do_not_stall_a_reader(void)
{
    int fds[2];
    connect_pair("unix", fds);
    for (int round = 0; round < 3; round++) {
        send_with_descriptor(fds[0], "abc");
        send_with_descriptor(fds[0], "def");
        CHECK_INT(send(fds[0], "ghi", 3, 0), 3);
        read_some(fds[1], "abc");
        read_some(fds[1], "def");
        read_some(fds[1], "ghi");
    }
    close_pair(fds);
}

/* The same for sockets that were made elsewhere. */
static void an_adopted_socket_is_read_to_its_end(void)
{
    int fds[2];
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    CHECK_INT(knit_adopt(fds[1]), 0);
    send_with_descriptor(fds[0], "abc");
    send_with_descriptor(fds[0], "def");
    read_some(fds[1], "abc");
    read_some(fds[1], "def");
    close_pair(fds);
}

static const knittest tests[] = {
    BOTH(urgent_data_does_not_stall_a_reader),
    BOTH(descriptors_on_the_way_do_not_stall_a_reader),
    BOTH(an_adopted_socket_is_read_to_its_end),
};

KNITTEST_MAIN(tests)
