/* read and write of sockets, often from the same places, while other things come to have the sockets'
 * numbers: what is moved is always by what the number stands for.
 *
 * Also run with: --lanes=off
 */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "tests/guest/alarmed.h"

#define OFTEN 60 /* more than it takes until a runtime takes notice */
#define ROUNDS 3000

/* One place for each, whatever the descriptor is. */
static __attribute__((noinline)) ssize_t take(int fd, void *buf, size_t n)
{
    return read(fd, buf, n);
}

static __attribute__((noinline)) ssize_t give(int fd, const void *buf, size_t n)
{
    return write(fd, buf, n);
}

static __attribute__((noinline)) ssize_t take_message(int fd, void *buf, size_t n)
{
    return recvfrom(fd, buf, n, 0, NULL, NULL);
}

static int make_file(const char *text)
{
    int fd = open("/tmp/socket_sites", O_RDWR | O_CREAT | O_TRUNC, 0600);

    MUST(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    return fd;
}

/* Bytes there and back, until the places are hot and the sockets are what they become then. */
static int warm(const int pair[2])
{
    int wrong = 0;
    char c = 0;

    for (int i = 0; i < OFTEN; i++) {
        wrong += give(pair[0], "a", 1) != 1 || take(pair[1], &c, 1) != 1 || c != 'a';
        wrong += give(pair[1], "b", 1) != 1 || take(pair[0], &c, 1) != 1 || c != 'b';
        wrong += give(pair[0], "m", 1) != 1 || take_message(pair[1], &c, 1) != 1 || c != 'm';
    }
    return wrong;
}

static void test_answers(int type, const char *label)
{
    int pair[2];
    char got[8];

    MUST(socketpair(AF_UNIX, type, 0, pair) == 0);
    CHECK(label, warm(pair) == 0);
    MUST(give(pair[0], "hello", 5) == 5 && give(pair[0], "you", 3) == 3);
    value("  the first three", take(pair[1], got, 3));
    value("  what is next", take(pair[1], got, 8));
    MUST(fcntl(pair[1], F_SETFL, O_NONBLOCK) == 0);
    if (type != SOCK_STREAM)
        (void)take(pair[1], got, 8);
    CHECK_ERRNO("  nothing", take(pair[1], got, 8), EAGAIN);
    value("  no bytes of it", take(pair[1], got, 0) < 0 ? -errno : 0);
    CHECK_ERRNO("  nowhere", give(pair[0], bad_address, 8), EFAULT);
    MUST(fcntl(pair[1], F_SETFL, 0) == 0);
    struct timeval tv = {.tv_usec = 20000};
    MUST(setsockopt(pair[1], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) == 0);
    CHECK_ERRNO("  in time", take(pair[1], got, 8), EAGAIN);
    tv = (struct timeval){0};
    MUST(setsockopt(pair[1], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) == 0);
    handle_alarms(5, 0);
    CHECK_ERRNO("  a signal", alarms_end(take(pair[1], got, 8)), EINTR);
    signal(SIGPIPE, on_signal);
    *caught = 0;
    close(pair[1]);
    value("  nobody there", give(pair[0], "x", 1) < 0 ? -errno : 0);
    value("  a signal for that", *caught);
    close(pair[0]);
}

/* The number becomes a file's, a pipe's, and a socket's again. */
static void test_others(void)
{
    int pair[2], next[2], ends[2], wrong = 0;
    char c = 0;

    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    CHECK("a socket", warm(pair) == 0);
    for (int i = 0; i < OFTEN; i++) {
        close(pair[1]);
        int fd = make_file("file");
        MUST(fd == pair[1] && lseek(fd, 1, SEEK_SET) == 1);
        wrong +=
            take(fd, &c, 1) != 1 || c != 'i' || give(fd, "x", 1) != 1 || take(fd, &c, 1) != 1 || c != 'e';
        wrong += take_message(fd, &c, 1) != -1 || errno != ENOTSOCK;
        close(fd);
        MUST(pipe(ends) == 0);
        wrong += dup2(ends[0], pair[1]) != pair[1] || give(ends[1], "p", 1) != 1;
        wrong += take(pair[1], &c, 1) != 1 || c != 'p';
        wrong += take_message(pair[1], &c, 1) != -1 || errno != ENOTSOCK;
        if (ends[0] != pair[1])
            close(ends[0]);
        close(ends[1]);
        close(pair[0]);
        MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, next) == 0);
        wrong += dup2(next[1], pair[1]) != pair[1] || give(next[0], "s", 1) != 1;
        wrong += take(pair[1], &c, 1) != 1 || c != 's';
        if (next[1] != pair[1])
            close(next[1]);
        pair[0] = next[0];
    }
    CHECK("and a file, and a pipe, and another", wrong == 0);
    close(pair[0]);
    close(pair[1]);
    unlink("/tmp/socket_sites");
}

/* The same file again and again, where a socket was: as a server opens its pages. */
static void test_pages(void)
{
    int pair[2], wrong = 0;
    char got[4];

    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    wrong += warm(pair);
    close(pair[0]);
    close(make_file("page"));
    for (int i = 0; i < 4 * OFTEN; i++) {
        int fd = open("/tmp/socket_sites", O_RDONLY);
        wrong += fd != pair[0] || take(fd, got, 4) != 4 || memcmp(got, "page", 4) != 0;
        close(fd);
    }
    CHECK("pages", wrong == 0);
    close(pair[1]);
    unlink("/tmp/socket_sites");
}

static struct swap {
    int at, file, socket;
    atomic_bool over;
} swap;

static void *take_turns(void *arg)
{
    (void)arg;
    while (!atomic_load(&swap.over)) {
        MUST(dup2(swap.file, swap.at) == swap.at);
        sched_yield();
        MUST(dup2(swap.socket, swap.at) == swap.at);
        sched_yield();
    }
    return NULL;
}

/* Whoever is there when a byte is written gets it, by whatever call that is made. (EBADF, in the moment in
 * which the number is replaced, is what docs/architecture.md says of lanes.) */
static void test_swap(void)
{
    int pair[2], wrong = 0, given = 0, got = 0;
    pthread_t t;
    char c;

    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    wrong += warm(pair);
    swap = (struct swap){.at = dup(pair[0]), .file = make_file(""), .socket = pair[0]};
    MUST(pthread_create(&t, NULL, take_turns, NULL) == 0);
    MUST(fcntl(pair[1], F_SETFL, O_NONBLOCK) == 0);
    for (int i = 0; i < ROUNDS; i++) {
        ssize_t n = give(swap.at, "x", 1);
        wrong += n != 1 && errno != EBADF;
        given += n == 1;
        while (take(pair[1], &c, 1) == 1)
            got++;
    }
    atomic_store(&swap.over, true);
    MUST(pthread_join(t, NULL) == 0);
    CHECK("while another thread changes it", wrong == 0);
    CHECK("each byte once", lseek(swap.file, 0, SEEK_END) + got == given);
    unlink("/tmp/socket_sites");
}

int main(void)
{
    caught = shared_zeroes(sizeof(*caught));
    test_answers(SOCK_STREAM, "streams");
    test_answers(SOCK_SEQPACKET, "packets");
    test_answers(SOCK_DGRAM, "datagrams");
    test_others();
    test_pages();
    test_swap();
    return check_done();
}
