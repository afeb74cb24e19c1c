/* linux.resources as values for cgroup files: a table for the plain numbers, functions for the rest. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "oci/config.h"
#include "runtime/cgroup/cgroup_internal.h"

enum form {
    NUMBER,    /* as it is */
    MAX,       /* -1 is "max" */
    WEIGHT,    /* cpu.shares to cpu.weight */
    SWAP,      /* memory and swap to swap alone */
    IO_WEIGHT, /* blkio's weight to io's */
};

/* What to do where a version has no file for it. */
enum lack { REFUSE, IGNORE };

static const struct row {
    const char *field;
    size_t offset; /* of the struct oci_int in struct oci_resources */
    enum cgroup_ctl ctl;
    const char *v1, *v2; /* files; NULL: this version has none */
    enum form form;      /* in version 2; version 1 takes numbers */
    enum lack lack;
    bool zero_counts; /* 0 is a value; elsewhere it is how Go programs write "not set" */
} rows[] = {
#define AT(member) offsetof(struct oci_resources, member)
    {"memory.limit", AT(memory.limit), CG_MEMORY, "memory.limit_in_bytes", "memory.max", MAX, REFUSE, false},
    {"memory.swap", AT(memory.swap), CG_MEMORY, "memory.memsw.limit_in_bytes", "memory.swap.max", SWAP,
     REFUSE, false},
    {"memory.reservation", AT(memory.reservation), CG_MEMORY, "memory.soft_limit_in_bytes", "memory.low", MAX,
     REFUSE, false},
    {"memory.swappiness", AT(memory.swappiness), CG_MEMORY, "memory.swappiness", NULL, NUMBER, IGNORE, true},
    {"memory.kernel", AT(memory.kernel), CG_MEMORY, NULL, NULL, NUMBER, IGNORE, false},
    {"memory.kernelTCP", AT(memory.kernel_tcp), CG_MEMORY, "memory.kmem.tcp.limit_in_bytes", NULL, NUMBER,
     IGNORE, false},
    {"cpu.idle", AT(cpu.idle), CG_CPU, "cpu.idle", "cpu.idle", NUMBER, REFUSE, true},
    {"cpu.shares", AT(cpu.shares), CG_CPU, "cpu.shares", "cpu.weight", WEIGHT, REFUSE, false},
    {"cpu.burst", AT(cpu.burst), CG_CPU, "cpu.cfs_burst_us", "cpu.max.burst", NUMBER, REFUSE, true},
    {"cpu.realtimePeriod", AT(cpu.rt_period), CG_CPU, "cpu.rt_period_us", NULL, NUMBER, REFUSE, false},
    {"cpu.realtimeRuntime", AT(cpu.rt_runtime), CG_CPU, "cpu.rt_runtime_us", NULL, NUMBER, REFUSE, false},
    {"pids.limit", AT(pids_limit), CG_PIDS, "pids.max", "pids.max", MAX, REFUSE, true},
    {"blockIO.weight", AT(io.weight), CG_IO, "blkio.weight", "io.weight", IO_WEIGHT, REFUSE, false},
    {"blockIO.leafWeight", AT(io.leaf_weight), CG_IO, "blkio.leaf_weight", NULL, NUMBER, IGNORE, false},
    {"network.classID", AT(net_class), CG_NET_CLS, "net_cls.classid", NULL, NUMBER, REFUSE, false},
#undef AT
};

/* 2 becomes 1, 1024 becomes 100, 262144 becomes 10000. */
unsigned cgroup_cpu_weight(int64_t shares)
{
    if (shares <= 2)
        return 1;
    if (shares >= 262144)
        return 10000;
    double l = log2((double)shares);
    return (unsigned)ceil(pow(10, (l * l + 125 * l) / 612 - 7.0 / 34) - 1e-6);
}

/* 10 to 1000 onto 1 to 10000. */
unsigned cgroup_io_weight(int64_t w)
{
    return w <= 10 ? 1 : w >= 1000 ? 10000 : (unsigned)(1 + (w - 10) * 9999 / 990);
}

/* Adds a write and returns it for its value; NULL where memory is out. */
static struct cgroup_set *add(struct cgroup_sets *s, enum cgroup_ctl ctl, const char *file, const char *field)
{
    if (s->n == s->room) {
        size_t room = s->room ? 2 * s->room : 32;
        struct cgroup_set *list = reallocarray(s->list, room, sizeof(*list));
        if (!list)
            return NULL;
        s->list = list;
        s->room = room;
    }
    struct cgroup_set *w = &s->list[s->n++];
    *w = (struct cgroup_set){.ctl = ctl};
    snprintf(w->file, sizeof(w->file), "%s", file);
    snprintf(w->field, sizeof(w->field), "%s", field);
    return w;
}

