/* The container's limits, read from its control groups. */
#include "sandbox/keep/container/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/keyed.h"
#include "sandbox/keep/container/container.h"
#include "sandbox/keep/strbuf.h"

enum { FILE_MAX = 1 << 20 };

/* Taking them ----------------------------------------------------------------------------------------------
 */

static struct keep_cgroup_tree *find(struct keep_cgroup *g, const struct keep_cgroup_tree *like)
{
    for (unsigned i = 0; i < g->n; i++)
        if (g->tree[i].version == like->version && strcmp(g->tree[i].controllers, like->controllers) == 0)
            return &g->tree[i];
    return NULL;
}

/* "FD VERSION HIERARCHY CONTROLLERS:PATH"; FD counts from the first directory. */
static bool parse_line(char *line, struct keep_cgroup_tree *t, int *fd)
{
    int at = 0;

    line[strcspn(line, "\n")] = 0;
    if (sscanf(line, "%d %d %u %n", fd, &t->version, &t->hierarchy, &at) != 3 || !at)
        return false;
    char *colon = strchr(line + at, ':');
    if (!colon || colon - (line + at) >= (long)sizeof(t->controllers) || strlen(colon + 1) >= sizeof(t->path))
        return false;
    memcpy(t->controllers, line + at, (size_t)(colon - (line + at)));
    strcpy(t->path, colon + 1);
    return true;
}

static void add(struct keep_cgroup *g, const struct keep_cgroup_tree *line, int *fd)
{
    LOCKED(&kernel.tasklist_lock);
    struct keep_cgroup_tree *t = find(g, line);
    if (!t) {
        if (g->n == KEEP_CGROUPS_MAX)
            return;
        t = &g->tree[g->n];
        *t = *line;
        t->dir = t->pids_max = -1;
        g->n++;
    }
    memcpy(t->path, line->path, sizeof(t->path));
    if (fd && *fd >= 0 && t->dir < 0) {
        t->pids_max = openat(*fd, "pids.max", O_RDONLY | O_CLOEXEC);
        t->dir = steal_fd(fd);
    }
}

int keep_cgroup_take(struct container *c, int fds[CGROUP_FDS])
{
    _cleanup_fclose_ FILE *f = fds[0] < 0 ? NULL : fdopen(fds[0], "r");
    char text[1200];
    int fd;

    if (!f)
        return -EBADMSG;
    fds[0] = -1;
    rewind(f);
    if (!c->cgroup && !(c->cgroup = calloc(1, sizeof(*c->cgroup))))
        return -ENOMEM;
    while (fgets(text, sizeof(text), f)) {
        struct keep_cgroup_tree line = {.version = 0};
        if (parse_line(text, &line, &fd))
            add(c->cgroup, &line, fd >= 0 && fd < KEEP_CGROUPS_MAX ? &fds[1 + fd] : NULL);
    }
    for (int i = 1; i < CGROUP_FDS; i++) {
        cleanup_close_p(&fds[i]);
        fds[i] = -1;
    }
    return 0;
}

void keep_cgroup_release(struct container *c)
{
    for (unsigned i = 0; c->cgroup && i < c->cgroup->n; i++) {
        if (c->cgroup->tree[i].dir >= 0)
            (void)close(c->cgroup->tree[i].dir);
        if (c->cgroup->tree[i].pids_max >= 0)
            (void)close(c->cgroup->tree[i].pids_max);
    }
    free(c->cgroup);
    c->cgroup = NULL;
}

/* Reading --------------------------------------------------------------------------------------------------
 */

static bool lists(const char *controllers, const char *name)
{
    size_t len = strlen(name);

    for (const char *s = controllers; *s; s += strcspn(s, ","), s += *s == ',')
        if (strncmp(s, name, len) == 0 && (s[len] == ',' || s[len] == 0))
            return true;
    return false;
}

