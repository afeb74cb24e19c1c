/* The "linux" object of config.json, but for resources and seccomp. */
#include <net/if.h>
#include <string.h>

#include "common/cleanup.h"
#include "oci/parse.h"
#include "oci/tables.h"

static const char *const ns_names[OCI_NS_TYPES] = {
    [OCI_NS_PID] = "pid", [OCI_NS_NET] = "network", [OCI_NS_MNT] = "mount",     [OCI_NS_IPC] = "ipc",
    [OCI_NS_UTS] = "uts", [OCI_NS_USER] = "user",   [OCI_NS_CGROUP] = "cgroup", [OCI_NS_TIME] = "time",
};

const char *oci_namespace_name(unsigned i)
{
    return i < OCI_NS_TYPES ? ns_names[i] : NULL;
}

static int parse_namespaces(struct json_reader *r, const struct json *lx, struct oci_linux *l)
{
    const struct json *list;

    if (json_array(r, lx, "namespaces", &list))
        return -1;
    for (const struct json *v = list ? list->first : NULL; v; v = v->next) {
        const char *type = NULL;
        int t = 0;
        if (json_must_be(r, v, JSON_OBJECT) || json_require(r, v, "type") || json_string(r, v, "type", &type))
            return -1;
        while (t < OCI_NS_TYPES && strcmp(type, ns_names[t]) != 0)
            t++;
        if (t == OCI_NS_TYPES)
            return json_error(v, "type", r->e, "unknown namespace type \"%.40s\"", type);
        if (l->ns[t].set)
            return json_error(v, "type", r->e, "\"%s\" is listed twice", type);
        l->ns[t].set = true;
        /* An empty path is what engines write for "none". */
        if (json_string(r, v, "path", &l->ns[t].path))
            return -1;
        if (l->ns[t].path && !l->ns[t].path[0])
            l->ns[t].path = NULL;
        if (json_path(r, l->ns[t].path ? v : NULL, "path", &l->ns[t].path))
            return -1;
    }
    return 0;
}

static bool overlap(uint32_t a, uint32_t na, uint32_t b, uint32_t nb)
{
    return a < b + nb && b < a + na; /* no range reaches the last number: the sums fit */
}

static int check_overlap(const struct json *v, const struct oci_idmap *maps, size_t n, struct err *e)
{
    const struct oci_idmap *m = &maps[n - 1];

    for (size_t i = 0; i + 1 < n; i++)
        if (overlap(maps[i].container_id, maps[i].size, m->container_id, m->size) ||
            overlap(maps[i].host_id, maps[i].size, m->host_id, m->size))
            return json_error(v, NULL, e, "overlaps the range before it with index %zu", i);
    return 0;
}

int parse_idmaps(struct json_reader *r, const struct json *obj, const char *key, struct oci_idmap **ret,
                 size_t *ret_n)
{
    const struct json *list;
    size_t n = 0;

    if (json_array(r, obj, key, &list))
        return -1;
    if (!list)
        return 0;
    if (list->n > OCI_IDMAPS_MAX)
        return json_error(obj, key, r->e, "has %u ranges; the kernel takes %d", list->n, OCI_IDMAPS_MAX);
    struct oci_idmap *maps = arena_alloc(r->a, list->n, sizeof(*maps));
    for (const struct json *v = list->first; v; v = v->next) {
        struct oci_idmap *m = &maps[n++];
        if (json_must_be(r, v, JSON_OBJECT) || json_require(r, v, "size") ||
            json_u32(r, v, "containerID", UINT32_MAX - 1, &m->container_id) ||
            json_u32(r, v, "hostID", UINT32_MAX - 1, &m->host_id) ||
            json_u32(r, v, "size", UINT32_MAX, &m->size))
            return -1;
        if (m->size == 0 || m->size > UINT32_MAX - m->container_id || m->size > UINT32_MAX - m->host_id)
            return json_error(v, "size", r->e, "makes an empty or an impossible range");
        if (check_overlap(v, maps, n, r->e))
            return -1;
    }
    *ret = maps;
    *ret_n = n;
    return 0;
}

static int parse_device(struct json_reader *r, const struct json *v, struct oci_device *d)
{
    const char *type = NULL;
    uint32_t mode = 0666, uid = 0, gid = 0;

    if (json_must_be(r, v, JSON_OBJECT) || json_require(r, v, "type") || json_string(r, v, "type", &type) ||
        json_require(r, v, "path") || json_path(r, v, "path", &d->path))
        return -1;
    if (strlen(type) != 1 || !strchr("cubp", type[0]))
        return json_error(v, "type", r->e, "must be one of c, u, b and p, not \"%.40s\"", type);
    d->type = type[0] == 'u' ? 'c' : type[0];
    if (d->type != 'p' && (json_require(r, v, "major") || json_require(r, v, "minor")))
        return -1;
    if (d->type != 'p' &&
        (json_u32(r, v, "major", 0xfff, &d->major) || json_u32(r, v, "minor", 0xfffff, &d->minor)))
        return -1;
    if (json_u32(r, v, "fileMode", UINT32_MAX, &mode) || json_u32(r, v, "uid", UINT32_MAX - 1, &uid) ||
        json_u32(r, v, "gid", UINT32_MAX - 1, &gid))
        return -1;
    d->mode = mode & 07777; /* some engines write the file type's bits too */
    d->uid = uid;
    d->gid = gid;
    return 0;
}

static int parse_devices(struct json_reader *r, const struct json *lx, struct oci_linux *l)
{
    const struct json *list;

    if (json_array(r, lx, "devices", &list))
        return -1;
    if (!list)
        return 0;
    l->devices = arena_alloc(r->a, list->n, sizeof(*l->devices));
    for (const struct json *v = list->first; v; v = v->next)
        if (parse_device(r, v, &l->devices[l->ndevices++]))
            return -1;
    return 0;
}

