/* The files of /proc about the machine as a whole. */
#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/sysinfo.h>

#include "sandbox/keep/klog.h"
#include "sandbox/keep/pseudo/procfs_priv.h"

static struct container *of_task(const struct task *t)
{
    return t->process->container;
}

/* cpuinfo --------------------------------------------------------------------------------------------------
 */

/* The host's, without the CPUs that are not visible. */
int proc_show_cpuinfo(struct task *t, struct pnode *n, struct strbuf *sb)
{
    (void)n;
    const struct strbuf *host = &kernel.procfs->cpuinfo;
    unsigned long mask[CPU_WORDS];
    (void)procfs_cpus(of_task(t), mask);
    const char *part = host->s;
    for (unsigned i = 0; i < CPU_WORDS * 64 && (part ? *part != 0 : i < kernel.procfs->host_cpus && !host->s);
         i++) {
        const char *next = part ? strstr(part, "\n\n") : NULL;
        size_t len = !part ? 0 : next ? (size_t)(next + 2 - part) : strlen(part);
        if (!(mask[i / 64] >> i % 64 & 1))
            len = 0;
        else if (!part)
            sb_printf(sb, "processor\t: %u\n\n", i);
        sb_put(sb, part ? part : "", len);
        part = part && next ? next + 2 : part ? "" : NULL;
    }
    return 0;
}

/* meminfo --------------------------------------------------------------------------------------------------
 */

struct mem_line {
    const char *name;
    uint64_t kib;
};

/* With a limit, what is not known of the container alone is zero, not the host's. */
static bool host_constant(const char *name, size_t len)
{
    static const char *const keep[] = {"VmallocTotal", "Hugepagesize"};
    for (size_t i = 0; i < ARRAY_SIZE(keep); i++)
        if (strlen(keep[i]) == len && !memcmp(keep[i], name, len))
            return true;
    return false;
}

static void mem_line(struct strbuf *sb, const char *line, size_t len, const struct mem_line *over,
                     size_t nover, bool limited)
{
    const char *colon = memchr(line, ':', len);
    size_t name = colon ? (size_t)(colon - line) : len;
    for (size_t i = 0; i < nover; i++) {
        if (strlen(over[i].name) == name && !memcmp(over[i].name, line, name)) {
            sb_printf(sb, "%s:%*s%8lu kB\n", over[i].name, (int)(name < 15 ? 15 - name : 0), "", over[i].kib);
            return;
        }
    }
    if (!limited || !colon || host_constant(line, name)) {
        sb_put(sb, line, len);
        sb_put(sb, "\n", 1);
        return;
    }
    bool unit = len > 3 && !memcmp(line + len - 3, " kB", 3);
    sb_printf(sb, "%.*s:%*s%8u%s\n", (int)name, line, (int)(name < 15 ? 15 - name : 0), "", 0,
              unit ? " kB" : "");
}

static const char fallback_meminfo[] =
    "MemTotal:\nMemFree:\nMemAvailable:\nBuffers:\nCached:\nSwapTotal:\nSwapFree:\n"
    "Shmem:\n";

int proc_show_meminfo(struct task *t, struct pnode *n, struct strbuf *sb)
{
    (void)n;
    struct proc_memory m;
    proc_memory(of_task(t), &m);
    const struct mem_line over[] = {
        {"MemTotal", m.total},     {"MemFree", m.free},         {"MemAvailable", m.available},
        {"Buffers", m.buffers},    {"Cached", m.cached},        {"Shmem", m.shared},
        {"SwapFree", m.swap_free}, {"SwapTotal", m.swap_total},
    };
    const char *line = kernel.procfs->meminfo.s ? kernel.procfs->meminfo.s : fallback_meminfo;
    while (*line) {
        size_t len = strcspn(line, "\n");
        mem_line(sb, line, len, over, ARRAY_SIZE(over), m.limited);
        line += len + (line[len] == '\n');
    }
    return 0;
}

/* Time and load --------------------------------------------------------------------------------------------
 */

/* What is not busy is idle. */
static uint64_t idle_ticks(const struct container *c, uint64_t busy)
{
    struct timespec up = proc_uptime();
    uint64_t all = proc_ticks(&up) * procfs_cpus(c, NULL);
    return all > busy ? all - busy : 0;
}

int proc_show_uptime(struct task *t, struct pnode *n, struct strbuf *sb)
{
    (void)n;
    uint64_t user, system;
    proc_cpu_total(of_task(t), &user, &system);
    struct timespec up = proc_uptime();
    uint64_t idle = idle_ticks(of_task(t), user + system);
    sb_printf(sb, "%lu.%02lu %lu.%02lu\n", (unsigned long)up.tv_sec, (unsigned long)up.tv_nsec / 10000000,
              idle / 100, idle % 100);
    return 0;
}

static void count_threads(const struct pid_ns *ns, unsigned *total, unsigned *running, pid_t *last)
{
    *total = *running = 0;
    LOCKED(&kernel.tasklist_lock);
    *last = ns->last_pid;
    for (struct process *p = ns->processes; p; p = p->hh_pid.next)
        for (struct task *i = p->threads; i; i = i->thread_next)
            if (!i->exited) {
                ++*total;
                *running += i->sleep == SLEEP_NONE && task_memory_tid(i) && !i->continued;
            }
}