/* The hierarchy (with a directory) that has the controller, or NULL. */
static const struct keep_cgroup_tree *tree_of(const struct container *c, const char *controller)
{
    const struct keep_cgroup *g = c->cgroup;
    const struct keep_cgroup_tree *two = NULL;

    for (unsigned i = 0; g && i < g->n; i++) {
        if (g->tree[i].version == 1 && lists(g->tree[i].controllers, controller))
            return g->tree[i].dir >= 0 ? &g->tree[i] : NULL;
        if (g->tree[i].version == 2 && g->tree[i].dir >= 0)
            two = &g->tree[i];
    }
    return two;
}

static int read_at(int dir, const char *name, struct strbuf *ret)
{
    _cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    char buf[4096];
    ssize_t n;

    if (fd < 0)
        return -errno;
    while (ret->len < FILE_MAX && (n = read(fd, buf, sizeof(buf))) != 0) {
        if (n < 0)
            return -errno;
        sb_put(ret, buf, (size_t)n);
    }
    return ret->failed ? -ENOMEM : 0;
}

/* Reads a file of that controller's, by its name in either version, as text. -1: there is none. */
static int read_file(const struct container *c, const char *controller, const char *v1, const char *v2,
                     struct strbuf *ret)
{
    const struct keep_cgroup_tree *t = tree_of(c, controller);
    const char *name = t && t->version == 1 ? v1 : v2;

    return t && name && read_at(t->dir, name, ret) == 0 && ret->s ? 0 : -1;
}

/* A number, or "max". */
static bool number(const struct container *c, const char *controller, const char *v1, const char *v2,
                   uint64_t *ret)
{
    _cleanup_sb_ struct strbuf sb = {0};

    if (read_file(c, controller, v1, v2, &sb))
        return false;
    *ret = strncmp(sb.s, "max", 3) == 0 ? UINT64_MAX : strtoull(sb.s, NULL, 10);
    return true;
}

uint64_t keep_cgroup_pids_max(const struct container *c)
{
    const struct keep_cgroup_tree *t = tree_of(c, "pids");
    char text[32];

    ssize_t n = t && t->pids_max >= 0 ? pread(t->pids_max, text, sizeof(text) - 1, 0) : -1;
    if (n <= 0 || text[0] < '0' || text[0] > '9')
        return UINT64_MAX;
    text[n] = 0;
    return strtoull(text, NULL, 10);
}

unsigned keep_cgroup_quota(const struct container *c)
{
    const struct keep_cgroup_tree *t = tree_of(c, "cpu");
    _cleanup_sb_ struct strbuf sb = {0};
    uint64_t quota = UINT64_MAX, period = 0;

    if (t && t->version == 1) {
        if (!number(c, "cpu", "cpu.cfs_quota_us", NULL, &quota) ||
            !number(c, "cpu", "cpu.cfs_period_us", NULL, &period))
            return 0;
    } else if (read_file(c, "cpu", NULL, "cpu.max", &sb) || sscanf(sb.s, "%lu %lu", &quota, &period) != 2) {
        return 0;
    }
    if (quota > INT64_MAX || period == 0) /* -1 in version 1 */
        return 0;
    uint64_t n = (quota + period - 1) / period;
    return n == 0 ? 1 : n > 8192 ? 0 : (unsigned)n;
}

bool keep_cgroup_cpuset(const struct container *c, unsigned long mask[CPU_WORDS])
{
    _cleanup_sb_ struct strbuf sb = {0};
    const unsigned long bits = 8 * sizeof(*mask);
    bool any = false;

    if (read_file(c, "cpuset", "cpuset.effective_cpus", "cpuset.cpus.effective", &sb))
        return false;
    memset(mask, 0, CPU_WORDS * sizeof(*mask));
    for (char *s = sb.s, *end; *s >= '0' && *s <= '9'; s = end + (*end == ',')) {
        unsigned long first = strtoul(s, &end, 10), last = first;
        if (*end == '-')
            last = strtoul(end + 1, &end, 10);
        for (; first <= last && first < CPU_WORDS * bits; first++, any = true)
            mask[first / bits] |= 1UL << first % bits;
    }
    return any;
}

