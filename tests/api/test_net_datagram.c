/* Datagrams and messages. */
#define _GNU_SOURCE /* MSG_CMSG_CLOEXEC */
#include "sockets.h"

#include <errno.h>
#include <sys/uio.h>

static void close_both(int a, int b)
{
    CHECK_INT(knit_close(a) | knit_close(b), 0);
}

static void udp_over(const char *network)
{
    char here[KNIT_ADDRESS_TEXT], there[KNIT_ADDRESS_TEXT], got[8];
    int a = listen_here(network, here), b = listen_here(network, there);
    knit_address to, from;
    CHECK_INT(knit_local_address(b, &to), 0);
    CHECK_INT(knit_send_to(a, "ping", 4, &to), 4);
    CHECK_INT(knit_recv_from(b, got, sizeof got, &from), 4);
    CHECK_INT(knit_send_to(b, "", 0, &from), 0);
    CHECK_INT(knit_recv_from(a, got, sizeof got, NULL), 0);
    CHECK_INT(knit_send_to(a, "truncated", 9, &to), 9);
    CHECK_INT(knit_recv_from(b, got, 3, NULL), 3);
    CHECK_INT(knit_recv_from_until(b, got, 3, 0, NULL), -ETIMEDOUT);
    CHECK_INT(knit_address_text(&from, there), 0);
    CHECK(strcmp(here, there) == 0);
    close_both(a, b);
}

static void a_datagram_comes_whole_and_says_from_whom(void)
{
    udp_over("udp");
    udp_over("udp4");
    if (has_ipv6())
        udp_over("udp6");
}

static void a_dialled_datagram_socket_knows_its_peer(void)
{
    char text[KNIT_ADDRESS_TEXT], got[8];
    int server = listen_here("udp", text), client = knit_dial("udp", text);
    knit_address from;
    CHECK(client >= 0);
    CHECK_INT(knit_send_to(client, "ask", 3, NULL), 3);
    CHECK_INT(knit_recv_from(server, got, sizeof got, &from), 3);
    CHECK_INT(knit_send_to(server, "say", 3, &from), 3);
    CHECK_INT(knit_read(client, got, sizeof got), 3); /* the calls of io.h will do */
    close_both(client, server);
}

static void nobody_there_is_told(void)
{
    char text[KNIT_ADDRESS_TEXT], byte;
    int server = listen_here("udp", text), client = knit_dial("udp", text);
    knit_address at;
    CHECK(client >= 0);
    /* from itself only: the port stays taken, and others are refused */
    CHECK_INT(knit_local_address(server, &at), 0);
    CHECK_INT(knit_connect(server, &at), 0);
    CHECK_INT(knit_send_to(client, "x", 1, NULL), 1);
    CHECK_INT(knit_recv_from(client, &byte, 1, NULL), -ECONNREFUSED);
    CHECK_INT(knit_close(client) | knit_close(server), 0);
}

static int receive_one(void *arg)
{
    char byte;
    CHECK_INT(knit_recv_from(*(int *)arg, &byte, 1, NULL), 1);
    return 0;
}

static void each_datagram_goes_to_one(void)
{
    char text[KNIT_ADDRESS_TEXT];
    int server = listen_here("udp", text), client = knit_dial("udp", text), n = kt_count(50);
    knit_errgroup g = {0};
    for (int i = 0; i < n; i++)
        CHECK_INT(knit_errgroup_go(&g, receive_one, &server), 0);
    for (int i = 0; i < n; i++)
        CHECK_INT(knit_send_to(client, "x", 1, NULL), 1);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    close_both(client, server);
}

static int drain(void *arg)
{
    const int *job = arg; /* descriptor, how many */
    char got[1000];
    for (int i = 0; i < job[1]; i++) {
        ssize_t n = knit_recv_from(job[0], got, sizeof got, NULL);
        if (n != sizeof got)
            return (int)n;
    }
    return 0;
}

/* More than its queue holds: the sender waits for room, with and without a name. */
static void a_sender_waits_for_room(void)
{
    static const char bytes[1000];
    char name[KNIT_ADDRESS_TEXT];
    int n = kt_count(2000), fds[2], job[2] = {-1, n};
    knit_address at;
    knit_errgroup g = {0};
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    CHECK_INT(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), 0);
    free_name(name);
    at.size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
    memcpy(un.sun_path + 1, name + 1, strlen(name) - 1);
    memcpy(&at.data, &un, at.size);
    CHECK_INT(bind(fds[1], (struct sockaddr *)&at.data, at.size), 0);
    job[0] = fds[1];
    CHECK_INT(knit_errgroup_go(&g, drain, job), 0);
    for (int i = 0; i < n; i++)
        CHECK_INT(knit_send_to(fds[0], bytes, sizeof bytes, i % 2 ? &at : NULL), sizeof bytes);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    close_pair(fds);
}

/* ---- messages ---- */

typedef union control {
    struct cmsghdr header;
    char room[CMSG_SPACE(sizeof(int))];
} control;

