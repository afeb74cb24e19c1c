/* What tells that a path still leads to the same file: the host, by an inotify of the sandbox's own. Each
 * directory is watched before it is looked into. */
#include <poll.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/vfs.h>

#include <linux/magic.h>

#include "sandbox/keep/lanes/kept.h"
#include "sandbox/keep/fs/vfs_priv.h"

#define XFS_MAGIC 0x58465342
#define DIR_EVENTS                                                                                           \
    (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF)
#define FILE_EVENTS (IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF)
/* An overlay gives the file another inode when somebody begins to write to it. */
#define COPY_EVENTS (IN_MODIFY | IN_CLOSE_WRITE)
#define MOST_STEPS 32
#define MOST_LINKS 4
#define MOST_WATCHES 1024 /* of an inotify */

struct steps {
    char text[PATH_MAX];
    const char *p;
    unsigned steps, links;
    int cur; /* O_PATH */
};

/* File systems whose every change comes by the host's VFS. */
static bool is_told(int fd, bool *copies)
{
    struct statfs sf;

    if (fstatfs(fd, &sf) < 0)
        return false;
    *copies = sf.f_type == OVERLAYFS_SUPER_MAGIC;
    return *copies || sf.f_type == EXT4_SUPER_MAGIC || sf.f_type == XFS_MAGIC ||
           sf.f_type == BTRFS_SUPER_MAGIC || sf.f_type == TMPFS_MAGIC;
}

/* As sys_inotify_add_watch: the working directory is the host's /proc. */
static bool watch(int fd, uint32_t events)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "%d/fd/%d", (int)kernel.pid, fd);
    kernel.kept_watches++;
    return inotify_add_watch(kernel.kept_fd, path, events | IN_MASK_ADD) >= 0;
}

static void move_to(struct steps *s, int fd)
{
    if (s->cur >= 0)
        (void)close(s->cur);
    s->cur = fd;
}

/* The link `fd`, met before `rest`. */
static bool follow(struct steps *s, int fd, const char *rest)
{
    char text[PATH_MAX];
    ssize_t n = readlinkat(fd, "", text, sizeof(text));
    size_t more = strlen(rest);

    (void)close(fd);
    if (++s->links > MOST_LINKS || n <= 0 || (size_t)n + more + 1 > sizeof(text))
        return false;
    memcpy(text + n, rest, more + 1);
    memcpy(s->text, text, (size_t)n + more + 1);
    s->p = s->text;
    return true;
}

static bool to_root(struct steps *s, const struct dentry *root)
{
    int fd = s->p[0] == '/' ? fcntl(root->fd, F_DUPFD_CLOEXEC, 0) : -1;

    if (fd >= 0)
        move_to(s, fd);
    return s->p[0] != '/' || fd >= 0;
}

/* One component. The last one's file is the new s->cur. */
static bool step(struct steps *s, const struct dentry *root)
{
    char name[NAME_MAX + 1];
    struct stat st;
    size_t len;
    bool copies;
    const char *at = path_component(s->p, &len);

    if (++s->steps > MOST_STEPS || len > NAME_MAX || !is_told(s->cur, &copies) ||
        !watch(s->cur, DIR_EVENTS | IN_ONLYDIR))
        return false;
    memcpy(name, at, len);
    name[len] = 0;
    int fd = openat(s->cur, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return false;
    if (fstat(fd, &st) == 0 && S_ISLNK(st.st_mode))
        return follow(s, fd, at + len) && to_root(s, root);
    s->p = at + len;
    move_to(s, fd);
    return true;
}

static bool watch_path(struct steps *s, const struct dentry *root)
{
    size_t len;
    bool copies;

    if (!to_root(s, root))
        return false;
    while (path_component(s->p, &len), len != 0)
        if (!step(s, root))
            return false;
    return *s->p != '/' && is_told(s->cur, &copies) &&
           watch(s->cur, FILE_EVENTS | (copies ? COPY_EVENTS : 0));
}

static bool is_same(int a, int b)
{
    struct statx x, y;
    const unsigned mask = STATX_TYPE | STATX_INO | STATX_MNT_ID;

    return statx(a, "", AT_EMPTY_PATH, mask, &x) == 0 && statx(b, "", AT_EMPTY_PATH, mask, &y) == 0 &&
           S_ISREG(x.stx_mode) && x.stx_ino == y.stx_ino && x.stx_dev_major == y.stx_dev_major &&
           x.stx_dev_minor == y.stx_dev_minor && (x.stx_mask & y.stx_mask & STATX_MNT_ID) &&
           x.stx_mnt_id == y.stx_mnt_id;
}

/* An open of it now gives f's file: it is the last word, since all that led there is watched. */
static bool leads_to(const struct walk *w, unsigned flags, const struct file *f)
{
    int hf = (int)(flags & HOST_OPEN_FLAGS) | HOST_OPEN_ALWAYS;
    _cleanup_close_ int fd = sys_openat2_raw(w->base->fd, w->rel, (uint64_t)hf, 0, w->resolve);

    return fd >= 0 && is_same(fd, f->hostfd);
}

/* Ready for what has happened and was not looked at. */
static bool is_ready(int epfd)
{
    struct epoll_event e;

    return epoll_wait(epfd, &e, 1, 0) != 0;
}

/* kept_lock held. An inotify without events, if there can be one. */
static bool open_quiet(void)
{
    char events[4096];

    if (kernel.kept_fd >= 0 && kernel.kept_watches > MOST_WATCHES) {
        kept_forbid_all();
        (void)close(kernel.kept_fd);
        kernel.kept_fd = -1;
    }
    if (kernel.kept_fd < 0) {
        kernel.kept_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        kernel.kept_watches = 0;
    }
    if (kernel.kept_fd < 0)
        return false;
    struct pollfd p = {.fd = kernel.kept_fd, .events = POLLIN};
    if (poll(&p, 1, 0) == 0)
        return true;
    kept_forbid_all(); /* it was said to them, too, and is not once it is read */
    while (read(kernel.kept_fd, events, sizeof(events)) > 0)
        ;
    return true;
}

static bool add(int epfd)
{
    struct epoll_event e = {.events = EPOLLIN};

    return epoll_ctl(epfd, EPOLL_CTL_ADD, kernel.kept_fd, &e) == 0 || errno == EEXIST;
}

bool kept_watch(struct task *t, const char *path, unsigned flags, const struct file *f, int epfd)
{
    _cleanup_walk_ struct walk w;
    struct steps s = {.cur = -1};

    if (strlen(path) >= sizeof(s.text) || walk_begin(&w, t, AT_FDCWD, path, 0) < 0)
        return false;
    if (!w.plain || w.self || w.ns->slaves)
        return false;
    strcpy(s.text, path);
    s.p = s.text;
    vfs_assume(t);
    if (!open_quiet() || !add(epfd))
        return false;
    (void)is_ready(epfd); /* mounts that were made before */
    bool ok = watch_path(&s, w.root) && leads_to(&w, flags, f) && !is_ready(epfd);
    if (s.cur >= 0)
        (void)close(s.cur);
    return ok;
}

void kept_unwatch(void)
{
    LOCKED(&kernel.kept_lock);
    if (kernel.kept_fd < 0 || atomic_load(&kernel.kepts))
        return;
    (void)close(kernel.kept_fd);
    kernel.kept_fd = -1;
}
