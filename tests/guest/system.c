/* The system as it shows itself: uname, sysinfo, /proc and /sys, random numbers, what is refused. */
#include <asm/prctl.h>
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/timex.h>
#include <sys/utsname.h>

#include "tests/guest/check.h"

static char text[65536];

/* Reads a file whole; false if it cannot be. */
static bool slurp(const char *path)
{
    int fd = open(path, O_RDONLY);
    size_t n = 0;
    ssize_t r = -1;
    while (fd >= 0 && n < sizeof(text) - 1 && (r = read(fd, text + n, sizeof(text) - 1 - n)) > 0)
        n += (size_t)r;
    text[n] = 0;
    if (fd >= 0)
        close(fd);
    return fd >= 0 && r >= 0;
}

static bool has(const char *path, const char *what)
{
    return slurp(path) && strstr(text, what);
}

static long number_after(const char *path, const char *key)
{
    char *p = slurp(path) ? strstr(text, key) : NULL;
    return p ? strtol(p + strlen(key), NULL, 10) : -1;
}

/* Whether every read of a page and more ends where a mapping's text does, and holds a page at most. */
static bool reads_whole_mappings(const char *path)
{
    int fd = open(path, O_RDONLY), reads = 0;
    bool whole = true, begins = true;
    ssize_t n;

    while ((n = read(fd, text, sizeof(text) - 1)) > 0) {
        text[n] = 0;
        whole = whole && begins && n <= 4096 && strspn(text, "0123456789abcdef") >= 8;
        begins = text[n - 1] == '\n';
        reads++;
    }
    close(fd);
    return n == 0 && begins && whole && reads > 1;
}

/* A second reader's place in the text is where it left off, whatever it asked for. */
static bool reads_on_within_a_mapping(void)
{
    char few[100];
    int fd = open("/proc/self/smaps", O_RDONLY);
    bool ok = read(fd, few, sizeof(few)) == sizeof(few) && lseek(fd, 0, SEEK_CUR) == sizeof(few);

    ok = ok && read(fd, text, 4096) > 0 && pread(fd, text + 5000, 100, 50) == 100;
    close(fd);
    return ok && memcmp(text + 5050, text, 50) == 0;
}