static void send_descriptor(int over, int fd)
{
    control c = {.header = {.cmsg_len = CMSG_LEN(sizeof fd),
                            .cmsg_level = SOL_SOCKET,
                            .cmsg_type = SCM_RIGHTS}};
    struct iovec iov = {"fd", 2};
    struct msghdr m = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof c};
    memcpy(CMSG_DATA(&c.header), &fd, sizeof fd);
    CHECK_INT(knit_sendmsg_until(over, &m, 0, KNIT_FOREVER), 2);
}

static int recv_descriptor(int over)
{
    control c;
    char got[2];
    struct iovec iov = {got, 2};
    struct msghdr m = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof c};
    int fd;
    CHECK_INT(knit_recvmsg_until(over, &m, MSG_CMSG_CLOEXEC, KNIT_FOREVER), 2);
    CHECK(m.msg_controllen > 0 && c.header.cmsg_type == SCM_RIGHTS);
    memcpy(&fd, CMSG_DATA(&c.header), sizeof fd);
    return fd;
}

static void a_message_carries_a_descriptor(void)
{
    char byte;
    int fds[2], pipes[2], copy;
    connect_pair("unix", fds);
    CHECK_INT(knit_pipe(pipes), 0);
    send_descriptor(fds[0], pipes[1]);
    copy = recv_descriptor(fds[1]);
    CHECK_INT(knit_write(copy, "x", 1), 1);
    CHECK_INT(knit_read(pipes[0], &byte, 1), 1);
    CHECK_INT(knit_close(copy), 0);
    close_pair(fds);
    close_pair(pipes);
}

static void a_message_has_several_parts(void)
{
    char one[3], two[3];
    struct iovec out[2] = {{"abc", 3}, {"def", 3}}, in[2] = {{one, 3}, {two, 3}};
    struct msghdr sent = {.msg_iov = out, .msg_iovlen = 2}, got = {.msg_iov = in, .msg_iovlen = 2};
    int fds[2];
    connect_pair("tcp", fds);
    CHECK_INT(knit_sendmsg_until(fds[0], &sent, 0, KNIT_FOREVER), 6);
    CHECK_INT(knit_recvmsg_until(fds[1], &got, MSG_PEEK, KNIT_FOREVER), 6);
    CHECK_INT(knit_recvmsg_until(fds[1], &got, 0, KNIT_FOREVER), 6);
    CHECK(memcmp(one, "abc", 3) == 0 && memcmp(two, "def", 3) == 0);
    close_pair(fds);
}

static void one_attempt_can_be_asked_for(void)
{
    char byte;
    struct iovec iov = {&byte, 1};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    int fds[2];
    connect_pair("tcp", fds);
    CHECK_INT(knit_recvmsg_until(fds[0], &m, MSG_DONTWAIT, KNIT_FOREVER), -EAGAIN);
    CHECK_INT(knit_recvmsg_until(fds[0], &m, MSG_ERRQUEUE, KNIT_FOREVER), -EAGAIN);
    CHECK_INT(knit_sendmsg_until(fds[1], &m, MSG_DONTWAIT, KNIT_FOREVER), 1);
    close_pair(fds);
}

static void the_errors_of_messages_are_these(void)
{
    static const char large[70000];
    char text[KNIT_ADDRESS_TEXT], byte = 0;
    int udp = listen_here("udp", text), pipes[2], fds[2];
    knit_address at;
    CHECK_INT(knit_local_address(udp, &at), 0);
    CHECK_INT(knit_pipe(pipes), 0);
    CHECK_INT(knit_recv_from(-1, &byte, 1, NULL), -EBADF);
    CHECK_INT(knit_send_to(-1, &byte, 1, NULL), -EBADF);
    CHECK_INT(knit_recv_from(pipes[0], &byte, 1, NULL), -ENOTSOCK);
    CHECK_INT(knit_send_to(pipes[1], &byte, 1, NULL), -ENOTSOCK);
    CHECK_INT(knit_recvmsg_until(udp, NULL, 0, KNIT_FOREVER), -EINVAL);
    CHECK_INT(knit_sendmsg_until(udp, NULL, 0, KNIT_FOREVER), -EINVAL);
    CHECK_INT(knit_send_to(udp, &byte, 1, NULL), -EDESTADDRREQ);
    CHECK_INT(knit_send_to(udp, large, sizeof large, &at), -EMSGSIZE);
    connect_pair("tcp", fds);
    CHECK_INT(shutdown(fds[0], SHUT_WR), 0);
    CHECK_INT(knit_send_to(fds[0], &byte, 1, NULL), -EPIPE);
    CHECK_INT(knit_recv_from(fds[1], &byte, 1, NULL), 0);
    close_pair(fds);
    close_pair(pipes);
    CHECK_INT(knit_close(udp), 0);
}

static const knittest tests[] = {
    BOTH(a_datagram_comes_whole_and_says_from_whom),
    BOTH(a_dialled_datagram_socket_knows_its_peer),
    BOTH(nobody_there_is_told),
    BOTH(each_datagram_goes_to_one),
    BOTH(a_sender_waits_for_room),
    BOTH(a_message_carries_a_descriptor),
    BOTH(a_message_has_several_parts),
    BOTH(one_attempt_can_be_asked_for),
    BOTH(the_errors_of_messages_are_these),
};

KNITTEST_MAIN(tests)
