/* Programs whose calls are put to a supervisor: seccomp_unotify(2). */
#ifndef TESTS_GUEST_NOTIFIED_H
#define TESTS_GUEST_NOTIFIED_H

#include <linux/audit.h>
#include <poll.h>
#include <sys/ioctl.h>

#include "tests/guest/filtered.h"
#include "tests/guest/scm.h"

#define LISTENS SECCOMP_FILTER_FLAG_NEW_LISTENER
#define KILLABLE (LISTENS | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV)

/* Linux 6.6; the headers of Debian 12 are older. */
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP 1UL
#endif

/* A filter that has this action for that call, and the one for another. The descriptor, 0 or -1. */
static inline int filter_two(unsigned flags, long nr, uint32_t action, long other, uint32_t its)
{
    const struct sock_filter f[] = {LOAD(nr), IF_CALL((uint32_t)nr, action), IF_CALL((uint32_t)other, its),
                                    RET(SECCOMP_RET_ALLOW)};

    MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    return TRY(f, flags);
}

static inline int filter_calls(unsigned flags, long nr, long other)
{
    return filter_two(flags, nr, SECCOMP_RET_USER_NOTIF, other, SECCOMP_RET_USER_NOTIF);
}

static inline int filter_call(unsigned flags, long nr)
{
    return filter_calls(flags, nr, nr);
}

static inline void send_fd(int sock, int fd)
{
    MUST(send_fds(sock, &fd, 1) == 0);
}

struct target {
    pid_t pid;
    int fd; /* the listener */
};

/* A child that puts its calls nr and other to us, and then runs fn, whose result it exits with. */
static inline struct target target_of(int (*fn)(void), unsigned flags, long nr, long other)
{
    struct target t;
    int sv[2];

    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == 0);
    t.pid = fork();
    MUST(t.pid >= 0);
    if (t.pid == 0) {
        int fd = filter_calls(flags, nr, other);
        MUST(fd >= 0);
        send_fd(sv[1], fd);
        close(fd);
        close(sv[0]);
        close(sv[1]);
        _exit(fn());
    }
    close(sv[1]);
    t.fd = receive_fd(sv[0], MSG_CMSG_CLOEXEC);
    MUST(t.fd >= 0);
    close(sv[0]);
    return t;
}

static inline struct target target_new(int (*fn)(void), unsigned flags, long nr)
{
    return target_of(fn, flags, nr, nr);
}

/* The next notification; interrupted ones are passed over. */
static inline struct seccomp_notif notif_recv(int fd)
{
    struct seccomp_notif n;
    int r;

    do {
        memset(&n, 0, sizeof(n));
        r = ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &n);
    } while (r < 0 && (errno == ENOENT || errno == EINTR) && !(poll(&(struct pollfd){fd, 0, 0}, 1, 0) == 1));
    MUST(r == 0);
    return n;
}

static inline int notif_send(int fd, uint64_t id, long val, int error, unsigned flags)
{
    struct seccomp_notif_resp r = {.id = id, .val = val, .error = error, .flags = flags};

    return ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &r);
}

static inline int notif_go_on(int fd, uint64_t id)
{
    return notif_send(fd, id, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE);
}

static inline int notif_valid(int fd, uint64_t id)
{
    return ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &id);
}

static inline int notif_addfd(int fd, uint64_t id, int src, unsigned flags, int newfd, unsigned newfd_flags)
{
    struct seccomp_notif_addfd a = {.id = id,
                                    .flags = flags,
                                    .srcfd = (unsigned)src,
                                    .newfd = (unsigned)newfd,
                                    .newfd_flags = newfd_flags};

    return ioctl(fd, SECCOMP_IOCTL_NOTIF_ADDFD, &a);
}

static inline int revents_of(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT};

    return poll(&p, 1, 0) < 0 ? -1 : p.revents;
}

static inline int end_of(pid_t pid)
{
    int status = -1;

    MUST(waitpid(pid, &status, 0) == pid);
    return status;
}

static inline int exit_of(pid_t pid)
{
    int status = end_of(pid);

    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Answers all of the target's calls by going on, until nobody is left to make any. How many there were. */
static inline int go_on_with_all(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int n = 0;

    while (poll(&p, 1, -1) == 1 && (p.revents & POLLIN)) {
        struct seccomp_notif s;
        memset(&s, 0, sizeof(s));
        if (ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &s) == 0 && notif_go_on(fd, s.id) == 0)
            n++;
    }
    return n;
}

#endif
