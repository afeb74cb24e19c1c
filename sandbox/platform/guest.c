#include "sandbox/platform/guest.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "sandbox/gate/abi.h"
#include "sandbox/gate/standin.h"
#include "sandbox/keep/container/confine.h"
#include "sandbox/platform/gate_filter.h"
#include "sandbox/platform/keep_filter.h"
#include "sandbox/platform/label.h"
#include "sandbox/platform/standin_filter.h"

/* Anybody but root; of a namespace with a few ids only, whoever there is. */
static const unsigned guest_ids[] = {65534, 1};

/* An empty root: a fresh tmpfs, read-only, with nothing else in the namespace. It is put on top of the
 * container's own, which may have no directory to mount on, and that is taken away below it. */
static int empty_root(void)
{
    int fs = (int)syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);

    if (fs < 0 || syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "mode", "0555", 0) < 0 ||
        syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return -1;
    int root = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC,
                            MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
    if (root < 0 || syscall(SYS_move_mount, root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return -1;
    if (fchdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
        return -1;
    return umount2(".", MNT_DETACH);
}

static int become_guest(void)
{
    gid_t gid = getgid();
    uid_t uid = getuid();
    int r = -1;

    /* A user namespace made without privileges may forbid it for good, to those inside it, too. */
    if (setgroups(0, NULL) < 0 && errno != EPERM)
        return -1;
    for (size_t i = 0; r < 0 && i < ARRAY_SIZE(guest_ids); i++)
        r = setresgid(guest_ids[i], guest_ids[i], guest_ids[i]);
    if (r < 0 && setresgid(gid, gid, gid) < 0)
        return -1;
    r = -1;
    for (size_t i = 0; r < 0 && i < ARRAY_SIZE(guest_ids); i++)
        r = setresuid(guest_ids[i], guest_ids[i], guest_ids[i]);
    return r < 0 ? setresuid(uid, uid, uid) : 0;
}

static int drop_rights(const struct porter *p)
{
    struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct d[2];

    memset(d, 0, sizeof(d));
    if (porter_drop_bounding() < 0)
        return -1;
    if (become_guest() < 0 || syscall(SYS_capset, &h, d) < 0)
        return -1;
    /* The porter takes the listener out of this process, which else only the host's root could. */
    if (p->in_userns && prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0)
        return -1;
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

/* Descriptors: the gate's image at 0 and, for later programs, at its own place, and nothing else, so that the
 * listener becomes 1. */
static int only_gate(int gate_fd)
{
    if (dup3(gate_fd, 0, O_CLOEXEC) < 0 && errno != EINVAL)
        return -1;
    if (syscall(SYS_close_range, 1U, ~0U, 0U) < 0)
        return -1;
    (void)dup2(0, GATE_IMAGE_FD); /* no place where the limit of descriptors is low */
    return 0;
}

/* The gate's exec must come from the gate's own place: one page with a system call instruction, gone with the
 * exec. */
static int map_springboard(void)
{
    static const unsigned char code[] = {
        0x4d, 0x89, 0xc2,             /* mov %r8, %r10 : the fourth argument */
        0x4d, 0x89, 0xc8,             /* mov %r9, %r8 : the fifth */
        0xb8, 0x42, 0x01, 0x00, 0x00, /* mov $322, %eax : execveat */
        0x0f, 0x05,                   /* syscall */
        0xc3,                         /* ret */
    };
    void *p = mmap((void *)GATE_BASE, 4096, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

    if (p != (void *)GATE_BASE)
        return -1;
    memcpy(p, code, sizeof(code));
    return mprotect(p, 4096, PROT_READ | PROT_EXEC);
}

static int install_filter(const struct porter *p)
{
    static struct sock_filter prog[GATE_FILTER_MAX];
    struct sock_fprog fprog = {.filter = prog};

    fprog.len = (unsigned short)gate_filter_build(prog, p->all_calls, p->judged);
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                        SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, &fprog);
}

static int moved_up(int fd)
{
    return fd < 0 ? fd : fcntl(fd, F_DUPFD, STANDIN_FILE + 1);
}

/* For the stand-in: the gate's image at 0, its socket, what fills the numbers that guests have in use, and
 * what they map. */
static int standin_descriptors(int gate_fd, int socket)
{
    const int fds[] = {moved_up(gate_fd), moved_up(socket),
                       moved_up(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)),
                       moved_up(memfd_create("file", MFD_CLOEXEC))};
    _Static_assert(STANDIN_SOCKET == 1 && STANDIN_FILLER == 2 && STANDIN_FILE == 3, "their order");

    for (int i = 0; i < (int)ARRAY_SIZE(fds); i++)
        if (fds[i] < 0 || dup3(fds[i], i, i == 0 ? O_CLOEXEC : 0) < 0)
            return -1;
    return (int)syscall(SYS_close_range, STANDIN_FILE + 1U, ~0U, 0U);
}

/* The empty namespaces of guests that are there, and with the last one their root. */
static int join_guests(const struct porter *p)
{
    for (int i = 0; i < GUEST_NS; i++)
        if (p->guest_ns[i] < 0 || setns(p->guest_ns[i], 0) < 0)
            return -1;
    return 0;
}

static int new_namespaces(struct guest_boot *b)
{
    b->step = 2;
    if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) < 0)
        return -1;
    b->step = 3;
    return empty_root();
}

