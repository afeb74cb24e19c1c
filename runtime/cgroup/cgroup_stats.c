/* Statistics, as runc's `events --stats` prints them: containerd and others parse that. */
#include <inttypes.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/keyed.h"
#include "runtime/cgroup/cgroup_internal.h"

char *cgroup_read_of(const struct cgroup *cg, enum cgroup_ctl ctl, const char *file)
{
    const struct cgroup_tree *t = cgroup_tree_of(cg, ctl);
    char path[PATH_MAX];

    return t && cgroup_file(t, cg->path, file, path) ? cgroup_read(path) : NULL;
}

/* A file of one number; "max" is the greatest, as runc has it. */
uint64_t cgroup_number_of(const struct cgroup *cg, enum cgroup_ctl ctl, const char *file)
{
    _cleanup_free_ char *text = cgroup_read_of(cg, ctl, file);

    if (!text)
        return 0;
    return strncmp(text, "max", 3) == 0 ? UINT64_MAX : strtoull(text, NULL, 10);
}

static bool is_v2(const struct cgroup *cg, enum cgroup_ctl ctl)
{
    const struct cgroup_tree *t = cgroup_tree_of(cg, ctl);

    return t && t->version == 2;
}

static void print_percpu(const struct cgroup *cg, FILE *out)
{
    _cleanup_free_ char *text = cgroup_read_of(cg, CG_CPUACCT, "cpuacct.usage_percpu");
    char *save = NULL, *word = text ? strtok_r(text, " \n", &save) : NULL;

    for (const char *comma = ""; word; word = strtok_r(NULL, " \n", &save), comma = ",")
        fprintf(out, "%s%" PRIu64, comma, (uint64_t)strtoull(word, NULL, 10));
}

static void print_cpu(const struct cgroup *cg, FILE *out)
{
    bool v2 = is_v2(cg, CG_CPU);
    _cleanup_free_ char *stat =
        cgroup_read_of(cg, v2 || !cgroup_tree_of(cg, CG_CPU) ? CG_UNIFIED : CG_CPU, "cpu.stat");
    uint64_t total, user, kernel;

    if (!cgroup_tree_of(cg, CG_CPUACCT)) { /* version 2 counts everywhere */
        total = keyed_value(stat, "usage_usec", 0) * 1000;
        user = keyed_value(stat, "user_usec", 0) * 1000;
        kernel = keyed_value(stat, "system_usec", 0) * 1000;
    } else {
        total = cgroup_number_of(cg, CG_CPUACCT, "cpuacct.usage");
        user = cgroup_number_of(cg, CG_CPUACCT, "cpuacct.usage_user");
        kernel = cgroup_number_of(cg, CG_CPUACCT, "cpuacct.usage_sys");
    }
    fprintf(out, "\"cpu\":{\"usage\":{\"total\":%" PRIu64 ",\"percpu\":[", total);
    print_percpu(cg, out);
    fputs("],\"percpu_kernel\":[", out);
    cgroup_print_percpu(cg, true, out);
    fputs("],\"percpu_user\":[", out);
    cgroup_print_percpu(cg, false, out);
    fprintf(out,
            "],\"kernel\":%" PRIu64 ",\"user\":%" PRIu64 "},\"throttling\":{\"periods\":%" PRIu64
            ",\"throttledPeriods\":%" PRIu64 ",\"throttledTime\":%" PRIu64 "}",
            kernel, user, keyed_value(stat, "nr_periods", 0), keyed_value(stat, "nr_throttled", 0),
            v2 ? keyed_value(stat, "throttled_usec", 0) * 1000 : keyed_value(stat, "throttled_time", 0));
    cgroup_print_psi(cg, "cpu.pressure", out);
    fputc('}', out);
}

struct memory_files {
    const char *name, *limit, *usage, *max, *failcnt;
};

static void print_memory_kind(const struct cgroup *cg, FILE *out, const struct memory_files *f)
{
    fprintf(out,
            "\"%s\":{\"limit\":%" PRIu64 ",\"usage\":%" PRIu64 ",\"max\":%" PRIu64 ",\"failcnt\":%" PRIu64
            "},",
            f->name, f->limit ? cgroup_number_of(cg, CG_MEMORY, f->limit) : 0,
            f->usage ? cgroup_number_of(cg, CG_MEMORY, f->usage) : 0,
            f->max ? cgroup_number_of(cg, CG_MEMORY, f->max) : 0,
            f->failcnt ? cgroup_number_of(cg, CG_MEMORY, f->failcnt) : 0);
}

static void print_raw(char *stat, FILE *out)
{
    char *save = NULL, *line = stat ? strtok_r(stat, "\n", &save) : NULL;

    for (const char *comma = ""; line; line = strtok_r(NULL, "\n", &save)) {
        char *space = strchr(line, ' ');
        if (!space)
            continue;
        fprintf(out, "%s\"%.*s\":%" PRIu64, comma, (int)(space - line), line,
                (uint64_t)strtoull(space + 1, NULL, 10));
        comma = ",";
    }
}

