/* What a guest sees of a controller that its container has no cgroup in: the keep's own counts, and no
 * limits. */
#include <string.h>

#include "sandbox/keep/pseudo/cgroup_fs.h"
#include "sandbox/keep/pseudo/procfs_priv.h"

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

const struct pentry cgroup_default_v2[] = {
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
    CG_TEXT("cpu.max", "max 100000\n"),
    CG("cpu.stat", show_cpu_stat),
    CG_TEXT("cpu.weight", "100\n"),
    CG("cpuset.cpus", proc_show_cpu_list),
    CG("cpuset.cpus.effective", proc_show_cpu_list),
    CG_TEXT("cpuset.mems", "0\n"),
    CG_TEXT("cpuset.mems.effective", "0\n"),
    CG("memory.current", show_memory_current),
    CG_TEXT("memory.events", events_text),
    CG_TEXT("memory.high", "max\n"),
    CG_TEXT("memory.low", "0\n"),
    CG_TEXT("memory.max", "max\n"),
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
    CG("cgroup.procs", show_procs),      CG_TEXT("cpu.cfs_period_us", "100000\n"),
    CG_TEXT("cpu.cfs_quota_us", "-1\n"), CG_TEXT("cpu.shares", "1024\n"),
    CG("tasks", show_threads),           {.name = NULL},
};

static const struct pentry cg1_cpuset[] = {
    CG("cgroup.procs", show_procs),
    CG("cpuset.cpus", proc_show_cpu_list),
    CG("cpuset.effective_cpus", proc_show_cpu_list),
    CG_TEXT("cpuset.mems", "0\n"),
    CG("tasks", show_threads),
    {.name = NULL},
};

static const struct pentry cg1_memory[] = {
    CG("cgroup.procs", show_procs),      CG_TEXT("memory.limit_in_bytes", "9223372036854771712\n"),
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

const struct pentry *cgroup_default_v1(const char *controllers)
{
    static const struct {
        const char *controller;
        struct pentry root;
    } all[] = {
        {"cpu", {.name = "", .mode = PROC_DIR(0555), .dir = cg1_cpu}},
        {"cpuset", {.name = "", .mode = PROC_DIR(0555), .dir = cg1_cpuset}},
        {"memory", {.name = "", .mode = PROC_DIR(0555), .dir = cg1_memory}},
        {"pids", {.name = "", .mode = PROC_DIR(0555), .dir = cg1_pids}},
    };

    size_t len = strcspn(controllers, ",");
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        if (strlen(all[i].controller) == len && strncmp(controllers, all[i].controller, len) == 0)
            return &all[i].root;
    return NULL;
}
