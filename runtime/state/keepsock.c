#include "runtime/state/keepsock.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/cleanup.h"

/* By the directory's descriptor: its path may be longer than an address can be. */
static struct sockaddr_un address(int dir)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};

    snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/keep.sock", dir);
    return a;
}

int keepsock_listen(int dir)
{
    struct sockaddr_un a = address(dir);
    _cleanup_close_ int s = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    if (s < 0 || bind(s, (struct sockaddr *)&a, sizeof(a)) || listen(s, 16))
        return -1;
    return steal_fd(&s);
}

int keepsock_connect(int dir)
{
    struct sockaddr_un a = address(dir);
    _cleanup_close_ int s = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    if (s < 0 || connect(s, (struct sockaddr *)&a, sizeof(a)))
        return -1;
    return steal_fd(&s);
}
