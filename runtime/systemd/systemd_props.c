/* linux.resources as properties of a unit. What has none is written to the cgroup's files, as everything is:
 * systemd must know of what it has a property for, or it would set it back one day. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "oci/config.h"
#include "runtime/cgroup/cgroup_internal.h"
#include "runtime/systemd/systemd.h"

static int version_of(const struct cgroup *cg, enum cgroup_ctl ctl)
{
    const struct cgroup_tree *t = cgroup_tree_of(cg, ctl);

    return t ? t->version : 2;
}

/* -1 is "no limit". */
static void put_limit(FILE *f, const char *name, const struct oci_int *n, bool zero_counts)
{
    if (!n->set || (n->v == 0 && !zero_counts))
        return;
    systemd_put(f, "%s", name);
    systemd_put(f, "t");
    systemd_put(f, "%" PRIu64, n->v < 0 ? UINT64_MAX : (uint64_t)n->v);
}

static void put_number(FILE *f, const char *name, uint64_t v)
{
    systemd_put(f, "%s", name);
    systemd_put(f, "t");
    systemd_put(f, "%" PRIu64, v);
}

static void put_memory(FILE *f, const struct cgroup *cg, const struct oci_resources *res)
{
    const struct oci_int *limit = &res->memory.limit, *swap = &res->memory.swap;

    if (version_of(cg, CG_MEMORY) == 1) {
        put_limit(f, "MemoryLimit", limit, false);
        return;
    }
    put_limit(f, "MemoryMax", limit, false);
    put_limit(f, "MemoryLow", &res->memory.reservation, false);
    if (swap->set && swap->v == -1)
        put_limit(f, "MemorySwapMax", swap, false);
    else if (swap->set && limit->set && limit->v > 0 && swap->v >= limit->v)
        put_number(f, "MemorySwapMax", (uint64_t)(swap->v - limit->v));
}

/* Per second, and rounded up to what systemd can keep: 10 ms. */
static void put_quota(FILE *f, const struct oci_resources *res)
{
    int64_t quota = res->cpu.quota.set ? res->cpu.quota.v : 0;
    uint64_t period = res->cpu.period.set && res->cpu.period.v > 0 ? (uint64_t)res->cpu.period.v : 0;

    if (period)
        put_number(f, "242:CPUQuotaPeriodUSec", period);
    if (quota == 0)
        return;
    uint64_t per_second = UINT64_MAX;
    if (quota > 0) {
        unsigned __int128 exact = (unsigned __int128)quota * 1000000 / (period ? period : 100000);
        per_second = exact > UINT64_MAX / 2 ? UINT64_MAX : ((uint64_t)exact + 9999) / 10000 * 10000;
    }
    put_number(f, "CPUQuotaPerSecUSec", per_second);
}

/* "0-1,3" as bytes of a bit mask. */
static int put_set(FILE *f, const char *name, const char *field, const char *list, struct err *e)
{
    unsigned char mask[1024] = {0};
    unsigned long last = 0;

    if (!list || !*list)
        return 0;
    for (const char *s = list; *s;) {
        char *end;
        unsigned long from = strtoul(s, &end, 10), to = from;
        if (*end == '-')
            to = strtoul(end + 1, &end, 10);
        if (end == s || to >= 8 * sizeof(mask) || from > to || (*end && *end != ','))
            return err_set(e, ERR_CONFIG, 0, "linux.resources.cpu.%s: \"%.40s\" is no list of numbers", field,
                           list);
        for (; from <= to; from++)
            mask[from / 8] |= (unsigned char)(1U << from % 8);
        last = to > last ? to : last;
        s = end + (*end == ',');
    }
    systemd_put(f, "%s", name);
    systemd_put(f, "ay");
    systemd_put(f, "%lu", last / 8 + 1);
    for (unsigned long i = 0; i <= last / 8; i++)
        systemd_put(f, "%u", mask[i]);
    return 0;
}

static int put_cpu(FILE *f, const struct cgroup *cg, const struct oci_resources *res, struct err *e)
{
    const struct oci_int *shares = &res->cpu.shares;

    if (version_of(cg, CG_CPU) == 1)
        put_limit(f, "CPUShares", shares, false);
    else if (shares->set && shares->v > 0)
        put_number(f, "CPUWeight", cgroup_cpu_weight(shares->v));
    put_quota(f, res);
    if (version_of(cg, CG_CPUSET) == 1)
        return 0;
    return put_set(f, "244:AllowedCPUs", "cpus", res->cpu.cpus, e) ||
                   put_set(f, "244:AllowedMemoryNodes", "mems", res->cpu.mems, e)
               ? -1
               : 0;
}

