/* How a file comes to be kept (kept.c). */
#include "sandbox/keep/lanes/kept_internal.h"

#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "sandbox/keep/lanes/fast.h"
#include "sandbox/keep/fs/fdtable.h"
#include "sandbox/keep/lanes/later.h"
#include "sandbox/keep/task/task.h"

#define SAME_FLAGS                                                                                           \
    (O_NONBLOCK | O_CLOEXEC | O_NOCTTY | O_LARGEFILE | 0100000) /* none that opens otherwise                 \
                                                                 */

void kept_opening(struct task *t, const char *path, unsigned flags)
{
    struct mailbox *b = kept_box(t);
    struct kept *k = kept_of(b);

    if (k)
        k->pending = false;
    if (!b || path[0] != '/' || (flags & ~(unsigned)SAME_FLAGS) || strlen(path) >= KEPT_PATH)
        return;
    if (!k && (k = calloc(1, sizeof(*k)))) {
        k->epfd = k->mountfd = -1;
        k->wanted = ROW_MIN;
        atomic_store(&b->kept, k);
    }
    if (!k)
        return;
    if (strcmp(k->path, path) != 0 || k->flags != flags) {
        strcpy(k->path, path);
        k->flags = flags;
        k->row = 0;
    }
    k->pending = true;
}

/* An epoll that is ready from when the mount table changes. kept_watch adds to it. */
static bool has_epoll(struct kept *k)
{
    struct epoll_event e = {.events = EPOLLPRI};
    char path[32];

    if (k->epfd >= 0)
        return true;
    (void)snprintf(path, sizeof(path), "%d/mountinfo", (int)kernel.pid);
    _cleanup_close_ int ep = epoll_create1(EPOLL_CLOEXEC),
                        mounts = openat(kernel.procfd, path, O_RDONLY | O_CLOEXEC);
    if (ep < 0 || mounts < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, mounts, &e) < 0)
        return false;
    k->epfd = steal_fd(&ep);
    k->mountfd = steal_fd(&mounts);
    return true;
}

/* The gate has it at GATE_KEPT_FD. */
static bool is_lent(struct task *t, const struct sysargs *a, struct kept *k)
{
    if (!k->lent && !k->off) {
        k->lent = fd_lend(t, a, k->epfd, GATE_KEPT_FD) == 0;
        k->off = !k->lent;
    }
    return k->lent && !k->off;
}

/* The gate has f at GATE_HOME_FD; what was kept, is not. */
static bool is_home(struct task *t, const struct sysargs *a, struct kept *k, struct file *f)
{
    struct mailbox *b = kept_box(t);
    struct file *old = NULL;
    {
        LOCKED(&b->later_lock);
        atomic_store(&k->left, true);
        if (k->file)
            old = kept_forget(b);
    }
    kept_put(old);
    return fd_lend(t, a, f->hostfd, GATE_HOME_FD) == 0;
}

/* The file is nobody else's, and its process may have such at all. */
static bool is_fit(struct task *t, int fd, const struct file *f)
{
    if (!fast_is_alone(t) || fdtable_shared(t->fdt)) /* others may have closed it */
        return false;
    return fd < GATE_HOME_FD && (f->kind & FILE_PLAIN) && f->dentry && f->hostfd >= 0 &&
           atomic_load(&f->refs) == 1 && !atomic_load(&f->locked) && atomic_load(&kernel.inotifies) == 0 &&
           !t->trace && fast_is_possible(t) && mailbox_may_be_used(t) && !fdtable_has_locks(t->fdt) &&
           atomic_load(&t->fs->refs) == 1;
}

/* later_lock held. The gate, which waits for the answer to its open, may act. */
static void grant(struct task *t, struct mailbox *b, int fd, struct file *f, bool cloexec)
{
    struct kept *k = kept_of(b);
    struct gate_kept *g = &b->later->kept;

    k->fd = fd;
    k->open = true;
    k->gone = false;
    atomic_store(&k->left, false);
    k->cloexec = cloexec;
    k->begun = k->uses = kept_uses(g);
    k->idle = 0;
    k->slow = false;
    atomic_store(&k->file, file_get(f));
    atomic_fetch_add(&kernel.kepts, 1);
    atomic_store(&kernel.later_wanted, true);
    kept_clear_bits(t, g, (unsigned)fd);
    later_forbid(t, (unsigned)fd);
    kept_store(&g->fd, (uint32_t)fd);
    g->flags = k->flags;
    g->size = (uint32_t)strlen(k->path) + 1;
    memcpy(g->path, k->path, g->size);
    kept_store(&g->asking, 0);
    kept_store(&g->state, KEPT_OPEN);
    kept_publish(t, b);
    atomic_store(&k->granted, true);
    kept_store(&g->granted, 1);
}

bool kept_is_due(struct task *t)
{
    struct kept *k = kept_of(kept_box(t));

    if (!k || !k->pending || k->row + 1 < k->wanted)
        return false;
    kept_want_more(k);
    k->due = true;
    return true;
}

/* True: the open, which k knows of, is one of a row that is long enough. */
static bool is_usual(struct kept *k)
{
    bool due = k->due;

    k->due = false;
    return ++k->row >= k->wanted || due;
}

/* What is watched for others stays so until this is granted, hence the lock. */
static bool watch_and_grant(struct task *t, int fd, struct file *f, bool cloexec)
{
    struct mailbox *b = kept_box(t);
    struct kept *k = kept_of(b);

    LOCKED(&kernel.kept_lock);
    if (!kept_watch(t, k->path, k->flags, f, k->epfd))
        return false;
    pthread_mutex_lock(&b->later_lock);
    grant(t, b, fd, f, cloexec);
    pthread_mutex_unlock(&b->later_lock);
    return true;
}

bool kept_opened(struct task *t, const struct sysargs *a, int fd, struct file *f, bool cloexec)
{
    struct kept *k = kept_of(kept_box(t));

    kept_installed(t, fd);
    if (!k || !k->pending)
        return false;
    k->pending = false;
    if (!is_usual(k) || !a->listener)
        return false;
    unsigned mounts = atomic_load(&kernel.mount_generation);
    if (!is_fit(t, fd, f) || !has_epoll(k) || !is_lent(t, a, k) || !is_home(t, a, k, f) ||
        !watch_and_grant(t, fd, f, cloexec)) {
        LOCKED(&kept_box(t)->later_lock);
        kept_take_left(t, a, k); /* before the guest goes on */
        kept_want_more(k);
        return false;
    }
    if (atomic_load(&kernel.inotifies) || atomic_load(&kernel.mount_generation) != mounts)
        kept_forbid_all(); /* somebody settled meanwhile */
    return true;
}

void kept_off(struct task *t)
{
    struct kept *k = kept_of(kept_box(t));

    if (k) {
        k->off = true;
        kept_forbid(t->process);
    }
}

void kept_free(struct kept *k)
{
    if (!k)
        return;
    if (k->file) {
        file_put(k->file);
        atomic_fetch_sub(&kernel.kepts, 1);
    }
    if (k->epfd >= 0)
        (void)close(k->epfd);
    if (k->mountfd >= 0)
        (void)close(k->mountfd);
    free(k);
}
