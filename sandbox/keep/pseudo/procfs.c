/* The root of /proc: the table of its files, and a directory for every process. */
#include "sandbox/keep/pseudo/procfs.h"

#include <dirent.h>
#include <errno.h>
#include <linux/capability.h>
#include <string.h>

#include "sandbox/keep/fs/vfs.h"
#include "sandbox/keep/ipc/sysv.h"
#include "sandbox/keep/lanes/later.h"
#include "sandbox/keep/pseudo/procfs_priv.h"
#include "sandbox/keep/pseudo/pseudo_fs.h"
#include "sandbox/keep/task/park.h"
#include "sandbox/keep/task/unheard.h"
#include "sandbox/keep/trace/trace.h"
#include "sandbox/keep/version.h"

const struct pentry proc_empty_dir[] = {{.name = NULL}};

/* Who a node is about --------------------------------------------------------------------------------------
 */

/* priv of a process directory's node is its process, of a thread directory's its task; those below find it by
 * their parents. */
static const struct pnode *who_node(const struct pnode *n)
{
    while (n->ops != &proc_pid_ops && n->ops != &proc_tid_ops) {
        if (n->parent == n)
            return NULL;
        n = n->parent;
    }
    return n;
}

struct process *procfs_process(const struct file *f)
{
    const struct pnode *n = f->dentry ? f->dentry->node : NULL;
    if (!n || n->ops != &proc_pid_ops || (atomic_load(&f->flags) & O_PATH))
        return NULL;
    return process_get(n->priv);
}

/* [T] A first thread that has ended stays to be seen until its process is reaped. */
static bool is_shown(const struct task *t)
{
    return !t->exited || (t == t->process->leader && t->process->state != PROCESS_DEAD);
}

int proc_who(struct pnode *n, struct proc_who *w)
{
    *w = (struct proc_who){.p = NULL};
    const struct pnode *dir = who_node(n);
    if (!dir)
        return -ESRCH;
    LOCKED(&kernel.tasklist_lock);
    if (dir->ops == &proc_tid_ops) {
        struct task *t = dir->priv;
        if (!is_shown(t))
            return -ESRCH;
        w->thread = true;
        w->t = task_get(t);
        w->p = process_get(t->process);
        return 0;
    }
    struct process *p = dir->priv;
    if (p->state == PROCESS_DEAD)
        return -ESRCH;
    w->p = process_get(p);
    w->t = p->leader ? task_get(p->leader) : NULL;
    return 0;
}

void proc_who_end(struct proc_who *w)
{
    if (w->t)
        task_put(w->t);
    if (w->p)
        process_put(w->p);
    *w = (struct proc_who){.p = NULL};
}

/* tasklist_lock held. */
static bool same_user(const struct cred *me, const struct cred *cr)
{
    return me->fsuid == cr->euid && me->fsuid == cr->suid && me->fsuid == cr->uid && me->fsgid == cr->egid &&
           me->fsgid == cr->sgid && me->fsgid == cr->gid;
}

int proc_may_access(struct task *t, const struct proc_who *w)
{
    if (t->process == w->p || capable(t, CAP_SYS_PTRACE))
        return 0;
    LOCKED(&kernel.tasklist_lock);
    const struct cred *cr = w->t ? w->t->cred : NULL;
    if (!cr || !same_user(t->cred, cr) || (w->p->mm && !w->p->mm->dumpable))
        return -EACCES;
    return cr->cap_permitted & ~t->cred->cap_permitted ? -EACCES : 0;
}

int proc_who_access(struct task *t, struct pnode *n, struct proc_who *w)
{
    int r = proc_who(n, w);
    return r < 0 ? r : proc_may_access(t, w);
}

struct task *proc_mem_task(const struct proc_who *w)
{
    LOCKED(&kernel.tasklist_lock);
    if (w->p->state != PROCESS_ALIVE)
        return NULL;
    if (w->t && !w->t->exited)
        return task_get(w->t);
    for (struct task *i = w->p->threads; i; i = i->thread_next)
        if (!i->exited)
            return task_get(i);
    return NULL;
}

struct fdtable *proc_fdtable(const struct proc_who *w)
{
    if (!w->t)
        return NULL;
    later_settle();
    LOCKED(&kernel.tasklist_lock);
    return w->t->exited || !w->t->fdt ? NULL : fdtable_get(w->t->fdt);
}

