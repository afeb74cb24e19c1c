#include "runtime/procfile.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/cleanup.h"

int procfile_root(void)
{
    _cleanup_close_ int proc = open("/proc", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct statfs fs;

    if (proc < 0 || fstatfs(proc, &fs) < 0)
        return -errno;
    return fs.f_type == PROC_SUPER_MAGIC ? steal_fd(&proc) : -EXDEV;
}

int procfile_open(const char *name, int flags)
{
    struct open_how how = {
        .flags = (uint64_t)(flags | O_CLOEXEC),
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS,
    };
    _cleanup_close_ int proc = procfile_root();

    if (proc < 0)
        return proc;
    int fd = (int)syscall(SYS_openat2, proc, name, &how, sizeof(how));
    return fd < 0 ? -errno : fd;
}

int procfile_open_of(pid_t pid, const char *name, int flags)
{
    char path[256];
    int n = snprintf(path, sizeof(path), "%d/%s", pid, name);

    return n < (int)sizeof(path) ? procfile_open(path, flags) : -ENAMETOOLONG;
}

static int write_all(int fd, const char *text)
{
    size_t len = strlen(text);

    if (fd < 0)
        return fd;
    ssize_t n = write(fd, text, len);
    int r = n < 0 ? -errno : (size_t)n == len ? 0 : -EIO;
    (void)close(fd);
    return r;
}

int procfile_write(const char *name, const char *text)
{
    return write_all(procfile_open(name, O_WRONLY), text);
}

int procfile_write_of(pid_t pid, const char *name, const char *text)
{
    return write_all(procfile_open_of(pid, name, O_WRONLY), text);
}
