/* The host's hierarchies: finding them, and reading and writing their files. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "common/cleanup.h"
#include "runtime/cgroup/cgroup_internal.h"

static const struct {
    const char *v1, *v2; /* NULL: not in that version */
} names[CG_CTLS] = {
    [CG_CPU] = {"cpu", "cpu"},
    [CG_CPUACCT] = {"cpuacct", NULL},
    [CG_CPUSET] = {"cpuset", "cpuset"},
    [CG_MEMORY] = {"memory", "memory"},
    [CG_DEVICES] = {"devices", NULL},
    [CG_FREEZER] = {"freezer", NULL},
    [CG_IO] = {"blkio", "io"},
    [CG_PIDS] = {"pids", "pids"},
    [CG_HUGETLB] = {"hugetlb", "hugetlb"},
    [CG_NET_CLS] = {"net_cls", NULL},
    [CG_NET_PRIO] = {"net_prio", NULL},
    [CG_RDMA] = {"rdma", "rdma"},
};

static const char *ctl_name(enum cgroup_ctl ctl, int version)
{
    return version == 1 ? names[ctl].v1 : names[ctl].v2;
}

enum cgroup_ctl cgroup_ctl_by_name(const char *name, size_t len, int version)
{
    for (enum cgroup_ctl c = 0; c < CG_CTLS; c++) {
        const char *n = ctl_name(c, version);
        if (n && strlen(n) == len && strncmp(n, name, len) == 0)
            return c;
    }
    return CG_CTLS;
}

const struct cgroup_tree *cgroup_tree_of(const struct cgroup *cg, enum cgroup_ctl ctl)
{
    for (unsigned i = 0; i < cg->ntrees; i++)
        if (cg->trees[i].ctls & 1U << ctl)
            return &cg->trees[i];
    return NULL;
}

bool cgroup_file(const struct cgroup_tree *t, const char *path, const char *file, char ret[PATH_MAX])
{
    return snprintf(ret, PATH_MAX, "%s%s/%s", t->mount, path, file) < PATH_MAX;
}

int cgroup_write(const char *file, const char *text)
{
    _cleanup_close_ int fd = open(file, O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return errno;
    ssize_t n = write(fd, text, strlen(text));
    return n < 0 ? errno : (size_t)n == strlen(text) ? 0 : EIO;
}

char *cgroup_read(const char *file)
{
    _cleanup_close_ int fd = open(file, O_RDONLY | O_CLOEXEC);
    _cleanup_free_ char *text = NULL;
    size_t len = 0, room = 0;

    if (fd < 0)
        return NULL;
    for (;;) {
        if (room - len < 2) {
            room = room ? 2 * room : 4096;
            char *more = realloc(text, room);
            if (!more)
                return NULL;
            text = more;
        }
        ssize_t n = read(fd, text + len, room - len - 1);
        if (n < 0)
            return NULL;
        len += (size_t)n;
        text[len] = '\0';
        if (n == 0)
            return steal_ptr(&text);
    }
}

/* The controllers of a list such as "rw,cpu,cpuacct" or "cpu memory pids\n". */
static unsigned controllers(const char *list, int version)
{
    unsigned set = 0;

    while (*list) {
        size_t len = strcspn(list, ", \n");
        enum cgroup_ctl c = cgroup_ctl_by_name(list, len, version);
        if (c != CG_CTLS)
            set |= 1U << c;
        list += len + (list[len] != '\0');
    }
    return set;
}

static void add_tree(struct cgroup *cg, const char *mount, const char *fstype, const char *options)
{
    struct cgroup_tree t = {.version = strcmp(fstype, "cgroup2") == 0 ? 2 : 1};
    char file[PATH_MAX];
    unsigned have = 0;

    if (cg->ntrees == CGROUP_TREES_MAX || strlen(mount) >= sizeof(t.mount) || strchr(mount, '\\'))
        return;
    memcpy(t.mount, mount, strlen(mount) + 1);
    if (t.version == 2) {
        _cleanup_free_ char *list =
            cgroup_file(&t, "", "cgroup.controllers", file) ? cgroup_read(file) : NULL;
        t.ctls = controllers(list ? list : "", 2) | 1U << CG_UNIFIED;
    } else {
        t.ctls = controllers(options, 1);
    }
    for (unsigned i = 0; i < cg->ntrees; i++)
        have |= cg->trees[i].ctls;
    t.ctls &= ~have; /* mounted twice: the first counts */
    if (t.ctls)
        cg->trees[cg->ntrees++] = t;
}

/* "36 35 98:0 /root /mount options [optional...] - type source superoptions" */
void cgroup_parse_mounts(struct cgroup *cg, char *mountinfo)
{
    char *save = NULL, *word = NULL;

    cg->ntrees = 0;
    for (char *line = strtok_r(mountinfo, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *dash = strstr(line, " - cgroup"), *mount = NULL, *type, *options;
        if (!dash)
            continue;
        *dash = '\0';
        strtok_r(line, " ", &word);
        for (int i = 0; i < 4; i++)
            mount = strtok_r(NULL, " ", &word);
        type = strtok_r(dash + 3, " ", &word);
        (void)strtok_r(NULL, " ", &word);
        options = strtok_r(NULL, " ", &word);
        if (mount && type && options)
            add_tree(cg, mount, type, options);
    }
}
