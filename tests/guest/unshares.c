/* What a process shares is parted with, and given back at its end, while others look at it, through /proc. */
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "tests/guest/check.h"

#define ROUNDS 2000
#define ENDS 100

/* Its own copies, again and again. */
static void part(void)
{
    for (int i = 0; i < ROUNDS; i++)
        if (unshare(CLONE_FS) != 0 || unshare(CLONE_FILES) != 0)
            _exit(1);
}

static int status_has_umask(const char *path)
{
    char text[4096];
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        return 0;
    ssize_t n = read(fd, text, sizeof(text) - 1);
    close(fd);
    text[n > 0 ? n : 0] = 0;
    return n > 0 && strstr(text, "\nUmask:\t0022\n") != NULL;
}

/* True: there is one, with the root directory's mount. */
static int has_mounts(const char *path)
{
    char text[16384];
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        return 0;
    ssize_t n = read(fd, text, sizeof(text) - 1);
    close(fd);
    text[n > 0 ? n : 0] = 0;
    return n > 0 && strstr(text, " / / ") != NULL;
}

static int look_to_the_end(void)
{
    char path[64];
    int ends = 0;

    for (int i = 0; i < ENDS; i++) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(0);
        snprintf(path, sizeof(path), "/proc/%d/mountinfo", pid);
        while (has_mounts(path))
            ;
        ends += waitpid(pid, NULL, 0) == pid;
    }
    return ends;
}

int main(void)
{
    char cwd[64], root[64], status[64], fd[64], link[64];
    int good = 0, looks = 0, st;

    umask(022);
    MUST(chdir("/tmp") == 0);
    pid_t pid = fork();
    if (pid == 0) {
        part();
        _exit(0);
    }
    snprintf(cwd, sizeof(cwd), "/proc/%d/cwd", pid);
    snprintf(root, sizeof(root), "/proc/%d/root", pid);
    snprintf(status, sizeof(status), "/proc/%d/status", pid);
    snprintf(fd, sizeof(fd), "/proc/%d/fd/0", pid);
    while (waitpid(pid, &st, WNOHANG) == 0) {
        int ok = readlink(cwd, link, sizeof(link)) == 4 && memcmp(link, "/tmp", 4) == 0 &&
                 readlink(root, link, sizeof(link)) == 1 && link[0] == '/' && status_has_umask(status) &&
                 readlink(fd, link, sizeof(link)) > 0;
        siginfo_t info = {0};
        /* It may have ended meanwhile. */
        if (!ok && waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid)
            continue;
        good += ok;
        looks++;
    }
    CHECK("it ended well", WIFEXITED(st) && WEXITSTATUS(st) == 0);
    CHECK("all was there, whenever it was looked at", good == looks);
    CHECK("mounts, to a process's end", look_to_the_end() == ENDS);
    return check_done();
}