bool proc_mm(const struct proc_who *w, struct proc_mm *ret)
{
    LOCKED(&kernel.tasklist_lock);
    const struct mm *mm = w->p->mm;
    if (!mm || w->p->state != PROCESS_ALIVE)
        return false;
    *ret = (struct proc_mm){
        .start_brk = mm->start_brk,
        .arg_start = mm->arg_start,
        .arg_end = mm->arg_end,
        .env_start = mm->env_start,
        .env_end = mm->env_end,
        .start_stack = mm->start_stack,
        .start_code = mm->start_code,
        .end_code = mm->end_code,
        .auxv_len = mm->auxv_len < sizeof(ret->auxv) ? mm->auxv_len : sizeof(ret->auxv),
        .dumpable = mm->dumpable,
    };
    memcpy(ret->auxv, mm->auxv, ret->auxv_len);
    return true;
}

/* [T] On Linux who is woken runs at once, however long it takes the host to let the keep's thread go on. */
static bool is_asleep(const struct task *t)
{
    if (t->sleep == SLEEP_PARKED)
        return !t->parked->due;
    return t->sleep != SLEEP_NONE && !t->sleep_woken;
}

char proc_state(const struct proc_who *w, char host_state)
{
    LOCKED(&kernel.tasklist_lock);
    if (w->p->state != PROCESS_ALIVE || (w->t && w->t->exited))
        return 'Z';
    if (w->t && w->t->trace && w->t->trace->state != TRACE_RUNS)
        return 't';
    if (w->t ? task_is_stopped(w->t) : w->p->stopped)
        return 'T';
    if (w->t && is_asleep(w->t))
        return 'S';
    /* On the host a thread sleeps while the keep works for it: that is a running task. */
    if (w->t && (w->t->sleep != SLEEP_NONE || (atomic_load(&w->t->life) & TASK_BUSY)))
        return 'R';
    return host_state == 'S' || host_state == 'D' ? host_state : 'R';
}

/* Lists of processes ---------------------------------------------------------------------------------------
 */

static int by_pid(const void *a, const void *b)
{
    const struct process *pa = *(struct process *const *)a, *pb = *(struct process *const *)b;
    return pa->pid < pb->pid ? -1 : pa->pid > pb->pid;
}

size_t proc_list(const struct pid_ns *ns, struct process ***ret)
{
    *ret = NULL;
    size_t n = 0;
    pthread_mutex_lock(&kernel.tasklist_lock);
    unheard_find_all();
    struct process **list = calloc(HASH_CNT(hh_pid, ns->processes) + 1, sizeof(*list));
    if (list)
        for (struct process *p = ns->processes; p; p = p->hh_pid.next)
            list[n++] = process_get(p);
    pthread_mutex_unlock(&kernel.tasklist_lock);
    if (n)
        qsort(list, n, sizeof(*list), by_pid);
    *ret = list;
    return n;
}

void proc_list_free(struct process **list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        process_put(list[i]);
    free(list);
}

/* Process directories --------------------------------------------------------------------------------------
 */

static int pid_lookup(struct task *t, struct pnode *dir, const char *name, struct pnode **ret)
{
    (void)t;
    struct proc_who w;
    if (proc_who(dir, &w) < 0)
        return -ENOENT;
    proc_who_end(&w);
    return pentry_lookup(dir->ops == &proc_tid_ops ? proc_tid_entries : proc_pid_entries, dir, name, ret);
}

static int pid_iterate(struct task *t, struct pnode *dir, off_t *pos, struct dir_context *ctx)
{
    (void)t;
    return pentry_iterate(dir->ops == &proc_tid_ops ? proc_tid_entries : proc_pid_entries, dir, pos, 2, ctx);
}

static void pid_release(struct pnode *n)
{
    if (n->priv)
        process_put(n->priv);
}

static void tid_release(struct pnode *n)
{
    if (n->priv)
        task_put(n->priv);
}

const struct pnode_ops proc_pid_ops = {.lookup = pid_lookup, .iterate = pid_iterate, .release = pid_release};
const struct pnode_ops proc_tid_ops = {.lookup = pid_lookup, .iterate = pid_iterate, .release = tid_release};

