/* Containers and the namespaces that they may share: made, counted, released. */
#include "sandbox/keep/container.h"

#include <string.h>
#include <sys/eventfd.h>

#include "sandbox/keep/sysv.h"
#include "sandbox/keep/task.h"
#include "sandbox/keep/tty.h"
#include "sandbox/keep/unix.h"
#include "sandbox/keep/vfs.h"

static struct pid_ns *pid_ns_new(void)
{
    struct pid_ns *ns = calloc(1, sizeof(*ns));

    if (ns)
        atomic_init(&ns->refs, 1);
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

static void container_free(struct container *c)
{
    mount_ns_release(c);
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
    free(c->id);
    free(c);
}

struct container *container_new(const char *id)
{
    struct container *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    atomic_init(&c->refs, 1);
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
        container_free(c);
    }
}

bool container_is_alive(const struct container *c)
{
    const struct process *init = c->init, *one = c->pids->init;

    return !c->ended && init && init->state == PROCESS_ALIVE && one && one->state == PROCESS_ALIVE;
}
