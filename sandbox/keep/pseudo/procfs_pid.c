/* The table of /proc/PID and /proc/PID/task/TID, and the small files in it. */
#include <errno.h>
#include <linux/capability.h>
#include <string.h>

#include "sandbox/keep/idmap.h"
#include "sandbox/keep/pseudo/procfs_priv.h"
#include "sandbox/keep/task/quiet.h"
#include "sandbox/keep/fs/fs_struct.h"
#include "sandbox/keep/fs/vfs.h"

int proc_show_who(struct task *t, struct pnode *n, struct strbuf *sb)
{
    _cleanup_who_ struct proc_who w;
    int r = proc_who(n, &w);
    return r < 0 ? r : n->entry->show_who(t, &w, sb);
}

static const struct pnode_ops proc_who_ops = {.show = proc_show_who, .write = pentry_write};

/* A number as written by echo: blanks and a newline around it are let pass. */
static bool parse_long(const char *data, long min, long max, long *ret)
{
    char *end;
    errno = 0;
    long v = strtol(data, &end, 10);
    if (end == data || errno || v < min || v > max)
        return false;
    while (*end == '\n' || *end == ' ')
        end++;
    *ret = v;
    return !*end;
}

/* comm -----------------------------------------------------------------------------------------------------
 */

static int show_cgroup(struct task *t, struct pnode *n, struct strbuf *sb)
{
    (void)n;
    keep_cgroup_show(t->process->container, sb);
    return 0;
}

static int show_comm(struct task *t, const struct proc_who *w, struct strbuf *sb)
{
    (void)t;
    char comm[sizeof(w->t->comm)] = "";
    if (w->t) {
        LOCKED(&kernel.tasklist_lock);
        memcpy(comm, w->t->comm, sizeof(comm));
    }
    comm[sizeof(comm) - 1] = 0;
    sb_printf(sb, "%s\n", comm);
    return 0;
}

static ssize_t write_comm(struct task *t, struct pnode *n, const char *data, size_t len, off_t pos)
{
    (void)pos;
    _cleanup_who_ struct proc_who w;
    int r = proc_who(n, &w);
    if (r < 0)
        return r;
    if (w.p != t->process || !w.t)
        return -EINVAL;
    char comm[sizeof(w.t->comm)] = "";
    (void)snprintf(comm, sizeof(comm), "%.*s", (int)strnlen(data, len), data);
    comm[strcspn(comm, "\n")] = 0;
    LOCKED(&kernel.tasklist_lock);
    memcpy(w.t->comm, comm, sizeof(comm));
    return (ssize_t)len;
}

/* Scheduling -----------------------------------------------------------------------------------------------
 */

static int show_schedstat(struct task *t, const struct proc_who *w, struct strbuf *sb)
{
    (void)t;
    if (w->thread)
        quiet_await(w->t);
    int r = w->thread ? host_proc_read(sb, "%d/task/%d/schedstat", w->p->host_pid, w->t->host_tid)
                      : host_proc_read(sb, "%d/schedstat", w->p->host_pid);
    if (r < 0)
        sb_printf(sb, "0 0 0\n");
    return 0;
}

static void sched_line(struct strbuf *sb, const char *name, long value)
{
    sb_printf(sb, "%-45s:%21ld\n", name, value);
}

static int show_sched(struct task *t, const struct proc_who *w, struct strbuf *sb)
{
    (void)t;
    if (!w->t)
        return -ESRCH;
    LOCKED(&kernel.tasklist_lock);
    sb_printf(sb, "%.15s (%d, #threads: %u)\n", w->t->comm, w->t->tid, w->p->nthreads);
    sb_printf(sb, "-------------------------------------------------------------------\n");
    sched_line(sb, "policy", w->t->sched_policy);
    sched_line(sb, "prio", w->t->sched_priority ? 99 - w->t->sched_priority : 120 + w->t->nice);
    return 0;
}

static int show_io(struct task *t, const struct proc_who *w, struct strbuf *sb)
{
    (void)t;
    if (host_proc_read(sb, "%d/io", w->p->host_pid) < 0)
        sb_printf(sb, "rchar: 0\nwchar: 0\nsyscr: 0\nsyscw: 0\nread_bytes: 0\nwrite_bytes: 0\n"
                      "cancelled_write_bytes: 0\n");
    return 0;
}

