/* execve: arguments, environment, auxiliary vector, scripts, descriptors, errors, the name in /proc. */
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "tests/guest/check.h"

extern char **environ;
static const char *self = "/proc/self/exe";

static int run(const char *path, char *const argv[], char *const envp[])
{
    pid_t pid = fork();
    if (pid == 0) {
        execve(path, argv, envp);
        _exit(100 + errno);
    }
    int st = 0;
    waitpid(pid, &st, 0);
    return WIFEXITED(st) ? WEXITSTATUS(st) : -WTERMSIG(st);
}

static void write_file(const char *path, const char *text, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);
    MUST(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    fchmod(fd, mode);
    close(fd);
}

/* What the second run of this program does, by its argv[1]. Returns the exit status. */
static int second(int argc, char **argv)
{
    if (strcmp(argv[1], "args") == 0)
        return argc == 4 && strcmp(argv[0], "zero") == 0 && argv[2][0] == 0 && strcmp(argv[3], "a b\n") == 0
                   ? 0
                   : 1;
    if (strcmp(argv[1], "env") == 0)
        return environ[0] && strcmp(environ[0], "A=1") == 0 && strcmp(environ[1], "EMPTY=") == 0 &&
                       !environ[2]
                   ? 0
                   : 1;
    if (strcmp(argv[1], "long") == 0)
        return strlen(argv[2]) == 100000 && argc == 1003 && strcmp(argv[1002], "last") == 0 ? 0 : 1;
    if (strcmp(argv[1], "fds") == 0)
        return fcntl(50, F_GETFD) >= 0 && fcntl(51, F_GETFD) < 0 && errno == EBADF ? 0 : 1;
    if (strcmp(argv[1], "state") == 0) {
        char cwd[100];
        sigset_t s;
        sigprocmask(SIG_BLOCK, NULL, &s);
        return getcwd(cwd, sizeof(cwd)) && strcmp(cwd, "/tmp") == 0 && umask(0) == 017 &&
                       sigismember(&s, SIGHUP) && alarm(0) > 0 && getpid() == atoi(argv[2])
                   ? 0
                   : 1;
    }
    if (strcmp(argv[1], "place") == 0) {
        char c = 0;
        return lseek(63, 1, SEEK_SET) == 1 && read(63, &c, 1) == 1 && c == 'E' && fcntl(62, F_GETFD) < 0 ? 0
                                                                                                         : 1;
    }
    if (strcmp(argv[1], "nothing") == 0)
        return 0;
    return 2;
}

/* Descriptor 63 is where a sandbox's process may have something of its own on the host. */
static void place_taken(void)
{
    char buf[100];
    int fd = open(self, O_RDONLY);
    MUST(fd >= 0 && dup2(fd, 63) == 63 && dup3(fd, 62, O_CLOEXEC) == 62);
    for (int i = 0; i < 100; i++)
        MUST(pread(63, buf, sizeof(buf), 0) == sizeof(buf) && pread(62, buf, sizeof(buf), 0) == sizeof(buf));
    execl(self, "exec", "place", NULL);
}

static void place_left(void)
{
    char buf[100];
    int fd = open(self, O_RDONLY);
    MUST(fd >= 0 && dup2(fd, 63) == 63);
    for (int i = 0; i < 100; i++)
        MUST(pread(63, buf, sizeof(buf), 0) == sizeof(buf));
    close(63);
    errno = 0;
    if (read(63, buf, 1) != -1 || errno != EBADF || execl("/nowhere", "exec", NULL) != -1 ||
        errno != ENOENT || read(63, buf, 1) != -1 || errno != EBADF)
        _exit(1);
    execl(self, "exec", "nothing", NULL);
}

static void nothing_open(void)
{
    close_range(0, ~0U, 0);
    execl(self, "exec", "nothing", NULL);
}

static void few_allowed(void)
{
    const struct rlimit few = {20, 20};
    MUST(setrlimit(RLIMIT_NOFILE, &few) == 0);
    execl(self, "exec", "nothing", NULL);
}

static void after_failures(void)
{
    for (int i = 0; i < 3; i++)
        if (execl("/nowhere", "exec", NULL) != -1 || errno != ENOENT || execl("/tmp", "exec", NULL) != -1 ||
            errno != EACCES)
            _exit(1);
    if (execve(self, bad_address, environ) != -1 || errno != EFAULT)
        _exit(1);
    execl(self, "exec", "nothing", NULL);
}

static void *wait_here(void *arg)
{
    (void)arg;
    pause();
    return NULL;
}

