#include "runtime/rootfs/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "common/cleanup.h"
#include "runtime/launch/launch_internal.h"
#include "runtime/rootfs/mounts.h"
#include "runtime/rootfs/overlay.h"
#include "runtime/pathfd.h"

static int enter_namespace(const struct tree *t, struct err *e)
{
    struct mount_attr attr = {.propagation = MS_SLAVE};

    if (launch_ns_mount(t->config, e) < 0)
        return -1;
    if (unshare(CLONE_NEWNS))
        return err_set(e, ERR_SYS, errno, "a new mount namespace");
    /* Nothing goes back to the host; what comes from it reaches only what is not made private later. */
    if (mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &attr, sizeof(attr)))
        return err_set(e, ERR_SYS, errno, "making all mounts slaves");
    return 0;
}

/* The root directory becomes a mount of its own, without the host's devices. */
static int attach_root(struct tree *t, struct err *e)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_NODEV, .propagation = MS_PRIVATE};
    const char *path = t->config->root.path;

    if (path[0] != '/')
        path = arena_printf(t->arena, "%s/%s", t->bundle, path);
    _cleanup_close_ int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return err_set(e, errno == ENOENT ? ERR_NOENT : ERR_SYS, errno, "config.json: root.path: %.300s",
                       path);
    if (t->plan->overlay)
        t->root = overlay_in_memory(t, dir, e);
    else
        t->root = open_tree(dir, "", AT_EMPTY_PATH | AT_RECURSIVE | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (t->root < 0)
        return t->plan->overlay ? -1 : err_set(e, ERR_SYS, errno, "copying the mount of %.300s", path);
    if (mount_setattr(t->root, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)))
        return err_set(e, ERR_SYS, errno, "nodev for %.300s", path);
    if (move_mount(t->root, "", dir, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH))
        return err_set(e, ERR_SYS, errno, "mounting %.300s", path);
    return 0;
}

static void note_root(struct tree *t)
{
    const char *type = mounts_fs_name(t->root);
    struct mount_spec spec = {
        .target = "/",
        .type = type,
        .source = mounts_source_name(type),
        .host = true,
        .flags = mounts_real_flags(t->root, 0),
    };

    spec.propagation = t->config->lx.rootfs_propagation & (MS_SHARED | MS_UNBINDABLE);
    if (t->config->root.readonly)
        spec.flags |= MS_RDONLY;
    spec.options = mounts_options_text(t, spec.flags, NULL);
    mounts_note(t, &spec);
}

static int make_mounts(struct tree *t, struct err *e)
{
    const struct oci_linux *l = &t->config->lx;

    for (size_t i = 0; i < t->config->nmounts; i++)
        if (mounts_make(t, i, e))
            return -1;
    if (devices_make(t, e))
        return -1;
    for (char **p = l->readonly_paths; p && *p; p++)
        if (mounts_make_readonly(t, *p, e))
            return -1;
    for (char **p = l->masked_paths; p && *p; p++)
        if (mounts_mask(t, *p, e))
            return -1;
    return mounts_seal(t, e);
}

/* The working directory is where a program starts; like other runtimes, one that is missing is made. */
static int make_cwd(struct tree *t, struct err *e)
{
    const struct oci_process *p = t->config->process;

    if (!p || strcmp(p->cwd, "/") == 0 || mounts_is_virtual(t, p->cwd))
        return 0;
    _cleanup_close_ int fd = pathfd_mkdir(t->root, p->cwd);
    /* Where nothing can be made it is found out when the program starts. */
    if (fd < 0 && fd != -ENOENT && fd != -EROFS && fd != -EACCES)
        return err_set(e, ERR_CONFIG, -fd, "config.json: process.cwd: %.200s", p->cwd);
    return 0;
}

static int close_root(struct tree *t, struct err *e)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};

    if (!t->config->root.readonly)
        return 0;
    if (mount_setattr(t->root, "", AT_EMPTY_PATH, &attr, sizeof(attr)))
        return err_set(e, ERR_SYS, errno, "making the root read-only");
    return 0;
}

/* The new root is put on top of the old one, which is then taken away below it. */
static int pivot(struct tree *t, struct err *e)
{
    if (fchdir(t->root))
        return err_set(e, ERR_SYS, errno, "entering the root");
    if (syscall(SYS_pivot_root, ".", "."))
        return err_set(e, ERR_SYS, errno, "pivot_root");
    if (umount2(".", MNT_DETACH) || chdir("/"))
        return err_set(e, ERR_SYS, errno, "letting go of the host's root");
    return 0;
}

static int detached(struct tree *t, const char *type, const char *options, unsigned attrs, int *ret,
                    struct err *e)
{
    const char *bad;

