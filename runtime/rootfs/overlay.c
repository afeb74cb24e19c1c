#include "runtime/rootfs/overlay.h"

#include <errno.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "oci/config.h"

static int private_tmpfs(const struct tree *t)
{
    const struct oci_int *limit = &t->config->lx.resources.memory.limit;
    const char *options = "mode=0755", *bad;

    if (limit->set && limit->v > 0)
        options = arena_printf(t->arena, "mode=0755,size=%lld", (long long)limit->v);
    return mounts_new_fs(t->arena, "tmpfs", "overlay", options, MOUNT_ATTR_NODEV, &bad);
}

/* The upper layer's root has the owner and mode of the directory that it stands for. */
static int make_layers(int tmpfs, int dir)
{
    struct stat st;

    if (fstat(dir, &st) || mkdirat(tmpfs, "upper", 0755) || mkdirat(tmpfs, "work", 0700) ||
        fchownat(tmpfs, "upper", st.st_uid, st.st_gid, 0) || fchmodat(tmpfs, "upper", st.st_mode & 07777, 0))
        return -1;
    return 0;
}

int overlay_in_memory(const struct tree *t, int dir, struct err *e)
{
    _cleanup_close_ int tmpfs = private_tmpfs(t);
    const char *bad;

    /* An overlay takes its layers from mounts that are attached somewhere. */
    if (tmpfs < 0 || make_layers(tmpfs, dir) ||
        move_mount(tmpfs, "", dir, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH))
        return err_set(e, ERR_SYS, tmpfs < 0 ? -tmpfs : errno, "option --overlay: a tmpfs for the root");
    const char *options = arena_printf(
        t->arena, "lowerdir=/proc/self/fd/%d,upperdir=/proc/self/fd/%d/upper,workdir=/proc/self/fd/%d/work",
        dir, tmpfs, tmpfs);
    int fd = mounts_new_fs(t->arena, "overlay", "overlay", options, MOUNT_ATTR_NODEV, &bad);
    return fd < 0 ? err_set(e, ERR_SYS, -fd, "option --overlay: overlayfs over the root") : fd;
}
