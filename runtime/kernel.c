#include "runtime/kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "common/cleanup.h"

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

/* A call with arguments that no kernel accepts tells whether it is there: ENOSYS, or some other error. */
static bool has_call(long number)
{
    return syscall(number, -1, NULL, ~0U, NULL, 0) >= 0 || errno != ENOSYS;
}

static bool has_notification(void)
{
    uint32_t action = SECCOMP_RET_USER_NOTIF;

    return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

/* Flags are looked at before the filter, whose address is bad: EFAULT where they are known, EINVAL otherwise.
 */
static bool has_killable_wait(void)
{
    unsigned long flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;

    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, NULL) < 0 && errno == EFAULT;
}

static bool has_openat2(void)
{
    return has_call(SYS_openat2);
}

static bool has_pidfd(void)
{
    return has_call(SYS_pidfd_open) && has_call(SYS_pidfd_send_signal);
}

static bool has_close_range(void)
{
    return has_call(SYS_close_range); /* the range is upside down, so nothing is closed */
}

static bool has_mount_api(void)
{
    return has_call(SYS_mount_setattr) && has_call(SYS_fsopen);
}

static bool has_user_namespaces(void)
{
    return access("/proc/self/ns/user", F_OK) == 0;
}

/* ADDFD (5.14) cannot be asked for without a filter; a kernel with the killable wait (5.19) has it. */
static const struct {
    const char *name, *since;
    bool (*there)(void);
} features[] = {
    {"seccomp user notification (CONFIG_SECCOMP_FILTER)", "5.0", has_notification},
    {"seccomp's WAIT_KILLABLE_RECV and ADDFD", "5.19", has_killable_wait},
    {"openat2", "5.6", has_openat2},
    {"pidfd_open and pidfd_send_signal", "5.3", has_pidfd},
    {"close_range", "5.9", has_close_range},
    {"fsopen and mount_setattr", "5.12", has_mount_api},
    {"user namespaces (CONFIG_USER_NS)", "3.8", has_user_namespaces},
};

/* They may be there and forbidden. */
static int check_userns_limit(struct err *e)
{
    static const char path[] = "/proc/sys/user/max_user_namespaces";
    char buf[32] = "";
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || read(fd, buf, sizeof(buf) - 1) <= 0)
        return 0;
    if (strtol(buf, NULL, 10) == 0)
        return err_set(e, ERR_UNSUPPORTED, 0, "user namespaces are forbidden: %s is 0", path);
    return 0;
}

int kernel_check(struct err *e)
{
    struct utsname u;

    for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
        if (features[i].there())
            continue;
        uname(&u);
        return err_set(e, ERR_UNSUPPORTED, 0, "this kernel (Linux %.60s) lacks %s, which Linux %s has",
                       u.release, features[i].name, features[i].since);
    }
    return check_userns_limit(e);
}