    *ret = mounts_new_fs(t->arena, type, type, options, attrs, &bad);
    return *ret < 0 ? err_set(e, ERR_SYS, -*ret, "a private %s", type) : 0;
}

/* Who is root of a user namespace only can not mount another one; the caller's shows more, to the keep. */
static int copied_proc(unsigned attrs)
{
    struct mount_attr attr = {.attr_set = attrs, .propagation = MS_PRIVATE};
    _cleanup_close_ int fd = open_tree(AT_FDCWD, "/proc", AT_RECURSIVE | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

    if (fd < 0 || mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)))
        return -1;
    return steal_fd(&fd);
}

/* Before Linux 5.8 the options of procfs do not exist; without them it is merely larger than it need be. */
static int detached_proc(struct tree *t, int *ret)
{
    static const unsigned attrs = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
    static const char *const tries[] = {"hidepid=ptraceable,subset=pid", "hidepid=ptraceable", ""};
    const char *bad = NULL;
    int fd = -1;

    for (size_t i = 0; i < ARRAY_SIZE(tries) && fd < 0; i++)
        fd = mounts_new_fs(t->arena, "proc", "proc", tries[i], attrs, &bad);
    if (fd == -EPERM)
        fd = copied_proc(attrs);
    *ret = fd;
    return fd < 0 ? -1 : 0;
}

/* What guests mount as tmpfs is all in here: no more than the memory that they may have. */
static const char *scratch_options(struct tree *t)
{
    const struct oci_int *limit = &t->config->lx.resources.memory.limit;

    if (!limit->set || limit->v <= 0)
        return "mode=0755";
    return arena_printf(t->arena, "mode=0755,size=%lld", (long long)limit->v);
}

static int private_mounts(struct tree *t, struct rootfs *ret, struct err *e)
{
    const unsigned quiet = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC;

    if (detached_proc(t, &ret->procfd))
        return err_set(e, ERR_SYS, errno, "a private proc");
    if (detached(t, "devpts", "mode=0600,ptmxmode=0666", quiet, &ret->devpts_fd, e) ||
        detached(t, "tmpfs", scratch_options(t), MOUNT_ATTR_NODEV, &ret->scratch_fd, e))
        return -1;
    return 0;
}

static int build(struct tree *t, struct rootfs *ret, struct err *e)
{
    t->proc_fd = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (t->proc_fd < 0)
        return err_set(e, ERR_SYS, errno, "/proc/self/fd");
    if (enter_namespace(t, e) || private_mounts(t, ret, e) || attach_root(t, e))
        return -1;
    note_root(t);
    if (make_mounts(t, e) || make_cwd(t, e) || close_root(t, e) || t->plan->before_pivot(t->plan->arg, e) ||
        pivot(t, e))
        return -1;
    ret->mounts = t->specs;
    ret->nmounts = t->nspecs;
    return 0;
}

static void tree_close(struct tree *t)
{
    cleanup_close_p(&t->proc_fd);
    cleanup_close_p(&t->root);
}

/* A change of the file-system user takes the capabilities for files away or brings them back; what the tree
 * needs of the host's root stays. */
static int become_owner(uid_t uid, gid_t gid, struct err *e)
{
    struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct d[2];

    if (syscall(SYS_capget, &h, d))
        return err_set(e, ERR_SYS, errno, "capget");
    (void)setfsgid(gid);
    (void)setfsuid(uid);
    if ((uid_t)setfsuid((uid_t)-1) != uid || (gid_t)setfsgid((gid_t)-1) != gid || syscall(SYS_capset, &h, d))
        return err_set(e, ERR_SYS, errno, "cannot make files as the container's root");
    return 0;
}

int rootfs_setup(const struct rootfs_plan *p, struct rootfs *ret, struct err *e)
{
    /* The arena is never released: the specs live as long as the keep. */
    _cleanup_(tree_close) struct tree t = {
        .plan = p, .config = p->config, .bundle = p->bundle, .arena = arena_new(), .proc_fd = -1, .root = -1};
    struct rootfs made = {.procfd = -1, .devpts_fd = -1, .scratch_fd = -1};
    mode_t mask = umask(0022);
    int r = p->ids ? become_owner(p->ids->host_uid, p->ids->host_gid, e) : 0;

    if (r == 0)
        r = build(&t, &made, e);
    if (p->ids && r == 0)
        r = become_owner(geteuid(), getegid(), e);
    umask(mask);
    if (r == 0) {
        *ret = made;
        return 0;
    }
    cleanup_close_p(&made.procfd);
    cleanup_close_p(&made.devpts_fd);
    cleanup_close_p(&made.scratch_fd);
    return -1;
}
