/* /proc/PID/stat and status: the keep's names and numbers of a process, with the host's of its memory and CPU
 * use. */
#include <string.h>

#include "sandbox/keep/pseudo/procfs_priv.h"
#include "sandbox/keep/task/quiet.h"
#include "sandbox/keep/seccomp/seccomp.h"
#include "sandbox/keep/trace/trace.h"
#include "sandbox/keep/device/tty.h"

/* What both files show, copied under the lock. */
struct facts {
    char comm[16];
    pid_t tid, pid, host_pid, host_tid, ppid, pgid, sid, tpgid;
    unsigned tty, nthreads;
    bool thread, exited, did_exec, no_new_privs;
    int exit_signal, exit_status, nice, policy, rt_priority;
    uint64_t start_ticks; /* since the keep's start */
    struct timespec utime, stime, cutime, cstime;
    sigset64 pending, shared_pending, blocked, ignored, caught;
    unsigned long queued, queue_limit;
    uid_t uid[4];
    gid_t gid[4];
    unsigned ngroups;
    gid_t *groups; /* owned */
    uint64_t caps[5];
    mode_t umask;
    pid_t tracer;
    bool has_umask;
    int seccomp_mode;
    unsigned nfilters;
};

static void facts_free(struct facts *f)
{
    free(f->groups);
}

static void fill_signals(struct facts *f, const struct proc_who *w)
{
    const struct process *p = w->p;
    if (p->offered)
        signalfd_hear(w->p);
    f->shared_pending = p->pending.set;
    if (w->t) {
        f->pending = w->t->pending.set;
        f->blocked = task_mask(w->t);
    }
    for (const struct sigqueue *q = p->pending.queue; q; q = q->next)
        f->queued++;
    f->queue_limit = p->rlim[RLIMIT_SIGPENDING].rlim_cur;
    for (int i = 0; p->sighand && i < KSIG_MAX; i++) {
        uint64_t h = p->sighand->action[i].handler;
        if (h == 1)
            f->ignored |= SIGBIT(i + 1);
        else if (h)
            f->caught |= SIGBIT(i + 1);
    }
}

static void fill_cred(struct facts *f, const struct cred *c)
{
    memcpy(f->uid, (uid_t[]){c->uid, c->euid, c->suid, c->fsuid}, sizeof(f->uid));
    memcpy(f->gid, (gid_t[]){c->gid, c->egid, c->sgid, c->fsgid}, sizeof(f->gid));
    memcpy(
        f->caps,
        (uint64_t[]){c->cap_inheritable, c->cap_permitted, c->cap_effective, c->cap_bounding, c->cap_ambient},
        sizeof(f->caps));
    f->groups = c->ngroups ? malloc(c->ngroups * sizeof(gid_t)) : NULL;
    if (f->groups) {
        memcpy(f->groups, c->groups, c->ngroups * sizeof(gid_t));
        f->ngroups = c->ngroups;
    }
}

static void fill_task(struct facts *f, const struct task *t)
{
    memcpy(f->comm, t->comm, sizeof(f->comm));
    f->comm[sizeof(f->comm) - 1] = 0;
    f->tid = t->tid;
    f->host_tid = t->host_tid;
    f->exited = t->exited;
    f->tracer = t->trace ? t->trace->tracer->pid : 0;
    f->nice = t->nice;
    f->policy = t->sched_policy;
    f->rt_priority = t->sched_priority;
    f->no_new_privs = t->no_new_privs;
    f->seccomp_mode = t->seccomp_mode;
    f->nfilters = seccomp_count(t);
    if (t->cred)
        fill_cred(f, t->cred);
    if (t->fs && !t->exited) {
        LOCKED(&t->fs->lock);
        f->umask = t->fs->umask;
        f->has_umask = true;
    }
}