static int no_memory(struct err *e)
{
    return err_set(e, ERR_SYS, ENOMEM, "config.json: linux.resources");
}

static int missing(struct err *e, const char *field)
{
    return err_set(e, ERR_UNSUPPORTED, 0,
                   "config.json: linux.resources.%s: this host has no cgroup controller for it", field);
}

/* The value for swap.max: swap in config.json is memory and swap together. */
static int swap_alone(const struct oci_resources *res, char *value, size_t room, struct err *e)
{
    int64_t swap = res->memory.swap.v, limit = res->memory.limit.v;

    if (swap == -1) {
        snprintf(value, room, "max");
        return 0;
    }
    if (!res->memory.limit.set || limit == 0)
        return err_set(e, ERR_CONFIG, 0,
                       "config.json: linux.resources.memory.swap: needs memory.limit, which it includes");
    if (limit == -1 || swap < limit)
        return err_set(e, ERR_CONFIG, 0, "config.json: linux.resources.memory.swap: is below memory.limit");
    snprintf(value, room, "%" PRId64, swap - limit);
    return 0;
}

static int format(const struct row *row, const struct oci_resources *res, int64_t v, int version, char *value,
                  size_t room, struct err *e)
{
    enum form form = version == 1 && row->ctl != CG_PIDS ? NUMBER : row->form;

    if (form == SWAP)
        return swap_alone(res, value, room, e);
    if (form == MAX && v == -1)
        snprintf(value, room, "max");
    else if (form == WEIGHT)
        snprintf(value, room, "%u", cgroup_cpu_weight(v));
    else if (form == IO_WEIGHT)
        snprintf(value, room, "default %u", cgroup_io_weight(v));
    else
        snprintf(value, room, "%" PRId64, v);
    return 0;
}

/* The BFQ scheduler's own file, where that is what there is; its scale is the config's. */
static void take_bfq(struct cgroup_set *w, const char *file, int64_t weight)
{
    snprintf(w->fallback, sizeof(w->fallback), "%s", file);
    snprintf(w->instead, sizeof(w->instead), "%" PRId64, weight);
}

static int add_row(const struct row *row, const struct oci_resources *res, const int version[],
                   struct cgroup_sets *s, struct err *e)
{
    const struct oci_int *n = (const struct oci_int *)((const char *)res + row->offset);
    int ver = version[row->ctl];

    if (!n->set || (n->v == 0 && !row->zero_counts))
        return 0;
    const char *file = ver == 2 ? row->v2 : row->v1;
    if (ver && !file && row->lack == IGNORE) {
        log_warning("config.json: linux.resources.%s: cgroups here have nothing for it, ignored", row->field);
        return 0;
    }
    if (!ver || !file)
        return missing(e, row->field);
    struct cgroup_set *w = add(s, row->ctl, file, row->field);
    if (!w)
        return no_memory(e);
    if (row->form == IO_WEIGHT)
        take_bfq(w, ver == 2 ? "io.bfq.weight" : "blkio.bfq.weight", n->v);
    return format(row, res, n->v, ver, w->value, sizeof(w->value), e);
}

/* Quota and period are two files in version 1 and one in version 2. */
static int add_quota(const struct oci_resources *res, const int version[], struct cgroup_sets *s,
                     struct err *e)
{
    int64_t quota = res->cpu.quota.set ? res->cpu.quota.v : 0;
    int64_t period = res->cpu.period.set ? res->cpu.period.v : 0;
    struct cgroup_set *w;

    if (!quota && !period)
        return 0;
    if (!version[CG_CPU])
        return missing(e, "cpu.quota");
    if (version[CG_CPU] == 2) {
        if (!(w = add(s, CG_CPU, "cpu.max", "cpu.quota")))
            return no_memory(e);
        int n = quota > 0 ? snprintf(w->value, sizeof(w->value), "%" PRId64, quota)
                          : snprintf(w->value, sizeof(w->value), "max");
        if (period)
            snprintf(w->value + n, sizeof(w->value) - (size_t)n, " %" PRId64, period);
        return 0;
    }
    if (period) {
        if (!(w = add(s, CG_CPU, "cpu.cfs_period_us", "cpu.period")))
            return no_memory(e);
        snprintf(w->value, sizeof(w->value), "%" PRId64, period);
    }
    if (quota) {
        if (!(w = add(s, CG_CPU, "cpu.cfs_quota_us", "cpu.quota")))
            return no_memory(e);
        snprintf(w->value, sizeof(w->value), "%" PRId64, quota < 0 ? -1 : quota);
    }
    return 0;
}

