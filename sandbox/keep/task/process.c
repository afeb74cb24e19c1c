/* Processes: making, linking and counting them; address space records; the first process of a container. */
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>

#include "sandbox/keep/device/tty.h"
#include "sandbox/keep/events/aio.h"
#include "sandbox/keep/fs/file.h"
#include "sandbox/keep/fs/vfs.h"
#include "sandbox/keep/lanes/fast.h"
#include "sandbox/keep/lanes/mailbox.h"
#include "sandbox/keep/task/task_internal.h"
#include "sandbox/keep/task/unheard.h"
#include "sandbox/keep/time/timer.h"

struct sighand *sighand_new(void)
{
    struct sighand *s = calloc(1, sizeof(*s));
    if (s)
        atomic_init(&s->refs, 1);
    return s;
}

struct sighand *sighand_dup(const struct sighand *s)
{
    struct sighand *n = sighand_new();
    if (n)
        memcpy(n->action, s->action, sizeof(n->action));
    return n;
}

void sighand_put(struct sighand *s)
{
    if (s && atomic_fetch_sub(&s->refs, 1) == 1)
        free(s);
}

struct mm *mm_new(void)
{
    struct mm *mm = calloc(1, sizeof(*mm));
    if (!mm)
        return NULL;
    atomic_init(&mm->refs, 1);
    mm->dumpable = true;
    pthread_mutex_init(&mm->lanes_lock, NULL);
    return mm;
}

struct mm *mm_get(struct mm *mm)
{
    atomic_fetch_add(&mm->refs, 1);
    return mm;
}

struct mm *mm_dup(const struct mm *mm)
{
    struct mm *n = mm_new();
    if (!n)
        return NULL;
    memcpy(n, mm, sizeof(*n));
    atomic_init(&n->refs, 1);
    pthread_mutex_init(&n->lanes_lock, NULL);
    n->sites = NULL;
    sites_copy(n, mm);
    n->mailbox = NULL;
    n->aio = NULL;
    n->given_at = 0;
    n->polls = 0;
    n->polled = 0;
    if (n->exe)
        dentry_get(n->exe);
    return n;
}

void mm_put(struct mm *mm)
{
    if (!mm || atomic_fetch_sub(&mm->refs, 1) != 1)
        return;
    if (mm->aio)
        aio_mm_ended(mm);
    if (mm->exe)
        dentry_put(mm->exe);
    pthread_mutex_destroy(&mm->lanes_lock);
    free(mm->sites);
    free(mm->patched);
    mailbox_put(mm->mailbox);
    free(mm);
}

struct process *process_get(struct process *p)
{
    atomic_fetch_add(&p->refs, 1);
    return p;
}

void process_put(struct process *p)
{
    if (atomic_fetch_sub(&p->refs, 1) != 1)
        return;
    if (p->pidfd >= 0)
        close(p->pidfd);
    sighand_put(p->sighand);
    mm_put(p->mm);
    if (p->ctty)
        tty_put(p->ctty);
    container_put(p->container);
    free(p);
}

struct process *process_new(struct container *c)
{
    struct process *p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    atomic_init(&p->refs, 1);
    p->container = container_get(c);
    p->pidfd = -1;
    p->exit_signal = SIGCHLD;
    clock_gettime(CLOCK_BOOTTIME, &p->start_time);
    itimers_init(p);
    return p;
}

struct process *process_by_pid(const struct pid_ns *ns, pid_t pid)
{
    struct process *p = NULL;
    HASH_FIND(hh_pid, ns->processes, &pid, sizeof(pid), p);
    if (p)
        unheard_find(p);
    return p;
}

void process_link(struct process *p, struct process *parent)
{
    HASH_ADD(hh_pid, p->container->pids->processes, pid, sizeof(p->pid), p);
    p->parent = parent;
    if (parent)
        DL_APPEND2(parent->children, p, sibling_prev, sibling_next);
}

