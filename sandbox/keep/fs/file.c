/* Open file descriptions: their life, and what all kinds share. */
#include "sandbox/keep/fs/file.h"

#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "sandbox/keep/events/epoll.h"
#include "sandbox/keep/net/unix.h"
#include "sandbox/keep/fs/vfs.h"

/* With the access mode that allows neither reading nor writing (open(2), "3"): EBADF for whoever still uses
 * it. */
static int open_dead(void)
{
    char path[64];
    _cleanup_close_ int fd = memfd_create("bailey", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
        return -1;
    (void)snprintf(path, sizeof(path), "self/fd/%d", fd);
    return openat(kernel.procfd, path, O_ACCMODE | O_CLOEXEC);
}

int files_init(void)
{
    pthread_mutex_init(&kernel.epoll_lock, NULL);
    pthread_mutex_init(&kernel.kept_lock, NULL);
    kernel.kept_fd = -1;
    kernel.ready_fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
    if (kernel.ready_fd < 0)
        return -errno;
    kernel.dead_fd = open_dead();
    if (kernel.dead_fd < 0)
        return -errno;
    if (kernel.procfd >= 0 && fchdir(kernel.procfd) < 0)
        return -errno;
    return unix_init();
}

struct file *file_new(const struct file_ops *ops, unsigned flags, unsigned kind, int hostfd, void *priv)
{
    struct file *f = calloc(1, sizeof(*f));
    if (!f)
        return NULL;
    atomic_init(&f->refs, 1);
    atomic_init(&f->flags, flags & ~(unsigned)O_CLOEXEC);
    f->ops = ops;
    f->kind = kind;
    f->hostfd = hostfd;
    f->outfd = -1;
    f->lanefd = -1;
    f->priv = priv;
    pthread_mutex_init(&f->pos_lock, NULL);
    return f;
}

struct file *file_get(struct file *f)
{
    atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
    return f;
}

static void file_free(struct file *f)
{
    if (f->epitems)
        epoll_forget_file(f);
    if (f->ops->release)
        f->ops->release(f);
    if (f->hostfd >= 0 && !(f->dentry && f->dentry->fd == f->hostfd))
        (void)close(f->hostfd);
    if (f->outfd >= 0)
        (void)close(f->outfd);
    if (f->lanefd >= 0)
        (void)close(f->lanefd);
    if (f->dentry)
        dentry_put(f->dentry);
    pthread_mutex_destroy(&f->pos_lock);
    free(f);
}

void file_put(struct file *f)
{
    if (atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) == 1)
        file_free(f);
}

int file_reopen(struct task *t, struct file *f, int flags, struct file **ret)
{
    if (!f->ops->reopen)
        return -ENXIO;
    return f->ops->reopen(t, f, flags, ret);
}

void file_link_name(struct file *f, char *buf, size_t size)
{
    if (f->ops->link_name)
        f->ops->link_name(f, buf, size);
    else
        (void)snprintf(buf, size, "%s", f->ops->name ? f->ops->name : "anon_inode:[file]");
}
