/* What every container finds in /dev: device nodes that the keep serves (the host's nodev keeps the host's
 * own drivers out of reach), and links. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "common/cleanup.h"
#include "runtime/rootfs/mounts.h"
#include "runtime/pathfd.h"
#include "runtime/launch/userns.h"

static const struct oci_device defaults[] = {
    {'c', "/dev/null", 1, 3, 0666, 0, 0},    {'c', "/dev/zero", 1, 5, 0666, 0, 0},
    {'c', "/dev/full", 1, 7, 0666, 0, 0},    {'c', "/dev/random", 1, 8, 0666, 0, 0},
    {'c', "/dev/urandom", 1, 9, 0666, 0, 0}, {'c', "/dev/tty", 5, 0, 0666, 0, 0},
};

static const struct oci_device console = {'c', "/dev/console", 5, 1, 0620, 0, 0};

static const struct {
    const char *name, *target;
} links[] = {
    {"fd", "/proc/self/fd"},       {"stdin", "/proc/self/fd/0"}, {"stdout", "/proc/self/fd/1"},
    {"stderr", "/proc/self/fd/2"}, {"core", "/proc/kcore"},
};

static mode_t type_bits(char type)
{
    return type == 'b' ? S_IFBLK : type == 'p' ? S_IFIFO : S_IFCHR;
}

/* Whether what stands there already is that device. */
static bool is_device(int dir, const char *name, const struct oci_device *d)
{
    struct stat st;

    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW))
        return false;
    return (st.st_mode & S_IFMT) == type_bits(d->type) &&
           (d->type == 'p' || st.st_rdev == makedev(d->major, d->minor));
}

/* In a user namespace no node can be made: the host's own, checked, is mounted there, and without its driver.
 */
static int bind_node(int dir, const char *name, const struct oci_device *d)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, .propagation = MS_PRIVATE};
    struct stat st;
    _cleanup_close_ int node = open_tree(AT_FDCWD, d->path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

    if (node < 0 || fstat(node, &st))
        return -errno;
    if ((st.st_mode & S_IFMT) != type_bits(d->type) || st.st_rdev != makedev(d->major, d->minor))
        return -ENODEV;
    _cleanup_close_ int file = openat(dir, name, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY | O_CLOEXEC, 0644);
    if (file < 0 || mount_setattr(node, "", AT_EMPTY_PATH, &attr, sizeof(attr)))
        return -errno;
    return move_mount(node, "", file, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) ? -errno : 0;
}

/* dir is the directory that name goes into. */
static int make_node(int dir, const char *name, const struct oci_device *d)
{
    dev_t dev = d->type == 'p' ? 0 : makedev(d->major, d->minor);

    if (mknodat(dir, name, type_bits(d->type) | d->mode, dev)) {
        if (errno == EPERM && d->type != 'p')
            return bind_node(dir, name, d);
        return errno != EEXIST ? -errno : is_device(dir, name, d) ? 0 : -EEXIST;
    }
    /* mknod has applied the umask. The node is ours; were it swapped, a symlink would not be followed. */
    _cleanup_close_ int fd = pathfd_open_plain(dir, name, O_PATH | O_NOFOLLOW);
    if (fd < 0 || !is_device(dir, name, d))
        return fd < 0 ? fd : -EEXIST;
    char link[32];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    if (fchownat(fd, "", d->uid, d->gid, AT_EMPTY_PATH) || chmod(link, d->mode))
        return -errno;
    return 0;
}

static int device_error(const struct oci_device *d, int r, struct err *e)
{
    if (r == -EEXIST)
        return err_set(e, ERR_CONFIG, 0, "device %.200s: something else has that name in the container",
                       d->path);
    return err_set(e, ERR_SYS, -r, "device %.200s", d->path);
}

/* As the host has its owner. Where the container has no root, root's are those of who stands in for it. */
static int own(const struct tree *t, const struct oci_device *d, struct oci_device *ret, struct err *e)
{
    const struct userns_ids *ids = t->plan->ids;

    *ret = *d;
    if (!userns_host_uid(ids, d->uid || !ids ? d->uid : ids->uid, &ret->uid) ||
        !userns_host_gid(ids, d->gid || !ids ? d->gid : ids->gid, &ret->gid))
        return err_set(e, ERR_CONFIG, 0, "device %.200s: its owner is not mapped in the user namespace",
                       d->path);
    return 0;
}

static int make_device(struct tree *t, const struct oci_device *d, struct err *e)
{
    struct oci_device owned;
    char name[256];

    if (mounts_is_virtual(t, d->path))
        return 0;
    if (own(t, d, &owned, e))
        return -1;
    _cleanup_close_ int dir = pathfd_parent(t->root, d->path, name);
    int r = dir < 0 ? dir : make_node(dir, name, &owned);

    return r < 0 ? device_error(d, r, e) : 0;
}

static int make_default(const struct tree *t, int dev, const struct oci_device *d, struct err *e)
{
    struct oci_device owned;

    if (own(t, d, &owned, e))
        return -1;
    int r = make_node(dev, d->path + strlen("/dev/"), &owned);
    return r < 0 ? device_error(d, r, e) : 0;
}

static int make_links(int dev, struct err *e)
{
    for (size_t i = 0; i < ARRAY_SIZE(links); i++)
        if (symlinkat(links[i].target, dev, links[i].name) && errno != EEXIST)
            return err_set(e, ERR_SYS, errno, "link /dev/%s", links[i].name);
    if (unlinkat(dev, "ptmx", 0) && errno != ENOENT)
        return err_set(e, ERR_SYS, errno, "removing /dev/ptmx");
    if (symlinkat("pts/ptmx", dev, "ptmx"))
        return err_set(e, ERR_SYS, errno, "link /dev/ptmx");
    return 0;
}

int devices_make(struct tree *t, struct err *e)
{
    const struct oci_config *c = t->config;

    if (t->dev_is_bound)
        return 0;
    /* Opened once and without symlinks: an image whose /dev leads elsewhere gets nothing made there. */
    if (mkdirat(t->root, "dev", 0755) && errno != EEXIST && errno != EROFS)
        return err_set(e, ERR_SYS, errno, "/dev in the container");
    _cleanup_close_ int dev = pathfd_open_plain(t->root, "/dev", O_PATH | O_DIRECTORY);
    if (dev < 0)
        return err_set(e, ERR_CONFIG, -dev, "/dev in the container");
    /* First those of the config: of a default device they may say owner and mode. */
    for (size_t i = 0; i < c->lx.ndevices; i++)
        if (make_device(t, &c->lx.devices[i], e))
            return -1;
    for (size_t i = 0; i < ARRAY_SIZE(defaults); i++)
        if (make_default(t, dev, &defaults[i], e))
            return -1;
    if (c->process && c->process->terminal && make_default(t, dev, &console, e))
        return -1;
    return make_links(dev, e);
}
