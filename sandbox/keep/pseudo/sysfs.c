/* /sys: the CPUs, the memory node and the network's lo; the other classes are there and empty. */
#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "sandbox/keep/pseudo/procfs_priv.h"
#include "sandbox/keep/pseudo/pseudo_fs.h"

#define SYS_FILE(name_, show_)                                                                               \
    {                                                                                                        \
        .name = (name_), .mode = PROC_FILE(0444), .show = (show_)                                            \
    }
#define SYS_TEXT(name_, text_)                                                                               \
    {                                                                                                        \
        .name = (name_), .mode = PROC_FILE(0444), .text = (text_)                                            \
    }
#define SYS_DIR(name_, dir_)                                                                                 \
    {                                                                                                        \
        .name = (name_), .mode = PROC_DIR(0755), .dir = (dir_)                                               \
    }
#define SYS_EMPTY(name_) SYS_DIR(name_, proc_empty_dir)
#define SYS_LINK(name_, text_)                                                                               \
    {                                                                                                        \
        .name = (name_), .mode = PROC_LINK, .text = (text_)                                                  \
    }

/* CPUs -----------------------------------------------------------------------------------------------------
 */

/* The processor that a thread runs on is the host's number, and programs have an array for "possible" ones:
 * so all of the host's are there, and those that the container does not see are offline. */
static int show_cpu_range(struct task *t, struct pnode *n, struct strbuf *sb)
{
    (void)t;
    (void)n;
    unsigned last = kernel.procfs->host_cpus - 1;
    sb_printf(sb, last ? "0-%u\n" : "%u\n", last);
    return 0;
}

static int show_offline(struct task *t, struct pnode *n, struct strbuf *sb)
{
    (void)n;
    unsigned long mask[CPU_WORDS];
    (void)procfs_cpus(t->process->container, mask);
    for (unsigned i = 0; i < CPU_WORDS * 64; i++)
        mask[i / 64] ^= i < kernel.procfs->host_cpus ? 1UL << i % 64 : 0;
    proc_cpu_list(sb, mask);
    sb_put(sb, "\n", 1);
    return 0;
}

static int show_all_mask(struct task *t, struct pnode *n, struct strbuf *sb)
{
    (void)n;
    unsigned long mask[CPU_WORDS];
    (void)procfs_cpus(t->process->container, mask);
    proc_cpu_mask(sb, mask);
    sb_put(sb, "\n", 1);
    return 0;
}

/* The number of the CPU that a node is below. */
static unsigned node_cpu(const struct pnode *n)
{
    while (n->parent != n && strncmp(n->name, "cpu", 3) != 0)
        n = n->parent;
    return (unsigned)n->key;
}

static int show_own_mask(struct task *t, struct pnode *n, struct strbuf *sb)
{
    (void)t;
    unsigned long mask[CPU_WORDS] = {0};
    mask[node_cpu(n) / 64] = 1UL << node_cpu(n) % 64;
    proc_cpu_mask(sb, mask);
    sb_put(sb, "\n", 1);
    return 0;
}

static int show_own_number(struct task *t, struct pnode *n, struct strbuf *sb)
{
    (void)t;
    sb_printf(sb, "%u\n", node_cpu(n));
    return 0;
}

/* Every CPU is a core of one package: what the host's are is not for guests to know. */
static const struct pentry topology_entries[] = {
    SYS_FILE("core_cpus", show_own_mask),
    SYS_FILE("core_cpus_list", show_own_number),
    SYS_FILE("core_id", show_own_number),
    SYS_FILE("core_siblings", show_all_mask),
    SYS_FILE("core_siblings_list", proc_show_cpu_list),
    SYS_TEXT("die_id", "0\n"),
    SYS_FILE("package_cpus", show_all_mask),
    SYS_FILE("package_cpus_list", proc_show_cpu_list),
    SYS_TEXT("physical_package_id", "0\n"),
    SYS_FILE("thread_siblings", show_own_mask),
    SYS_FILE("thread_siblings_list", show_own_number),
    {.name = NULL},
};

static int show_own_online(struct task *t, struct pnode *n, struct strbuf *sb)
{
    unsigned long mask[CPU_WORDS];
    (void)procfs_cpus(t->process->container, mask);
    sb_printf(sb, "%lu\n", mask[node_cpu(n) / 64] >> node_cpu(n) % 64 & 1);
    return 0;
}

static const struct pentry one_cpu_entries[] = {
    SYS_FILE("online", show_own_online),
    SYS_DIR("topology", topology_entries),
    {.name = NULL},
};