int proc_show_loadavg(struct task *t, struct pnode *n, struct strbuf *sb)
{
    (void)n;
    struct sysinfo si = {0};
    (void)sysinfo(&si);
    unsigned total, running;
    pid_t last;
    count_threads(of_task(t)->pids, &total, &running, &last);
    for (int i = 0; i < 3; i++) {
        unsigned long l = si.loads[i] + (1UL << (SI_LOAD_SHIFT - 1)) / 100;
        sb_printf(sb, "%lu.%02lu ", l >> SI_LOAD_SHIFT,
                  ((l & ((1UL << SI_LOAD_SHIFT) - 1)) * 100) >> SI_LOAD_SHIFT);
    }
    sb_printf(sb, "%u/%u %d\n", running, total, last);
    return 0;
}

/* The time is spread evenly over the CPUs: which one a guest ran on is the host's business. */
static void cpu_line(struct strbuf *sb, const char *name, uint64_t user, uint64_t system, uint64_t idle)
{
    sb_printf(sb, "%s %lu 0 %lu %lu 0 0 0 0 0 0\n", name, user, system, idle);
}

int proc_show_stat(struct task *t, struct pnode *n, struct strbuf *sb)
{
    (void)n;
    uint64_t user, system;
    proc_cpu_total(of_task(t), &user, &system);
    uint64_t idle = idle_ticks(of_task(t), user + system);
    unsigned long mask[CPU_WORDS];
    unsigned cpus = procfs_cpus(of_task(t), mask), total, running;
    cpu_line(sb, "cpu ", user, system, idle);
    for (unsigned i = 0; i < CPU_WORDS * 64; i++) {
        char name[16];
        if (!(mask[i / 64] >> i % 64 & 1))
            continue;
        (void)snprintf(name, sizeof(name), "cpu%u", i);
        cpu_line(sb, name, user / cpus, system / cpus, idle / cpus);
    }
    pid_t last;
    count_threads(of_task(t)->pids, &total, &running, &last);
    struct timespec now, up = proc_uptime();
    clock_gettime(CLOCK_REALTIME, &now);
    sb_printf(sb, "intr 0\nctxt 0\nbtime %lld\nprocesses %lu\nprocs_running %u\nprocs_blocked 0\n",
              (long long)now.tv_sec - up.tv_sec, of_task(t)->pids->forks, running ? running : 1);
    sb_printf(sb, "softirq 0 0 0 0 0 0 0 0 0 0 0\n");
    return 0;
}

int proc_show_vmstat(struct task *t, struct pnode *n, struct strbuf *sb)
{
    (void)n;
    struct proc_memory m;
    proc_memory(of_task(t), &m);
    static const char *const zero[] = {
        "nr_dirty",
        "nr_writeback",
        "nr_slab_reclaimable",
        "nr_slab_unreclaimable",
        "pgpgin",
        "pgpgout",
        "pswpin",
        "pswpout",
        "pgfree",
        "pgactivate",
        "pgdeactivate",
        "pgfault",
        "pgmajfault",
        "pgscan_kswapd",
        "pgsteal_kswapd",
        "oom_kill",
    };
    sb_printf(sb, "nr_free_pages %lu\nnr_file_pages %lu\nnr_shmem %lu\n", m.free / 4,
              (m.cached + m.buffers) / 4, m.shared / 4);
    for (size_t i = 0; i < ARRAY_SIZE(zero); i++)
        sb_printf(sb, "%s 0\n", zero[i]);
    return 0;
}

/* There are no interrupts here; the table's head says how many CPUs there are. */
int proc_show_interrupts(struct task *t, struct pnode *n, struct strbuf *sb)
{
    (void)n;
    unsigned cpus = procfs_cpus(of_task(t), NULL);
    sb_printf(sb, "           ");
    for (unsigned i = 0; i < cpus; i++)
        sb_printf(sb, "CPU%-8u", i);
    sb_printf(sb, "\nERR:          0\nMIS:          0\n");
    return 0;
}

int proc_show_softirqs(struct task *t, struct pnode *n, struct strbuf *sb)
{
    (void)n;
    static const char *const names[] = {"HI",       "TIMER",   "NET_TX", "NET_RX",  "BLOCK",
                                        "IRQ_POLL", "TASKLET", "SCHED",  "HRTIMER", "RCU"};
    unsigned cpus = procfs_cpus(of_task(t), NULL);
    sb_printf(sb, "                    ");
    for (unsigned i = 0; i < cpus; i++)
        sb_printf(sb, "CPU%-8u", i);
    sb_printf(sb, "\n");
    for (size_t k = 0; k < ARRAY_SIZE(names); k++) {
        sb_printf(sb, "%12s:", names[k]);
        for (unsigned i = 0; i < cpus; i++)
            sb_printf(sb, " %10u", 0);
        sb_printf(sb, "\n");
    }
    return 0;
}

/* kmsg -----------------------------------------------------------------------------------------------------
 */

/* Each record is read once by all readers together, as with syslog(2). */
static ssize_t kmsg_read(struct task *t, struct file *f, struct uio *u, off_t *pos)
{
    (void)pos;
    while (u->i < u->count && u->off >= u->iov[u->i].iov_len) {
        u->i++;
        u->off = 0;
    }
    if (u->i >= u->count)
        return 0;
    const struct iovec *v = &u->iov[u->i];
    return klog_read_once(t, (uaddr_t)(uintptr_t)v->iov_base + u->off, v->iov_len - u->off, file_nonblock(f));
}

static const struct file_ops kmsg_file_ops = {.name = "kmsg", .read = kmsg_read};

static int kmsg_node_open(struct task *t, struct pnode *n, int flags, struct file **ret)
{
    (void)n;
    if (!capable(t, CAP_SYSLOG))
        return -EPERM;
    *ret = file_new(&kmsg_file_ops, (unsigned)flags, FILE_NOPOLL, -1, NULL);
    return *ret ? 0 : -ENOMEM;
}

const struct pnode_ops proc_kmsg_ops = {.open = kmsg_node_open};