static void facts_take(struct facts *f, const struct proc_who *w)
{
    if (w->thread)
        quiet_await(w->t);
    *f = (struct facts){.tpgid = -1};
    LOCKED(&kernel.tasklist_lock);
    const struct process *p = w->p;
    f->pid = f->tid = p->pid;
    f->host_pid = p->host_pid;
    f->ppid = p->parent ? p->parent->pid : 0;
    f->pgid = p->pgid;
    f->sid = p->sid;
    f->nthreads = p->nthreads ? p->nthreads : 1; /* a zombie is one */
    f->thread = w->thread;
    f->did_exec = p->did_exec;
    f->exit_signal = p->exit_signal;
    f->exit_status = p->exit_status;
    f->tty = tty_devnum(p->ctty);
    if (p->ctty)
        f->tpgid = tty_foreground(p->ctty);
    struct timespec start = p->start_time;
    start.tv_sec -= kernel.boot.tv_sec;
    start.tv_nsec -= kernel.boot.tv_nsec;
    if (start.tv_nsec < 0) {
        start.tv_sec--;
        start.tv_nsec += 1000000000;
    }
    f->start_ticks = start.tv_sec < 0 ? 0 : proc_ticks(&start);
    f->utime = p->utime;
    f->stime = p->stime;
    f->cutime = p->cutime;
    f->cstime = p->cstime;
    fill_signals(f, w);
    if (w->t)
        fill_task(f, w->t);
}

/* stat -----------------------------------------------------------------------------------------------------
 */

static void read_host(const struct facts *f, const struct proc_who *w, struct host_stat *hs)
{
    bool alive = w->p->state == PROCESS_ALIVE && !f->exited;
    if (!alive || !host_stat_read(f->host_pid, f->thread ? f->host_tid : 0, hs)) {
        *hs = (struct host_stat){.f = {0}};
        hs->f[14] = proc_ticks(&f->utime);
        hs->f[15] = proc_ticks(&f->stime);
    }
}

#define HOST_LOOKS 4

/* Whose call the keep has not heard of yet runs, too, though the host has it wait for that. Who was on a CPU
 * when it was looked where it waits, is looked at again: it may have been answered since it was seen to wait.
 */
static char host_state_of(pid_t pid, pid_t tid, const struct host_stat *hs)
{
    struct host_stat again;
    char state = (char)hs->f[3];

    for (int i = 0; i < HOST_LOOKS && (state == 'S' || state == 'D'); i++) {
        enum host_wait w = host_waits(pid, tid);
        if (w != HOST_WAITS_NOWHERE)
            return w == HOST_WAITS_FOR_KEEP ? 'R' : state;
        (void)host_stat_read(pid, tid, &again);
        state = (char)again.f[3];
    }
    return state;
}

/* The leader may have ended while others run: the process's host state is then theirs. */
static char state_of(const struct proc_who *w, const struct facts *f, const struct host_stat *hs)
{
    if (f->thread || f->host_tid <= 0 || f->host_tid == f->host_pid)
        return proc_state(w, host_state_of(f->host_pid, f->thread ? f->host_tid : f->host_pid, hs));
    struct host_stat leader;
    (void)host_stat_read(f->host_pid, f->host_tid, &leader);
    return proc_state(w, host_state_of(f->host_pid, f->host_tid, &leader));
}

int proc_pid_show_stat(struct task *t, const struct proc_who *w, struct strbuf *sb)
{
    _cleanup_(facts_free) struct facts f;
    facts_take(&f, w);
    struct host_stat hs;
    read_host(&f, w, &hs);
    bool permitted = proc_may_access(t, w) == 0;
    struct proc_mm mm = {0};
    bool has_mm = proc_mm(w, &mm);
    bool rt = f.policy == SCHED_FIFO || f.policy == SCHED_RR;
    uint64_t code[2] = {has_mm ? 1 : 0, has_mm ? 1 : 0};
    if (permitted) {
        code[0] = mm.start_code;
        code[1] = mm.end_code;
    } else {
        mm = (struct proc_mm){0};
    }
    sb_printf(sb, "%d (%s) %c %d %d %d %u %d %u ", f.tid, f.comm, state_of(w, &f, &hs), f.ppid, f.pgid, f.sid,
              f.tty, f.tpgid, 0x400000U | (f.did_exec ? 0 : 0x40U));
    sb_printf(sb, "%lu 0 %lu 0 %lu %lu %lu %lu ", hs.f[10], hs.f[12], hs.f[14], hs.f[15],
              proc_ticks(&f.cutime), proc_ticks(&f.cstime));
    sb_printf(sb, "%d %d %u 0 %lu %lu %lu %lu ", rt ? -1 - f.rt_priority : 20 + f.nice, rt ? 0 : f.nice,
              f.nthreads, f.start_ticks, hs.f[23], hs.f[24], (unsigned long)w->p->rlim[RLIMIT_RSS].rlim_cur);
    sb_printf(sb, "%lu %lu %lu 0 0 ", code[0], code[1], mm.start_stack);
    /* Only the first 31 signals: the fields are from a time when there were no others. */
    sb_printf(sb, "%lu %lu %lu %lu 0 0 0 ", f.pending & 0x7fffffff, f.blocked & 0x7fffffff,
              f.ignored & 0x7fffffff, f.caught & 0x7fffffff);
    sb_printf(sb, "%d %lu %d %d 0 0 0 ", f.thread ? -1 : f.exit_signal, hs.f[39], rt ? f.rt_priority : 0,
              f.policy);
    sb_printf(sb, "0 0 %lu %lu %lu %lu %lu %d\n", mm.start_brk, mm.arg_start, mm.arg_end, mm.env_start,
              mm.env_end, permitted ? f.exit_status : 0);
    return 0;
}

