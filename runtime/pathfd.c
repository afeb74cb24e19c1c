#include "runtime/pathfd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "common/cleanup.h"

enum { RETRIES_MAX = 128, LINKS_MAX = 40 };

static int open_resolve(int dir, const char *path, int flags, mode_t mode, uint64_t resolve)
{
    struct open_how how = {
        .flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
        .mode = mode,
        .resolve = resolve | RESOLVE_NO_MAGICLINKS,
    };

    /* EAGAIN: somebody renamed directories during the walk, so ".." could not be checked. */
    for (int i = 0; i < RETRIES_MAX; i++) {
        int fd = (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));
        if (fd >= 0)
            return fd;
        if (errno != EAGAIN && errno != EINTR)
            return -errno;
    }
    return -EAGAIN;
}

int pathfd_open(int root, const char *path, int flags)
{
    return open_resolve(root, path, flags, 0, RESOLVE_IN_ROOT);
}

int pathfd_open_plain(int root, const char *path, int flags)
{
    return open_resolve(root, path, flags, 0, RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);
}

/* The way still to go, from root, as text that symlinks add to. */
struct walk {
    int root, dir; /* dir: where the walk stands, O_PATH; its own */
    char done[PATH_MAX], rest[PATH_MAX];
    int links;
};

static void walk_close(struct walk *w)
{
    cleanup_close_p(&w->dir);
}

static int reopen(struct walk *w)
{
    int fd = open_resolve(w->root, w->done, O_PATH | O_DIRECTORY, 0, RESOLVE_IN_ROOT);

    if (fd < 0)
        return fd;
    cleanup_close_p(&w->dir);
    w->dir = fd;
    return 0;
}

/* name in w->dir is a symlink that leads nowhere yet: go where it points. */
static int follow(struct walk *w, const char *name)
{
    char target[PATH_MAX], rest[PATH_MAX];
    ssize_t n = readlinkat(w->dir, name, target, sizeof(target));

    if (n < 0)
        return errno == EINVAL ? -ENOTDIR : -errno;
    if (n == sizeof(target) || w->links++ >= LINKS_MAX)
        return -ELOOP;
    target[n] = '\0';
    if (snprintf(rest, sizeof(rest), "%s/%s", target, w->rest) >= (int)sizeof(rest))
        return -ENAMETOOLONG;
    strcpy(w->rest, rest);
    if (target[0] != '/')
        return 0;
    strcpy(w->done, "/");
    return reopen(w);
}

static bool take_name(struct walk *w, char name[NAME_MAX + 1], int *ret_error)
{
    char *p = w->rest + strspn(w->rest, "/");
    size_t len = strcspn(p, "/");

    *ret_error = len > NAME_MAX ? -ENAMETOOLONG : 0;
    if (len == 0 || len > NAME_MAX)
        return false;
    memcpy(name, p, len);
    name[len] = '\0';
    memmove(w->rest, p + len, strlen(p + len) + 1);
    return true;
}

/* Notes that the walk went to name; ".." is left to the next openat2 from the root. */
static int advance(struct walk *w, const char *name, int fd)
{
    size_t n = strlen(w->done);

    if (n + strlen(name) + 2 > sizeof(w->done)) {
        if (fd >= 0)
            (void)close(fd);
        return -ENAMETOOLONG;
    }
    w->done[n] = '/';
    strcpy(w->done + n + 1, name);
    if (fd < 0)
        return reopen(w);
    cleanup_close_p(&w->dir);
    w->dir = fd;
    return 0;
}

