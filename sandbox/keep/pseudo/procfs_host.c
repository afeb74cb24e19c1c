/* What /proc makes of the host's numbers: texts read once at the start, sums over guests, processors and
 * memory by the container's limits. */
#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>

#include "sandbox/keep/pseudo/procfs_priv.h"

/* At the start ---------------------------------------------------------------------------------------------
 */

static unsigned count_cpus(const struct strbuf *cpuinfo)
{
    unsigned n = 0;
    for (const char *c = cpuinfo->s; c && (c = strstr(c, "processor\t")); c++)
        n += c == cpuinfo->s || c[-1] == '\n';
    if (n)
        return n;
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (unsigned)online : 1;
}

void proc_uuid(char out[37])
{
    unsigned char b[16] = {0};
    (void)!getrandom(b, sizeof(b), GRND_NONBLOCK);
    b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
    b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
    (void)snprintf(out, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
                   b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
                   b[15]);
}

int procfs_snapshot(void)
{
    if (kernel.procfs)
        return 0;
    struct procfs *pf = calloc(1, sizeof(*pf));
    if (!pf)
        return -ENOMEM;
    pthread_mutex_init(&pf->lock, NULL);
    proc_uuid(pf->boot_id);
    /* A host without them is no reason not to start: what is shown is then shorter. */
    (void)host_file_read(&pf->cpuinfo, "/proc/cpuinfo");
    (void)host_file_read(&pf->meminfo, "/proc/meminfo");
    pf->host_cpus = count_cpus(&pf->cpuinfo);
    kernel.procfs = pf;
    return 0;
}

int procfs_init(const struct keep_boot *b)
{
    int r = procfs_snapshot();
    if (r < 0)
        return r;
    kernel.procfs->boot = b;
    return proc_sysctl_init(kernel.procfs, b);
}

/* Leaves the first n bits that are set. */
static unsigned keep_first(unsigned long *mask, unsigned n)
{
    unsigned count = 0;
    for (unsigned i = 0; i < CPU_WORDS; i++) {
        unsigned long rest = mask[i];
        mask[i] = 0;
        for (; rest && count < n; rest &= rest - 1, count++)
            mask[i] |= rest & -rest;
    }
    return count;
}

unsigned procfs_cpus(const struct container *c, unsigned long ret[CPU_WORDS])
{
    const unsigned bits = 8 * sizeof(*ret), host = kernel.procfs ? kernel.procfs->host_cpus : 1;
    unsigned long own[CPU_WORDS], *mask = ret ? ret : own;
    if (!keep_cgroup_cpuset(c, mask)) {
        memset(mask, 0, CPU_WORDS * sizeof(*mask));
        for (unsigned i = 0; i < host && i < CPU_WORDS * bits; i++)
            mask[i / bits] |= 1UL << i % bits;
    }
    unsigned quota = keep_cgroup_quota(c), n = keep_first(mask, quota ? quota : CPU_WORDS * bits);
    if (n == 0)
        mask[0] = 1;
    return n ? n : 1;
}

/* Numbers --------------------------------------------------------------------------------------------------
 */

uint64_t proc_ticks(const struct timespec *ts)
{
    return (uint64_t)ts->tv_sec * 100 + (uint64_t)ts->tv_nsec / 10000000;
}

struct timespec proc_uptime(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    now.tv_sec -= kernel.boot.tv_sec;
    now.tv_nsec -= kernel.boot.tv_nsec;
    if (now.tv_nsec < 0) {
        now.tv_sec--;
        now.tv_nsec += 1000000000;
    }
    if (now.tv_sec < 0)
        now = (struct timespec){0};
    return now;
}

static uint64_t timeval_ticks(const struct timeval *tv)
{
    return (uint64_t)tv->tv_sec * 100 + (uint64_t)tv->tv_usec / 10000;
}

/* Live processes by the host's count, ended ones by what their parents inherited. Some of the latter are lost
 * (children of parents that ignore SIGCHLD), so the sums could fall: they are kept from it. */
void proc_cpu_total(struct container *c, uint64_t *user, uint64_t *system)
{
    struct rusage self;
    getrusage(RUSAGE_SELF, &self);
    uint64_t u = 0, s = timeval_ticks(&self.ru_utime) + timeval_ticks(&self.ru_stime);
    struct process **list;
    size_t n = proc_list(c->pids, &list);
    for (size_t i = 0; i < n; i++) {
        struct host_stat hs;
        if (list[i]->container != c)
            continue;
        (void)host_stat_read(list[i]->host_pid, 0, &hs);
        u += hs.f[14] + proc_ticks(&list[i]->cutime);
        s += hs.f[15] + proc_ticks(&list[i]->cstime);
    }
    proc_list_free(list, n);
    LOCKED(&kernel.procfs->lock);
    if (u > c->cpu_user)
        c->cpu_user = u;
    if (s > c->cpu_system)
        c->cpu_system = s;
    *user = c->cpu_user;
    *system = c->cpu_system;
}

