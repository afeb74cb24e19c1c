/* bailey update: other limits for a container. */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>

#include "common/arena.h"
#include "common/cleanup.h"
#include "oci/config.h"
#include "runtime/cgroup/cgroup.h"
#include "runtime/cgroup/cgroup_view.h"
#include "runtime/commands/idcmd.h"
#include "runtime/launch/launch_internal.h"
#include "runtime/commands/target.h"

enum { RESOURCES_MAX = 1024 * 1024 };

struct update_options {
    const char *resources, *blkio_weight, *cpu_period, *cpu_quota, *cpu_burst, *cpu_share, *cpu_idle;
    const char *cpu_rt_period, *cpu_rt_runtime, *cpus, *mems, *memory, *reservation, *swap, *pids;
    const char *kernel, *kernel_tcp, *l3_cache, *mem_bw;
};

#define AT(member) offsetof(struct update_options, member)
static const struct option_def options[] = {
    {"resources", 'r', "FILE", AT(resources), "read the limits from FILE (- is stdin), as JSON"},
    {"blkio-weight", 0, "N", AT(blkio_weight), "share of disk time, 10 to 1000"},
    {"cpu-period", 0, "N", AT(cpu_period), "period that the quota is for, in microseconds"},
    {"cpu-quota", 0, "N", AT(cpu_quota), "processor time per period, in microseconds"},
    {"cpu-burst", 0, "N", AT(cpu_burst), "quota that may be saved up, in microseconds"},
    {"cpu-share", 0, "N", AT(cpu_share), "share of processor time"},
    {"cpu-idle", 0, "0|1", AT(cpu_idle), "run only when nothing else does"},
    {"cpu-rt-period", 0, "N", AT(cpu_rt_period), "period of realtime time, in microseconds"},
    {"cpu-rt-runtime", 0, "N", AT(cpu_rt_runtime), "realtime time per period, in microseconds"},
    {"cpuset-cpus", 0, "LIST", AT(cpus), "processors"},
    {"cpuset-mems", 0, "LIST", AT(mems), "memory nodes"},
    {"memory", 0, "N", AT(memory), "memory, in bytes"},
    {"memory-reservation", 0, "N", AT(reservation), "memory that is left to it when others need some"},
    {"memory-swap", 0, "N", AT(swap), "memory and swap together, in bytes; -1: no limit"},
    {"kernel-memory", 0, "N", AT(kernel), "ignored, as Linux does"},
    {"kernel-memory-tcp", 0, "N", AT(kernel_tcp), "memory of TCP, where version 1 counts it"},
    {"pids-limit", 0, "N", AT(pids), "number of tasks; -1: no limit"},
    {"l3-cache-schema", 0, "SCHEMA", AT(l3_cache), "not supported: share of the L3 cache"},
    {"mem-bw-schema", 0, "SCHEMA", AT(mem_bw), "not supported: share of memory bandwidth"},
    {NULL, 0, NULL, 0, NULL},
};

static const struct {
    const char *name;
    size_t option, into; /* of a struct oci_int in struct oci_resources */
} numbers[] = {
#define INTO(member) offsetof(struct oci_resources, member)
    {"blkio-weight", AT(blkio_weight), INTO(io.weight)},
    {"cpu-period", AT(cpu_period), INTO(cpu.period)},
    {"cpu-quota", AT(cpu_quota), INTO(cpu.quota)},
    {"cpu-burst", AT(cpu_burst), INTO(cpu.burst)},
    {"cpu-share", AT(cpu_share), INTO(cpu.shares)},
    {"cpu-idle", AT(cpu_idle), INTO(cpu.idle)},
    {"cpu-rt-period", AT(cpu_rt_period), INTO(cpu.rt_period)},
    {"cpu-rt-runtime", AT(cpu_rt_runtime), INTO(cpu.rt_runtime)},
    {"memory", AT(memory), INTO(memory.limit)},
    {"memory-reservation", AT(reservation), INTO(memory.reservation)},
    {"memory-swap", AT(swap), INTO(memory.swap)},
    {"kernel-memory", AT(kernel), INTO(memory.kernel)},
    {"kernel-memory-tcp", AT(kernel_tcp), INTO(memory.kernel_tcp)},
    {"pids-limit", AT(pids), INTO(pids_limit)},
};

