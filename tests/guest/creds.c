/* Who one is: user and group ids, groups, capabilities, securebits, limits, prctl, and what they allow. */
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <signal.h>
#include <sys/fsuid.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "tests/guest/check.h"

struct caps {
    uint32_t effective, permitted, inheritable;
};

static struct caps get_caps(void)
{
    struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct d[2] = {0};
    MUST(syscall(SYS_capget, &h, d) == 0);
    return (struct caps){d[0].effective, d[0].permitted, d[0].inheritable};
}

static int set_caps(struct caps c)
{
    struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct d[2] = {{c.effective, c.permitted, c.inheritable}, {0, 0, 0}};
    return (int)syscall(SYS_capset, &h, d);
}

static bool ids_are(uid_t r, uid_t e, uid_t s)
{
    uid_t a, b, c;
    return getresuid(&a, &b, &c) == 0 && a == r && b == e && c == s;
}

static void ids_root(void)
{
    CHECK("an effective id without power",
          setresuid(10, 20, 0) == 0 && get_caps().effective == 0 && get_caps().permitted != 0);
    CHECK("and with it", seteuid(0) == 0 && get_caps().effective == get_caps().permitted);
    CHECK("setresuid", setresuid(10, 20, 30) == 0 && ids_are(10, 20, 30));
    CHECK("no capability is left", get_caps().effective == 0 && get_caps().permitted == 0);
    CHECK("seteuid to the saved", seteuid(30) == 0 && ids_are(10, 30, 30));
    CHECK("seteuid to the real", seteuid(10) == 0 && ids_are(10, 10, 30));
    CHECK_ERRNO("to another", setresuid(99, -1U, -1U), EPERM);
    CHECK_ERRNO("back to root", seteuid(0), EPERM);
}

static void ids_setuid(void)
{
    gid_t groups[3] = {7, 8, 9}, got[10];
    CHECK("setgroups", setgroups(3, groups) == 0 && getgroups(10, got) == 3 && got[2] == 9);
    CHECK_ERRNO("getgroups with too little room", getgroups(2, got), EINVAL);
    CHECK("setgid", setgid(100) == 0 && getegid() == 100 && getgid() == 100);
    CHECK("setuid of root sets all", setuid(50) == 0 && ids_are(50, 50, 50));
    CHECK("no capabilities are left", get_caps().effective == 0 && get_caps().permitted == 0);
    CHECK_ERRNO("setgroups", setgroups(0, NULL), EPERM);
    CHECK_ERRNO("setgid", setgid(0), EPERM);
    CHECK_ERRNO("kill of init", kill(1, SIGTERM), EPERM);
    CHECK("groups stay", getgroups(0, NULL) == 3);
    int fd = open("/tmp/mine", O_CREAT | O_RDWR, 0600);
    struct stat st;
    CHECK("a new file's owner", fstat(fd, &st) == 0 && st.st_uid == 50 && st.st_gid == 100);
    CHECK_ERRNO("chown", fchown(fd, 0, 0), EPERM);
    CHECK("to one's group", fchown(fd, -1U, 8) == 0);
    CHECK_ERRNO("another's file", open("/tmp/secret", O_RDONLY), EACCES);
    CHECK("a group's file", open("/tmp/group", O_RDONLY) >= 0);
    CHECK_ERRNO("not to write", open("/tmp/group", O_WRONLY), EACCES);
    CHECK_ERRNO("access", access("/tmp/secret", R_OK), EACCES);
    CHECK_ERRNO("in a directory that is not one's own", open("/etc/new", O_CREAT | O_WRONLY, 0600), EACCES);
    CHECK_ERRNO("a sticky directory", unlink("/tmp/secret"), EPERM);
    CHECK_ERRNO("a mount", syscall(SYS_mount, "x", "/tmp", "tmpfs", 0, NULL), EPERM);
    CHECK_ERRNO("chroot", chroot("/tmp"), EPERM);
    CHECK_ERRNO("to where one may not go", mkdir("/tmp/closed", 0) == 0 ? chroot("/tmp/closed") : 0, EACCES);
    CHECK_ERRNO("the host's name", sethostname("x", 1), EPERM);
}

static void ids_fsuid(void)
{
    setfsgid(300);
    CHECK("setfsuid tells the old", setfsuid(200) == 0 && setfsuid(-1) == 200);
    struct stat st;
    CHECK("files are made by it", close(open("/tmp/fs", O_CREAT | O_RDWR, 0600)) == 0 &&
                                      stat("/tmp/fs", &st) == 0 && st.st_uid == 200 && st.st_gid == 300);
    CHECK_ERRNO("and judged by it", open("/tmp/secret", O_RDONLY), EACCES);
    setfsuid(0);
    CHECK("and back", open("/tmp/secret", O_RDONLY) >= 0);
}

