#include "sandbox/platform/keep_filter.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "keep_filter_bpf.h"
#include "porter_filter_bpf.h"

static int install(const struct sock_filter *prog, size_t n)
{
    struct sock_fprog f = {.len = (unsigned short)n, .filter = (struct sock_filter *)(uintptr_t)prog};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &f) == 0 ? 0 : -errno;
}

int keep_confine(void)
{
    return install(keep_filter, ARRAY_SIZE(keep_filter));
}

int porter_drop_bounding(void)
{
    int there;

    for (int cap = 0; (there = prctl(PR_CAPBSET_READ, cap, 0, 0, 0)) >= 0; cap++)
        if (there && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
            return -errno;
    return 0;
}

static int drop_all_caps(void)
{
    struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct d[2];

    memset(d, 0, sizeof(d));
    int r = porter_drop_bounding();
    return r < 0 || syscall(SYS_capset, &h, d) == 0 ? r : -errno;
}

void porter_confine(void)
{
    if (drop_all_caps() < 0 || install(porter_filter, ARRAY_SIZE(porter_filter)) < 0)
        _exit(137);
}
