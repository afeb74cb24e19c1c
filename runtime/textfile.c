#include "runtime/textfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"

enum { SIZE_LIMIT = 16 * 1024 * 1024 };

static int write_all(int fd, const char *text)
{
    for (size_t len = strlen(text); len > 0;) {
        ssize_t n = write(fd, text, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        text += n;
        len -= (size_t)n;
    }
    return 0;
}

int textfile_replace(int dir, const char *name, const char *text, struct err *e)
{
    char tmp[64];

    snprintf(tmp, sizeof(tmp), ".%.32s.%d", name, (int)getpid());
    _cleanup_close_ int fd = openat(dir, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || write_all(fd, text) || renameat(dir, tmp, dir, name)) {
        err_set(e, ERR_SYS, errno, "writing %s", name);
        (void)unlinkat(dir, tmp, 0);
        return -1;
    }
    return 0;
}

int textfile_read(int dir, const char *name, char **ret, size_t *len)
{
    _cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    size_t have = 0;

    if (fd < 0 || fstat(fd, &st))
        return -1;
    if (!S_ISREG(st.st_mode) || st.st_size > SIZE_LIMIT) {
        errno = EINVAL;
        return -1;
    }
    size_t size = (size_t)st.st_size;
    _cleanup_free_ char *buf = malloc(size + 1);
    while (buf && have < size) {
        ssize_t n = read(fd, buf + have, size - have);
        if (n < 0 && errno != EINTR)
            return -1;
        if (n == 0)
            break;
        have += n > 0 ? (size_t)n : 0;
    }
    if (!buf)
        return -1;
    buf[have] = '\0';
    *len = have;
    *ret = steal_ptr(&buf);
    return 0;
}
