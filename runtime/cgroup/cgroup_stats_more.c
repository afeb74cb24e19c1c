/* Statistics that few ask for: processor sets, huge pages, pressure, and the time of each processor. */
#include <dirent.h>
#include <inttypes.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/keyed.h"
#include "runtime/cgroup/cgroup_internal.h"

/* "0-1,3" as the elements of an array. */
static void print_list(const struct cgroup *cg, const char *name, const char *v1, const char *v2, FILE *out)
{
    const struct cgroup_tree *t = cgroup_tree_of(cg, CG_CPUSET);
    _cleanup_free_ char *text = t ? cgroup_read_of(cg, CG_CPUSET, t->version == 1 ? v1 : v2) : NULL;
    const char *comma = "";

    if (!text || *text < '0' || *text > '9')
        return;
    fprintf(out, "\"%s\":[", name);
    for (char *s = text, *end; *s >= '0' && *s <= '9'; s = end + (*end == ',')) {
        unsigned long from = strtoul(s, &end, 10), to = from;
        if (*end == '-')
            to = strtoul(end + 1, &end, 10);
        for (; from <= to && from < 65536; from++, comma = ",")
            fprintf(out, "%s%lu", comma, from);
    }
    fputs("],", out);
}

void cgroup_print_cpuset(const struct cgroup *cg, FILE *out)
{
    static const struct {
        const char *name, *file;
    } numbers[] = {
        {"cpu_exclusive", "cpuset.cpu_exclusive"},
        {"mem_hardwall", "cpuset.mem_hardwall"},
        {"mem_exclusive", "cpuset.mem_exclusive"},
        {"memory_migrate", "cpuset.memory_migrate"},
        {"memory_spread_page", "cpuset.memory_spread_page"},
        {"memory_spread_slab", "cpuset.memory_spread_slab"},
        {"memory_pressure", "cpuset.memory_pressure"},
        {"sched_load_balance", "cpuset.sched_load_balance"},
    };
    _cleanup_free_ char *level = cgroup_read_of(cg, CG_CPUSET, "cpuset.sched_relax_domain_level");

    fputs("\"cpuset\":{", out);
    print_list(cg, "cpus", "cpuset.cpus", "cpuset.cpus.effective", out);
    print_list(cg, "mems", "cpuset.mems", "cpuset.mems.effective", out);
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
        fprintf(out, "\"%s\":%" PRIu64 ",", numbers[i].name,
                cgroup_number_of(cg, CG_CPUSET, numbers[i].file));
    fprintf(out, "\"sched_relax_domain_level\":%ld}", level ? strtol(level, NULL, 10) : 0L);
}

/* "2MB" of a file's name, if it is the one about use that there is for each size. */
static bool page_size(const char *file, int version, char ret[32])
{
    const char *end = version == 1 ? ".usage_in_bytes" : ".current", *dot;

    if (strncmp(file, "hugetlb.", 8) != 0 || !(dot = strchr(file + 8, '.')) || strcmp(dot, end) != 0 ||
        dot - (file + 8) >= 32)
        return false;
    snprintf(ret, 32, "%.*s", (int)(dot - (file + 8)), file + 8);
    return true;
}

static uint64_t huge(const struct cgroup *cg, const char *size, const char *file)
{
    char name[96];

    snprintf(name, sizeof(name), "hugetlb.%s.%s", size, file);
    return cgroup_number_of(cg, CG_HUGETLB, name);
}

static void print_size(const struct cgroup *cg, const char *size, int version, FILE *out)
{
    char name[96];
    uint64_t failed;

    fprintf(out, "\"%s\":{\"usage\":%" PRIu64, size,
            huge(cg, size, version == 1 ? "usage_in_bytes" : "current"));
    if (version == 1) {
        fprintf(out, ",\"max\":%" PRIu64, huge(cg, size, "max_usage_in_bytes"));
        failed = huge(cg, size, "failcnt");
    } else {
        snprintf(name, sizeof(name), "hugetlb.%s.events", size);
        _cleanup_free_ char *text = cgroup_read_of(cg, CG_HUGETLB, name);
        failed = keyed_value(text, "max", 0);
    }
    fprintf(out, ",\"failcnt\":%" PRIu64 "}", failed);
}

void cgroup_print_hugetlb(const struct cgroup *cg, FILE *out)
{
    const struct cgroup_tree *t = cgroup_tree_of(cg, CG_HUGETLB);
    char path[PATH_MAX], size[32];
    _cleanup_closedir_ DIR *d = t && cgroup_file(t, cg->path, "", path) ? opendir(path) : NULL;
    const char *comma = "";

    fputs("\"hugetlb\":{", out);
    for (const struct dirent *f; d && (f = readdir(d));)
        if (page_size(f->d_name, t->version, size)) {
            fputs(comma, out);
            print_size(cg, size, t->version, out);
            comma = ",";
        }
    fputc('}', out);
}

/* A line such as "some avg10=0.00 avg60=0.00 avg300=0.00 total=0". */
static bool print_pressure(const char *text, const char *kind, const char *comma, FILE *out)
{
    double avg10, avg60, avg300;
    uint64_t total;
    const char *line = text ? strstr(text, kind) : NULL;

    if (!line || sscanf(line + strlen(kind), " avg10=%lf avg60=%lf avg300=%lf total=%" SCNu64, &avg10, &avg60,
                        &avg300, &total) != 4)
        return false;
    fprintf(out, "%s\"%s\":{\"avg10\":%.2f,\"avg60\":%.2f,\"avg300\":%.2f,\"total\":%" PRIu64 "}", comma,
            kind, avg10, avg60, avg300, total);
    return true;
}

void cgroup_print_psi(const struct cgroup *cg, const char *file, FILE *out)
{
    _cleanup_free_ char *text = cgroup_read_of(cg, CG_UNIFIED, file);

    if (!text || !strstr(text, "avg10="))
        return;
    fputs(",\"psi\":{", out);
    (void)print_pressure(text, "full", print_pressure(text, "some", "", out) ? "," : "", out);
    fputc('}', out);
}

void cgroup_print_percpu(const struct cgroup *cg, bool kernel, FILE *out)
{
    _cleanup_free_ char *text = cgroup_read_of(cg, CG_CPUACCT, "cpuacct.usage_all");
    char *save = NULL, *line = text ? strtok_r(text, "\n", &save) : NULL;
    uint64_t user, system;
    const char *comma = "";

    while (line && (line = strtok_r(NULL, "\n", &save)))
        if (sscanf(line, "%*u %" SCNu64 " %" SCNu64, &user, &system) == 2) {
            fprintf(out, "%s%" PRIu64, comma, kernel ? system : user);
            comma = ",";
        }
}
