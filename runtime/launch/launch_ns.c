/* The namespaces of a container, on the host's side: made or joined as config.json says, so that those who
 * look at the porter find what they asked for. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "oci/config.h"
#include "runtime/cgroup/cgroup_birth.h"
#include "runtime/launch/launch_internal.h"
#include "runtime/netdev.h"
#include "runtime/state/procid.h"
#include "runtime/sysctl.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

/* In the order in which they are joined. */
static const struct {
    enum oci_ns_type type;
    int flag;
    const char *name, *file; /* in config.json, in /proc/PID/ns */
    bool at_birth;           /* a new one is made by the porter's clone */
    bool shared;             /* an exec's porter enters it by setns(2) on the container's */
} kinds[] = {
    {OCI_NS_NET, CLONE_NEWNET, "network", "net", true, true},
    {OCI_NS_IPC, CLONE_NEWIPC, "ipc", "ipc", true, true},
    {OCI_NS_UTS, CLONE_NEWUTS, "uts", "uts", true, true},
    {OCI_NS_TIME, CLONE_NEWTIME, "time", "time", false, true}, /* its offsets come first */
    {OCI_NS_PID, CLONE_NEWPID, "pid", "pid", true, false},
    {OCI_NS_CGROUP, CLONE_NEWCGROUP, "cgroup", "cgroup", false, true}, /* its root is to be the own cgroup */
    {OCI_NS_MNT, CLONE_NEWNS, "mount", "mnt", false, false},           /* the keep makes it */
    /* Last: who is in a user namespace may not enter those of the host any more. */
    {OCI_NS_USER, CLONE_NEWUSER, "user", "user", true, true},
};

/* What is not a namespace at all is not opened: it could be a device. */
static int open_ns(const char *path, int type, const char *name, struct err *e)
{
    _cleanup_close_ int at = open(path, O_PATH | O_CLOEXEC);
    struct statfs fs;
    char again[64];

    if (at < 0)
        return err_set(e, ERR_CONFIG, errno, "linux.namespaces: the %s namespace %s", name, path);
    if (fstatfs(at, &fs) || fs.f_type != NSFS_MAGIC)
        return err_set(e, ERR_CONFIG, 0, "linux.namespaces: %s is no %s namespace", path, name);
    snprintf(again, sizeof(again), "/proc/self/fd/%d", at);
    _cleanup_close_ int fd = open(again, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set(e, ERR_CONFIG, errno, "linux.namespaces: the %s namespace %s", name, path);
    if (ioctl(fd, NS_GET_NSTYPE) != type)
        return err_set(e, ERR_CONFIG, 0, "linux.namespaces: %s is no %s namespace", path, name);
    return steal_fd(&fd);
}

static int enter_ns(int fd, int type, const char *path, const char *name, struct err *e)
{
    if (setns(fd, type) < 0)
        return err_set(e, ERR_CONFIG, errno, "linux.namespaces: cannot join the %s namespace %s", name, path);
    return 0;
}

int launch_ns_join_path(const char *path, int type, const char *name, struct err *e)
{
    _cleanup_close_ int fd = open_ns(path, type, name, e);

    return fd < 0 ? -1 : enter_ns(fd, type, path, name, e);
}

int launch_ns_mount(const struct oci_config *c, struct err *e)
{
    const char *path = c->lx.ns[OCI_NS_MNT].path;

    return path ? launch_ns_join_path(path, CLONE_NEWNS, "mount", e) : 0;
}

static void close_all(int (*fds)[ARRAY_SIZE(kinds)])
{
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        cleanup_close_p(&(*fds)[i]);
}

/* All paths are the caller's, so they are opened before another mount namespace is entered. */
static int join_named(const struct oci_config *c, struct err *e)
{
    _cleanup_(close_all) int fds[ARRAY_SIZE(kinds)];

    memset(fds, -1, sizeof(fds));
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        const char *path = c->lx.ns[kinds[i].type].path;
        fds[i] = path ? open_ns(path, kinds[i].flag, kinds[i].name, e) : -1;
        if (path && fds[i] < 0)
            return -1;
    }
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        if (fds[i] >= 0 &&
            enter_ns(fds[i], kinds[i].flag, c->lx.ns[kinds[i].type].path, kinds[i].name, e) < 0)
            return -1;
    return 0;
}

static bool is_new(const struct oci_config *c, enum oci_ns_type type)
{
    return c->lx.ns[type].set && !c->lx.ns[type].path;
}

