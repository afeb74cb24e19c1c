/* Descriptors on their way through unix sockets: a user without privileges has as many as RLIMIT_NOFILE says,
 * and then ETOOMANYREFS; what has arrived or is gone does not count. */
#include <sys/resource.h>
#include <sys/wait.h>

#include "tests/guest/scm.h"

#define LIMIT 24
#define PAIRS 4

static int s[PAIRS][2];

static void open_pairs(void)
{
    for (int i = 0; i < PAIRS; i++)
        MUST(socketpair(AF_UNIX, i % 2 ? SOCK_STREAM : SOCK_SEQPACKET, 0, s[i]) == 0);
}

/* How many messages of n descriptors go through, in turn over all pairs; errno says why no more. */
static int fill(unsigned n)
{
    int fds[8] = {0}, sent = 0;

    while (sent < 1000 && send_fds(s[sent % PAIRS][0], fds, n) == 0)
        sent++;
    return sent;
}

static void close_pairs(void)
{
    for (int i = 0; i < PAIRS; i++) {
        close(s[i][0]);
        close(s[i][1]);
    }
}

static void bounded(void)
{
    open_pairs();
    int n = fill(1);
    CHECK_ERRNO("as many as may be open", n == LIMIT + 1 ? -1 : n, ETOOMANYREFS);
    CHECK("bytes go on", send(s[0][0], "b", 1, 0) == 1);
    CHECK("a look takes nothing out", receive_fd(s[0][1], MSG_PEEK | MSG_DONTWAIT) > 0);
    CHECK_ERRNO("so no more", send_fds(s[0][0], (int[]){0}, 1), ETOOMANYREFS);
    CHECK("two arrive", receive_fd(s[0][1], MSG_DONTWAIT) > 0 && receive_fd(s[1][1], MSG_DONTWAIT) > 0);
    CHECK("one more at a time", send_fds(s[0][0], (int[]){0, 1, 2}, 3) == 0);
    CHECK_ERRNO("many as it is", send_fds(s[0][0], (int[]){0}, 1), ETOOMANYREFS);
    close_pairs();
    open_pairs();
    CHECK("what was closed is gone", fill(5) == LIMIT / 5 + 1);
    close_pairs();
}

static int as_user(uid_t uid, void (*fn)(void))
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        struct rlimit r = {LIMIT, LIMIT};
        MUST(setrlimit(RLIMIT_NOFILE, &r) == 0 && setuid(uid) == 0);
        fn();
        exit(check_done());
    }
    MUST(waitpid(pid, &status, 0) == pid);
    return status;
}

static void other(void)
{
    CHECK("another user's are not counted", send_fds(s[0][0], (int[]){0}, 1) == 0);
}

/* Fills, has another user send, and ends with all under way. */
static void filled(void)
{
    CHECK("filled", fill(1) == LIMIT + 1);
}

int main(void)
{
    CHECK("one user", as_user(4242, bounded) == 0);
    open_pairs();
    CHECK("it ends with all under way", as_user(4242, filled) == 0);
    CHECK("another one", as_user(4243, other) == 0);
    CHECK("nor those who may", fill(1) > 2 * LIMIT);
    close_pairs();
    CHECK("all is given back", as_user(4242, bounded) == 0);
    return check_done();
}
