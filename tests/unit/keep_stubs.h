/* A keep without guests, for tests of tasks and signals: the "guest" memory is the test's own, files and
 * terminals are not there. Include once, after cmocka.h. */
#ifndef BAILEY_TESTS_KEEP_STUBS_H
#define BAILEY_TESTS_KEEP_STUBS_H

#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "sandbox/keep/counters.h"
#include "sandbox/keep/task/exec.h"
#include "sandbox/keep/task/clone.h"
#include "sandbox/keep/container/container.h"
#include "sandbox/keep/lanes/fast.h"
#include "sandbox/keep/fs/fdtable.h"
#include "sandbox/keep/klog.h"
#include "sandbox/keep/lanes/kept.h"
#include "sandbox/keep/lanes/later.h"
#include "sandbox/keep/lanes/mailbox.h"
#include "sandbox/keep/task/pidfd.h"
#include "sandbox/keep/pseudo/procfs.h"
#include "sandbox/keep/seccomp/seccomp_internal.h"
#include "sandbox/keep/seccomp/seccomp_notify.h"
#include "sandbox/keep/container/session.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/ipc/sysv.h"
#include "sandbox/keep/task/task.h"
#include "sandbox/keep/device/tty.h"
#include "sandbox/keep/task/unheard.h"
#include "sandbox/keep/mm/uaccess.h"
#include "sandbox/keep/fs/vfs_priv.h"
#include "sandbox/platform/listener.h"

struct kernel kernel = {.tasklist_lock = PTHREAD_MUTEX_INITIALIZER};

static int init_status = -1;

const struct syscall_desc syscall_table[SYSCALL_MAX];

int seccomp_standin(struct task *t, const struct seccomp_filter *f, const struct sysargs *a,
                    const struct seccomp_data *d, long *result)
{
    (void)t;
    (void)f;
    (void)a;
    (void)d;
    (void)result;
    return -ENOSYS;
}

long seccomp_notify(struct task *t, const struct seccomp_filter *by, const struct sysargs *a,
                    const struct seccomp_data *d)
{
    (void)t;
    (void)by;
    (void)a;
    (void)d;
    return -ENOSYS;
}

int notifier_install(struct task *t, struct seccomp_filter *f, bool killable)
{
    (void)t;
    (void)f;
    (void)killable;
    return -ENOMEM;
}

void notifier_hang_up(struct seccomp_notifier *n)
{
    (void)n;
}

int fd_close(struct task *t, const struct sysargs *a, int fd, bool *native)
{
    (void)t;
    (void)a;
    (void)fd;
    (void)native;
    return -EBADF;
}

void syscall_go_on(struct task *t, const struct sysargs *a)
{
    (void)t;
    (void)a;
}

void listener_resume(struct parked *p)
{
    (void)p;
}

void klog_printf(unsigned prio, const char *fmt, ...)
{
    (void)prio;
    (void)fmt;
}

uint64_t keep_cgroup_pids_max(const struct container *c)
{
    (void)c;
    return UINT64_MAX;
}

int copy_from_user(struct task *t, void *dst, uaddr_t src, size_t n)
{
    (void)t;
    if (n && src < 4096)
        return -EFAULT;
    memcpy(dst, (const void *)src, n);
    return 0;
}

int copy_to_user(struct task *t, uaddr_t dst, const void *src, size_t n)
{
    (void)t;
    if (n && dst < 4096)
        return -EFAULT;
    memcpy((void *)dst, src, n);
    return 0;
}

int copy_all_to_user(struct task *t, const struct user_copy *c, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (copy_to_user(t, c[i].to, c[i].from, c[i].n) < 0)
            return -EFAULT;
    return 0;
}

void worker_about_to_block(void) {}
bool notif_is_pending(const struct sysargs *a)
{
    (void)a;
    return true;
}
struct listener *listener_get(struct listener *l)
{
    return l;
}
void listener_release(struct listener *l)
{
    (void)l;
}
void syscall_end(struct task *t, const struct sysargs *a, long r, const struct timespec *start)
{
    (void)t;
    (void)a;
    (void)r;
    (void)start;
}

/* No gate asks for anything. */
void fast_ids_changed(struct task *t)
{
    (void)t;
}
void fast_forked(struct task *parent, struct mm *child, unsigned long flags)
{
    (void)parent;
    (void)child;
    (void)flags;
}
void fast_actions_changed(struct task *t)
{
    (void)t;
}
void fast_action_changed(struct task *t, int signo)
{
    (void)t;
    (void)signo;
}

void fast_filtered(struct task *t)
{
    (void)t;
}

void later_tidy(void) {}

void kept_waits(struct task *t)
{
    (void)t;
}

void mailbox_put(struct mailbox *b)
{
    (void)b;
}
bool mailbox_must_not_wait(void)
{
    return false;
}
uint32_t mailbox_lend(struct task *t, const struct sysargs *a)
{
    (void)t;
    (void)a;
    return 0;
}
void fast_take_patch(struct task *t, struct gate_patch *p)
{
    (void)t;
    (void)p;
}

int notif_answer(const struct sysargs *a, long result)
{
    (void)a;
    (void)result;
    return 0;
}

