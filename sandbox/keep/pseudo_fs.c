/* The small file systems: devtmpfs, cgroup; and the table of all. */
#include <errno.h>
#include <linux/magic.h>
#include <string.h>

#include "sandbox/keep/mqueue.h"
#include "sandbox/keep/procfs_priv.h"
#include "sandbox/keep/pseudo_fs.h"

static int mount_entries(struct container *c, const struct pentry *root, struct pnode **ret)
{
    struct pnode *n = NULL;
    int r = pentry_node(root, NULL, &n);
    if (r < 0)
        return r;
    n->priv = c;
    *ret = n;
    return 0;
}

/* devtmpfs -------------------------------------------------------------------------------------------------
 */

#define DEV(name_, mode_, major_, minor_)                                                                    \
    {                                                                                                        \
        .name = (name_), .mode = S_IFCHR | (mode_), .rdev = (major_) << 8 | (minor_)                         \
    }

static const struct pentry dev_entries[] = {
    DEV("console", 0600, 5, 1),
    {.name = "fd", .mode = PROC_LINK, .text = "/proc/self/fd"},
    DEV("full", 0666, 1, 7),
    DEV("kmsg", 0644, 1, 11),
    {.name = "mqueue", .mode = S_IFDIR | 0755, .dir = proc_empty_dir},
    DEV("null", 0666, 1, 3),
    DEV("ptmx", 0666, 5, 2),
    {.name = "pts", .mode = S_IFDIR | 0755, .dir = proc_empty_dir},
    DEV("random", 0666, 1, 8),
    {.name = "shm", .mode = S_IFDIR | S_ISVTX | 0777, .dir = proc_empty_dir},
    {.name = "stderr", .mode = PROC_LINK, .text = "/proc/self/fd/2"},
    {.name = "stdin", .mode = PROC_LINK, .text = "/proc/self/fd/0"},
    {.name = "stdout", .mode = PROC_LINK, .text = "/proc/self/fd/1"},
    DEV("tty", 0666, 5, 0),
    DEV("urandom", 0666, 1, 9),
    DEV("zero", 0666, 1, 5),
    {.name = NULL},
};

static const struct pentry dev_root = {.name = "", .mode = S_IFDIR | 0755, .dir = dev_entries};

static int devtmpfs_mount(struct container *c, const char *options, struct pnode **ret)
{
    (void)options;
    return mount_entries(c, &dev_root, ret);
}

/* cgroup: the container's own cgroup as the root, to be read only
 * ------------------------------------------------- */

static uint64_t memory_limit(void)
{
    return kernel.procfs->boot ? kernel.procfs->boot->memory_limit : 0;
}

static int show_procs(struct task *t, struct pnode *n, struct strbuf *sb)
{
    (void)n;
    struct process **list;
    const struct container *c = t->process->container;
    size_t count = proc_list(c->pids, &list);
    for (size_t i = 0; i < count; i++)
        if (list[i]->state == PROCESS_ALIVE && list[i]->container == c)
            sb_printf(sb, "%d\n", list[i]->pid);
    proc_list_free(list, count);
    return 0;
}

static unsigned thread_list(struct container *c, struct strbuf *sb)
{
    unsigned count = 0;
    LOCKED(&kernel.tasklist_lock);
    for (struct process *p = c->pids->processes; p; p = p->hh_pid.next)
        for (struct task *i = p->container == c ? p->threads : NULL; i; i = i->thread_next)
            if (!i->exited) {
                count++;
                if (sb)
                    sb_printf(sb, "%d\n", i->tid);
            }
    return count;
}

static int show_threads(struct task *t, struct pnode *n, struct strbuf *sb)
{
    (void)n;
    (void)thread_list(t->process->container, sb);
    return 0;
}

static int show_pids_current(struct task *t, struct pnode *n, struct strbuf *sb)
{
    (void)n;
    sb_printf(sb, "%u\n", thread_list(t->process->container, NULL));
    return 0;
}

static int show_memory_current(struct task *t, struct pnode *n, struct strbuf *sb)
{
    (void)n;
    sb_printf(sb, "%lu\n", proc_memory_used(t->process->container));
    return 0;
}

