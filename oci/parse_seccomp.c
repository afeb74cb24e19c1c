/* "linux.seccomp" of config.json. */
#include <errno.h>

#include "common/cleanup.h"
#include "oci/parse.h"
#include "oci/tables.h"

static const struct json_word actions[] = {
    {"SCMP_ACT_KILL", OCI_ACT_KILL_THREAD},
    {"SCMP_ACT_KILL_THREAD", OCI_ACT_KILL_THREAD},
    {"SCMP_ACT_KILL_PROCESS", OCI_ACT_KILL_PROCESS},
    {"SCMP_ACT_TRAP", OCI_ACT_TRAP},
    {"SCMP_ACT_ERRNO", OCI_ACT_ERRNO},
    {"SCMP_ACT_TRACE", OCI_ACT_TRACE},
    {"SCMP_ACT_ALLOW", OCI_ACT_ALLOW},
    {"SCMP_ACT_LOG", OCI_ACT_LOG},
    {"SCMP_ACT_NOTIFY", OCI_ACT_NOTIFY},
    {NULL, 0},
};

static const struct json_word ops[] = {
    {"SCMP_CMP_NE", OCI_OP_NE},
    {"SCMP_CMP_LT", OCI_OP_LT},
    {"SCMP_CMP_LE", OCI_OP_LE},
    {"SCMP_CMP_EQ", OCI_OP_EQ},
    {"SCMP_CMP_GE", OCI_OP_GE},
    {"SCMP_CMP_GT", OCI_OP_GT},
    {"SCMP_CMP_MASKED_EQ", OCI_OP_MASKED_EQ},
    {NULL, 0},
};

/* Guests' calls are those of x86-64, whatever else is listed. */
static const struct json_word architectures[] = {
    {"SCMP_ARCH_X86", 0},      {"SCMP_ARCH_X86_64", 0},      {"SCMP_ARCH_X32", 0},
    {"SCMP_ARCH_ARM", 0},      {"SCMP_ARCH_AARCH64", 0},     {"SCMP_ARCH_MIPS", 0},
    {"SCMP_ARCH_MIPS64", 0},   {"SCMP_ARCH_MIPS64N32", 0},   {"SCMP_ARCH_MIPSEL", 0},
    {"SCMP_ARCH_MIPSEL64", 0}, {"SCMP_ARCH_MIPSEL64N32", 0}, {"SCMP_ARCH_PPC", 0},
    {"SCMP_ARCH_PPC64", 0},    {"SCMP_ARCH_PPC64LE", 0},     {"SCMP_ARCH_S390", 0},
    {"SCMP_ARCH_S390X", 0},    {"SCMP_ARCH_RISCV64", 0},     {"SCMP_ARCH_PARISC", 0},
    {"SCMP_ARCH_PARISC64", 0}, {"SCMP_ARCH_LOONGARCH64", 0}, {"SCMP_ARCH_M68K", 0},
    {"SCMP_ARCH_SH", 0},       {"SCMP_ARCH_SHEB", 0},        {NULL, 0},
};

static const struct json_word flags[] = {
    {"SECCOMP_FILTER_FLAG_TSYNC", 0},
    {"SECCOMP_FILTER_FLAG_LOG", 0},
    {"SECCOMP_FILTER_FLAG_SPEC_ALLOW", 0},
    {"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", 0},
    {NULL, 0},
};

const char *oci_seccomp_action(unsigned i)
{
    return i < ARRAY_SIZE(actions) ? actions[i].name : NULL;
}

const char *oci_seccomp_operator(unsigned i)
{
    return i < ARRAY_SIZE(ops) ? ops[i].name : NULL;
}

const char *oci_seccomp_arch(unsigned i)
{
    return i < ARRAY_SIZE(architectures) ? architectures[i].name : NULL;
}

const char *oci_seccomp_flag(unsigned i)
{
    return i < ARRAY_SIZE(flags) ? flags[i].name : NULL;
}

