/* For the programs that run inside: one line per fact, the same wherever Linux's rules hold.
 *
 * Lines go out unbuffered, so that a fork does not print them twice. A child that checks is run by in_child.
 */
#ifndef TESTS_GUEST_CHECK_H
#define TESTS_GUEST_CHECK_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int check_failures;

/* An address at which nothing is, that the compiler knows nothing of. */
static void *volatile const bad_address = (void *)16;

static inline bool check_(bool good, const char *label, const char *what, const char *file, int line)
{
    int saved = errno;
    if (good) {
        dprintf(1, "ok %s\n", label);
    } else {
        check_failures++;
        dprintf(1, "FAIL %s: %s (%s:%d, errno %d %s)\n", label, what, file, line, saved, strerror(saved));
    }
    return good;
}

/* A fact. Goes on after a failure. Returns whether it holds. */
#define CHECK(label, cond) check_((cond), (label), #cond, __FILE__, __LINE__)

/* A call that must fail with this errno. */
#define CHECK_ERRNO(label, call, expected)                                                                   \
    check_errno_((long)(call), (expected), (label), #call, __FILE__, __LINE__)

static inline bool check_errno_(long r, int expected, const char *label, const char *what, const char *file,
                                int line)
{
    int saved = errno;
    if (r == -1 && saved == expected) {
        dprintf(1, "ok %s\n", label);
        return true;
    }
    check_failures++;
    dprintf(1, "FAIL %s: %s = %ld, errno %d %s, not %s (%s:%d)\n", label, what, r, r == -1 ? saved : 0,
            r == -1 ? strerror(saved) : "none", strerror(expected), file, line);
    return false;
}

/* A value that is compared with the reference's. */
static inline void value(const char *name, long v)
{
    dprintf(1, "ok %s = %ld\n", name, v);
}

/* What cannot go on without this. */
#define MUST(cond)                                                                                           \
    do {                                                                                                     \
        if (!(cond)) {                                                                                       \
            dprintf(1, "FAIL cannot go on: %s (%s:%d, errno %d %s)\n", #cond, __FILE__, __LINE__, errno,     \
                    strerror(errno));                                                                        \
            _exit(99);                                                                                       \
        }                                                                                                    \
    } while (0)

static inline void nap_ms(long ms)
{
    struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    while (nanosleep(&ts, &ts) != 0 && errno == EINTR)
        ;
}

static inline long now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Nothing here may depend on how fast a machine is, nor on how long it let a program wait for its turn. So
 * what another process or a timer is to bring about is waited for, with a limit for what never comes; a call
 * that is to be interrupted is so again and again; and who is to be asleep in a call is looked at until it
 * is. */

#define PATIENCE_MS 40000

/* Until it is so; whether it is is for a CHECK to say. */
#define AWAIT(cond)                                                                                          \
    do                                                                                                       \
        for (long end_ = now_ms() + PATIENCE_MS; !(cond) && now_ms() < end_;)                                \
            nap_ms(1);                                                                                       \
    while (0)

/* Zeroes, the same for all that are forked from here on. */
static inline void *shared_zeroes(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    MUST(p != MAP_FAILED);
    return p;
}

/* The thread's state (proc(5)); 0: it is not there. */
static inline char state_of(pid_t pid, pid_t tid)
{
    char name[64], text[512];
    snprintf(name, sizeof(name), "/proc/%d/task/%d/stat", (int)pid, (int)tid);
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (fd >= 0)
        close(fd);
    if (n <= 0)
        return 0;
    text[n] = 0;
    const char *end = strrchr(text, ')');
    return end && end[1] ? end[2] : 0;
}

#define LOOKS 6
#define LOOK_MS 3

/* Until the thread sleeps whenever one looks, or has ended: it is in the call that it was to wait in. */
static inline void await_sleep_of(pid_t pid, pid_t tid)
{
    long end = now_ms() + PATIENCE_MS;
    for (int asleep = 0; asleep < LOOKS && now_ms() < end; nap_ms(LOOK_MS)) {
        char state = state_of(pid, tid);
        if (state == 'Z' || state == 0)
            return;
        asleep = state == 'S' ? asleep + 1 : 0;
    }
}

static inline void await_sleep(pid_t pid)
{
    await_sleep_of(pid, pid);
}

/* SIGALRM every ms milliseconds: the first one may be too early for the call that it is to interrupt. */
static inline void alarms_begin(long ms)
{
    struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
    MUST(setitimer(ITIMER_REAL, &(struct itimerval){tv, tv}, NULL) == 0);
}

/* No more of them. Returns the call's result, with its errno. */
static inline long alarms_end(long r)
{
    int saved = errno;
    MUST(setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL) == 0);
    errno = saved;
    return r;
}

/* Runs fn in a child and returns its wait status; its failures count as ours. */
static inline int in_child(void (*fn)(void))
{
    pid_t pid = fork();
    MUST(pid >= 0);
    if (pid == 0) {
        check_failures = 0;
        fn();
        _exit(check_failures ? 98 : 0);
    }
    int status = -1;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFEXITED(status) && (WEXITSTATUS(status) == 98 || WEXITSTATUS(status) == 99))
        check_failures++;
    return status;
}

static inline int check_done(void)
{
    dprintf(1, check_failures ? "%d failed\n" : "ok all\n", check_failures);
    return check_failures ? 1 : 0;
}

#endif