static int parse_paths(struct json_reader *r, const struct json *lx, const char *key, char ***ret)
{
    const struct json *list;

    if (json_strings(r, lx, key, ret, NULL) || json_array(r, lx, key, &list))
        return -1;
    for (const struct json *v = list ? list->first : NULL; v; v = v->next)
        if (v->s[0] != '/')
            return json_error(v, NULL, r->e, "must be an absolute path, not \"%.100s\"", v->s);
    return 0;
}

static int parse_root_propagation(struct json_reader *r, const struct json *lx, struct oci_linux *l)
{
    const char *word = "";

    if (json_string(r, lx, "rootfsPropagation", &word))
        return -1;
    l->rootfs_propagation = parse_propagation(word);
    if (*word && !l->rootfs_propagation)
        return json_error(lx, "rootfsPropagation", r->e, "unknown propagation \"%.40s\"", word);
    return 0;
}

static int check_sysctl(struct json_reader *r, const struct json *lx, const struct oci_linux *l)
{
    for (size_t i = 0; i < l->nsysctl; i++)
        if (!l->sysctl[i].key[0] || strstr(l->sysctl[i].key, "..") || strchr(l->sysctl[i].key, '='))
            return json_error(lx, "sysctl", r->e, "\"%.80s\" is no sysctl's name", l->sysctl[i].key);
    return 0;
}

static int parse_offset(struct json_reader *r, const struct json *list, const char *key,
                        struct oci_time_offset *ret)
{
    const struct json *v;

    if (json_object(r, list, key, &v))
        return -1;
    return json_int(r, v, "secs", INT64_MIN / 2, INT64_MAX / 2, NULL, &ret->secs) ||
                   json_u32(r, v, "nanosecs", 999999999, &ret->nanosecs)
               ? -1
               : 0;
}

static int parse_time_offsets(struct json_reader *r, const struct json *lx, struct oci_linux *l)
{
    const struct json *list;
    const struct oci_namespace *ns = &l->ns[OCI_NS_TIME];

    if (json_object(r, lx, "timeOffsets", &list))
        return -1;
    l->has_time_offsets = list && list->n > 0;
    if (!l->has_time_offsets)
        return 0;
    for (const struct json *v = list->first; v; v = v->next)
        if (strcmp(v->key, "monotonic") != 0 && strcmp(v->key, "boottime") != 0)
            return json_error(v, NULL, r->e, "only monotonic and boottime have offsets");
    if (!ns->set || ns->path)
        return json_error(lx, "timeOffsets", r->e, "needs a new namespace of type \"time\"");
    return parse_offset(r, list, "monotonic", &l->monotonic) ||
                   parse_offset(r, list, "boottime", &l->boottime)
               ? -1
               : 0;
}

/* As the kernel takes a name: dev_valid_name(). */
static bool is_interface_name(const char *s)
{
    size_t n = strlen(s);

    return n > 0 && n < IFNAMSIZ && strcmp(s, ".") != 0 && strcmp(s, "..") != 0 &&
           !strpbrk(s, "/: \t\n\v\f\r");
}

static int parse_net_devices(struct json_reader *r, const struct json *lx, struct oci_linux *l)
{
    const struct json *list;

    if (json_object(r, lx, "netDevices", &list))
        return -1;
    if (!list || list->n == 0)
        return 0;
    if (!l->ns[OCI_NS_NET].set)
        return json_error(lx, "netDevices", r->e, "needs a namespace of type \"network\"");
    l->net_devices = arena_alloc(r->a, list->n, sizeof(*l->net_devices));
    for (const struct json *v = list->first; v; v = v->next) {
        struct oci_net_device *d = &l->net_devices[l->nnet_devices++];
        if (json_must_be(r, v, JSON_OBJECT))
            return -1;
        d->host_name = d->name = v->key;
        if (json_string(r, v, "name", &d->name))
            return -1;
        if (!*d->name)
            d->name = d->host_name;
        if (!is_interface_name(d->host_name) || !is_interface_name(d->name))
            return json_error(v, NULL, r->e, "\"%.40s\" is no interface's name",
                              is_interface_name(d->name) ? d->host_name : d->name);
    }
    return 0;
}

int parse_linux(struct json_reader *r, const struct json *root, struct oci_config *c)
{
    struct oci_linux *l = &c->lx;
    const struct json *lx;

    if (json_object(r, root, "linux", &lx))
        return -1;
    if (!lx)
        return 0;
    if (parse_namespaces(r, lx, l) ||
        parse_idmaps(r, lx, "uidMappings", &l->uid_mappings, &l->nuid_mappings) ||
        parse_idmaps(r, lx, "gidMappings", &l->gid_mappings, &l->ngid_mappings) || parse_devices(r, lx, l) ||
        json_string(r, lx, "cgroupsPath", &l->cgroups_path) || parse_resources(r, lx, &l->resources) ||
        parse_pairs(r, lx, "sysctl", &l->sysctl, &l->nsysctl) || check_sysctl(r, lx, l) ||
        parse_paths(r, lx, "maskedPaths", &l->masked_paths) ||
        parse_paths(r, lx, "readonlyPaths", &l->readonly_paths) || parse_root_propagation(r, lx, l) ||
        json_string(r, lx, "mountLabel", &l->mount_label) || parse_time_offsets(r, lx, l) ||
        parse_net_devices(r, lx, l) || parse_seccomp(r, lx, &l->seccomp) ||
        parse_memory_policy(r, lx, &l->memory_policy) || parse_personality(r, lx, &l->personality))
        return -1;
    return 0;
}