/* limits ---------------------------------------------------------------------------------------------------
 */

static const struct {
    const char *name, *unit;
    int resource;
} limit_lines[] = {
    {"Max cpu time", "seconds", RLIMIT_CPU},         {"Max file size", "bytes", RLIMIT_FSIZE},
    {"Max data size", "bytes", RLIMIT_DATA},         {"Max stack size", "bytes", RLIMIT_STACK},
    {"Max core file size", "bytes", RLIMIT_CORE},    {"Max resident set", "bytes", RLIMIT_RSS},
    {"Max processes", "processes", RLIMIT_NPROC},    {"Max open files", "files", RLIMIT_NOFILE},
    {"Max locked memory", "bytes", RLIMIT_MEMLOCK},  {"Max address space", "bytes", RLIMIT_AS},
    {"Max file locks", "locks", RLIMIT_LOCKS},       {"Max pending signals", "signals", RLIMIT_SIGPENDING},
    {"Max msgqueue size", "bytes", RLIMIT_MSGQUEUE}, {"Max nice priority", "", RLIMIT_NICE},
    {"Max realtime priority", "", RLIMIT_RTPRIO},    {"Max realtime timeout", "us", RLIMIT_RTTIME},
};

static void limit_value(struct strbuf *sb, rlim_t v)
{
    if (v == RLIM_INFINITY)
        sb_printf(sb, "%-20s ", "unlimited");
    else
        sb_printf(sb, "%-20lu ", (unsigned long)v);
}

static int show_limits(struct task *t, const struct proc_who *w, struct strbuf *sb)
{
    (void)t;
    struct rlimit rlim[RLIM_NLIMITS];
    {
        LOCKED(&kernel.tasklist_lock);
        memcpy(rlim, w->p->rlim, sizeof(rlim));
    }
    sb_printf(sb, "%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units");
    for (size_t i = 0; i < ARRAY_SIZE(limit_lines); i++) {
        sb_printf(sb, "%-25s ", limit_lines[i].name);
        limit_value(sb, rlim[limit_lines[i].resource].rlim_cur);
        limit_value(sb, rlim[limit_lines[i].resource].rlim_max);
        sb_printf(sb, "%s%-*s\n", "", limit_lines[i].unit[0] ? 10 : 0, limit_lines[i].unit);
    }
    return 0;
}

/* OOM killer -----------------------------------------------------------------------------------------------
 */

/* The kernel's measure: the share of memory in use, in thousandths, moved by the adjustment. */
static int show_oom_score(struct task *t, const struct proc_who *w, struct strbuf *sb)
{
    (void)t;
    struct proc_memory m;
    proc_memory(w->p->container, &m);
    uint64_t kib = host_rss_pages(w->p->host_pid) * 4;
    long points = m.total ? (long)(kib * 1000 / m.total) : 0;
    long score = (1000 + points + w->p->oom_score_adj) * 2 / 3;
    sb_printf(sb, "%ld\n", score > 0 ? score : 0);
    return 0;
}

static int show_oom_score_adj(struct task *t, const struct proc_who *w, struct strbuf *sb)
{
    (void)t;
    sb_printf(sb, "%d\n", w->p->oom_score_adj);
    return 0;
}

/* The old scale of -17 to 15. */
static int show_oom_adj(struct task *t, const struct proc_who *w, struct strbuf *sb)
{
    (void)t;
    int adj = w->p->oom_score_adj;
    sb_printf(sb, "%d\n", adj == 1000 ? 15 : adj * 17 / 1000);
    return 0;
}

static ssize_t set_oom(struct task *t, struct pnode *n, long value, size_t len)
{
    _cleanup_who_ struct proc_who w;
    int r = proc_who(n, &w);
    if (r < 0)
        return r;
    bool may = capable(t, CAP_SYS_RESOURCE);
    LOCKED(&kernel.tasklist_lock);
    if (value < w.p->oom_score_adj && !may)
        return -EACCES;
    w.p->oom_score_adj = (int)value;
    return (ssize_t)len;
}

