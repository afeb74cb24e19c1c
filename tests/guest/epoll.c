/* epoll as servers use it: so often that a runtime may do it without leaving the process. A registration
 * belongs to an open file description and a number, whoever made it, from wherever.
 *
 * Also run with: --lanes=off */
#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/timerfd.h>

#include "tests/guest/watched.h"

static int shared_ep;
static struct ends shared;

static void test_operations(const char *what, struct ends e)
{
    int ep = make_epoll();
    dprintf(1, "ok %s\n", what);
    for (int round = 0; round < 2; round++) {
        CHECK_ERRNO("nothing to change", ctl(ep, EPOLL_CTL_MOD, e.in, EPOLLIN, 1), ENOENT);
        CHECK_ERRNO("nothing to take out", del(ep, e.in), ENOENT);
        CHECK("added", add(ep, e.in, 0xfeedfacecafebeef) == 0);
        CHECK_ERRNO("not twice", add(ep, e.in, 5), EEXIST);
        feed(e);
        CHECK("its data", says(ep, 1, 0xfeedfacecafebeef));
        CHECK("changed", ctl(ep, EPOLL_CTL_MOD, e.in, EPOLLIN, 7) == 0 && says(ep, 1, 7));
        CHECK("to nothing", ctl(ep, EPOLL_CTL_MOD, e.in, 0, 7) == 0 && says(ep, 0, 0));
        CHECK("taken out", del(ep, e.in) == 0 && says(ep, 0, 0));
        drain(e);
        warm(ep, e);
    }
    close(ep);
    shut(e);
}

static void test_errors(struct ends e)
{
    struct epoll_event ev = {.events = EPOLLIN};
    int ep = make_epoll(), file = open("/test/epoll", O_RDONLY), gone = dup(e.in);

    MUST(file >= 0 && gone >= 0 && close(gone) == 0);
    warm(ep, e);
    CHECK_ERRNO("no such epoll", add(900, e.in, 1), EBADF);
    CHECK_ERRNO("no such file", add(ep, 900, 1), EBADF);
    CHECK_ERRNO("a negative one", add(ep, -1, 1), EBADF);
    CHECK_ERRNO("a closed one", add(ep, gone, 1), EBADF);
    CHECK_ERRNO("nor to be taken out", del(ep, gone), EBADF);
    CHECK_ERRNO("not an epoll", add(e.out, e.in, 1), EINVAL);
    CHECK_ERRNO("itself", add(ep, ep, 1), EINVAL);
    CHECK_ERRNO("a regular file", add(ep, file, 1), EPERM);
    CHECK_ERRNO("a file for an epoll", add(file, e.in, 1), EINVAL);
    CHECK_ERRNO("no such operation", epoll_ctl(ep, 77, e.in, &ev), EINVAL);
    CHECK_ERRNO("a bad address", epoll_ctl(ep, EPOLL_CTL_ADD, e.in, bad_address), EFAULT);
    CHECK("which is not looked at to take out",
          add(ep, e.in, 1) == 0 && epoll_ctl(ep, EPOLL_CTL_DEL, e.in, bad_address) == 0);
    close(file);
    close(ep);
}

static void test_triggers(struct ends e)
{
    int ep = make_epoll();
    warm(ep, e);
    MUST(add(ep, e.in, 3) == 0);
    feed(e);
    CHECK("by level: again and again", says(ep, 1, 3) && says(ep, 1, 3));
    CHECK("by edge: once",
          ctl(ep, EPOLL_CTL_MOD, e.in, EPOLLIN | EPOLLET, 4) == 0 && says(ep, 1, 4) && says(ep, 0, 0));
    feed(e);
    CHECK("and at the next", says(ep, 1, 4) && says(ep, 0, 0));
    CHECK("one shot",
          ctl(ep, EPOLL_CTL_MOD, e.in, EPOLLIN | EPOLLONESHOT, 5) == 0 && says(ep, 1, 5) && says(ep, 0, 0));
    feed(e);
    CHECK("nothing more", says(ep, 0, 0));
    CHECK("until it is set again",
          ctl(ep, EPOLL_CTL_MOD, e.in, EPOLLIN | EPOLLONESHOT, 6) == 0 && says(ep, 1, 6) && says(ep, 0, 0));
    CHECK_ERRNO("which it still is in", add(ep, e.in, 1), EEXIST);
    CHECK("out", del(ep, e.in) == 0);
    CHECK("exclusive", ctl(ep, EPOLL_CTL_ADD, e.in, EPOLLIN | EPOLLEXCLUSIVE, 7) == 0 && says(ep, 1, 7));
    CHECK_ERRNO("is not to be changed", ctl(ep, EPOLL_CTL_MOD, e.in, EPOLLIN, 7), EINVAL);
    MUST(del(ep, e.in) == 0);
    CHECK_ERRNO("nor made by changing", ctl(ep, EPOLL_CTL_MOD, e.in, EPOLLIN | EPOLLEXCLUSIVE, 7), EINVAL);
    CHECK_ERRNO("nor with one shot", ctl(ep, EPOLL_CTL_ADD, e.in, EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT, 7),
                EINVAL);
    for (int i = 0; i < 3; i++)
        drain(e);
    close(ep);
    shut(e);
}

