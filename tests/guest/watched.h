/* Streams of every kind, and what is asked of an epoll that watches them. */
#ifndef TESTS_GUEST_WATCHED_H
#define TESTS_GUEST_WATCHED_H

#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "tests/guest/ends.h"

#define OFTEN 120

static inline struct ends make_tcp(void)
{
    return connect_tcp(SOCK_NONBLOCK);
}

static inline struct ends make_eventfd(void)
{
    int e = eventfd(0, 0);
    MUST(e >= 0);
    return (struct ends){e, dup(e)};
}

static inline void shut(struct ends e)
{
    close(e.in);
    close(e.out);
}

/* Until it is there: TCP takes its time. */
static inline void feed(struct ends e)
{
    uint64_t one = 1;
    int before = 0, now = 0;
    bool tells = ioctl(e.in, FIONREAD, &before) == 0;
    MUST(write(e.out, &one, 8) == 8);
    while (tells && ioctl(e.in, FIONREAD, &now) == 0 && now < before + 8)
        nap_ms(1);
}

static inline void drain(struct ends e)
{
    uint64_t n;
    MUST(read(e.in, &n, 8) == 8);
}

static inline int ctl(int ep, int op, int fd, uint32_t events, uint64_t data)
{
    struct epoll_event ev = {.events = events, .data.u64 = data};
    return epoll_ctl(ep, op, fd, &ev);
}

static inline int add(int ep, int fd, uint64_t data)
{
    return ctl(ep, EPOLL_CTL_ADD, fd, EPOLLIN, data);
}

static inline int del(int ep, int fd)
{
    return epoll_ctl(ep, EPOLL_CTL_DEL, fd, NULL);
}

/* How many are ready now; the sum of their data. */
static inline int ready(int ep, uint64_t *sum)
{
    struct epoll_event got[8];
    int n = epoll_wait(ep, got, 8, 0);
    *sum = 0;
    for (int i = 0; i < n; i++)
        *sum += got[i].data.u64;
    return n;
}

static inline bool says(int ep, int n, uint64_t data)
{
    uint64_t sum;
    int got = ready(ep, &sum);
    if (got != n || sum != data)
        dprintf(1, "# %d ready, data %lx\n", got, (unsigned long)sum);
    return got == n && sum == data;
}

static inline int make_epoll(void)
{
    int ep = epoll_create1(0);
    MUST(ep >= 0);
    return ep;
}

/* Makes the sites hot, and the descriptors what they become. */
static inline void warm(int ep, struct ends e)
{
    for (int i = 0; i < OFTEN; i++) {
        MUST(add(ep, e.in, 1) == 0 && says(ep, 0, 0));
        feed(e);
        MUST(says(ep, 1, 1) && ctl(ep, EPOLL_CTL_MOD, e.in, EPOLLIN, 2) == 0 && says(ep, 1, 2));
        drain(e);
        MUST(del(ep, e.in) == 0);
    }
}

#endif
