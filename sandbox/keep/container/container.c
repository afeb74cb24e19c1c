/* Containers and the namespaces that they may share: made, counted, released. */
#include "sandbox/keep/container/container.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "sandbox/keep/ipc/sysv.h"
#include "sandbox/keep/lanes/mailbox.h"
#include "sandbox/keep/task/task.h"
#include "sandbox/keep/device/tty.h"
#include "sandbox/keep/net/unix.h"
#include "sandbox/keep/fs/vfs.h"

static struct pid_ns *pid_ns_new(void)
{
    struct pid_ns *ns = calloc(1, sizeof(*ns));

    if (!ns)
        return NULL;
    atomic_init(&ns->refs, 1);
    ns->id = atomic_fetch_add(&kernel.next_pid_ns, 1) + 1;
    return ns;
}

struct pid_ns *pid_ns_get(struct pid_ns *ns)
{
    atomic_fetch_add(&ns->refs, 1);
    return ns;
}

void pid_ns_put(struct pid_ns *ns)
{
    if (ns && atomic_fetch_sub(&ns->refs, 1) == 1)
        free(ns);
}

static struct uts *uts_new(void)
{
    struct uts *u = calloc(1, sizeof(*u));

    if (u)
        atomic_init(&u->refs, 1);
    return u;
}

static void uts_put(struct uts *u)
{
    if (u && atomic_fetch_sub(&u->refs, 1) == 1)
        free(u);
}

static bool same_ns(const struct ns_id *a, const struct ns_id *b)
{
    return a->ino && a->ino == b->ino && a->dev == b->dev;
}

static void share_with(struct container *c, const struct container *o, const struct ns_ids *ns)
{
    if (o->pids != c->pids &&
        (same_ns(&ns->pid_asked, &o->ns.pid) || same_ns(&ns->pid_asked, &o->ns.pid_asked))) {
        pid_ns_put(c->pids);
        c->pids = pid_ns_get(o->pids);
    }
    if (o->uts != c->uts && same_ns(&ns->uts, &o->ns.uts)) {
        uts_put(c->uts);
        c->uts = o->uts;
        atomic_fetch_add(&c->uts->refs, 1);
    }
    if (o->ipc != c->ipc && same_ns(&ns->ipc, &o->ns.ipc)) {
        ipc_leave(c->ipc);
        c->ipc = ipc_join(o->ipc);
    }
}

void container_share(struct container *c, const struct ns_ids *ns)
{
    const struct container *o;

    LOCKED(&kernel.tasklist_lock);
    DL_FOREACH(kernel.container, o)
    if (o != c && !o->ended)
        share_with(c, o, ns);
    c->ns = *ns;
}

int container_enter(struct container *c)
{
    if (!atomic_load(&kernel.several))
        return 0;
    vfs_assume_self();
    if (unshare(CLONE_FS) < 0 || fchdir(mount_ns_root(c)) < 0 || chroot(".") < 0)
        return -errno;
    return 0;
}

void container_note_exit(struct container *c, int status)
{
    char text[32];

    if (c->status_fd < 0)
        return;
    int n = snprintf(text, sizeof(text), "%d\n",
                     WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    if (pwrite(c->status_fd, text, (size_t)n, 0) < 0)
        log_warning("cannot keep the exit status of container %s: %s", c->id, strerror(errno));
    (void)close(c->status_fd);
    c->status_fd = -1;
}

/* The control thread may still have the tree of one that is gone as its root directory, which would keep it
 * in use. */
static void leave_trees(void)
{
    int r = kernel.container ? container_enter(kernel.container) : 0;

    if (r < 0)
        log_warning("cannot go back to the sandbox's tree: %s", strerror(-r));
}

static void container_free(struct container *c)
{
    mailbox_server_release(c->mailbox_server);
    mount_ns_release(c);
    keep_cgroup_release(c);
    devpts_release(c);
    {
        LOCKED(&kernel.tasklist_lock);
        if (c->prev) /* utlist: never NULL in a list */
            DL_DELETE(kernel.container, c);
        ipc_leave(c->ipc);
    }
    if (c->notify)
        unix_put(c->notify);
    uts_put(c->uts);
    pid_ns_put(c->pids);
    /* The last of all: who waits for the container to be gone waits for the end of this socket. */
    cleanup_close_p(&c->status_fd);
    cleanup_close_p(&c->mntns_fd);
    cleanup_close_p(&c->devices_fd);
    cleanup_close_p(&c->listen_fd);
    free(c->id);
    free(c);
}

struct container *container_new(const char *id)
{
    struct container *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    atomic_init(&c->refs, 1);
    c->listen_fd = c->status_fd = c->devices_fd = c->mntns_fd = c->maker_fd = -1;
    c->id = strdup(id);
    c->pids = pid_ns_new();
    c->uts = uts_new();
    c->ipc = ipc_new();
    if (!c->id || !c->pids || !c->uts || !c->ipc) {
        container_free(c);
        return NULL;
    }
    LOCKED(&kernel.tasklist_lock);
    DL_APPEND(kernel.container, c);
    return c;
}

struct container *container_get(struct container *c)
{
    atomic_fetch_add(&c->refs, 1);
    return c;
}

void container_put(struct container *c)
{
    if (atomic_fetch_sub(&c->refs, 1) != 1)
        return;
    LOCKED(&kernel.dead_lock);
    c->free_next = kernel.dead_containers;
    kernel.dead_containers = c;
    (void)eventfd_write(kernel.wake_fd, 1);
}

void containers_bury(void)
{
    for (;;) {
        struct container *c;
        {
            LOCKED(&kernel.dead_lock);
            c = kernel.dead_containers;
            if (c)
                kernel.dead_containers = c->free_next;
        }
        if (!c)
            return;
        leave_trees();
        container_free(c);
    }
}

bool container_is_alive(const struct container *c)
{
    const struct process *init = c->init, *one = c->pids->init;

    return !c->ended && init && init->state == PROCESS_ALIVE && one && one->state == PROCESS_ALIVE;
}
