/* tmpcopyup: a tmpfs that begins with what it hides. What is copied is the image's, so nothing of it is
 * trusted: every step goes by descriptor, and no symlink is followed. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "runtime/rootfs/mounts.h"
#include "runtime/pathfd.h"

enum { DEPTH_MAX = 64 };

static int copy_bytes(int from, int to)
{
    ssize_t n;

    while ((n = sendfile(to, from, NULL, 1 << 20)) > 0)
        continue;
    return n < 0 ? -errno : 0;
}

static int copy_attributes(int to, const struct stat *st)
{
    const struct timespec times[] = {st->st_atim, st->st_mtim};

    return fchown(to, st->st_uid, st->st_gid) || fchmod(to, st->st_mode & 07777) || futimens(to, times)
               ? -errno
               : 0;
}

static int copy_file(int from_dir, int to_dir, const char *name, const struct stat *st)
{
    _cleanup_close_ int from =
        openat(from_dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    struct stat now;

    if (from < 0 || fstat(from, &now))
        return -errno;
    if (!S_ISREG(now.st_mode))
        return -ESTALE;
    _cleanup_close_ int to = openat(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (to < 0)
        return -errno;
    int r = copy_bytes(from, to);
    return r < 0 ? r : copy_attributes(to, st);
}

static int copy_link(int from_dir, int to_dir, const char *name, const struct stat *st)
{
    char target[PATH_MAX];
    ssize_t n = readlinkat(from_dir, name, target, sizeof(target) - 1);

    if (n < 0)
        return -errno;
    target[n] = '\0';
    return symlinkat(target, to_dir, name) ||
                   fchownat(to_dir, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW)
               ? -errno
               : 0;
}

static int copy_node(int to_dir, const char *name, const struct stat *st)
{
    if (mknodat(to_dir, name, st->st_mode & (S_IFMT | 07777), st->st_rdev) ||
        fchownat(to_dir, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW))
        return -errno;
    return 0;
}

static int copy_tree(int from, int to, int depth);

static int copy_dir(int from_dir, int to_dir, const char *name, const struct stat *st, int depth)
{
    if (depth == 0)
        return -ELOOP;
    if (mkdirat(to_dir, name, 0700))
        return -errno;
    int from = openat(from_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    _cleanup_close_ int to = openat(to_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (from < 0 || to < 0) {
        int r = -errno;
        cleanup_close_p(&from);
        return r;
    }
    int r = copy_tree(from, to, depth - 1);
    return r < 0 ? r : copy_attributes(to, st);
}

static int copy_entry(int from, int to, const char *name, int depth)
{
    struct stat st;

    if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW))
        return -errno;
    switch (st.st_mode & S_IFMT) {
    case S_IFREG:
        return copy_file(from, to, name, &st);
    case S_IFDIR:
        return copy_dir(from, to, name, &st, depth);
    case S_IFLNK:
        return copy_link(from, to, name, &st);
    case S_IFSOCK:
        return 0; /* without its listener it is nothing */
    default:
        return copy_node(to, name, &st);
    }
}

/* Takes over from. */
static int copy_tree(int from, int to, int depth)
{
    _cleanup_closedir_ DIR *d = fdopendir(from);
    int r = 0;

    if (!d) {
        r = -errno;
        cleanup_close_p(&from);
        return r;
    }
    for (const struct dirent *e; r == 0 && (e = readdir(d));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            r = copy_entry(dirfd(d), to, e->d_name, depth);
    return r;
}

int mounts_copy_up(struct tree *t, int fs, const char *destination)
{
    int from = pathfd_open(t->root, destination, O_RDONLY | O_DIRECTORY);
    _cleanup_close_ int to = openat(fs, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (from == -ENOENT)
        return 0;
    if (from < 0)
        return from;
    if (to < 0) {
        cleanup_close_p(&from);
        return -errno;
    }
    return copy_tree(from, to, DEPTH_MAX);
}