static void caps_drop(void)
{
    struct caps all = get_caps(), c = all;
    c.effective &= ~(1U << CAP_CHOWN);
    CHECK("one off", set_caps(c) == 0 && get_caps().effective == c.effective);
    CHECK_ERRNO("it is missing", chown("/tmp/secret", 1, 1), EPERM);
    c.effective |= 1U << CAP_CHOWN;
    CHECK("on again", set_caps(c) == 0 && chown("/tmp/secret", 0, 0) == 0);
    c.permitted &= ~(1U << CAP_DAC_OVERRIDE);
    c.effective &= c.permitted;
    CHECK("off for good", set_caps(c) == 0);
    CHECK_ERRNO("no more", set_caps(all), EPERM);
    CHECK_ERRNO("a file without rights", open("/tmp/none", O_RDWR), EACCES);
    c.permitted |= 1U << CAP_SYS_ADMIN;
    CHECK_ERRNO("what one never had", set_caps(c), EPERM);
    CHECK("PR_CAPBSET_DROP", prctl(PR_CAPBSET_READ, CAP_NET_RAW) == 1 &&
                                 prctl(PR_CAPBSET_DROP, CAP_NET_RAW) == 0 &&
                                 prctl(PR_CAPBSET_READ, CAP_NET_RAW) == 0);
    CHECK_ERRNO("no such capability", prctl(PR_CAPBSET_READ, 63), EINVAL);
    CHECK("a bad version is named",
          (errno = 0, syscall(SYS_capget, &(struct __user_cap_header_struct){1, 0}, NULL)) <= 0);
}

static void caps_ambient(void)
{
    struct caps c = get_caps();
    CHECK_ERRNO("ambient needs inheritable", prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0),
                EPERM);
    c.inheritable = 1U << CAP_KILL;
    CHECK("inheritable",
          set_caps(c) == 0 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0) == 0);
    CHECK("is set", prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_KILL, 0, 0) == 1);
    CHECK("lost with setuid, kept capabilities are not",
          prctl(PR_SET_KEEPCAPS, 1) == 0 && setresuid(60, 60, 60) == 0 && get_caps().permitted != 0);
    CHECK("which are not effective",
          get_caps().effective == 0 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_KILL, 0, 0) == 0);
    CHECK("raised again", prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0) == 0);
    char *argv[] = {"sh", "-c", "grep CapEff /proc/self/status", NULL};
    execv("/bin/sh", argv);
}

static void no_new_privs(void)
{
    CHECK("off", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0);
    CHECK("on", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
    CHECK_ERRNO("never off", prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0), EINVAL);
    MUST(setuid(70) == 0);
    execl("/tmp/setuid", "creds", "euid", NULL);
}

static void setuid_program(void)
{
    MUST(setgid(70) == 0 && setuid(70) == 0);
    execl("/tmp/setuid", "creds", "euid", NULL);
}

static void test_prctl(void)
{
    char name[16] = "";
    CHECK("PR_SET_NAME cuts", prctl(PR_SET_NAME, "a name that is too long") == 0 &&
                                  prctl(PR_GET_NAME, name) == 0 && strcmp(name, "a name that is ") == 0);
    int v = 0;
    CHECK("PR_SET_PDEATHSIG",
          prctl(PR_SET_PDEATHSIG, SIGTERM) == 0 && prctl(PR_GET_PDEATHSIG, &v) == 0 && v == SIGTERM);
    prctl(PR_SET_PDEATHSIG, 0);
    CHECK("PR_SET_DUMPABLE",
          prctl(PR_GET_DUMPABLE) == 1 && prctl(PR_SET_DUMPABLE, 0) == 0 && prctl(PR_GET_DUMPABLE) == 0);
    prctl(PR_SET_DUMPABLE, 1);
    CHECK("PR_SET_TIMERSLACK", prctl(PR_SET_TIMERSLACK, 1000) == 0 && prctl(PR_GET_TIMERSLACK) == 1000);
    pid_t slack = fork();
    if (slack == 0) {
        bool mine = prctl(PR_SET_TIMERSLACK, 2000) == 0 && prctl(PR_GET_TIMERSLACK) == 2000;
        _exit(mine && prctl(PR_SET_TIMERSLACK, 0) == 0 && prctl(PR_GET_TIMERSLACK) == 1000 ? 0 : 1);
    }
    int st = -1;
    waitpid(slack, &st, 0);
    CHECK("a child's default is what it was born with", st == 0);
    CHECK("PR_GET_CHILD_SUBREAPER", prctl(PR_GET_CHILD_SUBREAPER, &v) == 0 && v == 0);
    CHECK_ERRNO("no such", prctl(99999, 0), EINVAL);
    value("PR_GET_SECUREBITS", prctl(PR_GET_SECUREBITS));
    value("PR_GET_SECCOMP", prctl(PR_GET_SECCOMP));
    value("PR_GET_TSC", prctl(PR_GET_TSC, &v) == 0 ? v : -errno);
    CHECK("personality", personality(0xffffffff) == 0);
    value("PR_GET_THP_DISABLE", prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0));
}