/* To the host the program is the gate; the size of its text is known here only. In KiB. */
static uint64_t text_size(const struct proc_who *w)
{
    struct proc_mm mm;
    if (!proc_mm(w, &mm) || mm.end_code <= mm.start_code)
        return 0;
    return (((mm.end_code + 4095) & ~4095UL) - (mm.start_code & ~4095UL)) / 1024;
}

int proc_pid_show_statm(struct task *t, const struct proc_who *w, struct strbuf *sb)
{
    (void)t;
    _cleanup_sb_ struct strbuf host = {0};
    unsigned long f[7] = {0};
    if (w->p->state == PROCESS_ALIVE && host_proc_read(&host, "%d/statm", w->p->host_pid) == 0 && host.s)
        (void)sscanf(host.s, "%lu %lu %lu %lu %lu %lu %lu", &f[0], &f[1], &f[2], &f[3], &f[4], &f[5], &f[6]);
    if (f[0])
        f[3] = text_size(w) / 4;
    sb_printf(sb, "%lu %lu %lu %lu %lu %lu %lu\n", f[0], f[1], f[2], f[3], f[4], f[5], f[6]);
    return 0;
}

/* status ---------------------------------------------------------------------------------------------------
 */

static void put_name(struct strbuf *sb, const char *comm)
{
    sb_printf(sb, "Name:\t");
    for (const char *c = comm; *c; c++) {
        if (*c == '\n')
            sb_put(sb, "\\n", 2);
        else if (*c == '\\')
            sb_put(sb, "\\\\", 2);
        else
            sb_put(sb, c, 1);
    }
    sb_put(sb, "\n", 1);
}

static const char *state_text(char s)
{
    switch (s) {
    case 'R':
        return "R (running)";
    case 'S':
        return "S (sleeping)";
    case 't':
        return "t (tracing stop)";
    case 'T':
        return "T (stopped)";
    case 'Z':
        return "Z (zombie)";
    default:
        return "D (disk sleep)";
    }
}

static void max_fd(int fd, struct file *f, bool cloexec, void *arg)
{
    (void)f;
    (void)cloexec;
    int *max = arg;
    if (fd > *max)
        *max = fd;
}

static unsigned fd_size(const struct proc_who *w)
{
    struct fdtable *ft = proc_fdtable(w);
    if (!ft)
        return 0;
    int max = -1;
    fd_for_each(ft, max_fd, &max);
    fdtable_put(ft);
    unsigned size = 64;
    while (size < (unsigned)(max + 1))
        size *= 2;
    return size;
}

/* Copies the lines of the host's status whose names start with one of these. */
static void host_lines(struct strbuf *sb, const struct strbuf *host, const char *const *prefixes)
{
    for (const char *line = host->s; line && *line;) {
        size_t len = strcspn(line, "\n");
        for (const char *const *p = prefixes; *p; p++) {
            if (!strncmp(line, *p, strlen(*p))) {
                sb_put(sb, line, len);
                sb_put(sb, "\n", 1);
                break;
            }
        }
        line += len + (line[len] == '\n');
    }
}

/* "VmExe: 8 kB" of the host's status; 0: not there. */
static uint64_t host_field(const struct strbuf *host, const char *name)
{
    const char *at = host->s ? strstr(host->s, name) : NULL;
    return at ? strtoull(at + strlen(name), NULL, 10) : 0;
}

