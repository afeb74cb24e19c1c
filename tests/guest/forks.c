/* Processes and threads made in a hurry: by several threads at once, and while their maker is stopped and
 * continued. */
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "tests/guest/check.h"

#define MAKERS 4
#define ROUNDS 40

/* Each child ends with what it was told: the pid that fork returned is its own. */
static int forks(int salt)
{
    volatile int wrong = 0;
    for (volatile int i = 0; i < ROUNDS; i++) {
        volatile int code = (salt * ROUNDS + i) % 251;
        int st = 0;
        pid_t pid = i % 4 == 3 ? vfork() : fork();
        if (pid == 0)
            _exit(code);
        wrong += pid <= 0 || waitpid(pid, &st, 0) != pid || !WIFEXITED(st) || WEXITSTATUS(st) != code;
    }
    return wrong;
}

static void *fork_in_thread(void *arg)
{
    return (void *)(intptr_t)forks((int)(intptr_t)arg);
}

static void *own_id(void *arg)
{
    *(pid_t *)arg = (pid_t)syscall(SYS_gettid);
    return NULL;
}

static void *threads_in_thread(void *arg)
{
    intptr_t wrong = 0;
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        pthread_t a, b;
        pid_t x = 0, y = 0;
        pthread_create(&a, NULL, own_id, &x);
        pthread_create(&b, NULL, own_id, &y);
        pthread_join(a, NULL);
        pthread_join(b, NULL);
        wrong += x <= 0 || y <= 0 || x == y;
    }
    return (void *)wrong;
}

static long in_threads(void *(*fn)(void *))
{
    pthread_t t[MAKERS];
    long wrong = 0;
    for (intptr_t i = 0; i < MAKERS; i++)
        MUST(pthread_create(&t[i], NULL, fn, (void *)i) == 0);
    for (int i = 0; i < MAKERS; i++) {
        void *r;
        pthread_join(t[i], &r);
        wrong += (long)(intptr_t)r;
    }
    return wrong;
}

static void test_stops(void)
{
    int st = 0, wrong;
    pid_t pid = fork();
    if (pid == 0) {
        wrong = forks(7) + forks(8);
        _exit(wrong || waitpid(-1, NULL, 0) != -1 || errno != ECHILD ? 1 : 0);
    }
    while (waitpid(pid, &st, WNOHANG) == 0) {
        kill(pid, SIGSTOP);
        kill(pid, SIGCONT);
        syscall(SYS_sched_yield);
    }
    CHECK("stops and SIGCONT between", WIFEXITED(st) && WEXITSTATUS(st) == 0);
}

static void test_killed_at_once(void)
{
    int wrong = 0;
    for (int i = 0; i < 2 * ROUNDS; i++) {
        int st = 0, signo = i % 2 ? SIGKILL : SIGTERM;
        pid_t pid = fork();
        while (pid == 0)
            pause();
        kill(pid, signo);
        wrong += waitpid(pid, &st, 0) != pid || !WIFSIGNALED(st) || WTERMSIG(st) != signo;
    }
    CHECK("children that are killed before they have begun", wrong == 0);
}

static void test_exec(void)
{
    volatile int wrong = 0;
    for (volatile int i = 0; i < ROUNDS / 4; i++) {
        int st = 0;
        pid_t pid = i % 2 ? vfork() : fork();
        if (pid == 0) {
            execl("/bin/sh", "sh", "-c", i % 3 ? "exit 7" : "/bin/true; exit 7", NULL);
            _exit(1);
        }
        wrong += waitpid(pid, &st, 0) != pid || WEXITSTATUS(st) != 7;
    }
    CHECK("fork and vfork with exec", wrong == 0);
}

static void test_long_arguments(void)
{
    static char text[100000], lots[300][64], *args[303] = {"sh", "-c", NULL};
    char script[200];
    int st;
    memset(text, 'x', sizeof(text) - 1);
    args[2] = script;
    args[3] = "sh";
    args[4] = text;
    for (int i = 0; i < 290; i++) {
        snprintf(lots[i], sizeof(lots[i]), "argument %d of %.*s", i, i % 40, text);
        args[5 + i] = lots[i];
    }
    snprintf(script, sizeof(script), "[ ${#1} = %zu ] && [ $# = 291 ] && [ \"${291}\" = \"%s\" ]",
             strlen(text), lots[289]);
    pid_t pid = fork();
    if (pid == 0) {
        execve("/bin/sh", args, (char *[]){"A=b", NULL});
        _exit(1);
    }
    CHECK("arguments of many pages", waitpid(pid, &st, 0) == pid && st == 0);
}

/* Its strings end where memory does. */
static void test_edge(void)
{
    char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int st;
    MUST(page != MAP_FAILED && munmap(page + 4096, 4096) == 0);
    char **args = (char **)(page + 4096) - 4, *command = (char *)args - 7;
    memcpy(command, "exit 9", 7);
    args[0] = "sh";
    args[1] = "-c";
    args[2] = command;
    args[3] = NULL;
    pid_t pid = fork();
    if (pid == 0) {
        execve("/bin/sh", args, NULL);
        _exit(1);
    }
    CHECK("arguments up to the end of memory", waitpid(pid, &st, 0) == pid && WEXITSTATUS(st) == 9);
    memset(page, 'x', 4096);
    char *endless[] = {"sh", page, NULL};
    CHECK_ERRNO("a string without an end", execve("/bin/sh", endless, NULL), EFAULT);
}

int main(void)
{
    CHECK("one after the other", forks(0) == 0);
    CHECK("by several threads", in_threads(fork_in_thread) == 0);
    CHECK("threads by threads", in_threads(threads_in_thread) == 0);
    test_stops();
    test_killed_at_once();
    test_exec();
    test_long_arguments();
    test_edge();
    CHECK_ERRNO("nobody is left", waitpid(-1, NULL, 0), ECHILD);
    return check_done();
}