static int read_action(struct json_reader *r, const struct json *obj, const char *action_key,
                       const char *errno_key, enum oci_seccomp_action *ret, unsigned *ret_errno)
{
    uint64_t n = EPERM;
    bool set = false;
    int action = 0;

    if (json_word(r, obj, action_key, actions, &action) || json_uint(r, obj, errno_key, UINT16_MAX, &set, &n))
        return -1;
    if (set && action != OCI_ACT_ERRNO && action != OCI_ACT_TRACE)
        return json_error(obj, errno_key, r->e, "goes with SCMP_ACT_ERRNO and SCMP_ACT_TRACE only");
    *ret = (enum oci_seccomp_action)action;
    *ret_errno = (unsigned)n;
    return 0;
}

static int parse_arg(struct json_reader *r, const struct json *v, struct oci_seccomp_arg *a)
{
    int op = 0;

    if (json_must_be(r, v, JSON_OBJECT) || json_require(r, v, "index") || json_require(r, v, "value") ||
        json_u32(r, v, "index", 5, &a->index) || json_uint(r, v, "value", UINT64_MAX, NULL, &a->value) ||
        json_uint(r, v, "valueTwo", UINT64_MAX, NULL, &a->value_two) || json_word(r, v, "op", ops, &op))
        return -1;
    a->op = (enum oci_seccomp_op)op;
    return 0;
}

static int parse_rule(struct json_reader *r, const struct json *v, struct oci_seccomp_rule *rule)
{
    const struct json *list;
    size_t n = 0;

    if (json_must_be(r, v, JSON_OBJECT) || json_strings(r, v, "names", &rule->names, &n) ||
        json_array(r, v, "args", &list) ||
        read_action(r, v, "action", "errnoRet", &rule->action, &rule->errno_ret))
        return -1;
    if (n == 0)
        return json_error(v, "names", r->e, "must hold at least one name");
    if (!list)
        return 0;
    rule->args = arena_alloc(r->a, list->n, sizeof(*rule->args));
    for (const struct json *arg = list->first; arg; arg = arg->next)
        if (parse_arg(r, arg, &rule->args[rule->nargs++]))
            return -1;
    return 0;
}

static int parse_lists(struct json_reader *r, const struct json *obj, struct oci_seccomp *s)
{
    s->architectures = arena_alloc(r->a, 1, sizeof(*s->architectures));
    s->flags = arena_alloc(r->a, 1, sizeof(*s->flags));
    if (json_strings(r, obj, "architectures", &s->architectures, NULL) ||
        json_strings(r, obj, "flags", &s->flags, NULL))
        return -1;
    for (char **a = s->architectures; *a; a++)
        if (!json_word_find(architectures, *a))
            return json_error(obj, "architectures", r->e, "unknown architecture \"%.40s\"", *a);
    for (char **f = s->flags; *f; f++)
        if (!json_word_find(flags, *f))
            return json_error(obj, "flags", r->e, "unknown flag \"%.60s\"", *f);
    return 0;
}

int parse_seccomp(struct json_reader *r, const struct json *lx, struct oci_seccomp **ret)
{
    const struct json *obj, *list;

    if (json_object(r, lx, "seccomp", &obj))
        return -1;
    if (!obj)
        return 0;
    struct oci_seccomp *s = arena_alloc(r->a, 1, sizeof(*s));
    if (read_action(r, obj, "defaultAction", "defaultErrnoRet", &s->default_action, &s->default_errno) ||
        parse_lists(r, obj, s) || json_path(r, obj, "listenerPath", &s->listener_path) ||
        json_string(r, obj, "listenerMetadata", &s->listener_metadata) ||
        json_array(r, obj, "syscalls", &list))
        return -1;
    if (s->listener_metadata && !s->listener_path)
        return json_error(obj, "listenerMetadata", r->e, "needs listenerPath");
    s->rules = arena_alloc(r->a, list ? list->n : 0, sizeof(*s->rules));
    for (const struct json *v = list ? list->first : NULL; v; v = v->next)
        if (parse_rule(r, v, &s->rules[s->nrules++]))
            return -1;
    *ret = s;
    return 0;
}