/* The flags for clone(2). Of all new namespaces a new user namespace becomes the owner. */
static unsigned long new_flags(const struct oci_config *c)
{
    unsigned long flags = 0;

    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        if (kinds[i].at_birth && is_new(c, kinds[i].type))
            flags |= (unsigned long)kinds[i].flag;
    return flags;
}

static bool has_path(const struct oci_config *c)
{
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        if (c->lx.ns[kinds[i].type].path)
            return true;
    return false;
}

/* A pid namespace is entered by being born in it; the host's namespaces are joined while that is allowed. */
static bool joins_before_birth(const struct oci_config *c)
{
    return c->lx.ns[OCI_NS_PID].path || (c->lx.ns[OCI_NS_USER].set && has_path(c));
}

/* What the helper leaves behind for its parent. */
struct joined {
    pid_t pid;
    struct err err;
};

/* They are joined by a helper, as the caller must stay where it is. Returns like fork(2), in the helper's
 * child too. */
static pid_t fork_joined(const struct oci_config *c, int cgroup, struct err *e)
{
    struct joined *j = mmap(NULL, sizeof(*j), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (j == MAP_FAILED)
        return err_set(e, ERR_SYS, errno, "mmap");
    *j = (struct joined){.pid = -1};
    pid_t helper = fork();
    if (helper == 0) {
        pid_t pid = join_named(c, &j->err) < 0 ? -2 : cgroup_birth_fork(new_flags(c) | CLONE_PARENT, cgroup);
        if (pid == 0)
            return 0;
        if (pid == -1)
            err_set(&j->err, ERR_SYS, errno, "cannot make the porter");
        j->pid = pid;
        _exit(0);
    }
    if (helper < 0)
        err_set(&j->err, ERR_SYS, errno, "fork");
    while (helper > 0 && waitpid(helper, NULL, 0) < 0 && errno == EINTR)
        ;
    pid_t pid = j->pid;
    if (pid <= 0)
        *e = j->err;
    (void)munmap(j, sizeof(*j));
    return pid > 0 ? pid : -1;
}

pid_t launch_ns_fork(const struct oci_config *c, int cgroup, struct err *e)
{
    if (joins_before_birth(c))
        return fork_joined(c, cgroup, e);
    pid_t pid = cgroup_birth_fork(new_flags(c), cgroup);
    return pid < 0 ? err_set(e, ERR_SYS, errno, "cannot make the porter") : pid;
}

int launch_ns_enter(const struct oci_config *c, struct err *e)
{
    if (!joins_before_birth(c) && has_path(c) && join_named(c, e) < 0)
        return -1;
    if (!c->lx.ns[OCI_NS_UTS].set)
        return 0;
    if (c->hostname && sethostname(c->hostname, strlen(c->hostname)) < 0)
        return err_set(e, ERR_CONFIG, errno, "hostname");
    if (c->domainname && setdomainname(c->domainname, strlen(c->domainname)) < 0)
        return err_set(e, ERR_CONFIG, errno, "domainname");
    return 0;
}

int launch_ns_cgroup(const struct oci_config *c, struct err *e)
{
    if (is_new(c, OCI_NS_CGROUP) && unshare(CLONE_NEWCGROUP) < 0)
        return err_set(e, ERR_SYS, errno, "unshare(CLONE_NEWCGROUP)");
    return 0;
}

bool launch_ns_is_new(const struct oci_config *c, enum oci_ns_type type)
{
    return is_new(c, type);
}

/* Other processes' --------------------------------------------------------------------------- */

int launch_open_ns(pid_t pid, const char *name, struct err *e)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? err_set(e, ERR_SYS, errno, "cannot open %s", path) : fd;
}

pid_t launch_pid_of(int pidfd)
{
    char path[48], line[80];
    pid_t pid = -1;

    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
    _cleanup_fclose_ FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof(line), f))
        if (sscanf(line, "Pid: %d", &pid) == 1)
            break;
    return pid;
}

static bool differs(pid_t pid, const char *file)
{
    char theirs[64], ours[64];
    struct stat a, b;

    snprintf(theirs, sizeof(theirs), "/proc/%d/ns/%s", pid, file);
    snprintf(ours, sizeof(ours), "/proc/self/ns/%s", file);
    return stat(theirs, &a) || stat(ours, &b) || a.st_ino != b.st_ino || a.st_dev != b.st_dev;
}

void launch_ns_await(const struct oci_config *c, pid_t porter)
{
    const struct oci_namespace *ns = &c->lx.ns[OCI_NS_MNT];

    /* A porter that has ended differs, too: the caller finds out otherwise. */
    for (int i = 0; ns->set && !ns->path && !differs(porter, "mnt") && i < 10000; i++)
        (void)usleep(100);
}