static void print_memory(const struct cgroup *cg, FILE *out)
{
    static const struct memory_files v1[] = {
        {"usage", "memory.limit_in_bytes", "memory.usage_in_bytes", "memory.max_usage_in_bytes",
         "memory.failcnt"},
        {"swap", "memory.memsw.limit_in_bytes", "memory.memsw.usage_in_bytes",
         "memory.memsw.max_usage_in_bytes", "memory.memsw.failcnt"},
        {"kernel", "memory.kmem.limit_in_bytes", "memory.kmem.usage_in_bytes",
         "memory.kmem.max_usage_in_bytes", "memory.kmem.failcnt"},
        {"kernelTCP", "memory.kmem.tcp.limit_in_bytes", "memory.kmem.tcp.usage_in_bytes",
         "memory.kmem.tcp.max_usage_in_bytes", "memory.kmem.tcp.failcnt"},
    };
    static const struct memory_files v2[] = {
        {"usage", "memory.max", "memory.current", "memory.peak", NULL},
        {"swap", "memory.swap.max", "memory.swap.current", "memory.swap.peak", NULL},
        {"kernel", NULL, NULL, NULL, NULL},
        {"kernelTCP", NULL, NULL, NULL, NULL},
    };
    bool two = is_v2(cg, CG_MEMORY);
    _cleanup_free_ char *stat = cgroup_read_of(cg, CG_MEMORY, "memory.stat");

    fprintf(out, "\"memory\":{\"cache\":%" PRIu64 ",", keyed_value(stat, two ? "file" : "cache", 0));
    for (size_t i = 0; i < ARRAY_SIZE(v1); i++)
        print_memory_kind(cg, out, two ? &v2[i] : &v1[i]);
    fputs("\"raw\":{", out);
    print_raw(stat, out);
    fputc('}', out);
    cgroup_print_psi(cg, "memory.pressure", out);
    fputc('}', out);
}

/* "8:0 Read 4096" lines of version 1. */
static void print_io_v1(const struct cgroup *cg, FILE *out, const char *name, const char *file)
{
    _cleanup_free_ char *text = cgroup_read_of(cg, CG_IO, file);
    char *save = NULL, *line = text ? strtok_r(text, "\n", &save) : NULL, op[16];
    unsigned major, minor;
    uint64_t v;

    fprintf(out, "\"%s\":[", name);
    for (const char *comma = ""; line; line = strtok_r(NULL, "\n", &save))
        if (sscanf(line, "%u:%u %15[A-Za-z] %" SCNu64, &major, &minor, op, &v) == 4) {
            fprintf(out, "%s{\"major\":%u,\"minor\":%u,\"op\":\"%s\",\"value\":%" PRIu64 "}", comma, major,
                    minor, op, v);
            comma = ",";
        }
    fputc(']', out);
}

/* "8:0 rbytes=1 wbytes=2 rios=3 wios=4 ..." lines of version 2: the members at the given words. */
static void print_io_v2(const struct cgroup *cg, FILE *out, const char *name, const char *const words[2])
{
    static const char *const ops[2] = {"Read", "Write"};
    _cleanup_free_ char *text = cgroup_read_of(cg, CG_IO, "io.stat");
    char *save = NULL, *line = text ? strtok_r(text, "\n", &save) : NULL;
    const char *comma = "";
    unsigned major, minor;

    fprintf(out, "\"%s\":[", name);
    for (; line; line = strtok_r(NULL, "\n", &save))
        for (int i = 0; i < 2; i++) {
            const char *at = strstr(line, words[i]);
            if (!at || sscanf(line, "%u:%u", &major, &minor) != 2)
                continue;
            fprintf(out, "%s{\"major\":%u,\"minor\":%u,\"op\":\"%s\",\"value\":%" PRIu64 "}", comma, major,
                    minor, ops[i], (uint64_t)strtoull(at + strlen(words[i]), NULL, 10));
            comma = ",";
        }
    fputc(']', out);
}

static void print_io(const struct cgroup *cg, FILE *out)
{
    static const char *const bytes[2] = {" rbytes=", " wbytes="}, *const counts[2] = {" rios=", " wios="};

    fputs("\"blkio\":{", out);
    if (is_v2(cg, CG_IO)) {
        print_io_v2(cg, out, "ioServiceBytesRecursive", bytes);
        fputc(',', out);
        print_io_v2(cg, out, "ioServicedRecursive", counts);
    } else if (cgroup_tree_of(cg, CG_IO)) {
        print_io_v1(cg, out, "ioServiceBytesRecursive", "blkio.throttle.io_service_bytes_recursive");
        fputc(',', out);
        print_io_v1(cg, out, "ioServicedRecursive", "blkio.throttle.io_serviced_recursive");
    } else {
        fputs("\"ioServiceBytesRecursive\":[]", out);
    }
    cgroup_print_psi(cg, "io.pressure", out);
    fputc('}', out);
}

int cgroup_print_stats(const struct cgroup *cg, FILE *out, struct err *e)
{
    uint64_t limit = cgroup_number_of(cg, CG_PIDS, "pids.max");

    if (cg->ntrees == 0)
        return err_set(e, ERR_UNSUPPORTED, 0, "the container has no cgroup to count in");
    fputc('{', out);
    print_cpu(cg, out);
    fputc(',', out);
    print_memory(cg, out);
    fprintf(out, ",\"pids\":{\"current\":%" PRIu64 ",\"limit\":%" PRIu64 "},",
            cgroup_number_of(cg, CG_PIDS, "pids.current"), limit == UINT64_MAX ? 0 : limit);
    print_io(cg, out);
    fputc(',', out);
    cgroup_print_cpuset(cg, out);
    fputc(',', out);
    cgroup_print_hugetlb(cg, out);
    fputs(",\"intel_rdt\":{},\"network_interfaces\":null}", out);
    return ferror(out) ? err_set(e, ERR_SYS, EIO, "writing the statistics") : 0;
}