/* What the host counts as the program's text and its libraries', split as the guest knows it. */
static void put_memory(struct strbuf *sb, const struct strbuf *host, const struct proc_who *w)
{
    static const char *const before[] = {"VmPeak", "VmSize", "VmLck",  "VmPin", "VmHWM",
                                         "VmRSS",  "Rss",    "VmData", "VmStk", NULL};
    static const char *const after[] = {"VmPTE",      "VmSwap", "HugetlbPages", "CoreDumping", "THP_enabled",
                                        "untag_mask", NULL};
    host_lines(sb, host, before);
    uint64_t both = host_field(host, "\nVmExe:") + host_field(host, "\nVmLib:"), text = text_size(w);
    if (text > both)
        text = both;
    if (both)
        sb_printf(sb, "VmExe:\t%8lu kB\nVmLib:\t%8lu kB\n", text, both - text);
    host_lines(sb, host, after);
}

static void put_identity(struct strbuf *sb, const struct facts *f, const struct proc_who *w, char state)
{
    put_name(sb, f->comm);
    if (f->has_umask)
        sb_printf(sb, "Umask:\t%04o\n", f->umask);
    sb_printf(sb, "State:\t%s\nTgid:\t%d\nNgid:\t0\nPid:\t%d\nPPid:\t%d\nTracerPid:\t%d\n", state_text(state),
              f->pid, f->tid, f->ppid, f->tracer);
    sb_printf(sb, "Uid:\t%u\t%u\t%u\t%u\n", f->uid[0], f->uid[1], f->uid[2], f->uid[3]);
    sb_printf(sb, "Gid:\t%u\t%u\t%u\t%u\n", f->gid[0], f->gid[1], f->gid[2], f->gid[3]);
    sb_printf(sb, "FDSize:\t%u\nGroups:\t", fd_size(w));
    for (unsigned i = 0; i < f->ngroups; i++)
        sb_printf(sb, "%s%u", i ? " " : "", f->groups[i]);
    sb_printf(sb, " \nNStgid:\t%d\nNSpid:\t%d\nNSpgid:\t%d\nNSsid:\t%d\nKthread:\t0\n", f->pid, f->tid,
              f->pgid, f->sid);
}

static void put_signals(struct strbuf *sb, const struct facts *f)
{
    sb_printf(sb, "Threads:\t%u\nSigQ:\t%lu/%lu\n", f->nthreads, f->queued, f->queue_limit);
    sb_printf(sb, "SigPnd:\t%016lx\nShdPnd:\t%016lx\nSigBlk:\t%016lx\nSigIgn:\t%016lx\nSigCgt:\t%016lx\n",
              f->pending, f->shared_pending, f->blocked, f->ignored, f->caught);
    sb_printf(sb, "CapInh:\t%016lx\nCapPrm:\t%016lx\nCapEff:\t%016lx\nCapBnd:\t%016lx\nCapAmb:\t%016lx\n",
              f->caps[0], f->caps[1], f->caps[2], f->caps[3], f->caps[4]);
    sb_printf(sb, "NoNewPrivs:\t%d\nSeccomp:\t%d\nSeccomp_filters:\t%u\n", f->no_new_privs, f->seccomp_mode,
              f->nfilters);
}

static void put_cpus(struct strbuf *sb, const struct container *c, const struct strbuf *host)
{
    unsigned long mask[CPU_WORDS];
    static const char *const speculation[] = {"Speculation", NULL}, *const cpus[] = {"Cpus_allowed", NULL},
                             *const rest[] = {"Mems_allowed", "voluntary_", "nonvoluntary_", NULL};
    host_lines(sb, host, speculation);
    if (procfs_cpus(c, mask) == kernel.procfs->host_cpus) {
        host_lines(sb, host, cpus);
    } else {
        sb_printf(sb, "Cpus_allowed:\t");
        proc_cpu_mask(sb, mask);
        sb_printf(sb, "\nCpus_allowed_list:\t");
        proc_cpu_list(sb, mask);
        sb_put(sb, "\n", 1);
    }
    host_lines(sb, host, rest);
}

int proc_pid_show_status(struct task *t, const struct proc_who *w, struct strbuf *sb)
{
    (void)t;
    _cleanup_(facts_free) struct facts f;
    facts_take(&f, w);
    struct host_stat hs;
    read_host(&f, w, &hs);
    _cleanup_sb_ struct strbuf host = {0};
    if (w->p->state == PROCESS_ALIVE && f.thread)
        (void)host_proc_read(&host, "%d/task/%d/status", f.host_pid, f.host_tid);
    else if (w->p->state == PROCESS_ALIVE)
        (void)host_proc_read(&host, "%d/status", f.host_pid);
    put_identity(sb, &f, w, state_of(w, &f, &hs));
    put_memory(sb, &host, w);
    put_signals(sb, &f);
    put_cpus(sb, w->p->container, &host);
    return 0;
}