/* What is below belongs to the process's user, or to root if it is not dumpable. */
static void set_owner(struct pnode *n, const struct process *p, const struct task *t)
{
    n->uid = n->gid = 0;
    if (t && t->cred && p->mm && p->mm->dumpable) {
        n->uid = t->cred->euid;
        n->gid = t->cred->egid;
    }
}

/* Any thread's id leads to its process, although only those of the processes are listed. */
static int root_lookup_pid(const struct pid_ns *ns, struct pnode *dir, pid_t pid, const char *name,
                           struct pnode **ret)
{
    _cleanup_pnode_ struct pnode *n = pnode_new(&proc_pid_ops, PROC_DIR(0555), dir, name);
    if (!n)
        return -ENOMEM;
    LOCKED(&kernel.tasklist_lock);
    struct process *p = process_by_pid(ns, pid);
    if (!p) {
        struct task *t = task_by_tid(ns, pid);
        p = t && !t->exited ? t->process : NULL;
    }
    if (!p || p->state == PROCESS_DEAD)
        return -ENOENT;
    n->priv = process_get(p);
    n->key = (uint64_t)p->pid;
    set_owner(n, p, p->leader);
    *ret = steal_ptr(&n);
    return 0;
}

/* task/ ----------------------------------------------------------------------------------------------------
 */

static int task_lookup(struct task *t, struct pnode *dir, const char *name, struct pnode **ret)
{
    (void)t;
    unsigned long tid;
    if (!proc_number(name, INT32_MAX, &tid))
        return -ENOENT;
    _cleanup_who_ struct proc_who w;
    if (proc_who(dir, &w) < 0)
        return -ENOENT;
    _cleanup_pnode_ struct pnode *n = pnode_new(&proc_tid_ops, PROC_DIR(0555), dir, name);
    if (!n)
        return -ENOMEM;
    LOCKED(&kernel.tasklist_lock);
    struct task *found = task_by_tid(w.p->container->pids, (pid_t)tid);
    if (!found || found->process != w.p || !is_shown(found))
        return -ENOENT;
    n->priv = task_get(found);
    n->key = tid;
    set_owner(n, w.p, found);
    *ret = steal_ptr(&n);
    return 0;
}

static int cmp_pid(const void *a, const void *b)
{
    return *(const pid_t *)a < *(const pid_t *)b ? -1 : *(const pid_t *)a > *(const pid_t *)b;
}

/* Positions are 2 + tid: threads that come and go do not shift the others. */
static int task_iterate(struct task *t, struct pnode *dir, off_t *pos, struct dir_context *ctx)
{
    (void)t;
    _cleanup_who_ struct proc_who w;
    if (proc_who(dir, &w) < 0)
        return -ENOENT;
    size_t n = 0, cap = 0;
    pthread_mutex_lock(&kernel.tasklist_lock);
    for (struct task *i = w.p->threads; i; i = i->thread_next)
        cap++;
    _cleanup_free_ pid_t *tids = calloc(cap + 1, sizeof(*tids));
    for (struct task *i = w.p->threads; tids && i; i = i->thread_next)
        if (is_shown(i))
            tids[n++] = i->tid;
    pthread_mutex_unlock(&kernel.tasklist_lock);
    if (!tids)
        return -ENOMEM;
    qsort(tids, n, sizeof(*tids), cmp_pid);
    for (size_t i = 0; i < n; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "%d", tids[i]);
        if (2 + (off_t)tids[i] < *pos)
            continue;
        if (ctx->emit(ctx, name, pnode_child_ino(dir, name), DT_DIR, 3 + (off_t)tids[i]))
            return 1;
        *pos = 3 + (off_t)tids[i];
    }
    return 0;
}

const struct pnode_ops proc_task_ops = {.lookup = task_lookup, .iterate = task_iterate};

/* The root -------------------------------------------------------------------------------------------------
 */

static struct pid_ns *root_pids(const struct pnode *n)
{
    while (n->parent != n)
        n = n->parent;
    return n->priv;
}

static long self_readlink(struct task *t, struct pnode *n, char *buf, size_t size)
{
    if (!t || t->process->container->pids != root_pids(n)) /* no task: the keep itself, for one to come */
        return -ENOENT;
    return snprintf(buf, size, "%d", t->process->pid);
}