static int add_text(enum cgroup_ctl ctl, const char *file, const char *field, const char *text,
                    const int version[], struct cgroup_sets *s, struct err *e)
{
    if (!text || !*text)
        return 0;
    if (!version[ctl])
        return missing(e, field);
    struct cgroup_set *w = add(s, ctl, file, field);
    if (!w)
        return no_memory(e);
    if (snprintf(w->value, sizeof(w->value), "%s", text) >= (int)sizeof(w->value))
        return err_set(e, ERR_CONFIG, 0, "config.json: linux.resources.%s: too long", field);
    return 0;
}

/* Version 1: no limit on memory takes none on memory and swap together, which was perhaps set once. */
static int add_unlimited_swap(const struct oci_resources *res, const int version[], struct cgroup_sets *s,
                              struct err *e)
{
    const struct oci_int *swap = &res->memory.swap;

    if (version[CG_MEMORY] != 1 || !res->memory.limit.set || res->memory.limit.v != -1 ||
        (swap->set && swap->v != 0))
        return 0;
    if (add_text(CG_MEMORY, "memory.memsw.limit_in_bytes", "memory.limit", "-1", version, s, e))
        return -1;
    s->list[s->n - 1].optional = true;
    return 0;
}

static int add_oom(const struct oci_resources *res, const int version[], struct cgroup_sets *s, struct err *e)
{
    if (!res->memory.disable_oom_killer)
        return 0;
    if (version[CG_MEMORY] != 2)
        return add_text(CG_MEMORY, "memory.oom_control", "memory.disableOOMKiller", "1", version, s, e);
    log_warning(
        "config.json: linux.resources.memory.disableOOMKiller: cgroups here have nothing for it, ignored");
    return 0;
}

static int add_devices_io(const struct oci_device_values *list, const char *file1, const char *format2,
                          const char *field, const int version[], struct cgroup_sets *s, struct err *e)
{
    static const char throttle[] = "io.max";
    char text[96];

    for (size_t i = 0; i < list->n; i++) {
        const struct oci_device_value *d = &list->list[i];
        if (version[CG_IO] != 2)
            snprintf(text, sizeof(text), "%u:%u %" PRIu64, d->major, d->minor, d->v);
        else if (d->v == 0 && *format2) /* 0 takes a limit away */
            snprintf(text, sizeof(text), "%u:%u %s=max", d->major, d->minor, format2);
        else if (*format2)
            snprintf(text, sizeof(text), "%u:%u %s=%" PRIu64, d->major, d->minor, format2, d->v);
        else
            snprintf(text, sizeof(text), "%u:%u %u", d->major, d->minor, cgroup_io_weight((int64_t)d->v));
        const char *file2 = *format2 ? throttle : "io.weight";
        if (add_text(CG_IO, version[CG_IO] == 2 ? file2 : file1, field, text, version, s, e))
            return -1;
        if (!*format2) {
            struct cgroup_set *w = &s->list[s->n - 1];
            snprintf(w->fallback, sizeof(w->fallback), "%s",
                     version[CG_IO] == 2 ? "io.bfq.weight" : "blkio.bfq.weight_device");
            snprintf(w->instead, sizeof(w->instead), "%u:%u %" PRIu64, d->major, d->minor, d->v);
        }
    }
    return 0;
}

static int add_io(const struct oci_resources *res, const int version[], struct cgroup_sets *s, struct err *e)
{
    static const struct {
        const char *file1, *word2, *field;
    } throttles[OCI_THROTTLES] = {
        [OCI_READ_BPS] = {"blkio.throttle.read_bps_device", "rbps", "blockIO.throttleReadBpsDevice"},
        [OCI_WRITE_BPS] = {"blkio.throttle.write_bps_device", "wbps", "blockIO.throttleWriteBpsDevice"},
        [OCI_READ_IOPS] = {"blkio.throttle.read_iops_device", "riops", "blockIO.throttleReadIOPSDevice"},
        [OCI_WRITE_IOPS] = {"blkio.throttle.write_iops_device", "wiops", "blockIO.throttleWriteIOPSDevice"},
    };

    if (add_devices_io(&res->io.device_weight, "blkio.weight_device", "", "blockIO.weightDevice", version, s,
                       e))
        return -1;
    if (version[CG_IO] != 2 && add_devices_io(&res->io.device_leaf_weight, "blkio.leaf_weight_device", "",
                                              "blockIO.weightDevice", version, s, e))
        return -1;
    for (int i = 0; i < OCI_THROTTLES; i++)
        if (add_devices_io(&res->io.throttle[i], throttles[i].file1, throttles[i].word2, throttles[i].field,
                           version, s, e))
            return -1;
    return 0;
}

/* The limit on reservations first: it ends no process by surprise. Kernels before 5.7 have only the other. */
static int add_hugepages(const struct oci_resources *res, const int version[], struct cgroup_sets *s,
                         struct err *e)
{
    char file[96], text[32];

