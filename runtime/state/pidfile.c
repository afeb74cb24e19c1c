#include "runtime/state/pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"

int pidfile_write(const char *path, pid_t pid, struct err *e)
{
    _cleanup_free_ char *tmp = NULL;
    const char *base = strrchr(path, '/');
    int dir_len = base ? (int)(base - path) + 1 : 0;

    if (asprintf(&tmp, "%.*s.%s.%d", dir_len, path, base ? base + 1 : path, (int)getpid()) < 0)
        return err_set(e, ERR_SYS, ENOMEM, "pid file");
    _cleanup_close_ int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return err_set(e, ERR_SYS, errno, "pid file %.300s", path);
    if (dprintf(fd, "%d", (int)pid) < 0 || rename(tmp, path)) {
        err_set(e, ERR_SYS, errno, "pid file %.300s", path);
        (void)unlink(tmp);
        return -1;
    }
    return 0;
}