static const struct pentry cpu_entries[] = {
    SYS_TEXT("isolated", "\n"),
    SYS_TEXT("kernel_max", "8191\n"),
    SYS_FILE("offline", show_offline),
    SYS_FILE("online", proc_show_cpu_list),
    SYS_FILE("possible", show_cpu_range),
    SYS_FILE("present", show_cpu_range),
    {.name = NULL},
};

static const struct pentry one_cpu = {.name = "", .mode = PROC_DIR(0755), .dir = one_cpu_entries};

static int cpus_lookup(struct task *t, struct pnode *dir, const char *name, struct pnode **ret)
{
    (void)t;
    unsigned long i;
    if (strncmp(name, "cpu", 3) != 0 || !proc_number(name + 3, kernel.procfs->host_cpus - 1, &i))
        return pentry_lookup(cpu_entries, dir, name, ret);
    struct pnode *n = pnode_new(&pentry_dir_ops, PROC_DIR(0755), dir, name);
    if (!n)
        return -ENOMEM;
    n->entry = &one_cpu;
    n->key = i;
    *ret = n;
    return 0;
}

static int cpus_iterate(struct task *t, struct pnode *dir, off_t *pos, struct dir_context *ctx)
{
    (void)t;
    unsigned cpus = kernel.procfs->host_cpus;
    while (*pos < 2 + (off_t)cpus) {
        char name[16];
        (void)snprintf(name, sizeof(name), "cpu%u", (unsigned)(*pos - 2));
        if (ctx->emit(ctx, name, pnode_child_ino(dir, name), DT_DIR, *pos + 1))
            return 1;
        ++*pos;
    }
    return pentry_iterate(cpu_entries, dir, pos, 2 + (off_t)cpus, ctx);
}

static const struct pnode_ops cpus_ops = {.lookup = cpus_lookup, .iterate = cpus_iterate};

/* Memory nodes
 * ----------------------------------------------------------------------------------------------- */

static int show_node_meminfo(struct task *t, struct pnode *n, struct strbuf *sb)
{
    (void)n;
    struct proc_memory m;
    proc_memory(t->process->container, &m);
    sb_printf(
        sb,
        "Node 0 MemTotal:       %8lu kB\nNode 0 MemFree:        %8lu kB\nNode 0 MemUsed:        %8lu kB\n",
        m.total, m.free, m.total - m.free);
    sb_printf(sb, "Node 0 FilePages:      %8lu kB\nNode 0 Shmem:          %8lu kB\n", m.cached + m.buffers,
              m.shared);
    return 0;
}

static const struct pentry node0_entries[] = {
    SYS_FILE("cpulist", proc_show_cpu_list),
    SYS_FILE("cpumap", show_all_mask),
    SYS_TEXT("distance", "10\n"),
    SYS_FILE("meminfo", show_node_meminfo),
    SYS_TEXT("numastat",
             "numa_hit 0\nnuma_miss 0\nnuma_foreign 0\ninterleave_hit 0\nlocal_node 0\nother_node 0\n"),
    {.name = NULL},
};

static const struct pentry node_entries[] = {
    SYS_TEXT("has_cpu", "0\n"),
    SYS_TEXT("has_memory", "0\n"),
    SYS_TEXT("has_normal_memory", "0\n"),
    SYS_DIR("node0", node0_entries),
    SYS_TEXT("online", "0\n"),
    SYS_TEXT("possible", "0\n"),
    {.name = NULL},
};

static const struct pentry system_entries[] = {
    {.name = "cpu", .mode = PROC_DIR(0755), .ops = &cpus_ops},
    SYS_DIR("node", node_entries),
    {.name = NULL},
};

/* lo -------------------------------------------------------------------------------------------------------
 */

static const struct pentry lo_statistics[] = {
    SYS_TEXT("rx_bytes", "0\n"),   SYS_TEXT("rx_dropped", "0\n"), SYS_TEXT("rx_errors", "0\n"),
    SYS_TEXT("rx_packets", "0\n"), SYS_TEXT("tx_bytes", "0\n"),   SYS_TEXT("tx_dropped", "0\n"),
    SYS_TEXT("tx_errors", "0\n"),  SYS_TEXT("tx_packets", "0\n"), {.name = NULL},
};