    for (size_t i = 0; i < res->nhugepages; i++) {
        const struct oci_named_int *h = &res->hugepages[i];
        const char *end = version[CG_HUGETLB] == 2 ? "max" : "limit_in_bytes";
        if (h->v > INT64_MAX)
            snprintf(text, sizeof(text), version[CG_HUGETLB] == 2 ? "max" : "-1");
        else
            snprintf(text, sizeof(text), "%" PRIu64, h->v);
        snprintf(file, sizeof(file), "hugetlb.%s.rsvd.%s", h->name, end);
        if (add_text(CG_HUGETLB, file, "hugepageLimits", text, version, s, e))
            return -1;
        struct cgroup_set *w = &s->list[s->n - 1];
        snprintf(w->fallback, sizeof(w->fallback), "hugetlb.%s.%s", h->name, end);
    }
    return 0;
}

static int add_rdma(const struct oci_resources *res, const int version[], struct cgroup_sets *s,
                    struct err *e)
{
    char text[160];

    for (size_t i = 0; i < res->nrdma; i++) {
        const struct oci_rdma *d = &res->rdma[i];
        int n = snprintf(text, sizeof(text), "%s", d->device);
        if (d->handles.set)
            n += snprintf(text + n, sizeof(text) - (size_t)n, " hca_handle=%" PRId64, d->handles.v);
        if (d->objects.set)
            snprintf(text + n, sizeof(text) - (size_t)n, " hca_object=%" PRId64, d->objects.v);
        if (add_text(CG_RDMA, "rdma.max", "rdma", text, version, s, e))
            return -1;
    }
    return 0;
}

static int add_priorities(const struct oci_resources *res, const int version[], struct cgroup_sets *s,
                          struct err *e)
{
    char text[96];

    for (size_t i = 0; i < res->nnet_priorities; i++) {
        const struct oci_named_int *p = &res->net_priorities[i];
        snprintf(text, sizeof(text), "%s %" PRIu64, p->name, p->v);
        if (add_text(CG_NET_PRIO, "net_prio.ifpriomap", "network.priorities", text, version, s, e))
            return -1;
    }
    return 0;
}

static void device_number(const struct oci_int *n, char text[24])
{
    if (n->set)
        snprintf(text, 24, "%" PRId64, n->v);
    else
        snprintf(text, 24, "*");
}

/* In the order listed. Where there is no such controller (version 2 has a program instead) nothing is lost:
 * guests have no way to a device of the host that the keep does not open for them. */
static int add_devices(const struct oci_resources *res, const int version[], struct cgroup_sets *s,
                       struct err *e)
{
    char major[24], minor[24];

    for (size_t i = 0; version[CG_DEVICES] == 1 && i < res->ndevices; i++) {
        const struct oci_device_rule *d = &res->devices[i];
        struct cgroup_set *w = add(s, CG_DEVICES, d->allow ? "devices.allow" : "devices.deny", "devices");
        if (!w)
            return no_memory(e);
        device_number(&d->major, major);
        device_number(&d->minor, minor);
        snprintf(w->value, sizeof(w->value), "%c %s:%s %s%s%s", d->type, major, minor, d->read ? "r" : "",
                 d->write ? "w" : "", d->mknod ? "m" : "");
    }
    return 0;
}

static int add_unified(const struct oci_resources *res, const int version[], struct cgroup_sets *s,
                       struct err *e)
{
    char field[96];

    for (size_t i = 0; i < res->nunified; i++) {
        const char *key = res->unified[i].key;
        enum cgroup_ctl ctl = cgroup_ctl_by_name(key, strcspn(key, "."), 2);
        if (ctl == CG_CTLS)
            ctl = CG_UNIFIED;
        snprintf(field, sizeof(field), "unified.%.80s", key);
        if (version[ctl] != 2)
            return missing(e, field);
        if (add_text(ctl, key, field, res->unified[i].value, version, s, e))
            return -1;
    }
    return 0;
}

int cgroup_sets_make(const struct oci_resources *res, const int version[CG_CTLS], struct cgroup_sets *ret,
                     struct err *e)
{
    static int (*const adders[])(const struct oci_resources *, const int[], struct cgroup_sets *,
                                 struct err *) = {
        add_quota, add_unlimited_swap, add_oom,     add_io,      add_hugepages,
        add_rdma,  add_priorities,     add_devices, add_unified,
    };

    if (add_text(CG_CPUSET, "cpuset.cpus", "cpu.cpus", res->cpu.cpus, version, ret, e) ||
        add_text(CG_CPUSET, "cpuset.mems", "cpu.mems", res->cpu.mems, version, ret, e))
        return -1;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (add_row(&rows[i], res, version, ret, e))
            return -1;
    for (size_t i = 0; i < ARRAY_SIZE(adders); i++)
        if (adders[i](res, version, ret, e))
            return -1;
    return 0;
}
