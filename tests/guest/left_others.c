/* TCP connections that a runtime may have left to a program with one thread (left_sockets.c): whoever else
 * comes to use one finds it as it is, and so does the program that becomes another.
 *
 * Also run with: --lanes=off
 * Also run with: --strace */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "tests/guest/left.h"
#include "tests/guest/scm.h"

static const char *self;

static void test_dup(void)
{
    struct pair p = pair();
    int other = dup(p.server);

    shut(p.server);
    CHECK("dup", is_quiet(p.client) && put(other) && get(p.client) == 1);
    CHECK("dup2 over another", dup2(other, p.server) == p.server);
    shut(other);
    CHECK("is one more", is_quiet(p.client) && talk(p));
    shut(p.server);
    CHECK("the last one", get(p.client) == 0);
    shut(p.client);
    struct pair q = pair();
    p = pair();
    CHECK("dup2 closes", dup2(q.server, p.server) == p.server && get(p.client) == 0);
    shut(q.server);
    CHECK("fcntl", is_quiet(q.client) && fcntl(p.server, F_DUPFD, 60) == 60);
    shut(p.server);
    CHECK("as dup", put(60) && get(q.client) == 1 && close_range(60, 60, 0) == 0 && get(q.client) == 0);
    shut(p.client);
    shut(q.client);
}

static void test_fork(void)
{
    struct pair p = pair();
    int status;

    atomic_store(&sh->go, 0);
    pid_t pid = fork();
    if (pid == 0) {
        await_quietly(&sh->go, 1);
        bool good = put(p.server) && close(p.client) == 0;
        atomic_store(&sh->seen, 2);
        await_quietly(&sh->go, 2);
        _exit(!good);
    }
    shut(p.server);
    bool open = is_quiet(p.client);
    atomic_store(&sh->go, 1);
    await_quietly(&sh->seen, 2);
    CHECK("a child has it, too", open && get(p.client) == 1 && is_quiet(p.client));
    atomic_store(&sh->go, 2);
    CHECK("until it ends", waitpid(pid, &status, 0) == pid && status == 0 && get(p.client) == 0);
    shut(p.client);
    p = pair();
    pid = fork();
    if (pid == 0) {
        struct pair q = pair();
        _exit(!talk(p) || !talk(q));
    }
    MUST(waitpid(pid, &status, 0) == pid);
    CHECK("and may use it", status == 0 && is_quiet(p.client) && talk(p));
    part(p);
}

/* A child with habits of its own takes the next connection, and goes on with it: the other end of that. */
static int served_by(pid_t *pid, int (*child)(int fd))
{
    atomic_store(&sh->go, 0);
    atomic_store(&sh->seen, 0);
    *pid = fork();
    if (*pid == 0) {
        for (int i = 0; i < OFTEN; i++)
            part(pair());
        atomic_store(&sh->seen, 1);
        await_quietly(&sh->go, 1);
        _exit(child(taken()));
    }
    AWAIT(atomic_load(&sh->seen) == 1);
    int client = begun();
    MUST(join(client) == 0);
    atomic_store(&sh->go, 1);
    return client;
}

static int stays(int fd)
{
    atomic_store(&sh->seen, put(fd) ? 2 : 3);
    while (true)
        pause();
    return 0;
}

static void test_killed(void)
{
    int status;
    pid_t pid;
    int client = served_by(&pid, stays);

    await_quietly(&sh->seen, 2);
    CHECK("whose process lives", get(client) == 1 && is_quiet(client));
    MUST(kill(pid, SIGKILL) == 0 && waitpid(pid, &status, 0) == pid);
    CHECK("and ends", get(client) == 0);
    shut(client);
}

static int execed(const char *number)
{
    int fd = atoi(number);

    return !put(fd) || fcntl(fd, F_GETFD) != 0;
}

/* The program becomes another, which then has it alone; or does not. */
static int becomes(int fd)
{
    struct pair gone = pair();
    char number[16];

    MUST(execl("/nowhere", "nowhere", NULL) == -1 && talk(gone) && is_quiet(fd));
    MUST(fcntl(fd, F_SETFD, 0) == 0);
    snprintf(number, sizeof(number), "%d", fd);
    part(pair());
    execl(self, self, number, NULL);
    return 98;
}

static void test_exec(void)
{
    struct pair p = pair();
    int status;
    pid_t pid;
    int client = served_by(&pid, becomes);

    MUST(waitpid(pid, &status, 0) == pid);
    CHECK("another program's", status == 0 && get(client) == 1 && get(client) == 0 && talk(p));
    shut(client);
    part(p);
}

/* Not even asked for close-on-exec: the host closes its own. */
static int vanishes(int fd)
{
    (void)fd;
    execl(self, self, "-1", NULL);
    return 98;
}