/* socket: the stand-in's, or -1: a guest. */
static int become(const struct porter *p, int socket, struct guest_boot *b)
{
    sigset_t all;

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    const char *what;
    int r = p->confine && socket < 0 ? confine_apply(p->confine, &what) : 0;
    if (r == 0 && p->label)
        r = label_apply(p->label, &what);
    if (r < 0) {
        b->field = what;
        errno = -r;
        return -1;
    }
    b->step = 1;
    if (!p->enter_mntns && setns(p->mntns_fd, CLONE_NEWNS) < 0)
        return -1;
    if (!p->in_userns && setns(p->userns_fd, CLONE_NEWUSER) < 0)
        return -1;
    if (join_guests(p) < 0 && new_namespaces(b) < 0)
        return -1;
    b->step = 4;
    if (socket < 0 ? only_gate(p->gate_fd) < 0 : standin_descriptors(p->gate_fd, socket) < 0)
        return -1;
    if (map_springboard() < 0)
        return -1;
    b->step = 5;
    if (drop_rights(p) < 0)
        return -1;
    b->step = 6;
    return socket < 0 ? install_filter(p) : standin_filter_install(p->agent_killable);
}

static void execute_gate(char *name)
{
    char *const argv[] = {name, NULL};
    static char *const envp[] = {NULL};
    long (*springboard)(int, const char *, char *const *, long, char *const *, int) = (void *)GATE_BASE;

    (void)springboard(0, "", argv, 0, envp, AT_EMPTY_PATH);
}

bool guest_wakes(const struct porter *p)
{
    return !p->all_calls && !(p->judged && call_set_has(p->judged, __NR_futex));
}

void guest_become(const struct porter *p, struct guest_boot *b)
{
    static char title[] = GATE_TITLE_TEXT;

    int listener = become(p, -1, b);
    if (listener < 0) {
        b->failed = errno;
        return;
    }
    b->listener = listener + 1;
    if (guest_wakes(p))
        (void)syscall(SYS_futex, &b->listener, FUTEX_WAKE, 1, NULL, NULL, 0);
    /* From here on every call rings the doorbell, or ends the process. */
    execute_gate(title);
    b->failed = ENOEXEC;
}

void standin_become(const struct porter *p, int socket, struct guest_boot *b)
{
    static char title[] = "standin";

    int listener = become(p, socket, b);
    if (listener < 0) {
        b->failed = errno;
        return;
    }
    b->listener = listener + 1;
    while (!b->taken) /* it is closed by what comes now */
        sched_yield();
    execute_gate(title);
    b->failed = ENOEXEC;
}
