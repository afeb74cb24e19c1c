/* A procfs of the host that was mounted into the container. Its per-process files answer by who asks, and who
 * asks is the keep: it may read and write its own memory there. So a guest gets only those that are the same
 * for everybody. */
#include "sandbox/keep/fs/vfs_priv.h"

#include <ctype.h>
#include <stdio.h>
#include <sys/vfs.h>

#define PROC_MAGIC 0x9fa0

static bool is_number(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isdigit((unsigned char)s[i]))
            return false;
    return n > 0;
}

/* A thread of the keep: even what is public of others says of it where its memory is. */
static bool is_keep(const char *number, size_t n)
{
    char name[64];

    snprintf(name, sizeof(name), "%d/task/%.*s", (int)kernel.pid, (int)n, number);
    return n < 16 && faccessat(kernel.procfd, name, F_OK, 0) == 0;
}

/* What follows the process (and thread) directory in path, or NULL where it lies in none. */
static const char *in_process(const char *path)
{
    size_t len;
    const char *rest = NULL;

    for (const char *p = path_component(path, &len); len != 0; p = path_component(p + len, &len))
        if (is_number(p, len)) {
            if (is_keep(p, len))
                return "";
            rest = p + len + strspn(p + len, "/");
            if (strncmp(rest, "task/", 5) != 0)
                break;
        }
    return rest;
}

static bool is_public(const char *name)
{
    static const char *const names[] = {"stat",      "statm",     "status",       "cmdline",   "comm",
                                        "cgroup",    "limits",    "mounts",       "mountinfo", "loginuid",
                                        "sessionid", "oom_score", "sched",        "wchan",     "uid_map",
                                        "gid_map",   "schedstat", "oom_score_adj"};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return strncmp(name, "net/", 4) == 0;
}

bool host_procfs(int fd)
{
    struct statfs sf;

    return fstatfs(fd, &sf) != 0 || sf.f_type == PROC_MAGIC;
}

int host_procfs_check(struct dentry *d, int flags)
{
    char path[PATH_MAX];
    int r = dentry_path_abs(d, path, sizeof(path));
    const char *rest = r < 0 ? "" : in_process(path);

    if (!rest)
        return 0;
    return (flags & O_ACCMODE) == O_RDONLY && is_public(rest) ? 0 : -EACCES;
}