static int show_memory_max(struct task *t, struct pnode *n, struct strbuf *sb)
{
    (void)t;
    (void)n;
    if (memory_limit())
        sb_printf(sb, "%lu\n", memory_limit());
    else
        sb_printf(sb, "max\n");
    return 0;
}

/* Version 1 has a number for "no limit". */
static int show_memory_limit(struct task *t, struct pnode *n, struct strbuf *sb)
{
    (void)t;
    (void)n;
    sb_printf(sb, "%lu\n", memory_limit() ? memory_limit() : 9223372036854771712UL);
    return 0;
}

static int show_cpu_max(struct task *t, struct pnode *n, struct strbuf *sb)
{
    (void)t;
    (void)n;
    if (procfs_cpus() < kernel.procfs->host_cpus)
        sb_printf(sb, "%u 100000\n", procfs_cpus() * 100000);
    else
        sb_printf(sb, "max 100000\n");
    return 0;
}

static int show_cpu_quota(struct task *t, struct pnode *n, struct strbuf *sb)
{
    (void)t;
    (void)n;
    sb_printf(sb, "%ld\n", procfs_cpus() < kernel.procfs->host_cpus ? (long)procfs_cpus() * 100000 : -1L);
    return 0;
}

static int show_cpu_stat(struct task *t, struct pnode *n, struct strbuf *sb)
{
    (void)n;
    uint64_t user, system;
    proc_cpu_total(t->process->container, &user, &system);
    sb_printf(
        sb,
        "usage_usec %lu\nuser_usec %lu\nsystem_usec %lu\nnr_periods 0\nnr_throttled 0\nthrottled_usec 0\n",
        (user + system) * 10000, user * 10000, system * 10000);
    return 0;
}

static int show_cpu_list(struct task *t, struct pnode *n, struct strbuf *sb)
{
    (void)t;
    (void)n;
    proc_cpu_list(sb);
    sb_put(sb, "\n", 1);
    return 0;
}

static int show_memory_stat(struct task *t, struct pnode *n, struct strbuf *sb)
{
    (void)n;
    sb_printf(sb,
              "anon %lu\nfile 0\nkernel 0\nshmem 0\ninactive_anon 0\nactive_anon 0\ninactive_file 0\n"
              "active_file 0\nunevictable 0\npgfault 0\npgmajfault 0\n",
              proc_memory_used(t->process->container));
    return 0;
}

#define CG(name_, show_)                                                                                     \
    {                                                                                                        \
        .name = (name_), .mode = PROC_FILE(0444), .show = (show_)                                            \
    }
#define CG_TEXT(name_, text_)                                                                                \
    {                                                                                                        \
        .name = (name_), .mode = PROC_FILE(0444), .text = (text_)                                            \
    }

static const char events_text[] = "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0\n";

static const struct pentry cgroup2_entries[] = {
    CG_TEXT("cgroup.controllers", "cpuset cpu memory pids\n"),
    CG_TEXT("cgroup.events", "populated 1\nfrozen 0\n"),
    CG_TEXT("cgroup.freeze", "0\n"),
    CG_TEXT("cgroup.max.depth", "max\n"),
    CG_TEXT("cgroup.max.descendants", "max\n"),
    CG("cgroup.procs", show_procs),
    CG_TEXT("cgroup.stat", "nr_descendants 0\nnr_dying_descendants 0\n"),
    CG_TEXT("cgroup.subtree_control", ""),
    CG("cgroup.threads", show_threads),
    CG_TEXT("cgroup.type", "domain\n"),
    CG("cpu.max", show_cpu_max),
    CG("cpu.stat", show_cpu_stat),
    CG_TEXT("cpu.weight", "100\n"),
    CG("cpuset.cpus", show_cpu_list),
    CG("cpuset.cpus.effective", show_cpu_list),
    CG_TEXT("cpuset.mems", "0\n"),
    CG_TEXT("cpuset.mems.effective", "0\n"),
    CG("memory.current", show_memory_current),
    CG_TEXT("memory.events", events_text),
    CG_TEXT("memory.high", "max\n"),
    CG_TEXT("memory.low", "0\n"),
    CG("memory.max", show_memory_max),
    CG_TEXT("memory.min", "0\n"),
    CG("memory.stat", show_memory_stat),
    CG_TEXT("memory.swap.current", "0\n"),
    CG_TEXT("memory.swap.max", "max\n"),
    CG("pids.current", show_pids_current),
    CG_TEXT("pids.events", "max 0\n"),
    CG_TEXT("pids.max", "max\n"),
    {.name = NULL},
};

