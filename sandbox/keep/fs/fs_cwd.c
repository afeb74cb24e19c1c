/* getcwd, chdir, chroot, umask. */
#include <linux/capability.h>

#include "sandbox/keep/syscall.h"
#include "sandbox/keep/mm/uaccess.h"
#include "sandbox/keep/fs/vfs_priv.h"

long sys_getcwd(struct task *t, const struct sysargs *a)
{
    _cleanup_dentry_ struct dentry *cwd = fs_cwd(t->fs);
    char path[PATH_MAX + 16];
    int r = dentry_path(t, cwd, path, sizeof(path));

    if (r < 0)
        return r;
    size_t n = strlen(path);
    static const char gone[] = " (deleted)";
    if (n >= sizeof(gone) && strcmp(path + n - (sizeof(gone) - 1), gone) == 0) {
        struct stat st;
        if (dentry_stat(t, cwd, &st) == 0 && st.st_nlink == 0)
            return -ENOENT;
    }
    if (n + 1 > a->arg[1])
        return -ERANGE;
    r = copy_to_user(t, a->arg[0], path, n + 1);
    return r < 0 ? r : (long)(n + 1);
}

/* Puts d (a directory; the reference is taken over on success) in *slot. */
static long move_to(struct task *t, struct dentry **slot, struct dentry *d)
{
    if (dentry_type(d) != S_IFDIR)
        return -ENOTDIR;
    int r = dentry_access(t, d, X_OK, false);
    if (r < 0)
        return r;
    pthread_mutex_lock(&t->fs->lock);
    struct dentry *old = *slot;
    *slot = dentry_get(d);
    pthread_mutex_unlock(&t->fs->lock);
    dentry_put(old);
    return 0;
}

long sys_chdir(struct task *t, const struct sysargs *a)
{
    char path[PATH_MAX];
    _cleanup_dentry_ struct dentry *d = NULL;
    long r = path_from_user(t, path, a->arg[0]);

    if (r >= 0)
        r = path_lookup(t, AT_FDCWD, path, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &d);
    return r < 0 ? r : move_to(t, &t->fs->cwd, d);
}

long sys_fchdir(struct task *t, const struct sysargs *a)
{
    _cleanup_file_ struct file *f = fd_get_path(t, (int)a->arg[0]);

    if (!f)
        return -EBADF;
    return f->dentry ? move_to(t, &t->fs->cwd, f->dentry) : -ENOTDIR;
}

long sys_chroot(struct task *t, const struct sysargs *a)
{
    struct mount_ns *ns = t->process->container->mounts;
    char path[PATH_MAX];
    _cleanup_dentry_ struct dentry *d = NULL;
    long r = path_from_user(t, path, a->arg[0]);

    if (r >= 0)
        r = path_lookup(t, AT_FDCWD, path, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &d);
    if (r >= 0)
        r = dentry_access(t, d, X_OK, false);
    if (r < 0)
        return r;
    if (!capable(t, CAP_SYS_CHROOT))
        return -EPERM;
    if (dentry_same(d, ns->main->root)) { /* back at the top: walks tell it by the dentry itself */
        dentry_put(d);
        d = dentry_get(ns->main->root);
    }
    return move_to(t, &t->fs->root, d);
}

long sys_umask(struct task *t, const struct sysargs *a)
{
    return (long)__atomic_exchange_n(&t->fs->umask, (mode_t)a->arg[0] & 0777, __ATOMIC_RELAXED);
}