static int step(struct walk *w, const char *name)
{
    if (strcmp(name, ".") == 0)
        return 0;
    if (strcmp(name, "..") == 0)
        return advance(w, name, -1);
    if (mkdirat(w->dir, name, 0755) && errno != EEXIST)
        return -errno;
    int fd = open_resolve(w->dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0,
                          RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
    return fd == -ELOOP || fd == -ENOTDIR ? follow(w, name) : fd < 0 ? fd : advance(w, name, fd);
}

static int walk_making(struct walk *w)
{
    char name[NAME_MAX + 1];
    int r = reopen(w);

    while (r == 0 && take_name(w, name, &r))
        r = step(w, name);
    return r;
}

int pathfd_mkdir(int root, const char *path)
{
    _cleanup_(walk_close) struct walk w = {.root = root, .dir = -1, .done = "/"};
    int fd = pathfd_open(root, path, O_PATH | O_DIRECTORY);

    if (fd != -ENOENT)
        return fd;
    if (strlen(path) >= sizeof(w.rest))
        return -ENAMETOOLONG;
    strcpy(w.rest, path);
    int r = walk_making(&w);
    return r < 0 ? r : steal_fd(&w.dir);
}

int pathfd_parent(int root, const char *path, char last[256])
{
    char above[PATH_MAX];
    size_t len = strlen(path);

    while (len > 0 && path[len - 1] == '/')
        len--;
    size_t start = len;
    while (start > 0 && path[start - 1] != '/')
        start--;
    if (len - start > NAME_MAX || start >= sizeof(above))
        return -ENAMETOOLONG;
    memcpy(last, path + start, len - start);
    last[len - start] = '\0';
    if (!*last || strcmp(last, ".") == 0 || strcmp(last, "..") == 0)
        return -EINVAL;
    snprintf(above, sizeof(above), "/%.*s", (int)start, path);
    return pathfd_mkdir(root, above);
}

int pathfd_touch(int root, const char *path)
{
    char last[NAME_MAX + 1];
    int fd = pathfd_open(root, path, O_PATH);

    if (fd != -ENOENT)
        return fd;
    _cleanup_close_ int parent = pathfd_parent(root, path, last);
    if (parent < 0)
        return parent;
    fd = open_resolve(parent, last, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0644,
                      RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
    if (fd < 0)
        return fd;
    (void)close(fd);
    return open_resolve(parent, last, O_PATH | O_NOFOLLOW, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
}

static int link_of(int proc_fd, int fd, char *buf, size_t size)
{
    char name[16];

    snprintf(name, sizeof(name), "%d", fd);
    ssize_t n = readlinkat(proc_fd, name, buf, size);
    if (n < 0 || (size_t)n >= size)
        return n < 0 ? -errno : -ENAMETOOLONG;
    buf[n] = '\0';
    return (int)n;
}

int pathfd_name(int proc_fd, int root, int fd, char *buf, size_t size)
{
    char base[PATH_MAX], full[PATH_MAX];
    int base_len = link_of(proc_fd, root, base, sizeof(base)), len = link_of(proc_fd, fd, full, sizeof(full));

    if (base_len < 0 || len < 0)
        return base_len < 0 ? base_len : len;
    if (strcmp(base, "/") == 0)
        base_len = 0;
    if (strncmp(full, base, (size_t)base_len) != 0 || (full[base_len] && full[base_len] != '/'))
        return -EXDEV;
    const char *rel = full[base_len] ? full + base_len : "/";
    if (strlen(rel) >= size)
        return -ENAMETOOLONG;
    strcpy(buf, rel);
    return 0;
}

int pathfd_clean(const char *path, char *buf, size_t size)
{
    size_t n = 0;

    for (const char *p = path; *p;) {
        p += strspn(p, "/");
        size_t len = strcspn(p, "/");
        if (len == 2 && p[0] == '.' && p[1] == '.') {
            while (n > 0 && buf[--n] != '/')
                continue;
        } else if (len > 0 && !(len == 1 && p[0] == '.')) {
            if (n + len + 2 > size)
                return -ENAMETOOLONG;
            buf[n++] = '/';
            memcpy(buf + n, p, len);
            n += len;
        }
        p += len;
    }
    if (n == 0)
        buf[n++] = '/';
    buf[n] = '\0';
    return 0;
}
