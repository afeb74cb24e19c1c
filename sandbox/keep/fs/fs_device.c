/* Device nodes that guests make. The host lets a user namespace make none, so an empty regular file stands
 * for each, and what it stands for is kept here, by the file's identity; its time of birth tells a later file
 * with the same number. They live as long as the sandbox. */
#include "sandbox/keep/fs/vfs_priv.h"

#define MAX_DEVICES 1024

struct device_node {
    struct device_node *next, *prev;
    dev_t dev;
    uint64_t ino;
    struct statx_timestamp born;
    mode_t type;
    dev_t rdev;
};

bool device_any(void)
{
    return atomic_load_explicit(&kernel.vfs->ndevices, memory_order_acquire) != 0;
}

static struct device_node *find(dev_t dev, uint64_t ino)
{
    struct device_node *n;

    DL_FOREACH(kernel.vfs->devices, n)
    if (n->ino == ino && n->dev == dev)
        return n;
    return NULL;
}

static void drop(struct device_node *n)
{
    DL_DELETE(kernel.vfs->devices, n);
    free(n);
    atomic_fetch_sub(&kernel.vfs->ndevices, 1);
}

void device_patch(struct statx *stx)
{
    if (!S_ISREG(stx->stx_mode) || !device_any())
        return;
    LOCKED(&kernel.vfs->device_lock);
    struct device_node *n = find(makedev(stx->stx_dev_major, stx->stx_dev_minor), stx->stx_ino);
    if (!n)
        return;
    if ((stx->stx_mask & STATX_BTIME) &&
        (n->born.tv_sec != stx->stx_btime.tv_sec || n->born.tv_nsec != stx->stx_btime.tv_nsec)) {
        drop(n); /* the file is gone, its number is used anew */
        return;
    }
    stx->stx_mode = (uint16_t)((stx->stx_mode & 07777) | n->type);
    stx->stx_rdev_major = major(n->rdev);
    stx->stx_rdev_minor = minor(n->rdev);
}

unsigned char device_dirent_type(uint64_t ino, unsigned char type)
{
    struct device_node *n;

    if (type != 8 /* DT_REG */)
        return type;
    LOCKED(&kernel.vfs->device_lock);
    DL_FOREACH(kernel.vfs->devices, n)
    if (n->ino == ino)
        return 0; /* DT_UNKNOWN: perhaps, stat tells */
    return type;
}

/* The file at dir/name was just made, to be the device. */
static int note(int dir, const char *name, mode_t type, dev_t rdev)
{
    struct statx stx;
    struct device_node *n = calloc(1, sizeof(*n));

    if (!n)
        return -ENOMEM;
    if (statx(dir, name, AT_SYMLINK_NOFOLLOW, STATX_TYPE | STATX_INO | STATX_BTIME, &stx) != 0 ||
        !S_ISREG(stx.stx_mode)) {
        free(n);
        return -EAGAIN;
    }
    n->dev = makedev(stx.stx_dev_major, stx.stx_dev_minor);
    n->ino = stx.stx_ino;
    n->born = stx.stx_btime;
    n->type = type;
    n->rdev = rdev;
    LOCKED(&kernel.vfs->device_lock);
    struct device_node *old = find(n->dev, n->ino);
    if (old)
        drop(old);
    DL_APPEND(kernel.vfs->devices, n);
    atomic_fetch_add(&kernel.vfs->ndevices, 1);
    return 0;
}

int device_make(int dir, const char *name, mode_t mode, dev_t rdev)
{
    if (atomic_load(&kernel.vfs->ndevices) >= MAX_DEVICES)
        return -ENOSPC;
    if (mknodat(dir, name, S_IFREG | (mode & 07777), 0) != 0)
        return -errno;
    int r = note(dir, name, mode & S_IFMT, rdev);
    if (r < 0)
        (void)unlinkat(dir, name, 0);
    return r;
}