static void test_close_on_exec(void)
{
    int status;
    pid_t pid;
    int client = served_by(&pid, vanishes);

    CHECK("closed by an exec", waitpid(pid, &status, 0) == pid && status == 256 && get(client) == 0);
    shut(client);
}

static void forbid(int nr)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)nr, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOTTY),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog prog = {sizeof(code) / sizeof(code[0]), code};

    MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) == 0);
}

/* From then on filters have a say in each connect, and then in each close. */
static int filtered(int fd)
{
    int going = begun();

    forbid(SYS_connect);
    bool good = join(going) == -1 && errno == ENOTTY;
    forbid(SYS_close);
    good &= join(going) == -1 && errno == ENOTTY && close(fd) == -1 && errno == ENOTTY;
    return !(good && put(fd));
}

static void test_filtered(void)
{
    int status;
    pid_t pid;
    int client = served_by(&pid, filtered);

    CHECK("a filter has its say",
          waitpid(pid, &status, 0) == pid && status == 0 && get(client) == 1 && get(client) == 0);
    shut(client);
    shut(taken()); /* what was going on */
}

static void test_passed(void)
{
    struct pair p = pair();
    int through[2];

    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, through) == 0);
    MUST(send_fds(through[0], &p.server, 1) == 0);
    shut(p.server);
    CHECK("on its way it is open", is_quiet(p.client));
    p.server = receive_fd(through[1], 0);
    CHECK("and there it is", talk(p));
    shut(p.server);
    CHECK("to its end", get(p.client) == 0);
    shut(p.client);
    shut(through[0]);
    shut(through[1]);
}

#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif

/* Looks at the server's end that its parent has, in every way. 77: it must not take it. */
static int look(pid_t pid, struct pair p, ino_t ino)
{
    char path[64], text[64] = "", want[64];
    int own = (int)syscall(SYS_pidfd_open, pid, 0);

    await_quietly(&sh->go, 1);
    snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, p.server);
    snprintf(want, sizeof(want), "socket:[%lu]", (unsigned long)ino);
    bool seen = readlink(path, text, sizeof(text) - 1) > 0 && strcmp(text, want) == 0;
    int fd = (int)syscall(SYS_pidfd_getfd, own, p.server, 0);
    int r = !seen ? 1 : fd < 0 ? (errno == EPERM ? 77 : 2) : !put(fd);
    atomic_store(&sh->seen, 1);
    await_quietly(&sh->go, 2);
    return r;
}

static void test_seen(void)
{
    struct stat st;
    pid_t parent = getpid();
    int status, tell[2];

    MUST(pipe(tell) == 0);
    atomic_store(&sh->go, 0);
    atomic_store(&sh->seen, 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct {
            struct pair p;
            ino_t ino;
        } m;
        close(tell[1]);
        MUST(read(tell[0], &m, sizeof(m)) == sizeof(m));
        _exit(look(parent, m.p, m.ino));
    }
    struct {
        struct pair p;
        ino_t ino;
    } m = {.p = pair()};
    MUST(fstat(m.p.server, &st) == 0);
    part(m.p);
    m.p = pair(); /* nobody has asked for anything of it yet */
    char text[64] = "", path[64];
    struct pair q = pair();
    snprintf(path, sizeof(path), "/proc/self/fd/%d", q.server);
    MUST(fstat(q.server, &st) == 0 && readlink(path, text, sizeof(text) - 1) > 0);
    char want[64];
    snprintf(want, sizeof(want), "socket:[%lu]", (unsigned long)st.st_ino);
    CHECK("what /proc says", strcmp(text, want) == 0 && S_ISSOCK(st.st_mode));
    MUST(fstat(m.p.server, &st) == 0);
    m.ino = st.st_ino;
    MUST(write(tell[1], &m, sizeof(m)) == sizeof(m));
    atomic_store(&sh->go, 1);
    await_quietly(&sh->seen, 1);
    shut(m.p.server);
    ssize_t n = get(m.p.client);
    bool open = n == 1 ? is_quiet(m.p.client) : n == 0;
    atomic_store(&sh->go, 2);
    MUST(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    CHECK("who looks sees it, and who may takes it",
          open && ((WEXITSTATUS(status) == 0 && n == 1 && get(m.p.client) == 0) ||
                   (WEXITSTATUS(status) == 77 && n == 0)));
    shut(m.p.client);
    part(q);
    shut(tell[0]);
    shut(tell[1]);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return execed(argv[1]);
    self = argv[0];
    begin();
    test_dup();
    test_fork();
    test_killed();
    test_exec();
    test_close_on_exec();
    test_filtered();
    test_passed();
    test_seen();
    return check_done();
}