/* The process of a program with threads, and the programs after it. */
static void beside_threads(void)
{
    pthread_t t;
    MUST(pthread_create(&t, NULL, wait_here, NULL) == 0);
    for (int i = 0; i < 3; i++)
        if (run(self, (char *[]){"exec", "nothing", NULL}, environ) != 0)
            _exit(1);
    execl(self, "exec", "nothing", NULL);
}

static void test_place(void)
{
    CHECK("descriptor 63", in_child(place_taken) == 0);
    CHECK("descriptor 63, closed", in_child(place_left) == 0);
    CHECK("nothing open", in_child(nothing_open) == 0);
    CHECK("few descriptors", in_child(few_allowed) == 0);
    CHECK("after failures", in_child(after_failures) == 0);
    CHECK("beside threads", in_child(beside_threads) == 0);
}

static void state_child(void)
{
    char pid[20];
    sigset_t s;
    sigemptyset(&s);
    sigaddset(&s, SIGHUP);
    sigprocmask(SIG_BLOCK, &s, NULL);
    MUST(chdir("/tmp") == 0);
    umask(017);
    alarm(100);
    snprintf(pid, sizeof(pid), "%d", getpid());
    execl("/test/exec", "exec", "state", pid, NULL);
}

static void test_args(void)
{
    CHECK("arguments", run(self, (char *[]){"zero", "args", "", "a b\n", NULL}, environ) == 0);
    CHECK("environment", run(self, (char *[]){"x", "env", NULL}, (char *[]){"A=1", "EMPTY=", NULL}) == 0);
    static char big[100001];
    static char *argv[1004];
    memset(big, 'x', 100000);
    argv[0] = "x", argv[1] = "long", argv[2] = big;
    for (int i = 3; i < 1002; i++)
        argv[i] = "argument";
    argv[1002] = "last";
    CHECK("many and long ones", run(self, argv, environ) == 0);
    static char huge[140001];
    memset(huge, 'y', 140000);
    CHECK("one that is too long", run(self, (char *[]){"x", huge, NULL}, environ) == 100 + E2BIG);
    CHECK("state that stays", in_child(state_child) == 0);
    int fd = open("/dev/null", O_RDONLY);
    dup2(fd, 50);
    dup3(fd, 51, O_CLOEXEC);
    CHECK("close on exec", run("/test/exec", (char *[]){"x", "fds", NULL}, environ) == 0);
}

static void test_scripts(void)
{
    write_file("/tmp/script", "#!/bin/echo  -n one  two \n", 0755);
    CHECK("a script", run("/tmp/script", (char *[]){"zero", "three", NULL}, environ) == 0);
    dprintf(1, "\n");
    write_file("/tmp/s2", "#!/tmp/script\n", 0755);
    CHECK("a script's script", run("/tmp/s2", (char *[]){"zero", "four", NULL}, environ) == 0);
    dprintf(1, "\n");
    write_file("/tmp/loop", "#!/tmp/loop\n", 0755);
    CHECK("one of itself", run("/tmp/loop", (char *[]){"x", NULL}, environ) == 100 + ELOOP);
    write_file("/tmp/none", "#!/tmp/nowhere\n", 0755);
    CHECK("no interpreter", run("/tmp/none", (char *[]){"x", NULL}, environ) == 100 + ENOENT);
    write_file("/tmp/text", "echo text\n", 0755);
    CHECK("no format", run("/tmp/text", (char *[]){"x", NULL}, environ) == 100 + ENOEXEC);
    write_file("/tmp/empty", "", 0755);
    CHECK("an empty file", run("/tmp/empty", (char *[]){"x", NULL}, environ) == 100 + ENOEXEC);
    write_file("/tmp/elf", "\177ELF garbage", 0755);
    CHECK("a broken ELF", run("/tmp/elf", (char *[]){"x", NULL}, environ) == 100 + ENOEXEC);
    write_file("/tmp/plain", "#!/bin/sh\nexit 5\n", 0644);
    CHECK("not executable, even for root", run("/tmp/plain", (char *[]){"x", NULL}, environ) == 100 + EACCES);
    CHECK("a directory", run("/tmp", (char *[]){"x", NULL}, environ) == 100 + EACCES);
    CHECK("no such file", run("/nowhere", (char *[]){"x", NULL}, environ) == 100 + ENOENT);
    CHECK("a file as a directory", run("/tmp/script/x", (char *[]){"x", NULL}, environ) == 100 + ENOTDIR);
    CHECK("a bad pointer", run((char *)16, (char *[]){"x", NULL}, environ) == 100 + EFAULT);
}

