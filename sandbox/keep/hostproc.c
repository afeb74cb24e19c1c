#include "sandbox/keep/hostproc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "sandbox/keep/kernel.h"
#include "sandbox/keep/fs/vfs.h"
#include "sandbox/keep/mm/maps.h"

#define HOST_TEXT_MAX (64UL << 20)

static int read_all(int fd, struct strbuf *sb)
{
    char buf[8192];
    for (;;) {
        ssize_t n = read(fd, buf, sizeof(buf));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return sb->failed ? -ENOMEM : 0;
        sb_put(sb, buf, (size_t)n);
        if (sb->failed || sb->len > HOST_TEXT_MAX)
            return -ENOMEM;
    }
}

static int open_listed(const char *fmt, va_list ap)
{
    char path[128];
    int n = vsnprintf(path, sizeof(path), fmt, ap);
    if (n < 0 || (size_t)n >= sizeof(path))
        return -ENAMETOOLONG;
    if (kernel.procfd < 0)
        return -ENOENT;
    vfs_assume_self();
    int fd = openat(kernel.procfd, path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int host_proc_open(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int fd = open_listed(fmt, ap);
    va_end(ap);
    return fd;
}

int host_proc_read(struct strbuf *sb, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    _cleanup_close_ int fd = open_listed(fmt, ap);
    va_end(ap);
    return fd < 0 ? fd : read_all(fd, sb);
}

/* linux/fs.h of Linux 6.11 */
struct map_query {
    uint64_t size, flags, addr;                /* in */
    uint64_t start, end, vma_flags, page, off; /* out */
    uint64_t ino;
    uint32_t major, minor, name_size, build_id_size;
    uint64_t name, build_id;
};
#define MAP_QUERY _IOWR('f', 17, struct map_query)
#define QUERY_READABLE 1U
#define QUERY_WRITABLE 2U
#define QUERY_EXECUTABLE 4U
#define QUERY_SHARED 8U

static bool query_mapping(int fd, uint64_t at, struct mapping *m)
{
    struct map_query q = {.size = sizeof(q), .addr = at};

    if (ioctl(fd, MAP_QUERY, &q) < 0)
        return false;
    *m = (struct mapping){.start = q.start,
                          .end = q.end,
                          .off = q.off,
                          .prot = (q.vma_flags & QUERY_READABLE ? PROT_READ : 0) |
                                  (q.vma_flags & QUERY_WRITABLE ? PROT_WRITE : 0) |
                                  (q.vma_flags & QUERY_EXECUTABLE ? PROT_EXEC : 0),
                          .shared = q.vma_flags & QUERY_SHARED,
                          .dev = makedev(q.major, q.minor),
                          .ino = q.ino};
    return true;
}

static bool search_mappings(int fd, uint64_t at, struct mapping *m)
{
    _cleanup_sb_ struct strbuf sb = {0};
    const char *maps = NULL;

    if (read_all(fd, &sb) == 0)
        maps = sb.s;
    while (maps_next(&maps, m))
        if (at >= m->start && at < m->end)
            return true;
    return false;
}

bool host_mapping_at(pid_t pid, uint64_t at, struct mapping *m)
{
    char path[32];

    (void)snprintf(path, sizeof(path), "%d/maps", (int)pid);
    vfs_assume_self();
    _cleanup_close_ int fd = openat(kernel.procfd, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    return query_mapping(fd, at, m) || (errno != ENOENT && search_mappings(fd, at, m));
}

bool host_proc_has_fd(pid_t tid, unsigned fd)
{
    char path[48];
    struct stat st;
    (void)snprintf(path, sizeof(path), "%d/fd/%u", (int)tid, fd);
    vfs_assume_self();
    return fstatat(kernel.procfd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT;
}

int host_file_read(struct strbuf *sb, const char *path)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : read_all(fd, sb);
}

/* The name in parentheses may hold anything, more parentheses too: what follows its last one is numbers. */
bool host_stat_parse(const char *text, struct host_stat *hs)
{
    memset(hs, 0, sizeof(*hs));
    const char *c = strrchr(text, ')');
    if (!c || c[1] != ' ' || !c[2])
        return false;
    hs->f[3] = (unsigned char)c[2];
    c += 3;
    for (unsigned i = 4; i < ARRAY_SIZE(hs->f); i++) {
        char *end;
        hs->f[i] = strtoull(c, &end, 10);
        if (end == c)
            return i > 40;
        c = end;
    }
    return true;
}

bool host_stat_read(pid_t pid, pid_t tid, struct host_stat *hs)
{
    memset(hs, 0, sizeof(*hs));
    if (pid <= 0)
        return false;
    _cleanup_sb_ struct strbuf sb = {0};
    int r = tid > 0 ? host_proc_read(&sb, "%d/task/%d/stat", pid, tid) : host_proc_read(&sb, "%d/stat", pid);
    return r == 0 && sb.s && host_stat_parse(sb.s, hs);
}

enum host_wait host_waits(pid_t pid, pid_t tid)
{
    _cleanup_sb_ struct strbuf sb = {0};
    if (host_proc_read(&sb, "%d/task/%d/wchan", pid, tid) < 0 || !sb.s || strcmp(sb.s, "0") == 0)
        return HOST_WAITS_NOWHERE;
    return strstr(sb.s, "seccomp") ? HOST_WAITS_FOR_KEEP : HOST_WAITS;
}

uint64_t host_rss_pages(pid_t pid)
{
    _cleanup_sb_ struct strbuf sb = {0};
    if (pid <= 0 || host_proc_read(&sb, "%d/statm", pid) < 0 || !sb.s)
        return 0;
    unsigned long size, resident;
    return sscanf(sb.s, "%lu %lu", &size, &resident) == 2 ? resident : 0;
}