void process_unlink(struct process *p)
{
    p->state = PROCESS_DEAD;
    if (p->parent)
        DL_DELETE2(p->parent->children, p, sibling_prev, sibling_next);
    p->parent = NULL;
    HASH_DELETE(hh_pid, p->container->pids->processes, p);
    struct task *leader = p->leader;
    p->leader = NULL;
    if (leader)
        task_unlink(leader);
    if (p->container->init == p)
        p->container->init = NULL;
    if (p->container->pids->init == p)
        p->container->pids->init = NULL;
    process_put(p);
}

/* The host's dynamic CPU clocks: ~pid << 3 | 0 is user and system time, | 1 user time, | 2 both by the
 * scheduler (clock_getcpuclockid(3)'s making). */
static struct timespec cpu_clock(pid_t host_pid, int which)
{
    struct timespec ts = {0};
    if (syscall(SYS_clock_gettime, (clockid_t)((~(unsigned)host_pid << 3) | (unsigned)which), &ts) < 0)
        return (struct timespec){0};
    return ts;
}

void process_cputime(const struct process *p, struct timespec *utime, struct timespec *stime)
{
    if (p->state != PROCESS_ALIVE || p->group_exit || p->host_pid == 0) {
        *utime = p->utime;
        *stime = p->stime;
        return;
    }
    struct timespec all = cpu_clock(p->host_pid, 0);
    *utime = ts_ns(&all) ? cpu_clock(p->host_pid, 1) : (struct timespec){0};
    int64_t sys = ts_ns(&all) - ts_ns(utime);
    *stime = ns_ts(sys > 0 ? sys : 0);
}

int64_t process_cpu_ns(const struct process *p)
{
    struct timespec ut = p->utime, st = p->stime;
    if (p->state == PROCESS_ALIVE && !p->group_exit && p->host_pid) {
        ut = cpu_clock(p->host_pid, 2);
        st = (struct timespec){0};
    }
    return ts_ns(&ut) + ts_ns(&st);
}

/* The host lets nobody else ask for a thread's clock. */
int64_t task_cpu_ns(const struct task *t)
{
    char path[64], text[64];
    if (t->exited || !t->host_tid)
        return 0;
    snprintf(path, sizeof(path), "%d/task/%d/schedstat", t->process->host_pid, t->host_tid);
    _cleanup_close_ int fd = openat(kernel.procfd, path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (n <= 0)
        return 0;
    text[n] = '\0';
    return strtoll(text, NULL, 10);
}

/* The peak of resident memory in KiB, from the host; 0 where it cannot be had. */
long process_maxrss(const struct process *p)
{
    char path[64], text[4096];
    snprintf(path, sizeof(path), "%d/status", p->host_pid);
    _cleanup_close_ int fd = openat(kernel.procfd, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t n = read(fd, text, sizeof(text) - 1);
    if (n <= 0)
        return 0;
    text[n] = '\0';
    const char *hwm = strstr(text, "VmHWM:");
    return hwm ? strtol(hwm + 6, NULL, 10) : 0;
}

static void default_rlimits(struct process *p)
{
    for (int i = 0; i < RLIM_NLIMITS; i++)
        if (getrlimit((__rlimit_resource_t)i, &p->rlim[i]) < 0)
            p->rlim[i] = (struct rlimit){RLIM_INFINITY, RLIM_INFINITY};
}

void process_put_p(struct process **p)
{
    if (*p)
        process_put(*p);
}

struct task *task_spawn(struct container *c, struct cred *cred, struct fs *fs, struct fdtable *fdt)
{
    _cleanup_(process_put_p) struct process *p = process_new(c);
    if (!p)
        return NULL;
    p->sighand = sighand_new();
    p->mm = mm_new();
    default_rlimits(p);
    struct task *t = p->sighand && p->mm ? task_new(p) : NULL;
    if (!t)
        return NULL;
    t->cred = cred;
    t->nice = kernel.nice;
    t->fs = fs;
    t->fdt = fdt;
    LOCKED(&kernel.tasklist_lock);
    t->tid = p->pid = pid_alloc(c->pids);
    p->pgid = p->sid = p->pid;
    if (!c->init)
        c->init = p;
    if (!c->pids->init) {
        c->pids->init = p;
        p->is_init = true;
    }
    task_link(t);
    process_link(steal_ptr(&p), NULL);
    c->pids->forks++;
    return task_get(t);
}