/* Version 1 has no word for "no limit" but a number that no machine reaches. */
static uint64_t limit_of(uint64_t bytes)
{
    return bytes >= (uint64_t)INT64_MAX / 4096 * 4096 ? UINT64_MAX : bytes;
}

static void swap_of_v1(const struct container *c, const char *stat, struct keep_cgroup_memory *m)
{
    uint64_t both = limit_of(keyed_value(stat, "hierarchical_memsw_limit", UINT64_MAX)), used = 0;

    if (both != UINT64_MAX && m->limit != UINT64_MAX)
        m->swap_limit = both > m->limit ? both - m->limit : 0;
    if (number(c, "memory", "memory.memsw.usage_in_bytes", NULL, &used))
        m->swap_used = used > m->used ? used - m->used : 0;
}

bool keep_cgroup_memory(const struct container *c, struct keep_cgroup_memory *m)
{
    const struct keep_cgroup_tree *t = tree_of(c, "memory");
    _cleanup_sb_ struct strbuf sb = {0};

    *m = (struct keep_cgroup_memory){.limit = UINT64_MAX, .swap_limit = UINT64_MAX};
    if (read_file(c, "memory", "memory.stat", "memory.stat", &sb) ||
        !number(c, "memory", "memory.usage_in_bytes", "memory.current", &m->used))
        return false;
    m->shmem = keyed_value(sb.s, t->version == 1 ? "total_shmem" : "shmem", 0);
    if (t->version == 1) {
        m->limit = limit_of(keyed_value(sb.s, "hierarchical_memory_limit", UINT64_MAX));
        m->cache = keyed_value(sb.s, "total_cache", 0);
        swap_of_v1(c, sb.s, m);
        return true;
    }
    m->cache = keyed_value(sb.s, "file", 0);
    (void)number(c, "memory", NULL, "memory.max", &m->limit);
    (void)number(c, "memory", NULL, "memory.swap.max", &m->swap_limit);
    (void)number(c, "memory", NULL, "memory.swap.current", &m->swap_used);
    return true;
}

/* /proc ----------------------------------------------------------------------------------------------------
 */

void keep_cgroup_show(const struct container *c, struct strbuf *sb)
{
    const struct keep_cgroup *g = c->cgroup;

    if (!g || g->n == 0)
        sb_printf(sb, "0::/\n");
    LOCKED(&kernel.tasklist_lock);
    for (unsigned i = 0; g && i < g->n; i++)
        sb_printf(sb, "%u:%s:%s\n", g->tree[i].hierarchy, g->tree[i].controllers, g->tree[i].path);
}

static void show_list(struct strbuf *sb, const char *list, const char *separators, unsigned hierarchy)
{
    for (size_t len; *list; list += len + (list[len] != 0)) {
        len = strcspn(list, separators);
        if (len > 0 && !memchr(list, '=', len))
            sb_printf(sb, "%.*s\t%u\t1\t1\n", (int)len, list, hierarchy);
    }
}

void keep_cgroup_show_controllers(const struct container *c, struct strbuf *sb)
{
    const struct keep_cgroup *g = c->cgroup;

    sb_printf(sb, "#subsys_name\thierarchy\tnum_cgroups\tenabled\n");
    if (!g || g->n == 0)
        show_list(sb, "cpu memory pids", " ", 0);
    for (unsigned i = 0; g && i < g->n; i++) {
        _cleanup_sb_ struct strbuf list = {0};
        if (g->tree[i].version == 1)
            show_list(sb, g->tree[i].controllers, ",", g->tree[i].hierarchy);
        else if (g->tree[i].dir >= 0 && read_at(g->tree[i].dir, "cgroup.controllers", &list) == 0 && list.s)
            show_list(sb, list.s, " \n", 0);
    }
}