/* Who is root in the container's user namespace only may enter what that one owns: what the container shares
 * with the host is left out. */
static int join_own(int pidfd, bool *ret_userns)
{
    pid_t pid = launch_pid_of(pidfd);
    int flags = 0;

    for (size_t i = 0; pid > 0 && i < ARRAY_SIZE(kinds); i++)
        if (kinds[i].shared && differs(pid, kinds[i].file))
            flags |= kinds[i].flag;
    *ret_userns = flags & CLONE_NEWUSER;
    return flags == 0 && pid > 0 ? 0 : setns(pidfd, flags);
}

/* Behind a relay (platform/relay.h) the guests' namespace is its children's. */
static int open_guests_pidns(int pidfd)
{
    struct err ignored = ERR_INIT;
    _cleanup_close_ int fd = launch_open_ns(launch_pid_of(pidfd), "pid_for_children", &ignored);

    /* The number was the porter's then if it still is. */
    return fd >= 0 && !procid_wait(pidfd, 0) ? steal_fd(&fd) : -1;
}

/* All but the pid namespace. True: the user namespace was one of its own. */
static int join_shared(int pidfd, bool *ret_userns)
{
    int flags = 0;

    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        flags |= kinds[i].shared ? kinds[i].flag : 0;
    *ret_userns = setns(pidfd, flags) == 0;
    if (*ret_userns)
        return 0;
    /* One's own user namespace can not be entered again. */
    if (errno == EINVAL && setns(pidfd, flags & ~CLONE_NEWUSER) == 0)
        return 0;
    return errno == EPERM ? join_own(pidfd, ret_userns) : -1;
}

int launch_ns_join(int pidfd, bool *ret_userns, struct err *e)
{
    _cleanup_close_ int pidns = open_guests_pidns(pidfd);

    if (pidns < 0 || join_shared(pidfd, ret_userns) < 0 || setns(pidns, CLONE_NEWPID) < 0)
        return err_set(e, ERR_SYS, errno, "cannot join the container's namespaces");
    return 0;
}

/* The network -------------------------------------------------------------------------------- */

static int loopback_up(struct err *e)
{
    struct ifreq ifr = {.ifr_name = "lo"};
    _cleanup_close_ int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    ifr.ifr_flags = IFF_UP | IFF_RUNNING;
    if (s < 0 || ioctl(s, SIOCSIFFLAGS, &ifr) < 0)
        return err_set(e, ERR_SYS, errno, "cannot bring up the loopback interface");
    return 0;
}

/* Low ports and echo requests: the guest's capabilities decide, in the keep; the host's own check would ask
 * for capabilities that the keep does not have. */
static void relax_netns(void)
{
    static const struct {
        const char *path, *value;
    } set[] = {
        {"/proc/sys/net/ipv4/ip_unprivileged_port_start", "0"},
        {"/proc/sys/net/ipv4/ping_group_range", "0 2147483647"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(set); i++) {
        _cleanup_close_ int fd = open(set[i].path, O_WRONLY | O_CLOEXEC);
        if (fd < 0 || write(fd, set[i].value, strlen(set[i].value)) < 0)
            log_debug("cannot set %s: %s", set[i].path, strerror(errno));
    }
}

static int enter_network(const struct oci_linux *l, const char *path, struct err *e)
{
    if (l->nnet_devices == 0)
        return launch_ns_join_path(path, CLONE_NEWNET, "network", e);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set(e, ERR_CONFIG, errno, "linux.namespaces: cannot join the network namespace %s", path);
    return netdev_move(l->net_devices, l->nnet_devices, fd, e);
}

int launch_ns_network(const struct oci_config *c, pid_t porter, struct err *e)
{
    const struct oci_namespace *ns = &c->lx.ns[OCI_NS_NET];
    struct stat before = {0}, after = {0};
    char path[64];

    if (!ns->set)
        return 0;
    snprintf(path, sizeof(path), "/proc/%d/ns/net", porter);
    (void)stat("/proc/self/ns/net", &before);
    if (enter_network(&c->lx, ns->path ? ns->path : path, e) < 0)
        return -1;
    if (!ns->path && loopback_up(e) < 0)
        return -1;
    if (sysctl_write_net(c, e) < 0)
        return -1;
    /* The caller's own, joined by its path, is the host's: it stays as it is. */
    (void)stat("/proc/self/ns/net", &after);
    if (before.st_dev != after.st_dev || before.st_ino != after.st_ino)
        relax_netns();
    return 0;
}