static ssize_t write_oom_score_adj(struct task *t, struct pnode *n, const char *data, size_t len, off_t pos)
{
    (void)pos;
    long v;
    return parse_long(data, -1000, 1000, &v) ? set_oom(t, n, v, len) : -EINVAL;
}

static ssize_t write_oom_adj(struct task *t, struct pnode *n, const char *data, size_t len, off_t pos)
{
    (void)pos;
    long v;
    if (!parse_long(data, -17, 15, &v))
        return -EINVAL;
    return set_oom(t, n, v == 15 ? 1000 : v * 1000 / 17, len);
}

/* Mounts ---------------------------------------------------------------------------------------------------
 */

/* Its root directory, a reference; NULL: it has none (any more). */
static struct dentry *root_of(const struct proc_who *w)
{
    LOCKED(&kernel.tasklist_lock);
    bool has = w->t && w->p->state == PROCESS_ALIVE && !w->t->exited && w->t->fs;
    return has ? fs_root(w->t->fs) : NULL;
}

static int put_mounts(struct task *t, const struct proc_who *w, bool info, struct strbuf *sb)
{
    if (!w->t || w->p->state != PROCESS_ALIVE)
        return -EINVAL;
    _cleanup_dentry_ struct dentry *top = root_of(w);
    mount_ns_show(t, w->p->container->mounts, top, sb, info);
    return 0;
}

static int show_mounts(struct task *t, const struct proc_who *w, struct strbuf *sb)
{
    return put_mounts(t, w, false, sb);
}

static int show_mountinfo(struct task *t, const struct proc_who *w, struct strbuf *sb)
{
    return put_mounts(t, w, true, sb);
}

/* "device X mounted on Y with fstype Z", from the lines of mounts. */
static int show_mountstats(struct task *t, const struct proc_who *w, struct strbuf *sb)
{
    _cleanup_sb_ struct strbuf mounts = {0};
    int r = show_mounts(t, w, &mounts);
    if (r < 0 || !mounts.s)
        return r;
    for (char *save, *line = strtok_r(mounts.s, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *field, *source = strtok_r(line, " ", &field), *target = strtok_r(NULL, " ", &field),
                     *type = strtok_r(NULL, " ", &field);
        if (type)
            sb_printf(sb, "device %s mounted on %s with fstype %s\n", source, target, type);
    }
    return 0;
}

/* The rest -------------------------------------------------------------------------------------------------
 */

static int show_personality(struct task *t, const struct proc_who *w, struct strbuf *sb)
{
    (void)t;
    sb_printf(sb, "%08lx\n", w->t ? w->t->personality : 0);
    return 0;
}

static int show_timerslack(struct task *t, const struct proc_who *w, struct strbuf *sb)
{
    (void)t;
    sb_printf(sb, "%lu\n", w->t ? w->t->timer_slack : 0);
    return 0;
}

static int show_syscall(struct task *t, const struct proc_who *w, struct strbuf *sb)
{
    (void)t;
    (void)w;
    sb_printf(sb, "running\n"); /* the registers are the gate's to know */
    return 0;
}

/* Kernel stacks are for those who may trace any process. */
static int show_stack(struct task *t, struct pnode *n, struct strbuf *sb)
{
    (void)n;
    (void)sb;
    return capable(t, CAP_SYS_ADMIN) ? 0 : -EACCES;
}

static int show_children(struct task *t, const struct proc_who *w, struct strbuf *sb)
{
    (void)t;
    if (w->p->leader != w->t)
        return 0;
    LOCKED(&kernel.tasklist_lock);
    for (const struct process *c = w->p->children; c; c = c->sibling_next)
        sb_printf(sb, "%d ", c->pid);
    return 0;
}

static int no_label(struct task *t, struct pnode *n, struct strbuf *sb)
{
    (void)t;
    (void)n;
    (void)sb;
    return -EINVAL; /* without a security module */
}

static ssize_t no_write(struct task *t, struct pnode *n, const char *data, size_t len, off_t pos)
{
    (void)t;
    (void)n;
    (void)data;
    (void)len;
    (void)pos;
    return -EPERM;
}

static ssize_t swallow(struct task *t, struct pnode *n, const char *data, size_t len, off_t pos)
{
    (void)t;
    (void)n;
    (void)data;
    (void)pos;
    return (ssize_t)len;
}

const struct pentry proc_attr_entries[] = {
    {.name = "current", .mode = PROC_FILE(0666), .show = no_label},
    {.name = "prev", .mode = PROC_FILE(0444), .show = no_label},
    {.name = "exec", .mode = PROC_FILE(0666), .show = no_label},
    {.name = "fscreate", .mode = PROC_FILE(0666), .show = no_label},
    {.name = "keycreate", .mode = PROC_FILE(0666), .show = no_label},
    {.name = "sockcreate", .mode = PROC_FILE(0666), .show = no_label},
    {.name = NULL},
};

static int show_uid_map(struct task *t, struct pnode *n, struct strbuf *sb)
{
    (void)t;
    (void)n;
    sb_printf(sb, "%s", idmap_uid_text());
    return 0;
}

static int show_gid_map(struct task *t, struct pnode *n, struct strbuf *sb)
{
    (void)t;
    (void)n;
    sb_printf(sb, "%s", idmap_gid_text());
    return 0;
}

static int show_setgroups(struct task *t, struct pnode *n, struct strbuf *sb)
{
    (void)t;
    (void)n;
    sb_printf(sb, "%s", idmap_groups_text());
    return 0;
}

static const char project_ids[] = "         0          0 4294967295\n";
/* Guests have the keep's time namespace, which the host's own file tells of. */
static int show_time_offsets(struct task *t, struct pnode *n, struct strbuf *sb)
{
    char path[48], text[128];

    (void)t;
    (void)n;
    snprintf(path, sizeof(path), "%d/timens_offsets", (int)kernel.pid);
    _cleanup_close_ int fd = openat(kernel.procfd, path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text));
    if (len > 0)
        sb_put(sb, text, (size_t)len);
    else
        sb_printf(sb, "monotonic           0         0\nboottime            0         0\n");
    return 0;
}

