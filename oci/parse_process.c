/* The "process" object of config.json. */
#include <string.h>
#include <sys/resource.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "oci/caps.h"
#include "oci/parse.h"

static const struct {
    const char *name;
    int resource;
} rlimits[] = {
    {"RLIMIT_AS", RLIMIT_AS},
    {"RLIMIT_CORE", RLIMIT_CORE},
    {"RLIMIT_CPU", RLIMIT_CPU},
    {"RLIMIT_DATA", RLIMIT_DATA},
    {"RLIMIT_FSIZE", RLIMIT_FSIZE},
    {"RLIMIT_LOCKS", RLIMIT_LOCKS},
    {"RLIMIT_MEMLOCK", RLIMIT_MEMLOCK},
    {"RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE},
    {"RLIMIT_NICE", RLIMIT_NICE},
    {"RLIMIT_NOFILE", RLIMIT_NOFILE},
    {"RLIMIT_NPROC", RLIMIT_NPROC},
    {"RLIMIT_RSS", RLIMIT_RSS},
    {"RLIMIT_RTPRIO", RLIMIT_RTPRIO},
    {"RLIMIT_RTTIME", RLIMIT_RTTIME},
    {"RLIMIT_SIGPENDING", RLIMIT_SIGPENDING},
    {"RLIMIT_STACK", RLIMIT_STACK},
};

static int rlimit_of(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(rlimits); i++)
        if (strcmp(name, rlimits[i].name) == 0)
            return rlimits[i].resource;
    return -1;
}

static int parse_rlimit(struct json_reader *r, const struct json *v, struct oci_rlimit *l)
{
    uint64_t soft = 0, hard = 0;

    if (json_must_be(r, v, JSON_OBJECT) || json_require(r, v, "type") || json_string(r, v, "type", &l->type))
        return -1;
    l->resource = rlimit_of(l->type);
    if (l->resource < 0)
        return json_error(v, "type", r->e, "unknown resource limit \"%.40s\"", l->type);
    if (json_uint(r, v, "soft", UINT64_MAX, NULL, &soft) || json_uint(r, v, "hard", UINT64_MAX, NULL, &hard))
        return -1;
    if (soft > hard)
        return json_error(v, "soft", r->e, "is above the hard limit");
    l->lim.rlim_cur = soft;
    l->lim.rlim_max = hard;
    return 0;
}

static int parse_rlimits(struct json_reader *r, const struct json *obj, struct oci_process *p)
{
    const struct json *list;
    unsigned seen = 0;

    if (json_array(r, obj, "rlimits", &list))
        return -1;
    if (!list)
        return 0;
    p->rlimits = arena_alloc(r->a, list->n, sizeof(*p->rlimits));
    for (const struct json *v = list->first; v; v = v->next) {
        struct oci_rlimit *l = &p->rlimits[p->nrlimits++];
        if (parse_rlimit(r, v, l))
            return -1;
        if (seen & 1u << l->resource)
            return json_error(v, "type", r->e, "%s is listed twice", l->type);
        seen |= 1u << l->resource;
    }
    return 0;
}

static int parse_groups(struct json_reader *r, const struct json *user, struct oci_user *u)
{
    const struct json *list;

    if (json_array(r, user, "additionalGids", &list))
        return -1;
    if (!list)
        return 0;
    if (list->n > 65536)
        return json_error(list, NULL, r->e, "more than 65536 groups");
    u->groups = arena_alloc(r->a, list->n, sizeof(*u->groups));
    for (const struct json *v = list->first; v; v = v->next) {
        uint64_t gid = 0;
        if (json_uint_value(r, v, UINT32_MAX - 1, &gid))
            return -1;
        u->groups[u->ngroups++] = (gid_t)gid;
    }
    return 0;
}

static int parse_user(struct json_reader *r, const struct json *obj, struct oci_user *u)
{
    const struct json *user;
    uint32_t uid = 0, gid = 0;
    uint64_t mask = 0;

    if (json_object(r, obj, "user", &user))
        return -1;
    if (json_u32(r, user, "uid", UINT32_MAX - 1, &uid) || json_u32(r, user, "gid", UINT32_MAX - 1, &gid) ||
        json_uint(r, user, "umask", 0777, &u->umask_set, &mask))
        return -1;
    u->uid = uid;
    u->gid = gid;
    u->umask = (mode_t)mask;
    return parse_groups(r, user, u);
}