static long thread_self_readlink(struct task *t, struct pnode *n, char *buf, size_t size)
{
    if (!t || t->process->container->pids != root_pids(n))
        return -ENOENT;
    return snprintf(buf, size, "%d/task/%d", t->process->pid, t->tid);
}

static const struct pnode_ops self_ops = {.readlink = self_readlink};
static const struct pnode_ops thread_self_ops = {.readlink = thread_self_readlink};

static int show_cgroups(struct task *t, struct pnode *n, struct strbuf *sb)
{
    (void)n;
    keep_cgroup_show_controllers(t->process->container, sb);
    return 0;
}

static int show_ipc_msg(struct task *t, struct pnode *n, struct strbuf *sb)
{
    (void)n;
    sysv_show_msg(t, sb);
    return 0;
}

static int show_ipc_sem(struct task *t, struct pnode *n, struct strbuf *sb)
{
    (void)n;
    sysv_show_sem(t, sb);
    return 0;
}

static int show_ipc_shm(struct task *t, struct pnode *n, struct strbuf *sb)
{
    (void)n;
    sysv_show_shm(t, sb);
    return 0;
}

static const struct pentry sysvipc_entries[] = {
    {.name = "msg", .mode = PROC_FILE(0444), .show = show_ipc_msg},
    {.name = "sem", .mode = PROC_FILE(0444), .show = show_ipc_sem},
    {.name = "shm", .mode = PROC_FILE(0444), .show = show_ipc_shm},
    {.name = NULL},
};

static const struct pentry tty_entries[] = {
    {.name = "drivers",
     .mode = PROC_FILE(0444),
     .text = "/dev/tty             /dev/tty        5       0 system:/dev/tty\n"
             "/dev/console         /dev/console    5       1 system:console\n"
             "/dev/ptmx            /dev/ptmx       5       2 system\n"
             "pty_slave            /dev/pts      136 0-1048575 pty:slave\n"
             "pty_master           /dev/ptm      128 0-1048575 pty:master\n"},
    {.name = NULL},
};

static const char devices_text[] = "Character devices:\n"
                                   "  1 mem\n"
                                   "  5 /dev/tty\n"
                                   "  5 /dev/console\n"
                                   "  5 /dev/ptmx\n"
                                   "128 ptm\n"
                                   "136 pts\n"
                                   "\n"
                                   "Block devices:\n";

static const char filesystems_text[] = "nodev\tsysfs\n"
                                       "nodev\ttmpfs\n"
                                       "nodev\tproc\n"
                                       "nodev\tcgroup\n"
                                       "nodev\tcgroup2\n"
                                       "nodev\tdevtmpfs\n"
                                       "nodev\tdevpts\n"
                                       "nodev\tmqueue\n"
                                       "nodev\tsockfs\n"
                                       "nodev\tpipefs\n";

#define PRESSURE(kind_) kind_ " avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"

static const struct pentry pressure_entries[] = {
    {.name = "cpu", .mode = PROC_FILE(0444), .text = PRESSURE("some") PRESSURE("full")},
    {.name = "io", .mode = PROC_FILE(0444), .text = PRESSURE("some") PRESSURE("full")},
    {.name = "memory", .mode = PROC_FILE(0444), .text = PRESSURE("some") PRESSURE("full")},
    {.name = NULL},
};