static const struct pentry lo_entries[] = {
    SYS_TEXT("addr_len", "6\n"),
    SYS_TEXT("address", "00:00:00:00:00:00\n"),
    SYS_TEXT("broadcast", "00:00:00:00:00:00\n"),
    SYS_TEXT("carrier", "1\n"),
    SYS_TEXT("dev_id", "0x0\n"),
    SYS_TEXT("flags", "0x9\n"),
    SYS_TEXT("ifindex", "1\n"),
    SYS_TEXT("iflink", "1\n"),
    SYS_TEXT("mtu", "65536\n"),
    SYS_TEXT("operstate", "unknown\n"),
    SYS_DIR("statistics", lo_statistics),
    SYS_LINK("subsystem", "../../../../class/net"),
    SYS_TEXT("tx_queue_len", "1000\n"),
    SYS_TEXT("type", "772\n"),
    SYS_TEXT("uevent", "INTERFACE=lo\nIFINDEX=1\n"),
    {.name = NULL},
};

static const struct pentry virtual_net[] = {SYS_DIR("lo", lo_entries), {.name = NULL}};

/* Devices of memory and terminals, by which /sys/dev names what /dev has. */
#define MEM_DEVICES(X)                                                                                       \
    X("null", "1:3\n", "MAJOR=1\nMINOR=3\nDEVNAME=null\nDEVMODE=0666\n", mem_null)                           \
    X("zero", "1:5\n", "MAJOR=1\nMINOR=5\nDEVNAME=zero\nDEVMODE=0666\n", mem_zero)                           \
    X("full", "1:7\n", "MAJOR=1\nMINOR=7\nDEVNAME=full\nDEVMODE=0666\n", mem_full)                           \
    X("random", "1:8\n", "MAJOR=1\nMINOR=8\nDEVNAME=random\nDEVMODE=0666\n", mem_random)                     \
    X("urandom", "1:9\n", "MAJOR=1\nMINOR=9\nDEVNAME=urandom\nDEVMODE=0666\n", mem_urandom)
#define MEM_TABLE(name_, dev_, uevent_, id_)                                                                 \
    static const struct pentry id_[] = {SYS_TEXT("dev", dev_),                                               \
                                        SYS_TEXT("uevent", uevent_),                                         \
                                        SYS_LINK("subsystem", "../../../../class/mem"),                      \
                                        {.name = NULL}};
#define MEM_LINE(name_, dev_, uevent_, id_) SYS_DIR(name_, id_),

MEM_DEVICES(MEM_TABLE)
static const struct pentry virtual_mem[] = {MEM_DEVICES(MEM_LINE){.name = NULL}};

static const struct pentry tty_tty[] = {
    SYS_TEXT("dev", "5:0\n"),
    SYS_TEXT("uevent", "MAJOR=5\nMINOR=0\nDEVNAME=tty\nDEVMODE=0666\n"),
    SYS_LINK("subsystem", "../../../../class/tty"),
    {.name = NULL},
};
static const struct pentry virtual_tty[] = {SYS_DIR("tty", tty_tty), {.name = NULL}};

static const struct pentry virtual_entries[] = {
    SYS_DIR("mem", virtual_mem),
    SYS_DIR("net", virtual_net),
    SYS_DIR("tty", virtual_tty),
    {.name = NULL},
};

static const struct pentry devices_entries[] = {
    SYS_DIR("system", system_entries),
    SYS_DIR("virtual", virtual_entries),
    {.name = NULL},
};

/* Classes --------------------------------------------------------------------------------------------------
 */

static const struct pentry class_mem[] = {
    SYS_LINK("full", "../../devices/virtual/mem/full"),
    SYS_LINK("null", "../../devices/virtual/mem/null"),
    SYS_LINK("random", "../../devices/virtual/mem/random"),
    SYS_LINK("urandom", "../../devices/virtual/mem/urandom"),
    SYS_LINK("zero", "../../devices/virtual/mem/zero"),
    {.name = NULL},
};
static const struct pentry class_net[] = {SYS_LINK("lo", "../../devices/virtual/net/lo"), {.name = NULL}};
static const struct pentry class_tty[] = {SYS_LINK("tty", "../../devices/virtual/tty/tty"), {.name = NULL}};

static const struct pentry class_entries[] = {
    SYS_EMPTY("block"),        SYS_DIR("mem", class_mem),
    SYS_EMPTY("misc"),         SYS_DIR("net", class_net),
    SYS_EMPTY("power_supply"), SYS_EMPTY("thermal"),
    SYS_DIR("tty", class_tty), {.name = NULL},
};