static const struct pentry cg1_cpu[] = {
    CG("cgroup.procs", show_procs),
    CG_TEXT("cpu.cfs_period_us", "100000\n"),
    CG("cpu.cfs_quota_us", show_cpu_quota),
    CG_TEXT("cpu.shares", "1024\n"),
    CG("tasks", show_threads),
    {.name = NULL},
};

static const struct pentry cg1_cpuset[] = {
    CG("cgroup.procs", show_procs),
    CG("cpuset.cpus", show_cpu_list),
    CG("cpuset.effective_cpus", show_cpu_list),
    CG_TEXT("cpuset.mems", "0\n"),
    CG("tasks", show_threads),
    {.name = NULL},
};

static const struct pentry cg1_memory[] = {
    CG("cgroup.procs", show_procs),      CG("memory.limit_in_bytes", show_memory_limit),
    CG("memory.stat", show_memory_stat), CG("memory.usage_in_bytes", show_memory_current),
    CG("tasks", show_threads),           {.name = NULL},
};

static const struct pentry cg1_pids[] = {
    CG("cgroup.procs", show_procs),
    CG("pids.current", show_pids_current),
    CG_TEXT("pids.max", "max\n"),
    CG("tasks", show_threads),
    {.name = NULL},
};

static const struct pentry cg1_entries[] = {
    {.name = "cpu", .mode = PROC_DIR(0555), .dir = cg1_cpu},
    {.name = "cpuset", .mode = PROC_DIR(0555), .dir = cg1_cpuset},
    {.name = "memory", .mode = PROC_DIR(0555), .dir = cg1_memory},
    {.name = "pids", .mode = PROC_DIR(0555), .dir = cg1_pids},
    {.name = NULL},
};

static const struct pentry cgroup2_root = {.name = "", .mode = PROC_DIR(0555), .dir = cgroup2_entries};
static const struct pentry cgroup1_root = {.name = "", .mode = PROC_DIR(0555), .dir = cg1_entries};

static int cgroup2_mount(struct container *c, const char *options, struct pnode **ret)
{
    (void)options;
    return mount_entries(c, &cgroup2_root, ret);
}

/* What the runtime mounts as "cgroup" is the whole of what a guest may see: on a host with version 2 that is
 * the unified tree; options that name a controller ask for that of version 1. */
static int cgroup_mount(struct container *c, const char *options, struct pnode **ret)
{
    static const char *const v1[] = {"cpu", "cpuset", "memory", "pids"};
    for (size_t i = 0; options && i < ARRAY_SIZE(v1); i++)
        if (strstr(options, v1[i]))
            return mount_entries(c, &cgroup1_root, ret);
    return mount_entries(c, &cgroup2_root, ret);
}

/* The table ------------------------------------------------------------------------------------------------
 */

static const struct pseudo_fs pseudo_file_systems[] = {
    {"proc", PROC_SUPER_MAGIC, procfs_mount},      {"sysfs", SYSFS_MAGIC, sysfs_mount},
    {"devpts", DEVPTS_SUPER_MAGIC, devpts_mount},  {"mqueue", 0x19800202, mqueue_mount},
    {"devtmpfs", TMPFS_MAGIC, devtmpfs_mount},     {"cgroup2", CGROUP2_SUPER_MAGIC, cgroup2_mount},
    {"cgroup", CGROUP2_SUPER_MAGIC, cgroup_mount},
};

const struct pseudo_fs *pseudo_fs_find(const char *type)
{
    for (size_t i = 0; i < ARRAY_SIZE(pseudo_file_systems); i++)
        if (!strcmp(pseudo_file_systems[i].type, type))
            return &pseudo_file_systems[i];
    return NULL;
}
