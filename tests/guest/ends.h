/* Two ends of a stream. */
#ifndef TESTS_GUEST_ENDS_H
#define TESTS_GUEST_ENDS_H

#include "tests/guest/loopback.h"

struct ends {
    int in, out; /* read from in what was written to out */
};

static inline struct ends make_pipe(void)
{
    int p[2];
    MUST(pipe(p) == 0);
    return (struct ends){p[0], p[1]};
}

static inline struct ends make_unix(void)
{
    int p[2];
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, p) == 0);
    return (struct ends){p[0], p[1]};
}

/* flags: accept4's, of the end that is read from. */
static inline struct ends connect_tcp(int flags)
{
    struct sockaddr_in a;
    int l = listen_here(0, 1, &a), out = socket(AF_INET, SOCK_STREAM, 0);

    MUST(out >= 0 && connect(out, (struct sockaddr *)&a, sizeof(a)) == 0);
    int in = accept4(l, NULL, NULL, flags);
    MUST(in >= 0 && close(l) == 0);
    return (struct ends){in, out};
}

#endif