static void test_at(void)
{
    int fd = open("/bin/busybox", O_PATH);
    pid_t pid = fork();
    if (pid == 0) {
        execveat(fd, "", (char *[]){"sh", "-c", "exit 6", NULL}, environ, AT_EMPTY_PATH);
        _exit(100 + errno);
    }
    int st;
    waitpid(pid, &st, 0);
    CHECK("execveat of a descriptor", WEXITSTATUS(st) == 6);
    int m = memfd_create("program", 0), in = open("/bin/busybox", O_RDONLY);
    static char buf[1 << 16];
    for (ssize_t n; (n = read(in, buf, sizeof(buf))) > 0;)
        MUST(write(m, buf, (size_t)n) == n);
    pid = fork();
    if (pid == 0) {
        fexecve(m, (char *[]){"sh", "-c", "exit 8", NULL}, environ);
        _exit(100 + errno);
    }
    waitpid(pid, &st, 0);
    CHECK("of a memory file", WEXITSTATUS(st) == 8);
    pid = fork();
    if (pid == 0) {
        int w = open("/tmp/busy", O_RDWR | O_CREAT, 0755);
        MUST(w >= 0);
        execl("/tmp/busy", "x", NULL);
        _exit(100 + errno);
    }
    waitpid(pid, &st, 0);
    CHECK("while it is written", WEXITSTATUS(st) == 100 + ETXTBSY);
}

static int load_count;
static bool exe_seen;

static int on_object(struct dl_phdr_info *info, size_t size, void *data)
{
    (void)size;
    (void)data;
    load_count++;
    exe_seen = exe_seen || info->dlpi_phnum > 3;
    return 0;
}

static void test_auxv(char **argv)
{
    CHECK("AT_PAGESZ", getauxval(AT_PAGESZ) == 4096);
    CHECK("AT_RANDOM", getauxval(AT_RANDOM) != 0 && *(uint64_t *)getauxval(AT_RANDOM) != 0);
    CHECK("AT_EXECFN", strcmp((char *)getauxval(AT_EXECFN), "/test/exec") == 0);
    CHECK("AT_UID",
          getauxval(AT_UID) == getuid() && getauxval(AT_EUID) == geteuid() && getauxval(AT_GID) == getgid());
    CHECK("AT_SECURE", getauxval(AT_SECURE) == 0);
    CHECK("AT_PHDR", getauxval(AT_PHNUM) > 3 && getauxval(AT_PHENT) == sizeof(ElfW(Phdr)));
    CHECK("AT_ENTRY", getauxval(AT_ENTRY) != 0);
    CHECK("AT_CLKTCK", getauxval(AT_CLKTCK) == 100);
    CHECK("AT_PLATFORM", strcmp((char *)getauxval(AT_PLATFORM), "x86_64") == 0);
    CHECK("AT_SYSINFO_EHDR is a vDSO",
          getauxval(AT_SYSINFO_EHDR) && memcmp((void *)getauxval(AT_SYSINFO_EHDR), ELFMAG, 4) == 0);
    dl_iterate_phdr(on_object, NULL);
    CHECK("program headers", exe_seen && load_count >= 1);
    char comm[16], exe[PATH_MAX] = "", cmd[100] = "";
    prctl(PR_GET_NAME, comm);
    CHECK("the name", strcmp(comm, "exec") == 0);
    CHECK("/proc/self/exe",
          readlink("/proc/self/exe", exe, sizeof(exe) - 1) > 0 && strcmp(exe, "/test/exec") == 0);
    int fd = open("/proc/self/cmdline", O_RDONLY);
    CHECK("/proc/self/cmdline",
          read(fd, cmd, sizeof(cmd)) == (ssize_t)strlen(argv[0]) + 1 && strcmp(cmd, argv[0]) == 0);
    close(fd);
    struct stat st;
    CHECK("the stack is below the arguments", stat("/proc/self/exe", &st) == 0 && (char *)&st < argv[0]);
}

static void no_stdio(void)
{
    for (int i = 0; i < 200; i++) {
        pid_t pid = vfork();
        if (pid == 0) {
            execl("/bin/true", "true", NULL);
            _exit(1);
        }
        int st;
        waitpid(pid, &st, 0);
        if (st != 0)
            _exit(1);
    }
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return second(argc, argv);
    test_auxv(argv);
    test_args();
    test_scripts();
    test_at();
    test_place();
    CHECK("two hundred times", in_child(no_stdio) == 0);
    return check_done();
}
