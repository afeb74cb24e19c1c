/* process.scheduler, ioPriority and execCPUAffinity, linux.memoryPolicy and personality: words to the
 * kernel's numbers. */
#include <ctype.h>
#include <errno.h>
#include <linux/mempolicy.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/personality.h>

#include "common/cleanup.h"
#include "oci/parse.h"
#include "oci/tables.h"

#define SCHED_ISO_ 4 /* reserved: no kernel has it */
#define SCHED_DEADLINE_ 6
#define IOPRIO_CLASS_SHIFT 13
#define NODES_MAX 64

/* Newer than the headers of Debian 12. */
#define MPOL_WEIGHTED_INTERLEAVE_ 6

static const struct json_word policies[] = {
    {"SCHED_OTHER", SCHED_OTHER},
    {"SCHED_FIFO", SCHED_FIFO},
    {"SCHED_RR", SCHED_RR},
    {"SCHED_BATCH", SCHED_BATCH},
    {"SCHED_ISO", SCHED_ISO_},
    {"SCHED_IDLE", SCHED_IDLE},
    {"SCHED_DEADLINE", SCHED_DEADLINE_},
    {NULL, 0},
};

/* The bits of sched_attr.sched_flags. */
static const struct json_word sched_flags[] = {
    {"SCHED_FLAG_RESET_ON_FORK", 0x01},  {"SCHED_FLAG_RECLAIM", 0x02},
    {"SCHED_FLAG_DL_OVERRUN", 0x04},     {"SCHED_FLAG_KEEP_POLICY", 0x08},
    {"SCHED_FLAG_KEEP_PARAMS", 0x10},    {"SCHED_FLAG_UTIL_CLAMP_MIN", 0x20},
    {"SCHED_FLAG_UTIL_CLAMP_MAX", 0x40}, {NULL, 0},
};

static const struct json_word io_classes[] = {
    {"IOPRIO_CLASS_RT", 1}, {"IOPRIO_CLASS_BE", 2}, {"IOPRIO_CLASS_IDLE", 3}, {NULL, 0}};

static const struct json_word memory_modes[] = {
    {"MPOL_DEFAULT", MPOL_DEFAULT},       {"MPOL_BIND", MPOL_BIND},
    {"MPOL_INTERLEAVE", MPOL_INTERLEAVE}, {"MPOL_WEIGHTED_INTERLEAVE", MPOL_WEIGHTED_INTERLEAVE_},
    {"MPOL_PREFERRED", MPOL_PREFERRED},   {"MPOL_PREFERRED_MANY", MPOL_PREFERRED_MANY},
    {"MPOL_LOCAL", MPOL_LOCAL},           {NULL, 0},
};

static const struct json_word memory_flags[] = {
    {"MPOL_F_NUMA_BALANCING", MPOL_F_NUMA_BALANCING},
    {"MPOL_F_RELATIVE_NODES", MPOL_F_RELATIVE_NODES},
    {"MPOL_F_STATIC_NODES", MPOL_F_STATIC_NODES},
    {NULL, 0},
};

const char *oci_memory_mode(unsigned i)
{
    return i < ARRAY_SIZE(memory_modes) ? memory_modes[i].name : NULL;
}

const char *oci_memory_flag(unsigned i)
{
    return i < ARRAY_SIZE(memory_flags) ? memory_flags[i].name : NULL;
}

static const struct json_word domains[] = {{"LINUX", PER_LINUX}, {"LINUX32", PER_LINUX32}, {NULL, 0}};

static int read_flags(struct json_reader *r, const struct json *obj, const struct json_word *table,
                      unsigned *ret)
{
    char **names = NULL;

    if (json_strings(r, obj, "flags", &names, NULL))
        return -1;
    for (; names && *names; names++) {
        const struct json_word *w = table ? json_word_find(table, *names) : NULL;
        if (!w)
            return json_error(obj, "flags", r->e, "unknown flag \"%.60s\"", *names);
        *ret |= (unsigned)w->value;
    }
    return 0;
}

/* Numbers that the policy has no use for are a mistake, not to be ignored: as runc. */
static int check_scheduler(struct json_reader *r, const struct json *obj, const struct oci_scheduler *s)
{
    bool realtime = s->policy == SCHED_FIFO || s->policy == SCHED_RR;
    bool fair = s->policy == SCHED_OTHER || s->policy == SCHED_BATCH;

    if (s->nice && !fair)
        return json_error(obj, "nice", r->e, "goes with SCHED_OTHER and SCHED_BATCH only");
    if (s->priority && !realtime)
        return json_error(obj, "priority", r->e, "goes with SCHED_FIFO and SCHED_RR only");
    if ((s->runtime || s->deadline || s->period) && s->policy != SCHED_DEADLINE_)
        return json_error(obj,
                          s->runtime    ? "runtime"
                          : s->deadline ? "deadline"
                                        : "period",
                          r->e, "goes with SCHED_DEADLINE only");
    return 0;
}

