/* The CPUs that a process may use, as its children have them: whatever a runtime does to a thread meanwhile,
 * of which the opening of files that are used often is most likely to be a part. */
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>

#include "tests/guest/check.h"

#define OFTEN 100
#define CHILDREN 300
#define OTHERS 2000

static const char *name = "/tmp/affinity";

static cpu_set_t cpus(void)
{
    cpu_set_t set;

    MUST(sched_getaffinity(0, sizeof(set), &set) == 0);
    return set;
}

static int open_file(void)
{
    int fd = open(name, O_RDONLY);

    MUST(fd >= 0);
    return fd;
}

static volatile bool over;
static volatile pid_t reader;

static void *use_pipes(void *arg)
{
    char c = 0;

    reader = (pid_t)syscall(SYS_gettid);
    while (!over) {
        int p[2];
        MUST(pipe(p) == 0);
        for (int k = 0; k < 20; k++)
            MUST(write(p[1], &c, 1) == 1 && read(p[0], &c, 1) == 1);
        MUST(close(p[0]) == 0 && close(p[1]) == 0);
    }
    return arg;
}

/* What another thread is given stays so, and is seen so, whatever that one does. */
static void test_another(cpu_set_t mine)
{
    pthread_t thread;
    cpu_set_t one, now;
    int wrong = 0;

    CPU_ZERO(&one);
    for (int i = CPU_SETSIZE - 1; i >= 0 && CPU_COUNT(&one) == 0; i--)
        if (CPU_ISSET(i, &mine))
            CPU_SET(i, &one);
    MUST(pthread_create(&thread, NULL, use_pipes, NULL) == 0);
    while (!reader)
        sched_yield();
    for (int i = 0; i < OTHERS; i++) {
        cpu_set_t *set = i % 2 ? &mine : &one;
        MUST(sched_setaffinity(reader, sizeof(*set), set) == 0);
        for (int k = 0; k < 3; k++) {
            MUST(sched_getaffinity(reader, sizeof(now), &now) == 0);
            wrong += !CPU_EQUAL(&now, set);
        }
    }
    over = true;
    MUST(pthread_join(thread, NULL) == 0);
    CHECK("another thread's", wrong == 0);
}

int main(void)
{
    cpu_set_t mine = cpus(), now;
    int fd = open(name, O_CREAT | O_TRUNC | O_WRONLY, 0644), narrow = 0, status;
    char c;

    MUST(fd >= 0 && write(fd, "bytes", 5) == 5 && close(fd) == 0);
    for (int i = 0; i < OFTEN; i++) {
        fd = open_file();
        for (int k = 0; k < 4; k++)
            MUST(read(fd, &c, 1) == 1);
        MUST(close(fd) == 0);
    }
    for (int i = 0; i < CHILDREN; i++) {
        fd = open_file();
        pid_t pid = fork();
        MUST(pid >= 0);
        if (pid == 0) {
            now = cpus();
            _exit(CPU_EQUAL(&now, &mine) ? 0 : 1);
        }
        MUST(waitpid(pid, &status, 0) == pid && close(fd) == 0);
        narrow += status != 0;
    }
    now = cpus();
    CHECK("as many CPUs as before", CPU_EQUAL(&now, &mine));
    CHECK("and the children as many", narrow == 0);
    test_another(mine);
    MUST(unlink(name) == 0);
    return check_done();
}
