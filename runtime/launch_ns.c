/* The namespaces of a container, on the host's side: made or joined as config.json says, so that those who
 * look at the porter find what they asked for. */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "oci/config.h"
#include "runtime/launch_internal.h"
#include "runtime/netdev.h"
#include "runtime/sysctl.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

/* As /proc/PID/ns names them. */
static const struct {
    enum oci_ns_type type;
    int flag;
    const char *file, *name;
} kinds[] = {
    {OCI_NS_NET, CLONE_NEWNET, "net", "network"},
    {OCI_NS_IPC, CLONE_NEWIPC, "ipc", "ipc"},
    {OCI_NS_UTS, CLONE_NEWUTS, "uts", "uts"},
    /* Last: who is in a user namespace may not enter those of the host any more. */
    {OCI_NS_USER, CLONE_NEWUSER, "user", "user"},
};

static int join(const char *path, int type, const char *name, struct err *e)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || setns(fd, type) < 0)
        return err_set(e, ERR_CONFIG, errno, "linux.namespaces: cannot join the %s namespace %s", name, path);
    return 0;
}

static int join_named(const struct oci_config *c, struct err *e)
{
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        const struct oci_namespace *ns = &c->lx.ns[kinds[i].type];
        if (ns->set && ns->path && join(ns->path, kinds[i].flag, kinds[i].name, e) < 0)
            return -1;
    }
    return 0;
}

/* The flags for clone(2). Of all new namespaces a new user namespace becomes the owner. */
static unsigned long new_flags(const struct oci_config *c)
{
    unsigned long flags = CLONE_NEWPID;

    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        if (c->lx.ns[kinds[i].type].set && !c->lx.ns[kinds[i].type].path)
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

/* Like fork(2), with flags of clone(2). */
static pid_t fork_with(unsigned long flags)
{
    return (pid_t)syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
}

/* What the helper leaves behind for its parent. */
struct joined {
    pid_t pid;
    struct err err;
};

/* Namespaces of the host's are joined before the new user namespace takes away the right to, by a helper, as
 * the caller must stay where it is. Returns like fork(2), in the helper's child too. */
static pid_t fork_joined(const struct oci_config *c, struct err *e)
{
    struct joined *j = mmap(NULL, sizeof(*j), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (j == MAP_FAILED)
        return err_set(e, ERR_SYS, errno, "mmap");
    *j = (struct joined){.pid = -1};
    pid_t helper = fork();
    if (helper == 0) {
        pid_t pid = join_named(c, &j->err) < 0 ? -2 : fork_with(new_flags(c) | CLONE_PARENT);
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

pid_t launch_ns_fork(const struct oci_config *c, struct err *e)
{
    if (c->lx.ns[OCI_NS_USER].set && has_path(c))
        return fork_joined(c, e);
    pid_t pid = fork_with(new_flags(c));
    return pid < 0 ? err_set(e, ERR_SYS, errno, "cannot make the porter") : pid;
}

int launch_ns_enter(const struct oci_config *c, struct err *e)
{
    if (!c->lx.ns[OCI_NS_USER].set && join_named(c, e) < 0)
        return -1;
    if (!c->lx.ns[OCI_NS_UTS].set)
        return 0;
    if (c->hostname && sethostname(c->hostname, strlen(c->hostname)) < 0)
        return err_set(e, ERR_CONFIG, errno, "hostname");
    if (c->domainname && setdomainname(c->domainname, strlen(c->domainname)) < 0)
        return err_set(e, ERR_CONFIG, errno, "domainname");
    return 0;
}

/* Other processes' --------------------------------------------------------------------------- */

int launch_open_ns(pid_t pid, const char *name, struct err *e)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? err_set(e, ERR_SYS, errno, "cannot open %s", path) : fd;
}

static pid_t pid_of(int pidfd)
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

/* Who is root in the container's user namespace only may enter what that one owns: what the container shares
 * with the host is left out. */
static int join_own(int pidfd)
{
    pid_t pid = pid_of(pidfd);
    int flags = CLONE_NEWPID;

    if (pid <= 0)
        return -1;
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        if (differs(pid, kinds[i].file))
            flags |= kinds[i].flag;
    return setns(pidfd, flags);
}

int launch_ns_join(int pidfd, bool *ret_userns, struct err *e)
{
    const int flags = CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWTIME;

    /* One's own user namespace can not be entered again: EINVAL. */
    *ret_userns = setns(pidfd, flags | CLONE_NEWUSER) == 0;
    if (!*ret_userns && errno == EPERM)
        *ret_userns = join_own(pidfd) == 0;
    else if (!*ret_userns && errno == EINVAL && setns(pidfd, flags) == 0)
        return 0;
    return *ret_userns ? 0 : err_set(e, ERR_SYS, errno, "cannot join the container's namespaces");
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
        return join(path, CLONE_NEWNET, "network", e);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set(e, ERR_CONFIG, errno, "linux.namespaces: cannot join the network namespace %s", path);
    return netdev_move(l->net_devices, l->nnet_devices, fd, e);
}

int launch_ns_network(const struct oci_config *c, pid_t porter, struct err *e)
{
    const struct oci_namespace *ns = &c->lx.ns[OCI_NS_NET];
    char path[64];

    if (!ns->set)
        return 0;
    snprintf(path, sizeof(path), "/proc/%d/ns/net", porter);
    if (enter_network(&c->lx, ns->path ? ns->path : path, e) < 0)
        return -1;
    if (!ns->path && loopback_up(e) < 0)
        return -1;
    if (sysctl_write_net(c, e) < 0)
        return -1;
    relax_netns();
    return 0;
}
