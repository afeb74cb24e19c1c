/* Masked and read-only places of the container's tree. Those below virtual mounts are the keep's affair. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "common/cleanup.h"
#include "runtime/rootfs/mounts.h"
#include "runtime/pathfd.h"

static int attach(int mount, int point)
{
    return move_mount(mount, "", point, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) ? -errno : 0;
}

/* A detached mount of the host's /dev/null, checked: the image's own could be anything. */
static int null_device(void)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
                              .propagation = MS_PRIVATE};
    struct stat st;

    _cleanup_close_ int fd = open_tree(AT_FDCWD, "/dev/null", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (fd < 0 || fstat(fd, &st))
        return -errno;
    if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
        return -ENODEV;
    if (mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)))
        return -errno;
    return steal_fd(&fd);
}

static int empty_directory(struct tree *t)
{
    const char *bad;

    return mounts_new_fs(t->arena, "tmpfs", "tmpfs", "mode=555,size=4k",
                         MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, &bad);
}

static bool is_missing(int r)
{
    return r == -ENOENT || r == -ENOTDIR;
}

int mounts_mask(struct tree *t, const char *path, struct err *e)
{
    struct stat st;
    _cleanup_close_ int point = pathfd_open(t->root, path, O_PATH);

    if (is_missing(point))
        return 0;
    if (point < 0 || fstat(point, &st))
        return err_set(e, ERR_SYS, point < 0 ? -point : errno, "config.json: linux.maskedPaths: %.200s",
                       path);
    _cleanup_close_ int hide = S_ISDIR(st.st_mode) ? empty_directory(t) : null_device();
    int r = hide < 0 ? hide : attach(hide, point);
    return r < 0 ? err_set(e, ERR_SYS, -r, "config.json: linux.maskedPaths: %.200s", path) : 0;
}

int mounts_make_readonly(struct tree *t, const char *path, struct err *e)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
    _cleanup_close_ int point = pathfd_open(t->root, path, O_PATH);

    if (is_missing(point))
        return 0;
    _cleanup_close_ int copy =
        point < 0 ? -1
                  : open_tree(point, "", AT_EMPTY_PATH | AT_RECURSIVE | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (copy < 0 || mount_setattr(copy, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)))
        return err_set(e, ERR_SYS, point < 0 ? -point : errno, "config.json: linux.readonlyPaths: %.200s",
                       path);
    int r = attach(copy, point);
    return r < 0 ? err_set(e, ERR_SYS, -r, "config.json: linux.readonlyPaths: %.200s", path) : 0;
}

int mounts_seal(struct tree *t, struct err *e)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};

    for (unsigned i = 0; i < t->ncovers; i++) {
        struct cover *c = &t->covers[i];
        if (c->fd < 0)
            continue;
        if (mount_setattr(c->fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)))
            return err_set(e, ERR_SYS, errno, "the place of %.200s", c->target);
        cleanup_close_p(&c->fd);
        c->fd = -1;
    }
    return 0;
}