static void test_dups(struct ends e)
{
    int ep = make_epoll(), other = dup(e.in), number = e.in;
    warm(ep, e);
    MUST(add(ep, e.in, 1) == 0);
    CHECK("under another number, too", add(ep, other, 20) == 0);
    feed(e);
    CHECK("both say so", says(ep, 2, 21));
    MUST(close(e.in) == 0);
    CHECK("a closed number stays while the description does", says(ep, 2, 21));
    CHECK_ERRNO("and is out of reach", del(ep, number), EBADF);
    struct ends f = make_pipe();
    int at = f.in == number ? f.in : dup2(f.in, number);
    CHECK("the number is another's now", at == number && add(ep, number, 300) == 0);
    feed(f);
    CHECK("three", says(ep, 3, 321));
    CHECK("the new one goes", del(ep, number) == 0 && says(ep, 2, 21));
    CHECK("the other", del(ep, other) == 0 && says(ep, 1, 1));
    MUST(close(other) == 0);
    CHECK("with the last descriptor all do", says(ep, 0, 0));
    close(number);
    close(f.in);
    close(f.out);
    close(e.out);
    close(ep);
}

/* dup2 over a registered number closes it. */
static void test_replaced(struct ends e)
{
    int ep = make_epoll();
    struct ends f = make_pipe();
    warm(ep, e);
    warm(ep, f);
    MUST(add(ep, e.in, 1) == 0);
    feed(e);
    feed(f);
    CHECK("replaced", says(ep, 1, 1) && dup2(f.in, e.in) == e.in && says(ep, 0, 0));
    CHECK_ERRNO("not in", del(ep, e.in), ENOENT);
    CHECK("to be added", add(ep, e.in, 2) == 0 && says(ep, 1, 2));
    CHECK_ERRNO("its own number is not in", del(ep, f.in), ENOENT);
    MUST(close(f.in) == 0);
    CHECK("and stays", says(ep, 1, 2));
    MUST(close(e.in) == 0);
    CHECK("and ends", says(ep, 0, 0));
    close(e.out);
    close(f.out);
    close(ep);
}

static void *add_later(void *arg)
{
    nap_ms(30);
    MUST(add(shared_ep, shared.in, *(int *)arg) == 0);
    return NULL;
}

static void *close_later(void *arg)
{
    (void)arg;
    nap_ms(30);
    close(shared.in);
    return NULL;
}

static void test_threads(struct ends e)
{
    struct epoll_event got;
    pthread_t t;
    int data = 77;
    shared_ep = make_epoll();
    shared = e;
    warm(shared_ep, e);
    feed(e);
    MUST(pthread_create(&t, NULL, add_later, &data) == 0);
    CHECK("added while another waits",
          epoll_wait(shared_ep, &got, 1, PATIENCE_MS) == 1 && got.data.u64 == 77);
    pthread_join(t, NULL);
    drain(e);
    warm(shared_ep, make_pipe());
    MUST(pthread_create(&t, NULL, close_later, NULL) == 0);
    CHECK("closed while another waits", epoll_wait(shared_ep, &got, 1, 90) == 0);
    pthread_join(t, NULL);
    CHECK_ERRNO("and gone", del(shared_ep, e.in), EBADF);
    close(e.out);
    close(shared_ep);
}

static void *churn(void *arg)
{
    int ep = *(int *)arg;
    struct ends e = make_tcp();
    for (int i = 0; i < 300; i++) {
        MUST(add(ep, e.in, 1) == 0 && ctl(ep, EPOLL_CTL_MOD, e.in, EPOLLIN | EPOLLOUT, 1) == 0);
        MUST(del(ep, e.in) == 0);
        if (i % 50 == 49) {
            shut(e);
            e = make_tcp();
        }
    }
    shut(e);
    return NULL;
}