static void test_mappings(void)
{
    void *kept[100];
    for (int i = 0; i < 100; i++)
        kept[i] = mmap(NULL, 8192, i % 2 ? PROT_READ : PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK("reads of maps end with a line", reads_whole_mappings("/proc/self/maps"));
    CHECK("and of smaps with a mapping", reads_whole_mappings("/proc/self/smaps"));
    CHECK("the rest of one", reads_on_within_a_mapping());
    for (int i = 0; i < 100; i++)
        munmap(kept[i], 8192);
}

static void test_names(void)
{
    struct utsname u;
    char host[100];
    CHECK("uname", uname(&u) == 0 && strcmp(u.sysname, "Linux") == 0 && strcmp(u.machine, "x86_64") == 0);
    CHECK("the host's name", strcmp(u.nodename, "bailey-test") == 0 && gethostname(host, sizeof(host)) == 0 &&
                                 strcmp(host, u.nodename) == 0);
    CHECK("as /proc has it", has("/proc/sys/kernel/hostname", "bailey-test\n") &&
                                 has("/proc/sys/kernel/osrelease", u.release) &&
                                 has("/proc/version", u.release));
    struct sysinfo si;
    CHECK("sysinfo", sysinfo(&si) == 0 && si.uptime > 0 && si.totalram * si.mem_unit > 100 << 20 &&
                         si.freeram <= si.totalram && si.procs >= 1);
    CHECK("/proc/meminfo",
          number_after("/proc/meminfo", "MemTotal:") * 1024 == (long)(si.totalram * si.mem_unit));
    CHECK("/proc/uptime", slurp("/proc/uptime") && strchr(text, ' ') && atof(text) >= 0);
    CHECK("/proc/loadavg", slurp("/proc/loadavg") && strchr(text, '/'));
    CHECK("/proc/cpuinfo", has("/proc/cpuinfo", "processor\t: 0") && has("/proc/cpuinfo", "flags\t\t:"));
    CHECK("/proc/stat", has("/proc/stat", "cpu0 ") && has("/proc/stat", "btime "));
    CHECK("/proc/filesystems", has("/proc/filesystems", "nodev\tproc") && has("/proc/filesystems", "tmpfs"));
    CHECK("/sys", access("/sys/devices/system/cpu/cpu0", F_OK) == 0 &&
                      slurp("/sys/devices/system/cpu/online") && text[0] == '0');
    CHECK("processors", sysconf(_SC_NPROCESSORS_ONLN) >= 1);
}

static void test_self(void)
{
    char path[100], want[100];
    snprintf(path, sizeof(path), "/proc/%d/stat", getpid());
    snprintf(want, sizeof(want), "%d (system) R %d %d %d ", getpid(), getppid(), getpgrp(), getsid(0));
    CHECK("/proc/PID/stat", has(path, want) && strncmp(text, want, strlen(want)) == 0);
    int fields = 0;
    for (char *p = strchr(text, ')'); p && *p; p++)
        fields += *p == ' ';
    CHECK("its fields", fields == 50);
    CHECK("/proc/self/status", number_after("/proc/self/status", "\nPid:\t") == getpid() &&
                                   number_after("/proc/self/status", "\nPPid:\t") == getppid() &&
                                   number_after("/proc/self/status", "\nThreads:\t") == 1 &&
                                   has("/proc/self/status", "Name:\tsystem\n") &&
                                   number_after("/proc/self/status", "\nVmRSS:\t") > 0);
    CHECK("/proc/self/maps", has("/proc/self/maps", "/test/system") && strstr(text, "[stack]") &&
                                 strstr(text, "r-xp") && strstr(text, "[heap]"));
    CHECK("/proc/self/statm", slurp("/proc/self/statm") && atol(text) > 0);
    CHECK("/proc/self/cmdline", slurp("/proc/self/cmdline") && strcmp(text, "/test/system") == 0);
    CHECK("/proc/self/environ", slurp("/proc/self/environ") && strncmp(text, "PATH=", 5) == 0);
    CHECK("/proc/self/comm", has("/proc/self/comm", "system\n"));
    CHECK("/proc/self/limits",
          has("/proc/self/limits",
              "Max open files            1024                 4096                 files"));
    CHECK("/proc/self/mounts", has("/proc/self/mounts", " / ") && has("/proc/mounts", "proc /proc proc "));
    CHECK("/proc/self/mountinfo", has("/proc/self/mountinfo", " /dev/pts ") && strstr(text, " - devpts "));
    CHECK("/proc/self/cgroup", slurp("/proc/self/cgroup") && strchr(text, ':'));
    CHECK("/proc/self/oom_score_adj", slurp("/proc/self/oom_score_adj") && atoi(text) == 0);
    CHECK("/proc/self/uid_map", slurp("/proc/self/uid_map") && atoi(text) == 0);
    char link[100] = "";
    CHECK("/proc/self", readlink("/proc/self", link, 99) > 0 && atoi(link) == getpid());
    CHECK("/proc/self/cwd and root", readlink("/proc/self/cwd", link, 99) == 1 &&
                                         readlink("/proc/self/root", link, 99) == 1 && link[0] == '/');
    CHECK("/proc/thread-self", readlink("/proc/thread-self", link, 99) > 0 && strstr(link, "/task/"));
    CHECK("/proc/self/fd", readlink("/proc/self/fd/0", link, 99) > 0);
    CHECK("/proc/self/ns", readlink("/proc/self/ns/pid", link, 99) > 0 && strncmp(link, "pid:[", 5) == 0);
    CHECK_ERRNO("none of that name", open("/proc/self/none", O_RDONLY), ENOENT);
    CHECK_ERRNO("no such process", open("/proc/99999/stat", O_RDONLY), ENOENT);
    CHECK_ERRNO("nothing is made there", open("/proc/new", O_CREAT | O_WRONLY, 0600), ENOENT);
}

static void test_listing(void)
{
    DIR *d = opendir("/proc");
    int pids = 0, other = 0;
    bool self = false;
    for (struct dirent *e; d && (e = readdir(d));) {
        pids += e->d_name[0] >= '1' && e->d_name[0] <= '9';
        other += e->d_name[0] > '9';
        self = self || strcmp(e->d_name, "self") == 0;
    }
    CHECK("only the container's processes", pids == 1 && self && other > 10);
    closedir(d);
    pid_t pid = fork();
    if (pid == 0)
        for (;;)
            pause();
    char path[100];
    snprintf(path, sizeof(path), "/proc/%d/status", pid);
    AWAIT(has(path, "State:\tS"));
    CHECK("a child that sleeps",
          has(path, "State:\tS (sleeping)") && number_after(path, "\nPPid:\t") == getpid());
    int fd = open(path, O_RDONLY);
    kill(pid, SIGKILL);
    siginfo_t info;
    waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT);
    CHECK("a zombie", has(path, "State:\tZ (zombie)"));
    CHECK("its thread, too", state_of(pid, pid) == 'Z');
    waitpid(pid, NULL, 0);
    CHECK_ERRNO("reaped", open(path, O_RDONLY), ENOENT);
    CHECK_ERRNO("an open file of what is gone", read(fd, text, 100), ESRCH);
    close(fd);
}

static void test_random(void)
{
    unsigned char a[256] = {0}, b[256] = {0};
    CHECK("getrandom", getrandom(a, sizeof(a), 0) == sizeof(a) &&
                           getrandom(b, sizeof(b), GRND_NONBLOCK) == sizeof(b) &&
                           memcmp(a, b, sizeof(a)) != 0);
    CHECK_ERRNO("bad flags", getrandom(a, 1, 0xff), EINVAL);
    CHECK_ERRNO("a bad pointer", getrandom(bad_address, 16, 0), EFAULT);
    CHECK("boot_id", slurp("/proc/sys/kernel/random/boot_id") && strlen(text) == 37);
}

