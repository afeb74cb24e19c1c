#include "runtime/launch/launch_time.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "oci/config.h"
#include "runtime/launch/launch_internal.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

static int write_offsets(const struct oci_linux *l, struct err *e)
{
    static const char path[] = "/proc/self/timens_offsets";
    char text[160];
    int len =
        snprintf(text, sizeof(text), "monotonic %lld %u\nboottime %lld %u\n", (long long)l->monotonic.secs,
                 l->monotonic.nanosecs, (long long)l->boottime.secs, l->boottime.nanosecs);
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd >= 0 && write(fd, text, (size_t)len) == len)
        return 0;
    if (errno == ERANGE)
        return err_set(e, ERR_CONFIG, ERANGE,
                       "config.json: linux.timeOffsets: a clock would be before 0 or too late");
    return err_set(e, ERR_SYS, errno, "config.json: linux.timeOffsets: %s", path);
}

static int make_new(const struct oci_linux *l, struct err *e)
{
    if (unshare(CLONE_NEWTIME) < 0)
        return err_set(e, errno == EPERM ? ERR_PERM : ERR_SYS, errno,
                       "linux.namespaces: a new time namespace");
    return l->has_time_offsets ? write_offsets(l, e) : 0;
}

int launch_time_begin(const struct oci_config *c, int *ret, struct err *e)
{
    const struct oci_namespace *ns = &c->lx.ns[OCI_NS_TIME];

    *ret = -1;
    if (!ns->set)
        return 0;
    *ret = open("/proc/self/ns/time", O_RDONLY | O_CLOEXEC);
    if (*ret < 0)
        return err_set(e, errno == ENOENT ? ERR_UNSUPPORTED : ERR_SYS, errno,
                       "linux.namespaces: time namespaces (CONFIG_TIME_NS)");
    if ((ns->path ? launch_ns_join_path(ns->path, CLONE_NEWTIME, "time", e) : make_new(&c->lx, e)) == 0)
        return 0;
    launch_time_end(ret);
    return -1;
}

void launch_time_end(int *own)
{
    if (*own < 0)
        return;
    if (setns(*own, CLONE_NEWTIME) < 0)
        log_warning("cannot go back to the time namespace of before: %s", strerror(errno));
    (void)close(*own);
    *own = -1;
}
