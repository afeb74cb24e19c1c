/* Descriptor tables. */
#include "sandbox/keep/fs/fdtable_internal.h"

#include <limits.h>
#include <string.h>

#include "sandbox/keep/lanes/fast.h"
#include "sandbox/keep/lanes/later.h"
#include "sandbox/keep/task/task.h"
#include "sandbox/platform/listener.h"

#define FDTABLE_MIN 64U
#define FDTABLE_MAX (1U << 20)

struct fdtable *fdtable_new(void)
{
    struct fdtable *ft = calloc(1, sizeof(*ft));
    if (!ft)
        return NULL;
    ft->slots = calloc(FDTABLE_MIN, sizeof(*ft->slots));
    if (!ft->slots) {
        free(ft);
        return NULL;
    }
    ft->size = FDTABLE_MIN;
    atomic_init(&ft->refs, 1);
    pthread_mutex_init(&ft->lock, NULL);
    return ft;
}

struct fdtable *fdtable_get(struct fdtable *ft)
{
    atomic_fetch_add(&ft->refs, 1);
    return ft;
}

void fdtable_put(struct fdtable *ft)
{
    if (!ft || atomic_fetch_sub(&ft->refs, 1) != 1)
        return;
    for (unsigned i = 0; i < ft->size; i++)
        if (ft->slots[i].file)
            file_closed(ft, ft->slots[i].file);
    left_forget(ft);
    pthread_mutex_destroy(&ft->lock);
    free(ft->slots);
    free(ft);
}

bool fdtable_shared(struct fdtable *ft)
{
    return !sole_owner(ft);
}

unsigned fdtable_users(struct fdtable *ft)
{
    return (unsigned)atomic_load(&ft->refs);
}

struct fdtable *fdtable_dup(struct fdtable *ft)
{
    struct fdtable *n = fdtable_new();
    if (!n)
        return NULL;
    LOCKED(&ft->lock);
    left_fetch_all(ft);
    if (ft->size > n->size) {
        struct slot *s = realloc(n->slots, ft->size * sizeof(*s));
        if (!s) {
            fdtable_put(n);
            return NULL;
        }
        n->slots = s;
        n->size = ft->size;
    }
    memcpy(n->slots, ft->slots, ft->size * sizeof(*ft->slots));
    /* With others at work on the table, the host's copy may be made of another state than this one. */
    bool sole = sole_owner(ft) && !atomic_load(&ft->tokens);
    for (unsigned i = 0; i < n->size; i++) {
        if (n->slots[i].file)
            file_get(n->slots[i].file);
        if (!sole && n->slots[i].lane != LANE_NONE)
            n->slots[i].lane = LANE_STALE;
    }
    n->first_free = ft->first_free;
    atomic_store(&n->strange, !sole || atomic_load(&ft->strange));
    return n;
}

bool fdtable_is_strange(struct fdtable *ft)
{
    return atomic_load(&ft->strange) && sole_owner(ft);
}

bool fdtable_has_tokens(struct fdtable *ft)
{
    return atomic_load(&ft->tokens);
}

bool fdtable_clear_native(struct fdtable *ft)
{
    if (!fdtable_is_strange(ft))
        return false;
    LOCKED(&ft->lock);
    for (unsigned fd = 0; fd < ft->size; fd++)
        ft->slots[fd].lane = LANE_NONE;
    atomic_store(&ft->strange, false);
    return true;
}

static void slot_clear(struct fdtable *ft, unsigned fd)
{
    ft->slots[fd].file = NULL;
    ft->slots[fd].cloexec = false;
    ft->slots[fd].uses = 0;
    if (fd < ft->first_free)
        ft->first_free = fd;
}

void fdtable_close_on_exec(struct fdtable *ft)
{
    atomic_store(&ft->strange, false); /* the host has closed it all */
    atomic_store(&ft->tokens, false);
    for (unsigned fd = 0; fd < ft->size; fd++) {
        struct file *f = NULL;
        {
            LOCKED(&ft->lock);
            ft->slots[fd].lane = LANE_NONE;
            ft->slots[fd].uses = 0;
            if (ft->slots[fd].file && ft->slots[fd].cloexec) {
                f = ft->slots[fd].file;
                slot_clear(ft, fd);
            }
        }
        if (f)
            file_closed(ft, f);
    }
}

static struct file *get_any(struct fdtable *ft, int fd)
{
    LOCKED(&ft->lock);
    if (fd < 0 || (unsigned)fd >= ft->size || !ft->slots[fd].file)
        return NULL;
    return left_fetch(ft, (unsigned)fd) ? file_get(ft->slots[fd].file) : NULL;
}

struct file *fd_get_path(struct task *t, int fd)
{
    return get_any(t->fdt, fd);
}

struct file *fdtable_get_file(struct fdtable *ft, int fd)
{
    return get_any(ft, fd);
}

