#include "runtime/sendfd.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/cleanup.h"

static int connect_to(const char *what, const char *path, struct err *e)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    size_t len = strlen(path);

    if (len == 0 || len >= sizeof(addr.sun_path))
        return err_set(e, ERR_USAGE, 0, "%s: the path is empty or longer than %zu bytes", what,
                       sizeof(addr.sun_path) - 1);
    memcpy(addr.sun_path, path, len);
    _cleanup_close_ int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s < 0 || connect(s, (struct sockaddr *)&addr, sizeof(addr)))
        return err_set(e, ERR_SYS, errno, "%s: %s", what, path);
    return steal_fd(&s);
}

int sendfd_to(const char *what, const char *path, const char *name, int fd, struct err *e)
{
    union {
        char buf[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    struct iovec iov = {.iov_base = (char *)(uintptr_t)name, .iov_len = strlen(name)};
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.buf, .msg_controllen = sizeof(control.buf)};
    struct cmsghdr *cm = CMSG_FIRSTHDR(&msg);

    _cleanup_close_ int s = connect_to(what, path, e);
    if (s < 0)
        return -1;
    cm->cmsg_level = SOL_SOCKET;
    cm->cmsg_type = SCM_RIGHTS;
    cm->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(cm), &fd, sizeof(int));
    if (sendmsg(s, &msg, MSG_NOSIGNAL) < 0)
        return err_set(e, ERR_SYS, errno, "%s: sending to %s", what, path);
    return 0;
}

int sendfd(const char *option, const char *path, const char *name, int fd, struct err *e)
{
    char what[64];

    snprintf(what, sizeof(what), "option --%s", option);
    return sendfd_to(what, path, name, fd, e);
}

int sendfd_pidfd(const char *path, const char *name, pid_t pid, struct err *e)
{
    if (!path)
        return 0;
    _cleanup_close_ int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0)
        return err_set(e, ERR_SYS, errno, "pidfd_open");
    return sendfd("pidfd-socket", path, name, fd, e);
}
