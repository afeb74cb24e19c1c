/* Descriptors sent through unix sockets. */
#ifndef TESTS_GUEST_SCM_H
#define TESTS_GUEST_SCM_H

#include <sys/socket.h>

#include "tests/guest/check.h"

/* At most 8, with a byte, without waiting. 0, or -1 with errno. */
static inline int send_fds(int sock, const int *fds, unsigned n)
{
    union {
        char buf[CMSG_SPACE(8 * sizeof(int))];
        struct cmsghdr align;
    } c = {0};
    char byte = 'x';
    struct iovec iov = {&byte, 1};
    struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = c.buf};
    mh.msg_controllen = CMSG_SPACE(n * sizeof(int));
    struct cmsghdr *h = CMSG_FIRSTHDR(&mh);
    h->cmsg_level = SOL_SOCKET;
    h->cmsg_type = SCM_RIGHTS;
    h->cmsg_len = CMSG_LEN(n * sizeof(int));
    memcpy(CMSG_DATA(h), fds, n * sizeof(int));
    return sendmsg(sock, &mh, MSG_DONTWAIT) == 1 ? 0 : -1;
}

/* The first descriptor of the next message, or -1. flags: as for recvmsg(2). */
static inline int receive_fd(int sock, int flags)
{
    union {
        char buf[CMSG_SPACE(8 * sizeof(int))];
        struct cmsghdr align;
    } c = {0};
    char byte;
    struct iovec iov = {&byte, 1};
    struct msghdr mh = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = c.buf, .msg_controllen = sizeof(c.buf)};
    int fd = -1;
    if (recvmsg(sock, &mh, flags) < 0)
        return -1;
    struct cmsghdr *h = CMSG_FIRSTHDR(&mh);
    if (h && h->cmsg_type == SCM_RIGHTS)
        memcpy(&fd, CMSG_DATA(h), sizeof(fd));
    return fd;
}

#endif