static int parse_cap_set(struct json_reader *r, const struct json *caps, const char *key, uint64_t *ret)
{
    char **names = NULL;

    if (json_strings(r, caps, key, &names, NULL))
        return -1;
    for (; names && *names; names++) {
        int cap = oci_cap_of(*names);
        if (cap < 0)
            log_warning("config.json: process.capabilities.%s: unknown capability \"%.40s\", ignored", key,
                        *names);
        else
            *ret |= UINT64_C(1) << cap;
    }
    return 0;
}

/* A set that the kernel would not grant shrinks to what it would. Not a warning: the default config of other
 * runtimes asks for ambient capabilities that are not inheritable. */
static void limit_caps(uint64_t *set, uint64_t to, const char *key, const char *why)
{
    if (*set & ~to)
        log_info("config.json: process.capabilities.%s: those that are not %s are ignored", key, why);
    *set &= to;
}

static int parse_caps(struct json_reader *r, const struct json *obj, struct oci_caps *c)
{
    const struct json *caps;

    if (json_object(r, obj, "capabilities", &caps))
        return -1;
    if (!caps)
        return 0;
    c->set = true;
    if (parse_cap_set(r, caps, "bounding", &c->bounding) ||
        parse_cap_set(r, caps, "effective", &c->effective) ||
        parse_cap_set(r, caps, "inheritable", &c->inheritable) ||
        parse_cap_set(r, caps, "permitted", &c->permitted) || parse_cap_set(r, caps, "ambient", &c->ambient))
        return -1;
    limit_caps(&c->effective, c->permitted, "effective", "permitted");
    limit_caps(&c->ambient, c->permitted & c->inheritable, "ambient", "permitted and inheritable");
    return 0;
}

static int parse_console(struct json_reader *r, const struct json *obj, struct oci_process *p)
{
    const struct json *size;
    uint32_t height = 0, width = 0;

    if (json_bool(r, obj, "terminal", &p->terminal))
        return -1;
    if (!p->terminal)
        return 0;
    if (json_object(r, obj, "consoleSize", &size) || json_u32(r, size, "height", UINT16_MAX, &height) ||
        json_u32(r, size, "width", UINT16_MAX, &width))
        return -1;
    p->console_height = (unsigned short)height;
    p->console_width = (unsigned short)width;
    return 0;
}

static int parse_program(struct json_reader *r, const struct json *obj, struct oci_process *p)
{
    p->env = arena_alloc(r->a, 1, sizeof(*p->env));
    if (json_strings(r, obj, "args", &p->args, &p->nargs) || json_strings(r, obj, "env", &p->env, &p->nenv))
        return -1;
    if (p->nargs == 0)
        return json_error(obj, "args", r->e, "must hold at least the program's name");
    if (json_require(r, obj, "cwd") || json_path(r, obj, "cwd", &p->cwd))
        return -1;
    return 0;
}

int parse_process_object(struct json_reader *r, const struct json *obj, struct oci_process *p)
{
    if (parse_program(r, obj, p) || parse_user(r, obj, &p->user) || parse_rlimits(r, obj, p) ||
        parse_caps(r, obj, &p->caps) || parse_console(r, obj, p))
        return -1;
    if (json_bool(r, obj, "noNewPrivileges", &p->no_new_privileges) ||
        parse_oci_int(r, obj, "oomScoreAdj", -1000, 1000, &p->oom_score_adj) ||
        parse_scheduler(r, obj, &p->scheduler) || parse_io_priority(r, obj, &p->io_priority) ||
        parse_affinity(r, obj, p) || json_string(r, obj, "apparmorProfile", &p->apparmor_profile) ||
        json_string(r, obj, "selinuxLabel", &p->selinux_label))
        return -1;
    return 0;
}

int parse_process(struct json_reader *r, const struct json *root, struct oci_config *c)
{
    const struct json *obj;

    if (json_object(r, root, "process", &obj))
        return -1;
    if (!obj)
        return 0;
    c->process = arena_alloc(r->a, 1, sizeof(*c->process));
    return parse_process_object(r, obj, c->process);
}
