/* Forks while other threads open, use and close pipes: a child has what its parent had at that moment, and
 * lets go of all of it.
 *
 * Also run with: --lanes=off */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "tests/guest/check.h"

#define OFTEN 24
#define USERS 2
#define CHILDREN 40
#define NUMBERS 64

static atomic_int rounds, wrong, stop;

/* The end of what was written comes, since nobody else keeps the other end. */
static bool ends(int in)
{
    struct pollfd p = {in, POLLIN, 0};
    char c;
    return poll(&p, 1, PATIENCE_MS) == 1 && read(in, &c, 1) == 0;
}

static void *use_pipes(void *arg)
{
    int p[2];
    char c;
    (void)arg;
    while (!stop && !wrong) {
        MUST(pipe(p) == 0);
        for (int i = 0; i < OFTEN; i++)
            wrong += write(p[1], "x", 1) != 1 || read(p[0], &c, 1) != 1;
        close(p[1]);
        wrong += !ends(p[0]);
        close(p[0]);
        rounds++;
    }
    return NULL;
}

/* The child stays, without anything that is open. */
static void let_go(void)
{
    for (int fd = 0; fd < NUMBERS; fd++)
        close(fd);
    for (;;)
        pause();
}

int main(void)
{
    pthread_t t[USERS];
    pid_t child[CHILDREN];
    for (int i = 0; i < USERS; i++)
        MUST(pthread_create(&t[i], NULL, use_pipes, NULL) == 0);
    for (int i = 0; i < CHILDREN; i++) {
        int before = rounds;
        child[i] = fork();
        if (child[i] == 0)
            let_go();
        MUST(child[i] > 0);
        AWAIT(rounds > before + USERS || wrong);
    }
    stop = 1;
    for (int i = 0; i < USERS; i++)
        pthread_join(t[i], NULL);
    CHECK("pipes end, whoever was forked meanwhile", wrong == 0);
    int lived = 0, st = 0;
    for (int i = 0; i < CHILDREN; i++) {
        kill(child[i], SIGKILL);
        MUST(waitpid(child[i], &st, 0) == child[i]);
        lived += WIFSIGNALED(st) && WTERMSIG(st) == SIGKILL;
    }
    CHECK("the children were there", lived == CHILDREN);
    return check_done();
}
