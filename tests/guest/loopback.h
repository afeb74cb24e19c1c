/* Sockets with a name on the loopback. */
#ifndef TESTS_GUEST_LOOPBACK_H
#define TESTS_GUEST_LOOPBACK_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "tests/guest/check.h"

/* Gives fd a free port; at says which. */
static inline void bind_here(int fd, struct sockaddr_in *at)
{
    socklen_t len = sizeof(*at);

    *at = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    MUST(bind(fd, (struct sockaddr *)at, len) == 0 && getsockname(fd, (struct sockaddr *)at, &len) == 0);
}

/* A TCP socket that listens there. flags: SOCK_NONBLOCK, SOCK_CLOEXEC. */
static inline int listen_here(int flags, int backlog, struct sockaddr_in *at)
{
    int fd = socket(AF_INET, SOCK_STREAM | flags, 0);

    MUST(fd >= 0);
    bind_here(fd, at);
    MUST(listen(fd, backlog) == 0);
    return fd;
}

/* Two UDP sockets that are connected to each other. */
static inline void udp_pair(int s[2])
{
    struct sockaddr_in at[2];

    for (int i = 0; i < 2; i++) {
        s[i] = socket(AF_INET, SOCK_DGRAM, 0);
        MUST(s[i] >= 0);
        bind_here(s[i], &at[i]);
    }
    for (int i = 0; i < 2; i++)
        MUST(connect(s[i], (struct sockaddr *)&at[!i], sizeof(at[0])) == 0);
}

#endif
