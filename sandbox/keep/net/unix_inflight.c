/* How many descriptors may be on their way through unix sockets: a user's, as many as RLIMIT_NOFILE says
 * (unix(7), ETOOMANYREFS); and no more parcels of a keep than leave room for others', as the host counts them
 * together. */
#include <linux/capability.h>
#include <sys/resource.h>

#include "sandbox/keep/container/container.h"
#include "sandbox/keep/task/task.h"
#include "sandbox/keep/net/unix.h"

#define PARCELS_MAX 65536

struct unix_user {
    struct unix_user_key {
        uint64_t pids, uid;
    } key;
    rlim_t files; /* on their way */
    unsigned parcels;
    UT_hash_handle hh;
};

static bool is_bound(const struct task *t)
{
    return !capable(t, CAP_SYS_RESOURCE) && !capable(t, CAP_SYS_ADMIN);
}

int unix_inflight_begin(struct task *t, struct unix_parcel *p)
{
    struct unix_state *us = kernel.unix_state;
    struct unix_user_key key = {t->process->container->pids->id, t->cred->uid};
    struct unix_user *user;

    HASH_FIND(hh, us->users, &key, sizeof(key), user);
    rlim_t files = user ? user->files : 0;
    if (HASH_COUNT(us->parcels) >= PARCELS_MAX)
        return -ETOOMANYREFS;
    if (p->nfiles && files > t->process->rlim[RLIMIT_NOFILE].rlim_cur && is_bound(t))
        return -ETOOMANYREFS;
    if (!user) {
        user = calloc(1, sizeof(*user));
        if (!user)
            return -ENOMEM;
        user->key = key;
        HASH_ADD(hh, us->users, key, sizeof(key), user);
    }
    user->files += p->nfiles;
    user->parcels++;
    p->sender = user;
    HASH_ADD(hh, us->parcels, id, sizeof(p->id), p);
    return 0;
}

void unix_inflight_end(struct unix_parcel *p)
{
    struct unix_state *us = kernel.unix_state;
    struct unix_user *user = p->sender;

    HASH_DEL(us->parcels, p);
    user->files -= p->nfiles;
    if (--user->parcels == 0) {
        HASH_DEL(us->users, user);
        free(user);
    }
}
