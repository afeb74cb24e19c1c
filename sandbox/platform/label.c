#include "sandbox/platform/label.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/cleanup.h"

/* thread-self is a link that says who we are in that instance of procfs; it is read, not followed. */
int label_open(int proc, const char *attr, int flags)
{
    struct open_how how = {
        .flags = (uint64_t)(flags | O_CLOEXEC),
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS,
    };
    char self[64], path[128];
    ssize_t n = readlinkat(proc, "thread-self", self, sizeof(self) - 1);

    if (n <= 0)
        return n < 0 ? -errno : -ENOENT;
    self[n] = 0;
    snprintf(path, sizeof(path), "%s/%s", self, attr);
    int fd = (int)syscall(SYS_openat2, proc, path, &how, sizeof(how));
    return fd < 0 ? -errno : fd;
}

static int write_own(int proc, const char *attr, const char *text)
{
    _cleanup_close_ int fd = label_open(proc, attr, O_WRONLY);

    if (fd < 0)
        return fd;
    ssize_t n = write(fd, text, strlen(text));
    return n < 0 ? -errno : (size_t)n == strlen(text) ? 0 : -EIO;
}

int label_apply(const struct guest_label *l, const char **what)
{
    *what = "process.apparmorProfile";
    return l->apparmor ? write_own(l->proc, "attr/apparmor/exec", l->apparmor) : 0;
}