uint64_t proc_memory_used(struct container *c)
{
    struct process **list;
    size_t n = proc_list(c->pids, &list);
    uint64_t pages = 0;
    for (size_t i = 0; i < n; i++)
        if (list[i]->container == c)
            pages += host_rss_pages(list[i]->host_pid);
    proc_list_free(list, n);
    return pages * 4096;
}

uint64_t proc_meminfo_field(const char *name)
{
    const struct procfs *pf = kernel.procfs;
    size_t len = strlen(name);
    for (const char *line = pf ? pf->meminfo.s : NULL; line && *line;) {
        if (!strncmp(line, name, len) && line[len] == ':')
            return strtoull(line + len + 1, NULL, 10);
        line = strchr(line, '\n');
        if (line)
            line++;
    }
    return 0;
}

static uint64_t less(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

/* By the container's limit. Swap: as much as it may have, and the host has. */
static void limit_memory(const struct keep_cgroup_memory *g, struct proc_memory *m)
{
    uint64_t total = g->limit / 1024, swap = m->swap_total;
    if (g->swap_limit / 1024 < swap)
        swap = g->swap_limit / 1024;
    *m = (struct proc_memory){.limited = true,
                              .total = total,
                              .free = less(total, g->used / 1024),
                              .cached = g->cache / 1024,
                              .shared = g->shmem / 1024,
                              .swap_total = swap,
                              .swap_free = less(swap, g->swap_used / 1024)};
    m->available = m->free + less(m->cached, m->shared);
    if (m->available > total)
        m->available = total;
}

/* sysinfo(2) is live but knows neither the page cache nor what could be reclaimed: those move with the free
 * memory from where they were at the start. */
void proc_memory(struct container *c, struct proc_memory *m)
{
    struct sysinfo si = {0};
    (void)sysinfo(&si);
    uint64_t unit = si.mem_unit ? si.mem_unit : 1;
    *m = (struct proc_memory){
        .total = si.totalram * unit / 1024,
        .free = si.freeram * unit / 1024,
        .buffers = si.bufferram * unit / 1024,
        .shared = si.sharedram * unit / 1024,
        .swap_total = si.totalswap * unit / 1024,
        .swap_free = si.freeswap * unit / 1024,
    };
    uint64_t reclaimable = less(proc_meminfo_field("MemAvailable"), proc_meminfo_field("MemFree"));
    m->cached = proc_meminfo_field("Cached");
    m->available = m->free + reclaimable < m->total ? m->free + reclaimable : m->total;
    struct keep_cgroup_memory g;
    if (keep_cgroup_memory(c, &g) && g.limit / 1024 < m->total)
        limit_memory(&g, m);
}

bool proc_number(const char *s, unsigned long max, unsigned long *ret)
{
    if (*s < '0' || *s > '9' || (*s == '0' && s[1]))
        return false;
    unsigned long v = 0;
    for (; *s; s++) {
        if (*s < '0' || *s > '9')
            return false;
        if (__builtin_mul_overflow(v, 10UL, &v) || __builtin_add_overflow(v, (unsigned long)(*s - '0'), &v) ||
            v > max)
            return false;
    }
    *ret = v;
    return true;
}

void proc_cpu_list(struct strbuf *sb, const unsigned long mask[CPU_WORDS])
{
    const unsigned bits = 8 * sizeof(*mask);
    const char *comma = "";
    for (unsigned i = 0, end; i < CPU_WORDS * bits; i = end + 1) {
        for (end = i; end < CPU_WORDS * bits && (mask[end / bits] >> end % bits & 1); end++)
            ;
        if (end == i)
            continue;
        sb_printf(sb, end - i > 1 ? "%s%u-%u" : "%s%u", comma, i, end - 1);
        comma = ",";
    }
}

int proc_show_cpu_list(struct task *t, struct pnode *n, struct strbuf *sb)
{
    (void)n;
    unsigned long mask[CPU_WORDS];
    (void)procfs_cpus(t->process->container, mask);
    proc_cpu_list(sb, mask);
    sb_put(sb, "\n", 1);
    return 0;
}

/* Groups of 32 bits, as many as the host's CPUs need. */
void proc_cpu_mask(struct strbuf *sb, const unsigned long mask[CPU_WORDS])
{
    unsigned cpus = kernel.procfs->host_cpus, groups = (cpus + 31) / 32;
    for (unsigned g = groups; g-- > 0;) {
        uint32_t m = (uint32_t)(mask[g / 2] >> g % 2 * 32);
        sb_printf(sb, "%0*x%s", g + 1 == groups ? (int)((cpus - g * 32 + 3) / 4) : 8, m, g ? "," : "");
    }
}