struct file *fd_get(struct task *t, int fd)
{
    struct file *f = get_any(t->fdt, fd);
    if (f && (atomic_load_explicit(&f->flags, memory_order_relaxed) & O_PATH)) {
        file_put(f);
        return NULL;
    }
    return f;
}

unsigned fd_limit(struct task *t)
{
    rlim_t lim = t->process->rlim[RLIMIT_NOFILE].rlim_cur;
    return lim < FDTABLE_MAX ? (unsigned)lim : FDTABLE_MAX;
}

/* Makes room for number fd. Lock held. */
static int table_grow(struct fdtable *ft, unsigned fd)
{
    if (fd < ft->size)
        return 0;
    unsigned size = ft->size;
    while (size <= fd)
        size *= 2;
    struct slot *s = realloc(ft->slots, size * sizeof(*s));
    if (!s)
        return -ENOMEM;
    memset(s + ft->size, 0, (size - ft->size) * sizeof(*s));
    ft->slots = s;
    ft->size = size;
    return 0;
}

/* The lowest number from min on. Lock held. */
static unsigned find_free(const struct fdtable *ft, unsigned min)
{
    unsigned fd = min > ft->first_free ? min : ft->first_free;
    while (fd < ft->size && ft->slots[fd].file)
        fd++;
    return fd;
}

bool fd_has_room(struct task *t)
{
    LOCKED(&t->fdt->lock);
    return find_free(t->fdt, 0) < fd_limit(t);
}

int fd_install(struct task *t, struct file *f, bool cloexec, int min)
{
    struct fdtable *ft = t->fdt;
    unsigned limit = fd_limit(t);
    LOCKED(&ft->lock);
    unsigned fd = find_free(ft, (unsigned)min);
    if (fd >= limit)
        return -EMFILE;
    if (table_grow(ft, fd) < 0)
        return -ENOMEM;
    if ((unsigned)min <= ft->first_free)
        ft->first_free = fd + 1;
    ft->slots[fd].file = f;
    ft->slots[fd].cloexec = cloexec;
    ft->slots[fd].uses = 0;
    if (ft->slots[fd].lane == LANE_HERE)
        ft->slots[fd].lane = LANE_STALE;
    return (int)fd;
}

int fd_return(struct task *t, struct file *f, bool cloexec)
{
    int fd = fd_install(t, f, cloexec, 0);
    if (fd < 0)
        file_put(f);
    return fd;
}

/* Takes what may lie natively at fd out of the guest. Lock held. */
static void lane_revoke(struct fdtable *ft, const struct sysargs *a, unsigned fd)
{
    if (ft->slots[fd].lane == LANE_NONE || ft->slots[fd].lane == LANE_CLOSING)
        return;
    if (a && notif_addfd(a, kernel.dead_fd, (int)fd) >= 0)
        ft->slots[fd].lane = LANE_NONE;
    else
        ft->slots[fd].lane = LANE_STALE;
}

static bool may_be_watched(const struct slot *s)
{
    return s->lane != LANE_NONE && s->file && !(s->file->kind & FILE_PLAIN);
}

int fd_install_at(struct task *t, struct file *f, bool cloexec, int fd, const struct sysargs *a)
{
    struct fdtable *ft = t->fdt;
    struct file *old;
    if (fd < 0 || (unsigned)fd >= fd_limit(t))
        return -EBADF;
    {
        LOCKED(&ft->lock);
        if (table_grow(ft, (unsigned)fd) < 0)
            return -ENOMEM;
        fast_lane_clear(t, (unsigned)fd);
        later_forbid(t, (unsigned)fd);
        old = ft->slots[fd].file;
        if (may_be_watched(&ft->slots[fd]))
            later_changes(t);
        lane_revoke(ft, a, (unsigned)fd);
        ft->slots[fd].file = f;
        ft->slots[fd].cloexec = cloexec;
        ft->slots[fd].uses = 0;
    }
    if (old)
        file_closed(ft, old);
    return fd;
}

/* Empties slot fd. Lock held. Returns its file, NULL if there is none; *native is set where the host's own
 * close is to follow. With others at work on the table that could hit the number's next lane, hence
 * LANE_CLOSING then, or the dead file where it is one of many numbers. */
static struct file *slot_take(struct task *t, const struct sysargs *a, unsigned fd, bool alone, bool *native)
{
    struct fdtable *ft = t->fdt;
    struct slot *s = &ft->slots[fd];
    struct file *f = s->file;
    bool sole = sole_owner(ft);
    if (!f)
        return NULL;
    later_forbid(t, fd);
    if (may_be_watched(s))
        later_changes(t);
    if (!sole)
        fast_lane_clear(t, fd);
    if (s->lane == LANE_HERE && (sole || alone)) {
        s->lane = sole ? LANE_NONE : LANE_CLOSING;
        *native = true;
    } else {
        fast_lane_clear(t, fd);
        lane_revoke(ft, a, fd);
    }
    slot_clear(ft, fd);
    return f;
}

