#include "runtime/launch/launch_join.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "sandbox/keep/container/container_init.h"
#include "sandbox/platform/boot_spec.h"
#include "sandbox/platform/messages.h"
#include "sandbox/platform/spec.h"

int launch_join_prepare(int *ret_self, struct err *e)
{
    *ret_self = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
    return *ret_self < 0 ? err_set(e, ERR_SYS, errno, "/proc/self") : 0;
}

/* Is a procfs of the host among the mounts? Where that cannot be known: yes. */
static bool has_procfs(int self)
{
    int fd = openat(self, "mountinfo", O_RDONLY | O_CLOEXEC);
    _cleanup_fclose_ FILE *f = fd < 0 ? NULL : fdopen(fd, "re");
    _cleanup_free_ char *line = NULL;
    size_t size = 0;

    while (f && getline(&line, &size, f) > 0)
        if (strstr(line, " - proc "))
            return true;
    return !f;
}

static int send_all(int sock, int fds[MSG_FDS], unsigned n, unsigned ncgroup, struct err *e)
{
    struct control_msg m = {.type = CONTROL_JOIN, .value = (int)ncgroup};
    int r = msg_send_fds(sock, &m, sizeof(m), fds, n);

    return r < 0 ? err_set(e, ERR_SYS, -r, "cannot hand the container to its pod's keep") : 0;
}

int launch_join_send(const struct launch *l, struct keep_setup *s, int porter_fd, int *self, struct err *e)
{
    s->boot.host_procfs = has_procfs(*self);
    for (unsigned i = 0; i < 3 && !s->boot.process.terminal; i++)
        s->boot.closed |= (unsigned)(s->boot.process.stdio[i] < 0) << i;
    _cleanup_close_ int mntns = openat(*self, "ns/mnt", O_RDONLY | O_CLOEXEC);
    _cleanup_close_ int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    _cleanup_close_ int process = spec_pack(&s->boot.process);
    _cleanup_close_ int boot = boot_spec_pack(&s->boot);
    int fds[MSG_FDS] = {
        [JOIN_PORTER] = porter_fd,    [JOIN_PROCESS] = process,
        [JOIN_BOOT] = boot,           [JOIN_ROOT] = root,
        [JOIN_MNTNS] = mntns,         [JOIN_LISTEN] = l->listen_fd,
        [JOIN_STATUS] = l->status_fd, [JOIN_DEVPTS] = s->boot.devpts_fd,
    };

    cleanup_close_p(self);
    *self = -1;
    if (process < 0 || boot < 0 || root < 0 || mntns < 0)
        return err_set(e, ERR_SYS,
                       process < 0 ? -process
                       : boot < 0  ? -boot
                                   : errno,
                       "cannot pack the container for its pod's keep");
    unsigned n = JOIN_STDIO + spec_give_fds(&s->boot.process, fds + JOIN_STDIO);
    for (unsigned i = JOIN_STDIO; i < n; i++)
        if (fds[i] < 0)
            fds[i] = root;
    unsigned ncgroup = 0;
    while (ncgroup < CGROUP_FDS && s->boot.cgroup_fds[ncgroup] >= 0)
        fds[n++] = s->boot.cgroup_fds[ncgroup++];
    return send_all(l->pod_fd, fds, n, ncgroup, e);
}