static void put_unified(FILE *f, const struct oci_resources *res)
{
    static const struct {
        const char *key, *property;
    } known[] = {
        {"memory.min", "240:MemoryMin"}, {"memory.low", "MemoryLow"},          {"memory.high", "MemoryHigh"},
        {"memory.max", "MemoryMax"},     {"memory.swap.max", "MemorySwapMax"}, {"pids.max", "TasksMax"},
        {"cpu.weight", "CPUWeight"},
    };

    for (size_t i = 0; i < res->nunified; i++) {
        const char *value = res->unified[i].value;
        char *end;
        uint64_t n = strtoull(value, &end, 10);
        bool max = strcmp(value, "max") == 0;
        for (size_t k = 0; k < ARRAY_SIZE(known); k++)
            if (strcmp(res->unified[i].key, known[k].key) == 0 && (max || (end != value && !*end)))
                put_number(f, known[k].property, max ? UINT64_MAX : n);
    }
}

/* Devices -------------------------------------------------------------------------------------------------
 */

/* The name that /proc/devices has for a major number. */
static bool major_name(char type, int64_t major, char ret[64])
{
    _cleanup_free_ char *text = cgroup_read("/proc/devices");
    char *save = NULL;
    bool here = false;
    long n;

    for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save)) {
        if (strstr(line, "devices:"))
            here = line[0] == (type == 'b' ? 'B' : 'C');
        else if (here && sscanf(line, "%ld %60s", &n, ret) == 2 && n == major)
            return true;
    }
    return false;
}

static void put_device(FILE *f, const struct oci_device_rule *d)
{
    const char *kind = d->type == 'b' ? "block" : "char";
    char name[64];

    if (!d->major.set)
        systemd_put(f, "%s-*", kind);
    else if (d->minor.set)
        systemd_put(f, "/dev/%s/%" PRId64 ":%" PRId64, kind, d->major.v, d->minor.v);
    else if (major_name(d->type, d->major.v, name))
        systemd_put(f, "%s-%s", kind, name);
    else
        systemd_put(f, "/dev/%s/%" PRId64 ":*", kind,
                    d->major.v); /* no device has that major: matches none */
    systemd_put(f, "%s%s%s", d->read ? "r" : "", d->write ? "w" : "", d->mknod ? "m" : "");
}

/* systemd knows a list of what is allowed. Rules that are none it is not told: they hold by the cgroup's own
 * files. */
static bool is_list(const struct oci_resources *res)
{
    const struct oci_device_rule *all = &res->devices[0];

    if (res->ndevices == 0 || all->allow || all->type != 'a' || !all->read || !all->write || !all->mknod)
        return false;
    for (size_t i = 1; i < res->ndevices; i++) {
        const struct oci_device_rule *d = &res->devices[i];
        if (!d->allow || d->type == 'a' || (!d->major.set && d->minor.set))
            return false;
    }
    return true;
}

static void put_devices(FILE *f, const struct oci_resources *res)
{
    if (res->ndevices == 0)
        return;
    systemd_put(f, "DevicePolicy");
    systemd_put(f, "s");
    systemd_put(f, is_list(res) ? "strict" : "auto");
    systemd_put(f, "DeviceAllow"); /* an empty list forgets earlier ones */
    systemd_put(f, "a(ss)");
    systemd_put(f, "0");
    if (!is_list(res) || res->ndevices < 2)
        return;
    systemd_put(f, "DeviceAllow");
    systemd_put(f, "a(ss)");
    systemd_put(f, "%zu", res->ndevices - 1);
    for (size_t i = 1; i < res->ndevices; i++)
        put_device(f, &res->devices[i]);
}

int systemd_put_resources(FILE *f, const struct cgroup *cg, const struct oci_resources *res, struct err *e)
{
    put_devices(f, res);
    put_memory(f, cg, res);
    if (put_cpu(f, cg, res, e))
        return -1;
    put_limit(f, "TasksMax", &res->pids_limit, true);
    if (version_of(cg, CG_IO) == 1)
        put_limit(f, "BlockIOWeight", &res->io.weight, false);
    else if (res->io.weight.set && res->io.weight.v > 0)
        put_number(f, "IOWeight", cgroup_io_weight(res->io.weight.v));
    put_unified(f, res);
    return 0;
}