#define OF_PROCESS(show_) .ops = &proc_who_ops, .show_who = (show_)
#define PRIVATE(show_) .ops = &proc_private_ops, .show_who = (show_)

/* What a process and a thread have in common. */
#define COMMON_ENTRIES                                                                                       \
    {.name = "attr", .mode = PROC_DIR(0555), .dir = proc_attr_entries},                                      \
        {.name = "auxv", .mode = PROC_FILE(0400), PRIVATE(proc_pid_show_auxv)},                              \
        {.name = "cgroup", .mode = PROC_FILE(0444), .show = show_cgroup},                                    \
        {.name = "cmdline", .mode = PROC_FILE(0444), OF_PROCESS(proc_pid_show_cmdline)},                     \
        {.name = "comm", .mode = PROC_FILE(0644), OF_PROCESS(show_comm), .write = write_comm},               \
        {.name = "cpuset", .mode = PROC_FILE(0444), .text = "/\n"},                                          \
        {.name = "cwd", .mode = PROC_LINK, .ops = &proc_cwd_ops},                                            \
        {.name = "environ", .mode = PROC_FILE(0400), PRIVATE(proc_pid_show_environ)},                        \
        {.name = "exe", .mode = PROC_LINK, .ops = &proc_exe_ops},                                            \
        {.name = "fd", .mode = PROC_DIR(0500), .ops = &proc_fd_ops},                                         \
        {.name = "fdinfo", .mode = PROC_DIR(0555), .ops = &proc_fdinfo_ops},                                 \
        {.name = "gid_map", .mode = PROC_FILE(0644), .show = show_gid_map, .write = no_write},               \
        {.name = "io", .mode = PROC_FILE(0400), PRIVATE(show_io)},                                           \
        {.name = "limits", .mode = PROC_FILE(0444), OF_PROCESS(show_limits)},                                \
        {.name = "loginuid",                                                                                 \
         .mode = PROC_FILE(0644),                                                                            \
         OF_PROCESS(proc_pid_show_loginuid),                                                                 \
         .write = proc_pid_write_loginuid},                                                                  \
        {.name = "maps", .mode = PROC_FILE(0444), .ops = &proc_maps_ops},                                    \
        {.name = "mem", .mode = PROC_FILE(0600), .ops = &proc_mem_ops},                                      \
        {.name = "mountinfo", .mode = PROC_FILE(0444), OF_PROCESS(show_mountinfo)},                          \
        {.name = "mounts", .mode = PROC_FILE(0444), OF_PROCESS(show_mounts)},                                \
        {.name = "net", .mode = PROC_DIR(0555), .dir = proc_net_entries},                                    \
        {.name = "ns", .mode = PROC_DIR(0511), .ops = &proc_ns_ops},                                         \
        {.name = "oom_adj", .mode = PROC_FILE(0644), OF_PROCESS(show_oom_adj), .write = write_oom_adj},      \
        {.name = "oom_score", .mode = PROC_FILE(0444), OF_PROCESS(show_oom_score)},                          \
        {.name = "oom_score_adj",                                                                            \
         .mode = PROC_FILE(0644),                                                                            \
         OF_PROCESS(show_oom_score_adj),                                                                     \
         .write = write_oom_score_adj},                                                                      \
        {.name = "personality", .mode = PROC_FILE(0400), PRIVATE(show_personality)},                         \
        {.name = "projid_map", .mode = PROC_FILE(0644), .text = project_ids, .write = no_write},             \
        {.name = "root", .mode = PROC_LINK, .ops = &proc_root_link_ops},                                     \
        {.name = "sched", .mode = PROC_FILE(0644), OF_PROCESS(show_sched), .write = swallow},                \
        {.name = "schedstat", .mode = PROC_FILE(0444), OF_PROCESS(show_schedstat)},                          \
        {.name = "sessionid", .mode = PROC_FILE(0444), OF_PROCESS(proc_pid_show_sessionid)},                 \
        {.name = "setgroups", .mode = PROC_FILE(0644), .show = show_setgroups, .write = no_write},           \
        {.name = "smaps", .mode = PROC_FILE(0444), .ops = &proc_maps_ops},                                   \
        {.name = "smaps_rollup", .mode = PROC_FILE(0444), PRIVATE(proc_pid_show_smaps_rollup)},              \
        {.name = "stack", .mode = PROC_FILE(0400), .show = show_stack},                                      \
        {.name = "stat", .mode = PROC_FILE(0444), OF_PROCESS(proc_pid_show_stat)},                           \
        {.name = "statm", .mode = PROC_FILE(0444), OF_PROCESS(proc_pid_show_statm)},                         \
        {.name = "status", .mode = PROC_FILE(0444), OF_PROCESS(proc_pid_show_status)},                       \
        {.name = "syscall", .mode = PROC_FILE(0400), PRIVATE(show_syscall)},                                 \
        {.name = "uid_map", .mode = PROC_FILE(0644), .show = show_uid_map, .write = no_write},               \
    {                                                                                                        \
        .name = "wchan", .mode = PROC_FILE(0444), .text = "0"                                                \
    }

const struct pentry proc_pid_entries[] = {
    COMMON_ENTRIES,
    {.name = "autogroup", .mode = PROC_FILE(0644), .text = "/autogroup-1 nice 0\n", .write = swallow},
    {.name = "coredump_filter", .mode = PROC_FILE(0644), .text = "00000033\n", .write = swallow},
    {.name = "mountstats", .mode = PROC_FILE(0400), OF_PROCESS(show_mountstats)},
    {.name = "task", .mode = PROC_DIR(0555), .ops = &proc_task_ops},
    {.name = "timens_offsets", .mode = PROC_FILE(0644), .show = show_time_offsets, .write = no_write},
    {.name = "timers", .mode = PROC_FILE(0444), .text = ""},
    {.name = "timerslack_ns", .mode = PROC_FILE(0666), OF_PROCESS(show_timerslack)},
    {.name = NULL},
};

const struct pentry proc_tid_entries[] = {
    COMMON_ENTRIES,
    {.name = "children", .mode = PROC_FILE(0444), OF_PROCESS(show_children)},
    {.name = NULL},
};
