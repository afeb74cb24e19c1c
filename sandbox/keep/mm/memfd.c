/* memfd_create(2): a host memfd, which is a lane like any regular file. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "sandbox/keep/fs/hostio.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/task/task.h"
#include "sandbox/keep/fs/vfs.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U
#define MFD_EXEC 0x10U
#endif

#define MEMFD_NAME_MAX 249

static const struct file_ops memfd_ops;

static void memfd_link_name(struct file *f, char *buf, size_t size)
{
    (void)snprintf(buf, size, "/memfd:%s (deleted)", (const char *)f->priv);
}

static int memfd_fsync(struct task *t, struct file *f, bool data_only)
{
    (void)t, (void)f, (void)data_only;
    return 0;
}

static int memfd_set_flags(struct task *t, struct file *f, unsigned flags)
{
    (void)t;
    return fcntl(f->hostfd, F_SETFL, (int)(flags & (O_APPEND | O_NOATIME))) < 0 ? -errno : 0;
}

static void memfd_release(struct file *f)
{
    free(f->priv);
}

static int memfd_reopen(struct task *t, struct file *f, int flags, struct file **ret)
{
    vfs_assume(t);
    _cleanup_close_ int fd = hostfd_reopen(f->hostfd, flags & (O_ACCMODE | O_APPEND | O_TRUNC));
    if (fd < 0)
        return fd;
    char *name = strdup(f->priv);
    if (!name)
        return -ENOMEM;
    *ret = file_new(&memfd_ops, (unsigned)flags & (O_ACCMODE | O_APPEND | O_NONBLOCK), f->kind, fd, name);
    if (!*ret) {
        free(name);
        return -ENOMEM;
    }
    (void)steal_fd(&fd);
    return 0;
}

static const struct file_ops memfd_ops = {
    .name = "memfd",
    .stat = hostio_stat,
    .fsync = memfd_fsync,
    .truncate = hostio_truncate,
    .set_flags = memfd_set_flags,
    .link_name = memfd_link_name,
    .reopen = memfd_reopen,
    .release = memfd_release,
    .in_memory = true,
};

long sys_memfd_create(struct task *t, const struct sysargs *a)
{
    unsigned flags = (unsigned)a->arg[1];
    char name[MEMFD_NAME_MAX + 1];
    if (flags & ~(MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL | MFD_EXEC))
        return -EINVAL;
    long n = strncpy_from_user(t, name, a->arg[0], sizeof(name));
    if (n < 0)
        return n == -ENAMETOOLONG ? -EINVAL : n;
    vfs_assume(t);
    int fd = memfd_create(name, flags | MFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    char *copy = strdup(name);
    if (!copy) {
        (void)close(fd);
        return -ENOMEM;
    }
    int r = hostio_install(t, &memfd_ops, O_RDWR | (flags & MFD_CLOEXEC ? O_CLOEXEC : 0U),
                           FILE_SEEKABLE | FILE_LANE | FILE_PLAIN | FILE_NOPOLL, fd, copy);
    if (r < 0)
        free(copy);
    return r;
}
