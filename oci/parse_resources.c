/* "linux.resources" of config.json. */
#include <string.h>

#include "oci/parse.h"

static int parse_memory(struct json_reader *r, const struct json *obj, struct oci_resources *ret)
{
    const struct json *v;

    if (json_object(r, obj, "memory", &v))
        return -1;
    if (parse_oci_int(r, v, "limit", -1, INT64_MAX, &ret->memory.limit) ||
        parse_oci_int(r, v, "reservation", -1, INT64_MAX, &ret->memory.reservation) ||
        parse_oci_int(r, v, "swap", -1, INT64_MAX, &ret->memory.swap) ||
        parse_oci_int(r, v, "kernel", -1, INT64_MAX, &ret->memory.kernel) ||
        parse_oci_int(r, v, "kernelTCP", -1, INT64_MAX, &ret->memory.kernel_tcp) ||
        parse_oci_int(r, v, "swappiness", 0, 200, &ret->memory.swappiness))
        return -1;
    if (json_bool(r, v, "disableOOMKiller", &ret->memory.disable_oom_killer) ||
        json_bool(r, v, "useHierarchy", &ret->memory.use_hierarchy) ||
        json_bool(r, v, "checkBeforeUpdate", &ret->memory.check_before_update))
        return -1;
    return 0;
}

static int parse_cpu(struct json_reader *r, const struct json *obj, struct oci_resources *ret)
{
    const struct json *v;

    if (json_object(r, obj, "cpu", &v))
        return -1;
    if (parse_oci_int(r, v, "shares", 0, INT64_MAX, &ret->cpu.shares) ||
        parse_oci_int(r, v, "quota", INT64_MIN, INT64_MAX, &ret->cpu.quota) ||
        parse_oci_int(r, v, "burst", 0, INT64_MAX, &ret->cpu.burst) ||
        parse_oci_int(r, v, "period", 0, INT64_MAX, &ret->cpu.period) ||
        parse_oci_int(r, v, "realtimeRuntime", INT64_MIN, INT64_MAX, &ret->cpu.rt_runtime) ||
        parse_oci_int(r, v, "realtimePeriod", 0, INT64_MAX, &ret->cpu.rt_period) ||
        parse_oci_int(r, v, "idle", 0, 1, &ret->cpu.idle) || json_string(r, v, "cpus", &ret->cpu.cpus) ||
        json_string(r, v, "mems", &ret->cpu.mems))
        return -1;
    if (ret->cpu.burst.set && ret->cpu.quota.set && ret->cpu.quota.v > 0 &&
        ret->cpu.burst.v > ret->cpu.quota.v)
        return json_error(v, "burst", r->e, "is above the quota");
    return 0;
}

static int parse_pids(struct json_reader *r, const struct json *obj, struct oci_resources *ret)
{
    const struct json *v;

    if (json_object(r, obj, "pids", &v))
        return -1;
    return parse_oci_int(r, v, "limit", -1, INT64_MAX, &ret->pids_limit);
}

static int parse_access(struct json_reader *r, const struct json *v, struct oci_device_rule *d)
{
    const char *access = "rwm";

    if (json_string(r, v, "access", &access))
        return -1;
    if (strspn(access, "rwm") != strlen(access))
        return json_error(v, "access", r->e, "must be made of r, w and m, not \"%.40s\"", access);
    d->read = strchr(access, 'r');
    d->write = strchr(access, 'w');
    d->mknod = strchr(access, 'm');
    return 0;
}

static int parse_rule(struct json_reader *r, const struct json *v, struct oci_device_rule *d)
{
    const char *type = "a";

    if (json_must_be(r, v, JSON_OBJECT) || json_require(r, v, "allow") ||
        json_bool(r, v, "allow", &d->allow) || json_string(r, v, "type", &type) ||
        parse_oci_int(r, v, "major", -1, UINT32_MAX, &d->major) ||
        parse_oci_int(r, v, "minor", -1, UINT32_MAX, &d->minor) || parse_access(r, v, d))
        return -1;
    if (strcmp(type, "a") != 0 && strcmp(type, "b") != 0 && strcmp(type, "c") != 0 && type[0])
        return json_error(v, "type", r->e, "must be one of a, b and c, not \"%.40s\"", type);
    d->type = type[0] ? type[0] : 'a';
    d->major.set &= d->major.v >= 0;
    d->minor.set &= d->minor.v >= 0;
    return 0;
}

static int parse_rules(struct json_reader *r, const struct json *obj, struct oci_resources *ret)
{
    const struct json *list;

    if (json_array(r, obj, "devices", &list))
        return -1;
    if (!list)
        return 0;
    ret->devices = arena_alloc(r->a, list->n, sizeof(*ret->devices));
    for (const struct json *v = list->first; v; v = v->next)
        if (parse_rule(r, v, &ret->devices[ret->ndevices++]))
            return -1;
    return 0;
}

int parse_resources(struct json_reader *r, const struct json *lx, struct oci_resources *ret)
{
    const struct json *obj;

    if (json_object(r, lx, "resources", &obj))
        return -1;
    if (parse_memory(r, obj, ret) || parse_cpu(r, obj, ret) || parse_pids(r, obj, ret) ||
        parse_rules(r, obj, ret) || parse_pairs(r, obj, "unified", &ret->unified, &ret->nunified))
        return -1;
    return 0;
}
