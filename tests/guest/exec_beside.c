/* execve while another thread of the process is in a call that waits, one that was made so often that a
 * runtime may take it by a way of its own: the thread ends, the new program runs, and so do all others. */
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "tests/guest/check.h"

#define OFTEN 300
#define ROUNDS 8

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

int main(int argc, char **argv)
{
    int good = 0;

    (void)argv;
    if (argc > 1)
        return 23;
    MUST(mkfifo(fifo, 0600) == 0);
    for (int i = 0; i < ROUNDS; i++) {
        int status = in_child(exec_beside);
        good += WIFEXITED(status) && WEXITSTATUS(status) == 23;
    }
    CHECK("the new program runs", good == ROUNDS);
    CHECK_ERRNO("nobody has it open", open(fifo, O_WRONLY | O_NONBLOCK), ENXIO);
    CHECK("it can go", unlink(fifo) == 0);
    return check_done();
}
