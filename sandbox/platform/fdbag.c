#include "sandbox/platform/fdbag.h"

#include <errno.h>
#include <sys/socket.h>

#include "common/cleanup.h"
#include "sandbox/platform/messages.h"

static int put(int sock, int first, unsigned n)
{
    int fds[MSG_FDS];

    for (unsigned i = 0; i < n; i++)
        fds[i] = first + (int)i;
    return msg_send_fds(sock, &n, sizeof(n), fds, n);
}

int fdbag_pack(int first, unsigned n)
{
    int s[2];

    if (n > FDBAG_MAX)
        return -E2BIG;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, s) < 0)
        return -errno;
    _cleanup_close_ int in = s[0], out = s[1];
    for (unsigned done = 0; done < n; done += MSG_FDS) {
        unsigned some = n - done < MSG_FDS ? n - done : MSG_FDS;
        int r = put(in, first + (int)done, some);
        if (r < 0)
            return r;
    }
    return steal_fd(&out);
}

/* The other end is closed, so that reading comes to an end. */
int fdbag_unpack(int bag, int fds[FDBAG_MAX])
{
    int some[MSG_FDS], n = 0;
    unsigned count;

    while (msg_recv_fds(bag, &count, sizeof(count), some) == 0)
        for (unsigned i = 0; i < MSG_FDS; i++) {
            if (i < count && some[i] >= 0 && n < FDBAG_MAX)
                fds[n++] = some[i];
            else if (some[i] >= 0)
                close(some[i]);
        }
    return n;
}
