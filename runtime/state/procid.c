#include "runtime/state/procid.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/cleanup.h"

int procid_of(pid_t pid, struct procid *ret)
{
    char path[32], text[1024];
    unsigned long long start;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (n < 0)
        return -1;
    text[n] = '\0';
    /* The name, in parentheses, may hold anything; field 3 follows the last one. */
    const char *s = strrchr(text, ')');
    if (!s ||
        sscanf(s + 1, " %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu",
               &start) != 1) {
        errno = EPROTO;
        return -1;
    }
    *ret = (struct procid){.pid = pid, .start = start};
    return 0;
}

bool procid_wait(int pidfd, int ms)
{
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    int r;

    do
        r = poll(&p, 1, ms);
    while (r < 0 && errno == EINTR);
    return r == 1;
}

int procid_open(const struct procid *p)
{
    struct procid now;

    if (p->pid <= 0) {
        errno = ESRCH;
        return -1;
    }
    /* First the descriptor, then the question whom it means: the answer stays true. */
    _cleanup_close_ int fd = (int)syscall(SYS_pidfd_open, p->pid, 0);
    if (fd < 0)
        return -1;
    if (procid_of(p->pid, &now) || now.start != p->start || procid_wait(fd, 0)) {
        errno = ESRCH;
        return -1;
    }
    return steal_fd(&fd);
}
