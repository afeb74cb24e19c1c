/* Unix sockets on their way through unix sockets: what can still be received is kept, however deep it lies;
 * what nobody can receive any more gives back what it held. */
#include <fcntl.h>
#include <poll.h>

#include "tests/guest/scm.h"

#define DEPTH 3 /* older kernels refuse more than four */

/* A pipe whose writing end lies in a cycle that nobody can reach; returns the reading end. */
static int bury_pipe(int type)
{
    int s[2], p[2];

    if (socketpair(AF_UNIX, type, 0, s) || pipe2(p, O_NONBLOCK))
        return -1;
    (void)send_fds(s[0], (int[]){s[0], s[1], p[1]}, 3);
    (void)send_fds(s[1], (int[]){s[1], p[1]}, 2);
    close(s[0]);
    close(s[1]);
    close(p[1]);
    return p[0];
}

/* Gives the kernel occasion to look for what is lost. */
static void stir(void)
{
    int s[2];

    for (int i = 0; i < 5; i++) {
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, s))
            return;
        (void)send_fds(s[0], s, 2);
        close(s[0]);
        close(s[1]);
    }
}

/* The other end is closed, at last. */
static bool hangs_up(int pipe)
{
    struct pollfd pfd = {.fd = pipe, .events = POLLIN};

    for (int i = 0; i < 800; i++) {
        stir();
        if (poll(&pfd, 1, 50) == 1 && (pfd.revents & POLLHUP))
            return true;
    }
    return false;
}

static void lost(void)
{
    int stream = bury_pipe(SOCK_STREAM), dgram = bury_pipe(SOCK_DGRAM);

    CHECK("a cycle of streams is let go", hangs_up(stream));
    CHECK("a cycle of datagram sockets is let go", hangs_up(dgram));
    close(stream);
    close(dgram);
}

/* Each socket lies in the queue of the next; only the last one is open. */
static void deep(void)
{
    int s[2], outer[2], p[2], inner = -1;

    CHECK("pipe", pipe2(p, O_NONBLOCK) == 0);
    inner = p[1];
    for (int i = 0; i < DEPTH; i++) {
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, s) || send_fds(s[0], (int[]){inner, s[0]}, 2))
            break;
        close(inner);
        close(s[0]);
        inner = s[1];
    }
    CHECK("socketpair", socketpair(AF_UNIX, SOCK_SEQPACKET, 0, outer) == 0);
    CHECK("the outermost is sent", send_fds(outer[0], &inner, 1) == 0);
    close(inner);
    stir();
    int fd = receive_fd(outer[1], MSG_PEEK | MSG_DONTWAIT);
    CHECK("peeked", fd >= 0);
    close(fd);
    stir();
    fd = receive_fd(outer[1], MSG_DONTWAIT);
    for (int i = 0; i < DEPTH && fd >= 0; i++) {
        int next = receive_fd(fd, MSG_DONTWAIT);
        close(fd);
        stir();
        fd = next;
    }
    CHECK("the innermost comes out", fd >= 0);
    CHECK("it is the pipe", write(fd, "y", 1) == 1);
    char byte = 0;
    CHECK("its byte arrives", read(p[0], &byte, 1) == 1 && byte == 'y');
    close(fd);
    CHECK("nobody else has its end", hangs_up(p[0]));
    close(p[0]);
    close(outer[0]);
    close(outer[1]);
}

/* A cycle that hangs on an open socket is not lost. */
static void reachable(void)
{
    int s[2], outer[2], p[2];

    CHECK("pipe", pipe2(p, O_NONBLOCK) == 0);
    CHECK("socketpairs",
          socketpair(AF_UNIX, SOCK_DGRAM, 0, s) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, outer) == 0);
    CHECK("a cycle", send_fds(s[0], (int[]){p[1], s[1], s[0]}, 3) == 0);
    CHECK("into a socket that is open", send_fds(outer[0], (int[]){s[1]}, 1) == 0);
    close(s[0]);
    close(s[1]);
    close(p[1]);
    stir();
    int in = receive_fd(outer[1], MSG_DONTWAIT);
    CHECK("received", in >= 0);
    stir();
    int fd = receive_fd(in, MSG_DONTWAIT);
    CHECK("its contents", fd >= 0 && write(fd, "z", 1) == 1);
    close(fd);
    close(in);
    close(outer[0]);
    close(outer[1]);
    close(p[0]);
}

int main(void)
{
    lost();
    deep();
    reachable();
    return check_done();
}
