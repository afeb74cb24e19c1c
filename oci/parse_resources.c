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

/* A list of objects with major, minor and a number of that name; those without the number are left out. */
static int parse_device_values(struct json_reader *r, const struct json *obj, const char *key,
                               const char *number, uint64_t max, struct oci_device_values *ret)
{
    const struct json *list;

    if (json_array(r, obj, key, &list))
        return -1;
    if (!list)
        return 0;
    ret->list = arena_alloc(r->a, list->n, sizeof(*ret->list));
    for (const struct json *v = list->first; v; v = v->next) {
        struct oci_device_value *d = &ret->list[ret->n];
        bool set = false;
        if (json_must_be(r, v, JSON_OBJECT) || json_require(r, v, "major") || json_require(r, v, "minor") ||
            json_u32(r, v, "major", UINT32_MAX, &d->major) ||
            json_u32(r, v, "minor", UINT32_MAX, &d->minor) || json_uint(r, v, number, max, &set, &d->v))
            return -1;
        ret->n += set;
    }
    return 0;
}

static int parse_io(struct json_reader *r, const struct json *obj, struct oci_resources *ret)
{
    static const char *const throttles[OCI_THROTTLES] = {
        [OCI_READ_BPS] = "throttleReadBpsDevice",
        [OCI_WRITE_BPS] = "throttleWriteBpsDevice",
        [OCI_READ_IOPS] = "throttleReadIOPSDevice",
        [OCI_WRITE_IOPS] = "throttleWriteIOPSDevice",
    };
    const struct json *v;

    if (json_object(r, obj, "blockIO", &v) || parse_oci_int(r, v, "weight", 0, 1000, &ret->io.weight) ||
        parse_oci_int(r, v, "leafWeight", 0, 1000, &ret->io.leaf_weight) ||
        parse_device_values(r, v, "weightDevice", "weight", 1000, &ret->io.device_weight) ||
        parse_device_values(r, v, "weightDevice", "leafWeight", 1000, &ret->io.device_leaf_weight))
        return -1;
    for (int i = 0; i < OCI_THROTTLES; i++)
        if (parse_device_values(r, v, throttles[i], "rate", UINT64_MAX, &ret->io.throttle[i]))
            return -1;
    return 0;
}

/* Part of a file's name, so it must not be a path. */
static int parse_name(struct json_reader *r, const struct json *v, const char *key, const char **ret)
{
    if (json_must_be(r, v, JSON_OBJECT) || json_require(r, v, key) || json_string(r, v, key, ret))
        return -1;
    if (!**ret || strlen(*ret) > 40 || strpbrk(*ret, "/ \n"))
        return json_error(v, key, r->e, "\"%.40s\" is no name", *ret);
    return 0;
}

static int parse_named(struct json_reader *r, const struct json *obj, const char *key, const char *name,
                       const char *number, uint64_t max, struct oci_named_int **ret, size_t *ret_n)
{
    const struct json *list;
    bool set;

    if (json_array(r, obj, key, &list))
        return -1;
    if (!list)
        return 0;
    *ret = arena_alloc(r->a, list->n, sizeof(**ret));
    for (const struct json *v = list->first; v; v = v->next) {
        struct oci_named_int *d = &(*ret)[(*ret_n)++];
        if (parse_name(r, v, name, &d->name) || json_require(r, v, number) ||
            json_uint(r, v, number, max, &set, &d->v))
            return -1;
    }
    return 0;
}

static int parse_network(struct json_reader *r, const struct json *obj, struct oci_resources *ret)
{
    const struct json *v;

    if (json_object(r, obj, "network", &v) || parse_oci_int(r, v, "classID", 0, UINT32_MAX, &ret->net_class))
        return -1;
    return parse_named(r, v, "priorities", "name", "priority", UINT32_MAX, &ret->net_priorities,
                       &ret->nnet_priorities);
}

static int parse_rdma(struct json_reader *r, const struct json *obj, struct oci_resources *ret)
{
    const struct json *list;

    if (json_object(r, obj, "rdma", &list))
        return -1;
    if (!list)
        return 0;
    ret->rdma = arena_alloc(r->a, list->n, sizeof(*ret->rdma));
    for (const struct json *v = list->first; v; v = v->next) {
        struct oci_rdma *d = &ret->rdma[ret->nrdma++];
        d->device = v->key;
        if (!*d->device || strlen(d->device) > 60 || strpbrk(d->device, " \n"))
            return json_error(v, NULL, r->e, "is no device's name");
        if (json_must_be(r, v, JSON_OBJECT) ||
            parse_oci_int(r, v, "hcaHandles", 0, UINT32_MAX, &d->handles) ||
            parse_oci_int(r, v, "hcaObjects", 0, UINT32_MAX, &d->objects))
            return -1;
    }
    return 0;
}

static int check_unified(struct json_reader *r, const struct json *obj, const struct oci_resources *res)
{
    for (size_t i = 0; i < res->nunified; i++)
        if (!strchr(res->unified[i].key, '.') || strchr(res->unified[i].key, '/') ||
            strlen(res->unified[i].key) > 90 || res->unified[i].key[0] == '.')
            return json_error(obj, "unified", r->e, "\"%.90s\" is no cgroup file", res->unified[i].key);
    return 0;
}

/* The value of "resources" itself. */
static int parse_object(struct json_reader *r, const struct json *obj, struct oci_resources *ret)
{
    if (parse_memory(r, obj, ret) || parse_cpu(r, obj, ret) || parse_pids(r, obj, ret) ||
        parse_io(r, obj, ret) || parse_network(r, obj, ret) || parse_rdma(r, obj, ret) ||
        parse_named(r, obj, "hugepageLimits", "pageSize", "limit", UINT64_MAX, &ret->hugepages,
                    &ret->nhugepages) ||
        parse_rules(r, obj, ret) || parse_pairs(r, obj, "unified", &ret->unified, &ret->nunified))
        return -1;
    return check_unified(r, obj, ret);
}

int parse_resources(struct json_reader *r, const struct json *lx, struct oci_resources *ret)
{
    const struct json *obj;

    return json_object(r, lx, "resources", &obj) ? -1 : parse_object(r, obj, ret);
}

int oci_resources_parse(struct arena *a, const char *text, size_t len, const char *name,
                        struct oci_resources *ret, struct err *e)
{
    struct json_reader r = {.a = a, .e = e};
    const struct json *v;

    if (json_parse(a, text, len, name, &v, e) || json_must_be(&r, v, JSON_OBJECT))
        return -1;
    return parse_object(&r, v, ret);
}