int fd_close(struct task *t, const struct sysargs *a, int fd, bool *native)
{
    struct fdtable *ft = t->fdt;
    struct file *f = NULL;
    {
        LOCKED(&ft->lock);
        if (fd >= 0 && (unsigned)fd < ft->size && !a->listener && ft->slots[fd].lane == LANE_HERE &&
            !sole_owner(ft))
            return -ERESTARTNOINTR;
        if (fd >= 0 && (unsigned)fd < ft->size)
            f = slot_take(t, a, (unsigned)fd, true, native);
    }
    if (!f)
        return -EBADF;
    file_closed(ft, f);
    return 0;
}

bool fd_close_range(struct task *t, const struct sysargs *a, unsigned first, unsigned last, bool only_mark)
{
    struct fdtable *ft = t->fdt;
    bool native = false;
    for (unsigned fd = first; fd <= last && fd < ft->size; fd++) {
        struct file *f = NULL;
        {
            LOCKED(&ft->lock);
            if (!only_mark)
                f = slot_take(t, a, fd, false, &native);
            else if (ft->slots[fd].file)
                ft->slots[fd].cloexec = true;
        }
        if (f)
            file_closed(ft, f);
    }
    return native;
}

struct file *fdtable_closed(struct fdtable *ft, unsigned fd)
{
    LOCKED(&ft->lock);
    struct slot *s = fd < ft->size ? &ft->slots[fd] : NULL;
    struct file *f = s ? s->file : NULL;
    if (!f || s->lane != LANE_HERE || !(f->kind & FILE_PLAIN || f->left_to) || atomic_load(&ft->locks))
        return NULL;
    ft->left_pays += f->left_to && ft->left_pays < LEFT_PAYS_MOST;
    s->lane = sole_owner(ft) ? LANE_NONE : LANE_STALE;
    slot_clear(ft, fd);
    return f;
}

/* Lock held. */
static bool is_at(const struct fdtable *ft, unsigned fd, const struct file *f)
{
    const struct slot *s = fd < ft->size ? &ft->slots[fd] : NULL;
    return s && s->file ? s->file == f && s->lane != LANE_HERE : !f;
}

bool fdtable_lull(struct fdtable *ft, unsigned fd, const struct file *f)
{
    struct file *had = NULL;
    {
        LOCKED(&ft->lock);
        if (is_at(ft, fd, f)) {
            had = ft->slots[fd].file;
            slot_clear(ft, fd);
        }
    }
    if (had)
        file_put(had);
    return had != NULL;
}

bool fdtable_rouse(struct fdtable *ft, unsigned fd, struct file *f, bool cloexec)
{
    LOCKED(&ft->lock);
    if (table_grow(ft, fd) < 0)
        return false;
    struct slot *s = &ft->slots[fd];
    if (s->file || s->lane == LANE_HERE || s->lane == LANE_CLOSING)
        return false;
    s->file = file_get(f);
    s->cloexec = cloexec;
    s->uses = 0;
    return true;
}

bool fdtable_is(struct fdtable *ft, unsigned fd, const struct file *f)
{
    LOCKED(&ft->lock);
    return is_at(ft, fd, f);
}

unsigned fdtable_lowest(struct fdtable *ft)
{
    LOCKED(&ft->lock);
    return find_free(ft, 0);
}

void fdtable_note_locks(struct fdtable *ft)
{
    atomic_store(&ft->locks, true);
}

bool fdtable_has_locks(struct fdtable *ft)
{
    return atomic_load(&ft->locks);
}

static bool slot_lent(const struct slot *s)
{
    return s->lane == LANE_STALE || s->lane == LANE_CLOSING ||
           (s->lane == LANE_HERE && s->file && s->file->kind & FILE_STREAM);
}

bool fdtable_lent(struct fdtable *ft)
{
    LOCKED(&ft->lock);
    for (unsigned fd = 0; fd < ft->size; fd++)
        if (slot_lent(&ft->slots[fd]))
            return true;
    return false;
}

void fdtable_withdraw(struct fdtable *ft, const struct sysargs *a)
{
    LOCKED(&ft->lock);
    for (unsigned fd = 0; fd < ft->size; fd++)
        if (slot_lent(&ft->slots[fd])) {
            ft->slots[fd].lane = LANE_STALE;
            lane_revoke(ft, a, fd);
        }
}

int fd_cloexec(struct task *t, int fd, int set)
{
    struct fdtable *ft = t->fdt;
    LOCKED(&ft->lock);
    if (fd < 0 || (unsigned)fd >= ft->size || !ft->slots[fd].file)
        return -EBADF;
    if (set >= 0)
        ft->slots[fd].cloexec = set;
    return ft->slots[fd].cloexec;
}

void fd_for_each(struct fdtable *ft, void (*fn)(int fd, struct file *f, bool cloexec, void *arg), void *arg)
{
    LOCKED(&ft->lock);
    for (unsigned i = 0; i < ft->size; i++)
        if (ft->slots[i].file)
            fn((int)i, ft->slots[i].file, ft->slots[i].cloexec, arg);
}