static const struct pentry dev_char[] = {
    SYS_LINK("1:3", "../../devices/virtual/mem/null"),
    SYS_LINK("1:5", "../../devices/virtual/mem/zero"),
    SYS_LINK("1:7", "../../devices/virtual/mem/full"),
    SYS_LINK("1:8", "../../devices/virtual/mem/random"),
    SYS_LINK("1:9", "../../devices/virtual/mem/urandom"),
    SYS_LINK("5:0", "../../devices/virtual/tty/tty"),
    {.name = NULL},
};
static const struct pentry dev_entries[] = {SYS_EMPTY("block"), SYS_DIR("char", dev_char), {.name = NULL}};

static const struct pentry bus_cpu_devices[] = {SYS_LINK("cpu0", "../../../devices/system/cpu/cpu0"),
                                                {.name = NULL}};
static const struct pentry bus_cpu[] = {
    SYS_DIR("devices", bus_cpu_devices), SYS_EMPTY("drivers"), {.name = NULL}};
static const struct pentry bus_node_devices[] = {SYS_LINK("node0", "../../../devices/system/node/node0"),
                                                 {.name = NULL}};
static const struct pentry bus_node[] = {
    SYS_DIR("devices", bus_node_devices), SYS_EMPTY("drivers"), {.name = NULL}};
static const struct pentry bus_empty[] = {SYS_EMPTY("devices"), SYS_EMPTY("drivers"), {.name = NULL}};
static const struct pentry bus_entries[] = {
    SYS_DIR("cpu", bus_cpu), SYS_DIR("node", bus_node), SYS_DIR("pci", bus_empty), {.name = NULL}};

/* kernel, fs -----------------------------------------------------------------------------------------------
 */

/* Guests' huge pages are the host's to give: what it says at most, and that is madvise's business. */
static const struct pentry thp_entries[] = {
    SYS_TEXT("defrag", "always defer defer+madvise [madvise] never\n"),
    SYS_TEXT("enabled", "always [madvise] never\n"),
    SYS_TEXT("hpage_pmd_size", "2097152\n"),
    SYS_TEXT("shmem_enabled", "always within_size advise [never] deny force\n"),
    SYS_TEXT("use_zero_page", "1\n"),
    {.name = NULL},
};
static const struct pentry huge2m_entries[] = {
    SYS_TEXT("free_hugepages", "0\n"),          SYS_TEXT("nr_hugepages", "0\n"),
    SYS_TEXT("nr_overcommit_hugepages", "0\n"), SYS_TEXT("resv_hugepages", "0\n"),
    SYS_TEXT("surplus_hugepages", "0\n"),       {.name = NULL},
};
static const struct pentry huge_entries[] = {SYS_DIR("hugepages-2048kB", huge2m_entries), {.name = NULL}};
static const struct pentry mm_entries[] = {
    SYS_DIR("hugepages", huge_entries), SYS_DIR("transparent_hugepage", thp_entries), {.name = NULL}};

static const struct pentry kernel_entries[] = {
    SYS_TEXT("address_bits", "64\n"),
    SYS_TEXT("cpu_byteorder", "little\n"),
    SYS_EMPTY("debug"),
    SYS_TEXT("fscaps", "1\n"),
    SYS_DIR("mm", mm_entries),
    SYS_TEXT("profiling", "0\n"),
    SYS_TEXT("rcu_expedited", "0\n"),
    SYS_TEXT("rcu_normal", "0\n"),
    SYS_EMPTY("security"),
    SYS_EMPTY("tracing"),
    SYS_TEXT("uevent_seqnum", "0\n"),
    {.name = NULL},
};

static const struct pentry fs_entries[] = {SYS_EMPTY("cgroup"), {.name = NULL}};

static const struct pentry sysfs_entries[] = {
    SYS_EMPTY("block"),
    SYS_DIR("bus", bus_entries),
    SYS_DIR("class", class_entries),
    SYS_DIR("dev", dev_entries),
    SYS_DIR("devices", devices_entries),
    SYS_EMPTY("firmware"),
    SYS_DIR("fs", fs_entries),
    SYS_EMPTY("hypervisor"),
    SYS_DIR("kernel", kernel_entries),
    SYS_EMPTY("module"),
    SYS_EMPTY("power"),
    {.name = NULL},
};

static const struct pentry sysfs_root = {.name = "", .mode = PROC_DIR(0555), .dir = sysfs_entries};

int sysfs_mount(struct container *c, const char *options, struct pnode **ret)
{
    (void)c;
    (void)options;
    return pentry_node(&sysfs_root, NULL, ret);
}