static void test_refused(void)
{
    CHECK_ERRNO("mount", mount("none", "/tmp", "tmpfs", 0, NULL), EPERM);
    CHECK_ERRNO("umount", umount("/proc"), EPERM);
    CHECK_ERRNO("reboot", syscall(SYS_reboot, 0xfee1dead, 672274793, 0x1234567, NULL), EPERM);
    CHECK_ERRNO("sethostname", sethostname("x", 1), EPERM);
    CHECK_ERRNO("swapon", syscall(SYS_swapon, "/tmp/x", 0), EPERM);
    CHECK("init_module", syscall(SYS_init_module, "x", 1, "") == -1 && (errno == EPERM || errno == ENOSYS));
    CHECK_ERRNO("settimeofday", syscall(SYS_settimeofday, &(struct timespec){.tv_sec = 1}, NULL), EPERM);
    CHECK_ERRNO("nor to what is no time", syscall(SYS_settimeofday, &(struct timespec){.tv_sec = -1}, NULL),
                EINVAL);
    int ns = open("/proc/self/ns/uts", O_RDONLY);
    CHECK_ERRNO("setns", setns(ns, 0), EPERM);
    CHECK_ERRNO("another kind of it", setns(ns, CLONE_NEWNS), EINVAL);
    CHECK_ERRNO("to what is no namespace", setns(0, 0), EINVAL);
    CHECK_ERRNO("nowhere", setns(-1, 0), EBADF);
    CHECK_ERRNO("unshare", unshare(CLONE_NEWUTS), EPERM);
    close(ns);
    CHECK_ERRNO("adjtimex", adjtimex(&(struct timex){.modes = ADJ_TICK}), EPERM);
    CHECK_ERRNO("a mode that there is not", adjtimex(&(struct timex){.modes = 0x8000}), EINVAL);
    CHECK("cpuid that traps", syscall(SYS_arch_prctl, ARCH_SET_CPUID, 0) == -1 && errno == ENODEV);
    CHECK("iopl", syscall(SYS_iopl, 3) == -1 && (errno == EPERM || errno == ENOSYS));
    CHECK_ERRNO("/proc/sys is read-only", open("/proc/sys/kernel/hostname", O_WRONLY), EROFS);
    CHECK("a masked file is empty", !slurp("/proc/kcore") || text[0] == 0);
    CHECK_ERRNO("no such call", syscall(999), ENOSYS);
    CHECK_ERRNO("nor this", syscall(-1), ENOSYS);
    CHECK("sync", (sync(), true));
    CHECK("getcpu", syscall(SYS_getcpu, NULL, NULL, NULL) == 0);
}

static bool writes(const char *path, const char *what)
{
    int fd = open(path, O_WRONLY);
    bool good = fd >= 0 && write(fd, what, strlen(what)) == (ssize_t)strlen(what);
    int saved = errno;
    if (fd >= 0)
        close(fd);
    errno = saved;
    return good;
}

static bool is(const char *path, const char *what)
{
    return slurp(path) && strcmp(text, what) == 0;
}

/* As pam_loginuid(8) does for sshd and cron. Who is logged in already (the caller, with runc) stays it. */
static void test_login(void)
{
    char session[32];
    CHECK("/proc/self/loginuid", slurp("/proc/self/loginuid") && *text);
    if (strcmp(text, "4294967295") == 0) {
        CHECK("no session", is("/proc/self/sessionid", "4294967295"));
        CHECK("what is no number", !writes("/proc/self/loginuid", "a") && errno == EINVAL);
        CHECK("a number too large", !writes("/proc/self/loginuid", "4294967296") && errno == ERANGE);
        CHECK("another's", !writes("/proc/1/loginuid", "5") && errno == EPERM);
        int fd = open("/proc/self/loginuid", O_RDWR);
        CHECK("/proc takes any length", ftruncate(fd, 0) == 0 && ftruncate(fd, 100) == 0);
        close(fd);
        CHECK("a login", writes("/proc/self/loginuid", "1000") && is("/proc/self/loginuid", "1000"));
    }
    CHECK("once only", !writes("/proc/self/loginuid", "1001") && errno == EPERM);
    MUST(slurp("/proc/self/sessionid"));
    (void)snprintf(session, sizeof(session), "%.31s", text);
    CHECK("it has a session", strcmp(session, "4294967295") != 0);
    pid_t pid = fork();
    if (pid == 0)
        _exit(slurp("/proc/self/loginuid") && strcmp(text, "4294967295") != 0 &&
                      is("/proc/self/sessionid", session)
                  ? 0
                  : 1);
    int status = 1;
    CHECK("a child's, too", waitpid(pid, &status, 0) == pid && status == 0);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    test_names();
    test_mappings();
    free(malloc(10));
    test_self();
    test_listing();
    test_random();
    test_refused();
    pid_t pid = fork(); /* its parent is not to be logged in */
    if (pid == 0) {
        test_login();
        _exit(check_failures != 0);
    }
    int status = 1;
    CHECK("a process that logs in", waitpid(pid, &status, 0) == pid && status == 0);
    return check_done();
}
