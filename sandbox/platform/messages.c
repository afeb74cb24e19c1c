#include "sandbox/platform/messages.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union fd_cmsg {
    char buf[CMSG_SPACE(MSG_FDS * sizeof(int))];
    struct cmsghdr align;
};

int msg_send_fds(int sock, const void *msg, size_t len, const int *fds, unsigned nfds)
{
    union fd_cmsg c = {0};
    struct iovec iov = {(void *)(uintptr_t)msg, len};
    struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
    ssize_t n;

    if (nfds > MSG_FDS)
        return -EINVAL;
    if (nfds > 0) {
        mh.msg_control = c.buf;
        mh.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
        struct cmsghdr *h = CMSG_FIRSTHDR(&mh);
        h->cmsg_level = SOL_SOCKET;
        h->cmsg_type = SCM_RIGHTS;
        h->cmsg_len = CMSG_LEN(nfds * sizeof(int));
        memcpy(CMSG_DATA(h), fds, nfds * sizeof(int));
    }
    do
        n = sendmsg(sock, &mh, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == ECONNRESET ? -EPIPE : -errno;
    return 0;
}

int msg_send(int sock, const void *msg, size_t len, int fd)
{
    return msg_send_fds(sock, msg, len, &fd, fd >= 0);
}

static void take_fds(struct msghdr *mh, int fds[MSG_FDS])
{
    for (struct cmsghdr *h = CMSG_FIRSTHDR(mh); h; h = CMSG_NXTHDR(mh, h))
        if (h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS)
            memcpy(fds, CMSG_DATA(h), h->cmsg_len - CMSG_LEN(0));
}

int msg_recv_fds(int sock, void *msg, size_t len, int fds[MSG_FDS])
{
    union fd_cmsg c = {0};
    struct iovec iov = {msg, len};
    struct msghdr mh = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = c.buf, .msg_controllen = sizeof(c.buf)};
    ssize_t n;

    for (int i = 0; i < MSG_FDS; i++)
        fds[i] = -1;
    do
        n = recvmsg(sock, &mh, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == ECONNRESET ? -EPIPE : -errno;
    take_fds(&mh, fds);
    if (n == 0)
        return -EPIPE;
    return (size_t)n == len ? 0 : -EBADMSG;
}

int msg_recv(int sock, void *msg, size_t len, int *ret_fd)
{
    int fds[MSG_FDS];
    int r = msg_recv_fds(sock, msg, len, fds);

    for (int i = ret_fd ? 1 : 0; i < MSG_FDS; i++)
        if (fds[i] >= 0)
            (void)close(fds[i]);
    if (ret_fd)
        *ret_fd = fds[0];
    return r;
}

int msg_failed(int r, const char *who, struct err *e)
{
    if (r != -EPIPE)
        return err_set(e, ERR_SYS, -r, "cannot speak to %s", who);
    err_set(e, ERR_SYS, 0, "%s ended before it was ready (see the log)", who);
    e->sys_errno = EPIPE;
    return -1;
}
