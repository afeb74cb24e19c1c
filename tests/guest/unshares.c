/* What a process shares is parted with, and given back at its end, while others look at it, through /proc. */
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>

#include "tests/guest/ends.h"

#define ROUNDS 2000
#define ENDS 100

/* Its own copies, again and again. */
static void part(void)
{
    for (int i = 0; i < ROUNDS; i++)
        if (unshare(CLONE_FS) != 0 || unshare(CLONE_FILES) != 0)
            _exit(1);
}

/* True: the file is there, and has this in what one read of it gives. */
static int has(const char *path, const char *part)
{
    char text[16384];
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        return 0;
    ssize_t n = read(fd, text, sizeof(text) - 1);
    close(fd);
    text[n > 0 ? n : 0] = 0;
    return n > 0 && strstr(text, part) != NULL;
}

static int status_has_umask(const char *path)
{
    return has(path, "\nUmask:\t0022\n");
}

/* True: there is one, with the root directory's mount. */
static int has_mounts(const char *path)
{
    return has(path, " / / ");
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

struct paths {
    char cwd[64], root[64], status[64], fd[64];
};

static struct paths paths_of(pid_t pid)
{
    struct paths p;

    snprintf(p.cwd, sizeof(p.cwd), "/proc/%d/cwd", pid);
    snprintf(p.root, sizeof(p.root), "/proc/%d/root", pid);
    snprintf(p.status, sizeof(p.status), "/proc/%d/status", pid);
    snprintf(p.fd, sizeof(p.fd), "/proc/%d/fd/0", pid);
    return p;
}

static int all_is_there(const struct paths *p)
{
    char link[64];

    return readlink(p->cwd, link, sizeof(link)) == 4 && memcmp(link, "/tmp", 4) == 0 &&
           readlink(p->root, link, sizeof(link)) == 1 && link[0] == '/' && status_has_umask(p->status) &&
           readlink(p->fd, link, sizeof(link)) > 0;
}

/* Says when it is done, and does not end before it is let go. */
static _Noreturn void child(struct ends done, struct ends go)
{
    char c = 0;

    close(go.out);
    part();
    MUST(write(done.out, &c, 1) == 1 && read(go.in, &c, 1) == 0);
    _exit(0);
}

int main(void)
{
    struct ends done = make_pipe(), go = make_pipe();
    int good = 0, looks = 0, st;
    ssize_t n;
    char c;

    umask(022);
    MUST(chdir("/tmp") == 0);
    pid_t pid = fork();
    if (pid == 0)
        child(done, go);
    close(done.out);
    MUST(fcntl(done.in, F_SETFL, O_NONBLOCK) == 0);
    const struct paths p = paths_of(pid);
    while ((n = read(done.in, &c, 1)) < 0 && errno == EAGAIN) {
        good += all_is_there(&p);
        looks++;
    }
    CHECK("it parted with all", n == 1);
    CHECK("all was there, whenever it was looked at", good == looks);
    close(go.out);
    while (waitpid(pid, &st, WNOHANG) == 0)
        (void)all_is_there(&p);
    CHECK("it ended well", WIFEXITED(st) && WEXITSTATUS(st) == 0);
    CHECK("mounts, to a process's end", look_to_the_end() == ENDS);
    return check_done();
}