static const struct pentry root_entries[] = {
    {.name = "bus", .mode = PROC_DIR(0555), .dir = proc_empty_dir},
    {.name = "cgroups", .mode = PROC_FILE(0444), .show = show_cgroups},
    {.name = "cmdline", .mode = PROC_FILE(0444), .text = "bailey\n"},
    {.name = "consoles", .mode = PROC_FILE(0444), .text = ""},
    {.name = "cpuinfo", .mode = PROC_FILE(0444), .show = proc_show_cpuinfo},
    {.name = "crypto", .mode = PROC_FILE(0444), .text = ""},
    {.name = "devices", .mode = PROC_FILE(0444), .text = devices_text},
    {.name = "diskstats", .mode = PROC_FILE(0444), .text = ""},
    {.name = "driver", .mode = PROC_DIR(0555), .dir = proc_empty_dir},
    {.name = "execdomains", .mode = PROC_FILE(0444), .text = "0-0\tLinux           \t[kernel]\n"},
    {.name = "filesystems", .mode = PROC_FILE(0444), .text = filesystems_text},
    {.name = "fs", .mode = PROC_DIR(0555), .dir = proc_empty_dir},
    {.name = "interrupts", .mode = PROC_FILE(0444), .show = proc_show_interrupts},
    {.name = "irq", .mode = PROC_DIR(0555), .dir = proc_empty_dir},
    {.name = "kmsg", .mode = PROC_FILE(0400), .ops = &proc_kmsg_ops},
    {.name = "loadavg", .mode = PROC_FILE(0444), .show = proc_show_loadavg},
    {.name = "locks", .mode = PROC_FILE(0444), .text = ""},
    {.name = "meminfo", .mode = PROC_FILE(0444), .show = proc_show_meminfo},
    {.name = "misc", .mode = PROC_FILE(0444), .text = ""},
    {.name = "modules", .mode = PROC_FILE(0444), .text = ""},
    {.name = "mounts", .mode = PROC_LINK, .text = "self/mounts"},
    {.name = "net", .mode = PROC_LINK, .text = "self/net"},
    {.name = "partitions", .mode = PROC_FILE(0444), .text = "major minor  #blocks  name\n\n"},
    {.name = "pressure", .mode = PROC_DIR(0555), .dir = pressure_entries},
    {.name = "self", .mode = PROC_LINK, .ops = &self_ops},
    {.name = "softirqs", .mode = PROC_FILE(0444), .show = proc_show_softirqs},
    {.name = "stat", .mode = PROC_FILE(0444), .show = proc_show_stat},
    {.name = "swaps", .mode = PROC_FILE(0444), .text = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"},
    {.name = "sys", .mode = PROC_DIR(0555), .ops = &proc_sys_ops},
    {.name = "sysvipc", .mode = PROC_DIR(0555), .dir = sysvipc_entries},
    {.name = "thread-self", .mode = PROC_LINK, .ops = &thread_self_ops},
    {.name = "tty", .mode = PROC_DIR(0555), .dir = tty_entries},
    {.name = "uptime", .mode = PROC_FILE(0444), .show = proc_show_uptime},
    {.name = "version",
     .mode = PROC_FILE(0444),
     .text =
         KEEP_SYSNAME " version " KEEP_RELEASE " (bailey@bailey) (gcc " __VERSION__ ") " KEEP_VERSION "\n"},
    {.name = "vmstat", .mode = PROC_FILE(0444), .show = proc_show_vmstat},
    {.name = NULL},
};

static int root_lookup(struct task *t, struct pnode *dir, const char *name, struct pnode **ret)
{
    (void)t;
    unsigned long pid;
    if (proc_number(name, INT32_MAX, &pid))
        return root_lookup_pid(dir->priv, dir, (pid_t)pid, name, ret);
    return pentry_lookup(root_entries, dir, name, ret);
}

#define FIRST_PROCESS 256 /* as on Linux: files first, then 256 + pid */

static int root_iterate(struct task *t, struct pnode *dir, off_t *pos, struct dir_context *ctx)
{
    (void)t;
    if (*pos < FIRST_PROCESS) {
        int r = pentry_iterate(root_entries, dir, pos, 2, ctx);
        if (r)
            return r;
        *pos = FIRST_PROCESS;
    }
    struct process **list;
    size_t n = proc_list(dir->priv, &list);
    int r = 0;
    for (size_t i = 0; r == 0 && i < n; i++) {
        off_t at = FIRST_PROCESS + (off_t)list[i]->pid;
        if (at < *pos)
            continue;
        char name[16];
        (void)snprintf(name, sizeof(name), "%d", list[i]->pid);
        if (ctx->emit(ctx, name, pnode_child_ino(dir, name), DT_DIR, at + 1))
            r = 1;
        else
            *pos = at + 1;
    }
    proc_list_free(list, n);
    return r;
}

static void root_release(struct pnode *n)
{
    pid_ns_put(n->priv);
}

static const struct pnode_ops root_ops = {
    .lookup = root_lookup,
    .iterate = root_iterate,
    .release = root_release,
};

int procfs_mount(struct container *c, const char *options, struct pnode **ret)
{
    (void)options;
    struct pnode *n = pnode_new(&root_ops, PROC_DIR(0555), NULL, "");
    if (!n)
        return -ENOMEM;
    n->priv = pid_ns_get(c->pids);
    *ret = n;
    return 0;
}