static void xfsz(void)
{
    struct rlimit r = {1000, 1000};
    setrlimit(RLIMIT_FSIZE, &r);
    int fd = open("/tmp/big", O_CREAT | O_RDWR, 0600);
    static char buf[2000];
    signal(SIGXFSZ, SIG_IGN);
    CHECK("a write up to the limit", write(fd, buf, 2000) == 1000);
    CHECK_ERRNO("not over it", write(fd, buf, 1), EFBIG);
    CHECK_ERRNO("nor by size", ftruncate(fd, 2000), EFBIG);
    signal(SIGXFSZ, SIG_DFL);
    (void)!write(fd, buf, 1);
}

static void limits(void)
{
    struct rlimit r, old;
    CHECK("as configured", getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur == 1024 && r.rlim_max == 4096);
    r = (struct rlimit){20, 30};
    CHECK("lower", setrlimit(RLIMIT_NOFILE, &r) == 0);
    int n = 0, fd;
    while ((fd = dup(1)) >= 0)
        n = fd;
    CHECK("the last descriptor", n == 19 && errno == EMFILE);
    CHECK_ERRNO("dup2 over it", dup2(1, 25), EBADF);
    CHECK_ERRNO("fcntl over it", fcntl(1, F_DUPFD, 25), EINVAL);
    r = (struct rlimit){40, 30};
    CHECK_ERRNO("soft over hard", setrlimit(RLIMIT_NOFILE, &r), EINVAL);
    r = (struct rlimit){20, 31};
    CHECK_ERRNO("hard up again", setrlimit(RLIMIT_NOFILE, &r), EPERM);
    CHECK("prlimit", prlimit(0, RLIMIT_CORE, &(struct rlimit){0, 0}, &old) == 0 &&
                         getrlimit(RLIMIT_CORE, &r) == 0 && r.rlim_max == 0);
    CHECK_ERRNO("no such limit", getrlimit(99, &r), EINVAL);
    r = (struct rlimit){1 << 20, 1 << 20};
    CHECK("RLIMIT_AS", setrlimit(RLIMIT_AS, &r) == 0);
    CHECK_ERRNO("is kept", (long)mmap(NULL, 8 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), ENOMEM);
}

static void nproc_limit(void)
{
    MUST(setuid(4321) == 0);
    struct rlimit r = {3, 3};
    setrlimit(RLIMIT_NPROC, &r);
    int n = 0, p[2];
    char c;
    MUST(pipe(p) == 0);
    for (; n < 10; n++) {
        pid_t pid = fork();
        if (pid == 0) { /* until its parent ends */
            close(p[1]);
            _exit(read(p[0], &c, 1) != 0);
        }
        if (pid < 0)
            break;
    }
    CHECK("RLIMIT_NPROC", n == 2 && errno == EAGAIN);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "euid") == 0)
        return (int)geteuid();
    close(open("/tmp/secret", O_CREAT | O_RDWR, 0600));
    close(open("/tmp/none", O_CREAT | O_RDWR, 0));
    close(open("/tmp/group", O_CREAT | O_RDWR, 0640));
    MUST(chown("/tmp/group", 0, 8) == 0 && chmod("/tmp/group", 0640) == 0);
    MUST(system("cp /test/creds /tmp/setuid && chmod 4755 /tmp/setuid") == 0);
    CHECK("ids", in_child(ids_root) == 0);
    CHECK("setuid", in_child(ids_setuid) == 0);
    CHECK("fsuid", in_child(ids_fsuid) == 0);
    CHECK("capabilities", in_child(caps_drop) == 0);
    CHECK("ambient", in_child(caps_ambient) == 0);
    CHECK("a set-user-id program", WEXITSTATUS(in_child(setuid_program)) == 0);
    CHECK("not with no_new_privs", WEXITSTATUS(in_child(no_new_privs)) == 70);
    test_prctl();
    int st = in_child(xfsz);
    CHECK("SIGXFSZ", WIFSIGNALED(st) && WTERMSIG(st) == SIGXFSZ);
    CHECK("limits", in_child(limits) == 0);
    CHECK("processes", in_child(nproc_limit) == 0);
    return check_done();
}
