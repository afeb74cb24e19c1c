/* The CPUs that a process may use, as its children have them: whatever a runtime does to a thread meanwhile,
 * of which the opening of files that are used often is most likely to be a part. */
#include <sched.h>

#include "tests/guest/check.h"

#define OFTEN 100
#define CHILDREN 300

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
    MUST(unlink(name) == 0);
    return check_done();
}