void session_exited(struct process *p)
{
    if (p->is_init)
        init_status = p->exit_status;
}

/* Files, names and terminals are counters at most. */
struct fdtable {
    int refs;
};
struct fdtable *fdtable_get(struct fdtable *ft)
{
    ft->refs++;
    return ft;
}
void fdtable_fetch_left(struct fdtable *ft)
{
    (void)ft;
}
struct fdtable *fdtable_dup(struct fdtable *ft)
{
    (void)ft;
    struct fdtable *n = calloc(1, sizeof(*n));
    n->refs = 1;
    return n;
}
void fdtable_put(struct fdtable *ft)
{
    if (--ft->refs == 0)
        free(ft);
}
unsigned fdtable_users(struct fdtable *ft)
{
    return (unsigned)ft->refs;
}
bool fdtable_lent(struct fdtable *ft)
{
    (void)ft;
    return false;
}
void fdtable_withdraw(struct fdtable *ft, const struct sysargs *a)
{
    (void)ft;
    (void)a;
}
struct fs *fs_get(struct fs *f)
{
    atomic_fetch_add(&f->refs, 1);
    return f;
}
struct fs *fs_dup(struct fs *f)
{
    (void)f;
    struct fs *n = calloc(1, sizeof(*n));
    atomic_init(&n->refs, 1);
    return n;
}
void fs_put(struct fs *f)
{
    if (atomic_fetch_sub(&f->refs, 1) == 1)
        free(f);
}
struct dentry *dentry_get(struct dentry *d)
{
    return d;
}
void dentry_put(struct dentry *d)
{
    (void)d;
}
struct tty *tty_get(struct tty *tty)
{
    return tty;
}
void tty_put(struct tty *tty)
{
    (void)tty;
}
void tty_session_exited(struct process *leader)
{
    (void)leader;
}
struct process *pidfd_process(struct task *t, int fd, bool *nonblock, int *err)
{
    (void)t;
    (void)fd;
    (void)nonblock;
    *err = -EBADF;
    return NULL;
}

struct process *pidfd_or_dir_process(struct task *t, int fd, int *err)
{
    (void)t;
    (void)fd;

    *err = -EBADF;
    return NULL;
}

bool from_gate(const struct sysargs *a)
{
    (void)a;
    return false;
}

void vfs_assume_self(void) {}

#ifndef KEEP_STUBS_WITH_EMBRYOS
/* Nobody forks without a word here. */
void unheard_look(struct process *p)
{
    (void)p;
}

void unheard_find_all(void) {}

void unheard_await(struct process *p)
{
    (void)p;
}

void clone_task_ended(struct task *t)
{
    (void)t;
}
#endif

void exec_plan_free(struct exec_plan *p)
{
    (void)p;
}
void sysv_process_exit(struct process *p)
{
    (void)p;
}

/* Containers are the tests' own and stay. */
struct container *container_get(struct container *c)
{
    return c;
}
void container_put(struct container *c)
{
    (void)c;
}
bool container_is_alive(const struct container *c)
{
    return c->init && c->init->state == PROCESS_ALIVE;
}

/* Makes a call as its worker would. */
static __attribute__((unused)) long call6(struct task *t, syscall_fn fn, uint64_t a0, uint64_t a1,
                                          uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
    struct sysargs a = {.arg = {a0, a1, a2, a3, a4, a5}};
    if (!task_enter(t))
        return SYS_NOANSWER;
    long r = fn(t, &a);
    task_leave(t);
    return r;
}
#define call(t, fn, ...) call_((t), (fn), __VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define call_(t, fn, a, b, c, d, e, f, ...)                                                                  \
    call6((t), (fn), (uint64_t)(a), (uint64_t)(b), (uint64_t)(c), (uint64_t)(d), (uint64_t)(e), (uint64_t)(f))

static struct container *container_make(void)
{
    struct container *c = calloc(1, sizeof(*c));
    c->pids = calloc(1, sizeof(*c->pids));
    c->started = true;
    assert_int_equal(signal_init(), 0);
    return c;
}

static struct task *spawn(struct container *c)
{
    struct cred *cred = calloc(1, sizeof(*cred));
    struct fs *fs = calloc(1, sizeof(*fs));
    struct fdtable *ft = calloc(1, sizeof(*ft));
    atomic_init(&cred->refs, 1);
    cred->cap_permitted = cred->cap_effective = cred->cap_bounding = (1ULL << 41) - 1;
    atomic_init(&fs->refs, 1);
    ft->refs = 1;
    struct task *t = task_spawn(c, cred, fs, ft);
    assert_non_null(t);
    return t;
}

/* A child of t with a real, idle host process behind it. */
static __attribute__((unused)) struct task *fork_with_host(struct task *t, unsigned long flags)
{
    pid_t vpid, host = fork();
    int err = 0;
    if (host == 0)
        for (;;)
            pause();
    struct task *child = task_fork(t, flags, &vpid, &err);
    assert_int_equal(err, 0);
    assert_non_null(child);
    task_set_host_tid(child, host);
    return child;
}

void counters_posted(int nr, unsigned n)
{
    (void)nr;
    (void)n;
}

#endif
