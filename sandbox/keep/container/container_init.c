/* How a container begins and ends in the keep. */
#include "sandbox/keep/container/container_init.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "sandbox/keep/container/container.h"
#include "sandbox/keep/container/session.h"
#include "sandbox/keep/device/tty.h"
#include "sandbox/keep/task/task.h"
#include "sandbox/platform/boot_spec.h"
#include "sandbox/platform/spec.h"

static void set_names(struct container *c, const struct keep_boot *b)
{
    struct uts *u = c->uts;

    LOCKED(&kernel.tasklist_lock);
    /* Names that others have already stay, unless the config says otherwise. */
    if (b->inherits_names && u->hostname[0])
        return;
    if (b->hostname || !u->hostname[0])
        snprintf(u->hostname, sizeof(u->hostname), "%s", b->hostname ? b->hostname : "localhost");
    if (b->domainname || !u->domainname[0])
        snprintf(u->domainname, sizeof(u->domainname), "%s", b->domainname ? b->domainname : "(none)");
}

int container_init(struct container *c, const struct keep_boot *b, int root, struct err *e)
{
    c->listen_fd = b->listen_fd;
    c->status_fd = b->status_fd;
    container_share(c, &b->ns);
    set_names(c, b);
    c->net_host = b->net_host;
    c->pids_limit = b->pids_limit;
    int cgroup_fds[CGROUP_FDS];
    memcpy(cgroup_fds, b->cgroup_fds, sizeof(cgroup_fds));
    if (cgroup_fds[0] >= 0 && keep_cgroup_take(c, cgroup_fds) < 0)
        return err_set(e, ERR_SYS, ENOMEM, "the container's control groups");
    int r = devpts_init(c, b->devpts_fd);
    if (r < 0)
        return err_set(e, ERR_SYS, -r, "devpts");
    r = mount_ns_init(c, root, b->mounts, b->nmounts);
    if (r == 0)
        r = mount_ns_protect(c, b->masked_paths, b->readonly_paths);
    return r < 0 ? err_set(e, ERR_CONFIG, -r, "mounts") : 0;
}

/* Joining ---------------------------------------------------------------------------------------------------
 */

/* The control thread goes into the new tree before there are mounts to ask for it. */
static int enter_root(int root)
{
    atomic_store(&kernel.several, true);
    vfs_assume_self();
    return unshare(CLONE_FS) < 0 || fchdir(root) < 0 || chroot(".") < 0 ? -errno : 0;
}

static struct session *first_session(struct container *c, unsigned closed, int *fds, struct err *e)
{
    struct keep_process p = KEEP_PROCESS_INIT;
    int r = spec_unpack(fds[JOIN_PROCESS], &p);

    if (r < 0) {
        err_set(e, ERR_SYS, -r, "join request: process");
        return NULL;
    }
    spec_take_fds(&p, fds + JOIN_STDIO);
    for (int i = 0; i < 3; i++) {
        if (closed >> i & 1) { /* something came in its place */
            cleanup_close_p(&p.stdio[i]);
            p.stdio[i] = -1;
        }
    }
    struct session *s = session_new(c, &p, steal_fd(&fds[JOIN_PORTER]), e);
    spec_free(&p);
    return s;
}

static struct container *join(int *fds, struct keep_boot *b, struct err *e)
{
    b->listen_fd = steal_fd(&fds[JOIN_LISTEN]);
    b->status_fd = steal_fd(&fds[JOIN_STATUS]);
    b->devpts_fd = steal_fd(&fds[JOIN_DEVPTS]);
    struct container *c = container_new(b->id);
    if (!c) {
        err_set(e, ERR_SYS, ENOMEM, "cannot make the container");
        return NULL;
    }
    c->mntns_fd = steal_fd(&fds[JOIN_MNTNS]);
    int r = enter_root(fds[JOIN_ROOT]);
    if (r < 0)
        err_set(e, ERR_SYS, -r, "cannot enter the container's tree");
    if (r < 0 || container_init(c, b, fds[JOIN_ROOT], e) < 0) {
        container_put(c);
        return NULL;
    }
    mount_ns_note_procfs(c, b->host_procfs);
    c->first = first_session(c, b->closed, fds, e);
    if (c->first)
        return c;
    container_end(c);
    return NULL;
}

struct container *container_join(int *fds, int cgroup_fds[CGROUP_FDS], struct err *e)
{
    struct boot_spec spec;

    for (int i = 0; i < JOIN_STDIO; i++) {
        if (fds[i] < 0) {
            err_set(e, ERR_SYS, EBADMSG, "join request: descriptor %d", i);
            return NULL;
        }
    }
    int r = boot_spec_unpack(fds[JOIN_BOOT], &spec);
    if (r < 0)
        err_set(e, ERR_SYS, -r, "join request");
    memcpy(spec.boot.cgroup_fds, cgroup_fds, sizeof(spec.boot.cgroup_fds));
    struct container *c = r < 0 ? NULL : join(fds, &spec.boot, e);
    boot_spec_free(&spec);
    return c;
}

/* The end ---------------------------------------------------------------------------------------------------
 */

static void kill_and_reap(struct container *c)
{
    struct process *p, *tmp;

    HASH_ITER(hh_pid, c->pids->processes, p, tmp)
    if (p->container == c && p->state == PROCESS_ALIVE)
        process_kill_locked(p, SIGKILL, true);
    /* Whoever should have waited for them: with the container they are gone. */
    HASH_ITER(hh_pid, c->pids->processes, p, tmp)
    if (p->container == c && p->state == PROCESS_ZOMBIE)
        process_reap(p, false);
}

void container_end(struct container *c)
{
    {
        LOCKED(&kernel.tasklist_lock);
        if (c->ended)
            return;
        c->ended = true;
        /* A porter that did not wait for the program's end was killed. */
        container_note_exit(c, SIGKILL);
        kill_and_reap(c);
        pthread_cond_broadcast(&kernel.started_cond);
    }
    tasks_bury();
    container_put(c);
}