/* Threads that open, register and close: numbers go from one to the other. */
static void test_churn(void)
{
    pthread_t t[3];
    int ep = make_epoll();
    for (int i = 0; i < 3; i++)
        MUST(pthread_create(&t[i], NULL, churn, &ep) == 0);
    for (int i = 0; i < 3; i++)
        pthread_join(t[i], NULL);
    CHECK("nothing is left", says(ep, 0, 0));
    close(ep);
}

static void test_nested(struct ends e)
{
    int inner = make_epoll(), outer = make_epoll();
    warm(inner, e);
    for (int i = 0; i < OFTEN; i++)
        MUST(add(outer, inner, 4) == 0 && del(outer, inner) == 0);
    CHECK("an epoll in an epoll", add(outer, inner, 4) == 0 && add(inner, e.in, 1) == 0 && says(outer, 0, 0));
    feed(e);
    CHECK("speaks for its own", says(outer, 1, 4) && says(inner, 1, 1));
    CHECK_ERRNO("in no circle", add(inner, outer, 4), ELOOP);
    drain(e);
    CHECK("silent", says(outer, 0, 0));
    feed(e);
    MUST(close(inner) == 0);
    CHECK("gone", says(outer, 0, 0));
    close(outer);
    shut(e);
}

static void test_mixed(void)
{
    struct ends e[4] = {make_pipe(), make_tcp(), make_eventfd(), make_unix()};
    int ep = make_epoll(), timer = timerfd_create(CLOCK_MONOTONIC, 0);
    struct itimerspec its = {.it_value = {0, 1}};
    for (int i = 0; i < 4; i++)
        warm(ep, e[i]);
    for (int i = 0; i < 4; i++) {
        MUST(add(ep, e[i].in, 1UL << (4 * i)) == 0);
        feed(e[i]);
    }
    MUST(timerfd_settime(timer, 0, &its, NULL) == 0 && add(ep, timer, 0x50000) == 0);
    AWAIT(epoll_wait(ep, (struct epoll_event[8]){0}, 8, 0) == 5);
    CHECK("all kinds together", says(ep, 5, 0x51111));
    for (int i = 0; i < 4; i++)
        shut(e[i]);
    CHECK("all but the last closed", says(ep, 1, 0x50000));
    close(timer);
    CHECK("and that", says(ep, 0, 0));
    close(ep);
}

static void test_high_number(struct ends e)
{
    struct rlimit r;
    int ep = make_epoll(), high;
    MUST(getrlimit(RLIMIT_NOFILE, &r) == 0);
    r.rlim_cur = r.rlim_max;
    MUST(setrlimit(RLIMIT_NOFILE, &r) == 0);
    high = r.rlim_cur > 3000 ? 2999 : (int)r.rlim_cur - 1;
    MUST(dup2(e.in, high) == high);
    warm(ep, e);
    MUST(add(ep, e.in, 1) == 0);
    CHECK("a high number", add(ep, high, 20) == 0);
    CHECK_ERRNO("once", add(ep, high, 20), EEXIST);
    feed(e);
    CHECK("beside the low one", says(ep, 2, 21));
    CHECK("changed", ctl(ep, EPOLL_CTL_MOD, high, EPOLLIN, 30) == 0 && says(ep, 2, 31));
    CHECK("taken out", del(ep, high) == 0 && says(ep, 1, 1));
    CHECK_ERRNO("only once", del(ep, high), ENOENT);
    MUST(dup2(ep, high) == high);
    CHECK("an epoll of a high number", ctl(high, EPOLL_CTL_MOD, e.in, EPOLLIN, 5) == 0 && says(high, 1, 5));
    close(high);
    shut(e);
    close(ep);
}

int main(void)
{
    test_operations("pipe", make_pipe());
    test_operations("tcp", make_tcp());
    test_operations("eventfd", make_eventfd());
    test_operations("unix", make_unix());
    test_errors(make_tcp());
    test_triggers(make_tcp());
    test_triggers(make_unix());
    test_dups(make_pipe());
    test_dups(make_tcp());
    test_dups(make_unix());
    test_replaced(make_tcp());
    test_threads(make_tcp());
    test_churn();
    test_nested(make_tcp());
    test_mixed();
    test_high_number(make_tcp());
    return check_done();
}
