/* execve while another thread of the process is in a call that waits, one that was made so often that a
 * runtime may take it by a way of its own: the thread ends, the new program runs, and so do all others. */
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "tests/guest/check.h"

#define OFTEN 300
#define ROUNDS 8
#define KILLS 60
#define KILL_STEP_US 50

static char fifo[] = "/tmp/exec_beside";
static pid_t volatile opener;

/* One site for all. */
static __attribute__((noinline)) int raw_open(const char *path, int flags)
{
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags);
}

static void open_often(void)
{
    for (int i = 0; i < OFTEN; i++) {
        int fd = raw_open("/tmp", O_RDONLY | O_DIRECTORY);
        MUST(fd >= 0 && close(fd) == 0);
    }
}

static void *wait_in_open(void *arg)
{
    (void)arg;
    opener = (pid_t)syscall(SYS_gettid);
    (void)raw_open(fifo, O_RDONLY);
    return NULL;
}

static void exec_beside(void)
{
    pthread_t t;

    open_often();
    MUST(pthread_create(&t, NULL, wait_in_open, NULL) == 0);
    AWAIT(opener);
    await_sleep_of(getpid(), opener);
    execl("/proc/self/exe", "exec_beside", "second", NULL);
    _exit(99);
}

/* The other way round: the thread that executes goes on under the number of the one that waited. */
static void *exec_here(void *arg)
{
    (void)arg;
    AWAIT(opener);
    await_sleep_of(getpid(), getpid());
    execl("/proc/self/exe", "exec_beside", "second", NULL);
    _exit(99);
}

static void exec_instead(void)
{
    pthread_t t;

    open_often();
    MUST(pthread_create(&t, NULL, exec_here, NULL) == 0);
    opener = getpid();
    (void)raw_open(fifo, O_RDONLY);
    _exit(98);
}

/* Killed at any moment, before the new program runs or after. */
static void *exec_killed(void *arg)
{
    (void)arg;
    execl("/proc/self/exe", "exec_beside", "waits", NULL);
    _exit(97);
}

static int killed_ones(void)
{
    int good = 0, status;

    for (int i = 0; i < KILLS; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            pthread_t t;
            MUST(pthread_create(&t, NULL, exec_killed, NULL) == 0);
            for (;;)
                pause();
        }
        usleep((useconds_t)(i * KILL_STEP_US));
        MUST(kill(pid, SIGKILL) == 0 && waitpid(pid, &status, 0) == pid);
        good += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    }
    return good;
}

static int good_ones(void (*child)(void))
{
    int good = 0;

    for (int i = 0; i < ROUNDS; i++) {
        int status = in_child(child);
        good += WIFEXITED(status) && WEXITSTATUS(status) == 23;
    }
    return good;
}

int main(int argc, char **argv)
{

    if (argc > 1 && strcmp(argv[1], "waits") == 0)
        pause();
    if (argc > 1)
        return 23;
    MUST(mkfifo(fifo, 0600) == 0);
    CHECK("the new program runs", good_ones(exec_beside) == ROUNDS);
    CHECK_ERRNO("nobody has it open", open(fifo, O_WRONLY | O_NONBLOCK), ENXIO);
    CHECK("and instead of the first thread", good_ones(exec_instead) == ROUNDS);
    CHECK_ERRNO("nobody has it open, again", open(fifo, O_WRONLY | O_NONBLOCK), ENXIO);
    CHECK("killed while it executes", killed_ones() == KILLS);
    CHECK("it can go", unlink(fifo) == 0);
    return check_done();
}
