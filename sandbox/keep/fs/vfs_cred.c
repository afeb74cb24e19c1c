/* Rights for host file calls: a worker takes the ids, groups and file capabilities of the task it works for.
 * The calls are made raw, because libc's wrappers would change every thread of the keep. */
#include <linux/capability.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>

#include "sandbox/keep/fs/vfs_priv.h"

#define CAPBIT(c) (1ULL << (c))
/* Those that host file systems ask for. Whatever else the keep holds, it keeps. */
#define FILE_CAPS                                                                                            \
    (CAPBIT(CAP_CHOWN) | CAPBIT(CAP_DAC_OVERRIDE) | CAPBIT(CAP_DAC_READ_SEARCH) | CAPBIT(CAP_FOWNER) |       \
     CAPBIT(CAP_FSETID) | CAPBIT(CAP_LINUX_IMMUTABLE) | CAPBIT(CAP_MKNOD) | CAPBIT(CAP_LEASE) |              \
     CAPBIT(CAP_SETFCAP))
#define CACHED_GROUPS 64

/* What this worker has taken on. Per thread by its nature: so are the rights. */
struct assumed {
    bool valid, groups_valid;
    uid_t fsuid, self_uid;
    gid_t fsgid, self_gid;
    uint64_t permitted, inheritable, effective;
    unsigned ngroups;
    gid_t groups[CACHED_GROUPS];
};
static _Thread_local struct assumed now;

static void caps_read(struct assumed *a)
{
    struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    struct __user_cap_data_struct d[2] = {0};

    (void)syscall(SYS_capget, &h, d);
    a->permitted = d[0].permitted | (uint64_t)d[1].permitted << 32;
    a->effective = d[0].effective | (uint64_t)d[1].effective << 32;
    a->inheritable = d[0].inheritable | (uint64_t)d[1].inheritable << 32;
}

static void caps_write(struct assumed *a, uint64_t effective)
{
    struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    struct __user_cap_data_struct d[2] = {0};

    for (unsigned i = 0; i < 2; i++) {
        d[i].permitted = (uint32_t)(a->permitted >> (32 * i));
        d[i].inheritable = (uint32_t)(a->inheritable >> (32 * i));
        d[i].effective = (uint32_t)(effective >> (32 * i));
    }
    /* Going on with more rights than the task has would be a hole: rather end the sandbox. */
    if (syscall(SYS_capset, &h, d) != 0)
        abort();
    a->effective = effective;
}

static void set_groups(unsigned n, const gid_t *groups)
{
    if (now.groups_valid && n == now.ngroups &&
        (n == 0 || memcmp(groups, now.groups, n * sizeof(*groups)) == 0))
        return;
    if (!(now.effective & CAPBIT(CAP_SETGID)))
        caps_write(&now, now.effective | (now.permitted & CAPBIT(CAP_SETGID)));
    if (syscall(SYS_setgroups, (size_t)n, groups) != 0 && n != 0)
        abort();
    now.groups_valid = n <= CACHED_GROUPS;
    now.ngroups = n;
    if (now.groups_valid && n != 0)
        memcpy(now.groups, groups, n * sizeof(*groups));
}

static void assume_init(void)
{
    if (!now.valid) {
        caps_read(&now);
        now.fsuid = now.fsgid = (uid_t)-1;
        now.self_uid = geteuid();
        now.self_gid = getegid();
        now.valid = true;
    }
}

static void assume(uid_t fsuid, gid_t fsgid, unsigned n, const gid_t *groups, uint64_t caps)
{
    assume_init();
    set_groups(n, groups);
    if (now.fsgid != fsgid) {
        (void)setfsgid(fsgid);
        if ((gid_t)setfsgid((gid_t)-1) != fsgid)
            abort();
        now.fsgid = fsgid;
    }
    if (now.fsuid != fsuid) {
        (void)setfsuid(fsuid);
        if ((uid_t)setfsuid((uid_t)-1) != fsuid)
            abort();
        now.fsuid = fsuid;
        caps_read(&now); /* to or from 0 the host has changed the file capabilities */
    }
    uint64_t want = (now.permitted & ~FILE_CAPS) | (now.permitted & FILE_CAPS & caps);
    if (want != now.effective)
        caps_write(&now, want);
}

void vfs_assume(const struct task *t)
{
    const struct cred *c = t ? t->cred : NULL;

    if (!c) {
        vfs_assume_self();
        return;
    }
    assume(c->fsuid, c->fsgid, c->ngroups, c->groups, c->cap_effective);
}

void vfs_assume_real(const struct task *t)
{
    const struct cred *c = t->cred;

    assume(c->uid, c->gid, c->ngroups, c->groups, c->uid == 0 ? c->cap_permitted : 0);
}

void vfs_assume_self(void)
{
    assume_init();
    assume(now.self_uid, now.self_gid, 0, NULL, ~0ULL);
}
