/* TCP connections of a program with one thread, which a runtime may leave to it (left_sockets.c). */
#ifndef TESTS_GUEST_LEFT_H
#define TESTS_GUEST_LEFT_H

#include <sched.h>
#include <stdatomic.h>

#include "tests/guest/loopback.h"

#define OFTEN 80

static struct sockaddr_in at;
static int listener;
static struct shared {
    atomic_int go, seen;
} * sh;

struct pair {
    int client, server;
};

static inline int join(int fd)
{
    return connect(fd, (struct sockaddr *)&at, sizeof(at));
}

static inline void shut(int fd)
{
    MUST(close(fd) == 0);
}

static inline int fresh(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    MUST(fd >= 0);
    return fd;
}

static inline int begun(void)
{
    int fd = fresh();

    MUST(fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK) == 0 && join(fd) == -1 && errno == EINPROGRESS);
    return fd;
}

static inline int taken(void)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    MUST(fd >= 0);
    return fd;
}

/* The client has heard that it is connected; the server has heard nothing of its socket. */
static inline struct pair pair(void)
{
    struct pair p = {.client = begun()};

    MUST(join(p.client) == 0);
    p.server = taken();
    return p;
}

static inline void part(struct pair p)
{
    shut(p.client);
    shut(p.server);
}

static inline ssize_t get(int fd)
{
    char c[8];

    return recv(fd, c, sizeof(c), 0);
}

static inline bool put(int fd)
{
    return send(fd, "x", 1, MSG_NOSIGNAL) == 1;
}

static inline bool is_quiet(int fd)
{
    return get(fd) == -1 && errno == EAGAIN;
}

static inline bool talk(struct pair p)
{
    return put(p.client) && get(p.server) == 1 && put(p.server) && get(p.client) == 1 && is_quiet(p.client) &&
           is_quiet(p.server);
}

/* Each instruction is hot from then on, and sockets are used without further ado. */
static inline void begin(void)
{
    int wrong = 0;

    sh = shared_zeroes(sizeof(*sh));
    listener = listen_here(SOCK_CLOEXEC, 16, &at);
    for (int i = 0; i < OFTEN; i++) {
        struct pair p = pair();
        for (int k = 0; k < 6; k++)
            wrong += !talk(p);
        shut(p.server);
        wrong += get(p.client) != 0;
        shut(p.client);
    }
    CHECK("connected, used, closed", wrong == 0);
}

/* Waits without a call that a runtime would have to hear of. */
static inline void await_quietly(const atomic_int *what, int value)
{
    while (atomic_load(what) != value)
        sched_yield();
}

#endif