static int read_numbers(const struct update_options *o, struct oci_resources *res, struct err *e)
{
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        const char *text = *(const char *const *)((const char *)o + numbers[i].option);
        char *end;
        if (!text)
            continue;
        errno = 0;
        long long v = strtoll(text, &end, 10);
        if (errno || end == text || *end || v < -1)
            return err_set(e, ERR_USAGE, 0, "option --%s: must be a number, not \"%.40s\"", numbers[i].name,
                           text);
        *(struct oci_int *)((char *)res + numbers[i].into) = (struct oci_int){.set = true, .v = v};
    }
    if (o->cpus)
        res->cpu.cpus = o->cpus;
    if (o->mems)
        res->cpu.mems = o->mems;
    return 0;
}

static int read_file(const char *name, struct arena *a, struct oci_resources *res, struct err *e)
{
    _cleanup_close_ int fd = strcmp(name, "-") == 0 ? dup(STDIN_FILENO) : open(name, O_RDONLY | O_CLOEXEC);
    _cleanup_free_ char *text = malloc(RESOURCES_MAX);
    size_t len = 0;
    ssize_t n = 0;

    if (fd < 0 || !text)
        return err_set(e, errno == ENOENT ? ERR_NOENT : ERR_SYS, errno, "option --resources: %.300s", name);
    while (len < RESOURCES_MAX && (n = read(fd, text + len, RESOURCES_MAX - len)) > 0)
        len += (size_t)n;
    if (n < 0)
        return err_set(e, ERR_SYS, errno, "option --resources: %.300s", name);
    if (len == RESOURCES_MAX)
        return err_set(e, ERR_USAGE, 0, "option --resources: %.300s: too long", name);
    return oci_resources_parse(a, text, len, strcmp(name, "-") == 0 ? "stdin" : name, res, e);
}

/* The keep needs to have the new hierarchies, too. */
static int show_inside(struct target *t, const struct cgroup *cg, struct err *e)
{
    _cleanup_close_ int keep = target_connect(t, e);

    if (keep < 0 || target_load_config(t, e))
        return -1;
    if (cgroup_view_send(keep, cg, t->config, t->rec.porter.pid, e))
        return -1;
    return launch_expect(keep, CONTROL_DONE, e);
}

static int apply(struct target *t, const struct oci_resources *res, struct err *e)
{
    struct cgroup cg;

    if (cgroup_load(&cg, t->dir.dir, e) < 0)
        return -1;
    unsigned before = cg.ntrees;
    if (cgroup_widen(&cg, res, t->dir.dir, e) || cgroup_update(&cg, res, e))
        return -1;
    return cg.ntrees > before ? show_inside(t, &cg, e) : 0;
}

static int update(const struct globals *g, const char *id, const struct oci_resources *res, struct err *e)
{
    _cleanup_(target_close) struct target t = TARGET_INIT;

    if (target_open(g, id, true, &t, e))
        return -1;
    if (target_status(&t) != STATUS_STOPPED) {
        if (apply(&t, res, e) == 0)
            return 0;
        if (target_status(&t) != STATUS_STOPPED)
            return -1;
    } /* else that it has ended is the reason for whatever could not be done */
    return err_set(e, ERR_NOT_RUNNING, 0, "container not running: %.255s", id);
}

static int run(const struct globals *g, char **argv, struct err *e)
{
    _cleanup_(arena_free_p) struct arena *a = arena_new();
    struct update_options o = {0};
    struct oci_resources res = {.ndevices = 0};
    const char *id;
    int r = command_options(&cmd_update, &argv, &o, e);

    if (r)
        return r < 0 ? -1 : 0;
    if (idcmd_id(&cmd_update, argv, &id, e))
        return -1;
    if ((o.l3_cache && *o.l3_cache) || (o.mem_bw && *o.mem_bw))
        return err_set(e, ERR_UNSUPPORTED, 0, "option --%s: Intel RDT is not supported",
                       o.l3_cache && *o.l3_cache ? "l3-cache-schema" : "mem-bw-schema");
    if ((o.resources && read_file(o.resources, a, &res, e)) || read_numbers(&o, &res, e))
        return -1;
    return update(g, id, &res, e);
}

const struct command cmd_update = {
    .name = "update",
    .args = "ID",
    .summary = "Change a container's limits",
    .options = options,
    .run = run,
};
