#include "common/fds.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define KEEP_MAX 32

static int by_number(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;

    return (x > y) - (x < y);
}

static int close_range_of(unsigned first, unsigned last)
{
    return first > last || syscall(SYS_close_range, first, last, 0U) == 0 ? 0 : -errno;
}

int fds_close_others(const int *keep, unsigned n)
{
    int sorted[KEEP_MAX];
    unsigned next = 3;

    if (n > KEEP_MAX)
        return -EINVAL;
    memcpy(sorted, keep, n * sizeof(*keep));
    qsort(sorted, n, sizeof(*sorted), by_number);
    for (unsigned i = 0; i < n; i++) {
        if (sorted[i] < (int)next)
            continue;
        int r = close_range_of(next, (unsigned)sorted[i] - 1);
        if (r < 0)
            return r;
        next = (unsigned)sorted[i] + 1;
    }
    return close_range_of(next, ~0U);
}

int fds_forget_stdio(bool keep_stderr)
{
    /* A number that is free would be taken by the next file, and written to by mistake. */
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC | O_NOCTTY);

    if (fd < 0)
        fd = memfd_create("nothing", MFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    for (int i = STDIN_FILENO; i <= (keep_stderr ? STDOUT_FILENO : STDERR_FILENO); i++)
        if (dup2(fd, i) < 0)
            return -errno;
    if (fd > STDERR_FILENO)
        (void)close(fd);
    return 0;
}