int parse_scheduler(struct json_reader *r, const struct json *process, struct oci_scheduler *s)
{
    const struct json *obj;
    int policy = 0;
    unsigned flags = 0;
    int64_t nice = 0, priority = 0;

    if (json_object(r, process, "scheduler", &obj))
        return -1;
    if (!obj)
        return 0;
    if (json_word(r, obj, "policy", policies, &policy) || read_flags(r, obj, sched_flags, &flags) ||
        json_int(r, obj, "nice", -20, 19, NULL, &nice) ||
        json_int(r, obj, "priority", 0, 99, NULL, &priority) ||
        json_uint(r, obj, "runtime", INT64_MAX, NULL, &s->runtime) ||
        json_uint(r, obj, "deadline", INT64_MAX, NULL, &s->deadline) ||
        json_uint(r, obj, "period", INT64_MAX, NULL, &s->period))
        return -1;
    s->set = true;
    s->policy = (uint32_t)policy;
    s->flags = flags;
    s->nice = (int32_t)nice;
    s->priority = (uint32_t)priority;
    return check_scheduler(r, obj, s);
}

int parse_io_priority(struct json_reader *r, const struct json *process, struct oci_int *ret)
{
    const struct json *obj;
    int class = 0;
    int64_t priority = 0;

    if (json_object(r, process, "ioPriority", &obj))
        return -1;
    if (!obj)
        return 0;
    if (json_word(r, obj, "class", io_classes, &class) || json_int(r, obj, "priority", 0, 7, NULL, &priority))
        return -1;
    *ret = (struct oci_int){true, class << IOPRIO_CLASS_SHIFT | priority};
    return 0;
}

int parse_number_list(const char *text, unsigned max, void (*set)(void *arg, unsigned first, unsigned last),
                      void *arg)
{
    while (*text) {
        char *end;
        if (!isdigit((unsigned char)*text))
            return -EINVAL;
        unsigned long first = strtoul(text, &end, 10), last = first;
        if (*end == '-' && isdigit((unsigned char)end[1]))
            last = strtoul(end + 1, &end, 10);
        if (first > last || last >= max || (*end && *end != ',') || (*end == ',' && !end[1]))
            return -EINVAL;
        set(arg, (unsigned)first, (unsigned)last);
        text = *end ? end + 1 : end;
    }
    return 0;
}

static void ignore(void *arg, unsigned first, unsigned last)
{
    (void)arg;
    (void)first;
    (void)last;
}

int parse_affinity(struct json_reader *r, const struct json *process, struct oci_process *p)
{
    const struct json *obj;

    if (json_object(r, process, "execCPUAffinity", &obj))
        return -1;
    if (json_string(r, obj, "initial", &p->affinity_initial) ||
        json_string(r, obj, "final", &p->affinity_final))
        return -1;
    if (p->affinity_initial && parse_number_list(p->affinity_initial, CPU_SETSIZE, ignore, NULL))
        return json_error(obj, "initial", r->e, "must be a list of CPUs such as 0-3,7");
    if (p->affinity_final && parse_number_list(p->affinity_final, CPU_SETSIZE, ignore, NULL))
        return json_error(obj, "final", r->e, "must be a list of CPUs such as 0-3,7");
    return 0;
}

static void add_nodes(void *arg, unsigned first, unsigned last)
{
    uint64_t *nodes = arg;

    for (unsigned n = first; n <= last; n++)
        *nodes |= UINT64_C(1) << n;
}

int parse_memory_policy(struct json_reader *r, const struct json *lx, struct oci_memory_policy *ret)
{
    const struct json *obj;
    const char *nodes = "";
    int mode = 0;
    unsigned flags = 0;

    if (json_object(r, lx, "memoryPolicy", &obj))
        return -1;
    if (!obj)
        return 0;
    if (json_word(r, obj, "mode", memory_modes, &mode) || read_flags(r, obj, memory_flags, &flags) ||
        json_string(r, obj, "nodes", &nodes))
        return -1;
    if (parse_number_list(nodes, NODES_MAX, add_nodes, &ret->nodes))
        return json_error(obj, "nodes", r->e, "must be a list of memory nodes below %d such as 0-1,3",
                          NODES_MAX);
    ret->set = true;
    ret->mode = mode | (int)flags;
    return 0;
}

int parse_personality(struct json_reader *r, const struct json *lx, struct oci_int *ret)
{
    const struct json *obj;
    int domain = 0;
    unsigned flags = 0;

    if (json_object(r, lx, "personality", &obj))
        return -1;
    if (!obj)
        return 0;
    if (json_word(r, obj, "domain", domains, &domain) || read_flags(r, obj, NULL, &flags))
        return -1;
    *ret = (struct oci_int){true, domain};
    return 0;
}
