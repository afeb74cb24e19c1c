#include "runtime/launch/userns.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "oci/config.h"

#define IDMAP_LINES OCI_IDMAPS_MAX
#define MAP_TEXT_MAX 4096 /* the kernel takes less than a page at once */
#define ALL_IDS UINT32_MAX

bool userns_needed_first(void)
{
    return geteuid() != 0;
}

int userns_check(const struct oci_config *c, struct err *e)
{
    const struct oci_linux *l = &c->lx;
    const struct oci_namespace *ns = &l->ns[OCI_NS_USER];
    bool mapped = l->nuid_mappings > 0 && l->ngid_mappings > 0;

    if (!ns->set && (l->nuid_mappings > 0 || l->ngid_mappings > 0))
        return err_set(e, ERR_CONFIG, 0,
                       "config.json: linux.uidMappings and gidMappings need a namespace of type \"user\"");
    if (ns->set && !ns->path && !mapped)
        return err_set(
            e, ERR_CONFIG, 0,
            "config.json: a new user namespace needs both linux.uidMappings and linux.gidMappings");
    if (!ns->set && geteuid() != 0)
        return err_set(e, ERR_PERM, 0,
                       "without root a container needs a user namespace in config.json (see bailey spec "
                       "--rootless)");
    return 0;
}

/* Text -------------------------------------------------------------------------------------- */

static size_t map_text(const struct oci_idmap *m, size_t n, char *buf, size_t size)
{
    size_t len = 0;

    for (size_t i = 0; i < n && len < size; i++)
        len +=
            (size_t)snprintf(buf + len, size - len, "%u %u %u\n", m[i].container_id, m[i].host_id, m[i].size);
    return len;
}

/* A map goes down in one write, or not at all. */
static int write_file(pid_t pid, const char *file, const char *text, size_t len)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
    return fd >= 0 && write(fd, text, len) == (ssize_t)len ? 0 : -errno;
}

/* The mapping of a process (0: the caller), line by line. How many, or -errno. */
static int read_map(pid_t pid, const char *file, struct userns_extent *list, int max)
{
    char path[64] = "/proc/self/", line[128];
    int n = 0;

    if (pid)
        snprintf(path, sizeof(path), "/proc/%d/", pid);
    strcat(path, file);
    _cleanup_fclose_ FILE *f = fopen(path, "re");
    if (!f)
        return -errno;
    while (n < max && fgets(line, sizeof(line), f))
        if (sscanf(line, "%u %u %u", &list[n].inside, &list[n].outside, &list[n].count) == 3)
            n++;
    return n;
}

int userns_map_same(pid_t pid, bool *ret_partial, struct err *e)
{
    static const char *const files[] = {"uid_map", "gid_map"};
    struct userns_extent list[IDMAP_LINES];
    char text[MAP_TEXT_MAX];

    *ret_partial = false;
    for (size_t k = 0; k < ARRAY_SIZE(files); k++) {
        size_t len = 0;
        int n = read_map(0, files[k], list, ARRAY_SIZE(list));
        for (int i = 0; i < n && len < sizeof(text); i++)
            len += (size_t)snprintf(text + len, sizeof(text) - len, "%u %u %u\n", list[i].inside,
                                    list[i].inside, list[i].count);
        int r = n < 0 ? n : len < sizeof(text) ? write_file(pid, files[k], text, len) : -E2BIG;
        if (r < 0)
            return err_set(e, ERR_SYS, -r, "cannot write /proc/%d/%s", pid, files[k]);
        *ret_partial |= n != 1 || list[0].count != ALL_IDS;
    }
    return 0;
}

/* Writing ----------------------------------------------------------------------------------- */

/* newuidmap PID INSIDE OUTSIDE COUNT... */
static int run_helper(const char *program, pid_t pid, const struct oci_idmap *m, size_t n, struct err *e)
{
    char numbers[3 * IDMAP_LINES + 1][12];
    const char *argv[3 * IDMAP_LINES + 3] = {program, numbers[0]};
    int status = 0, k = 1;

    snprintf(numbers[0], sizeof(numbers[0]), "%d", pid);
    for (size_t i = 0; i < n; i++) {
        const uint32_t v[] = {m[i].container_id, m[i].host_id, m[i].size};
        for (int j = 0; j < 3; j++, k++) {
            snprintf(numbers[k], sizeof(numbers[k]), "%u", v[j]);
            argv[k + 1] = numbers[k];
        }
    }
    pid_t child = fork();
    if (child == 0) {
        (void)execvp(program, (char *const *)(uintptr_t)argv);
        _exit(errno == ENOENT ? 127 : 126);
    }
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    if (child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    if (child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 127)
        return err_set(e, ERR_PERM, 0,
                       "more ids than one's own are mapped, which needs %s (Debian: package uidmap)",
                       program);
    return err_set(e, ERR_PERM, child < 0 ? errno : 0,
                   "%s refused the mappings of config.json (see /etc/sub%s)", program,
                   program[3] == 'u' ? "uid" : "gid");
}

/* Without privileges one may map one's own id alone. */
static bool is_own_id(const struct oci_idmap *m, size_t n, uint32_t id)
{
    return n == 1 && m[0].size == 1 && m[0].host_id == id;
}

static int map_error(int r, const char *file, struct err *e)
{
    if (r == -EINVAL)
        return err_set(e, ERR_CONFIG, EINVAL,
                       "config.json: linux.%cidMappings: ranges overlap or are not allowed", file[0]);
    if (r == -E2BIG)
        return err_set(
            e, ERR_CONFIG, 0,
            "config.json: linux.%cidMappings: too many ranges: as text they fill the page that the "
            "kernel takes",
            file[0]);
    return err_set(e, ERR_PERM, -r, "config.json: linux.%cidMappings: cannot write %s", file[0], file);
}

static int map_direct(pid_t pid, const char *file, const struct oci_idmap *m, size_t n, struct err *e)
{
    char text[MAP_TEXT_MAX];
    size_t len = map_text(m, n, text, sizeof(text));
    int r = len < sizeof(text) ? write_file(pid, file, text, len) : -E2BIG;

    return r < 0 ? map_error(r, file, e) : 0;
}

static int map_gids_rootless(pid_t pid, const struct oci_linux *l, struct err *e)
{
    if (!is_own_id(l->gid_mappings, l->ngid_mappings, getegid()))
        return run_helper("newgidmap", pid, l->gid_mappings, l->ngid_mappings, e);
    int r = write_file(pid, "setgroups", "deny", 4);
    if (r < 0)
        return err_set(e, ERR_PERM, -r, "cannot write /proc/%d/setgroups", pid);
    return map_direct(pid, "gid_map", l->gid_mappings, l->ngid_mappings, e);
}

int userns_map(const struct oci_config *c, pid_t pid, struct err *e)
{
    const struct oci_linux *l = &c->lx;
    bool own = is_own_id(l->uid_mappings, l->nuid_mappings, geteuid());

    if (geteuid() == 0)
        return map_direct(pid, "uid_map", l->uid_mappings, l->nuid_mappings, e) < 0
                   ? -1
                   : map_direct(pid, "gid_map", l->gid_mappings, l->ngid_mappings, e);
    if ((own ? map_direct(pid, "uid_map", l->uid_mappings, l->nuid_mappings, e)
             : run_helper("newuidmap", pid, l->uid_mappings, l->nuid_mappings, e)) < 0)
        return -1;
    return map_gids_rootless(pid, l, e);
}

/* Reading ----------------------------------------------------------------------------------- */

static const struct userns_extent *lowest(const struct userns_extent *list, unsigned n)
{
    const struct userns_extent *low = list;

    for (unsigned i = 1; i < n; i++)
        if (list[i].inside < low->inside)
            low = &list[i];
    return low;
}

static int take_map(pid_t pid, const char *file, struct userns_extent **ret, unsigned *ret_n)
{
    struct userns_extent list[IDMAP_LINES];
    int n = read_map(pid, file, list, ARRAY_SIZE(list));

    if (n <= 0)
        return n < 0 ? n : -ENOENT;
    *ret = calloc((size_t)n, sizeof(**ret));
    if (!*ret)
        return -ENOMEM;
    memcpy(*ret, list, (size_t)n * sizeof(**ret));
    *ret_n = (unsigned)n;
    return 0;
}

int userns_ids_of(pid_t pid, struct userns_ids *ret, struct err *e)
{
    struct userns_ids ids = {.partial = false};
    int r = take_map(pid, "uid_map", &ids.uids, &ids.nuids);

    if (r == 0)
        r = take_map(pid, "gid_map", &ids.gids, &ids.ngids);
    if (r < 0)
        return err_set(e, ERR_SYS, -r, "cannot read the id mappings of the container's user namespace");
    const struct userns_extent *uid = lowest(ids.uids, ids.nuids), *gid = lowest(ids.gids, ids.ngids);
    ids.uid = uid->inside;
    ids.host_uid = uid->outside;
    ids.gid = gid->inside;
    ids.host_gid = gid->outside;
    ids.partial =
        ids.nuids != 1 || ids.ngids != 1 || ids.uids->count != ALL_IDS || ids.gids->count != ALL_IDS;
    *ret = ids;
    return 0;
}

static bool translate(const struct userns_extent *list, unsigned n, uint32_t id, uint32_t *ret)
{
    for (unsigned i = 0; i < n; i++) {
        if (id < list[i].inside || id - list[i].inside >= list[i].count)
            continue;
        *ret = list[i].outside + (id - list[i].inside);
        return true;
    }
    return false;
}

bool userns_host_uid(const struct userns_ids *ids, uid_t uid, uid_t *ret)
{
    *ret = uid;
    return !ids || translate(ids->uids, ids->nuids, uid, ret);
}

bool userns_host_gid(const struct userns_ids *ids, gid_t gid, gid_t *ret)
{
    *ret = gid;
    return !ids || translate(ids->gids, ids->ngids, gid, ret);
}

/* Entering ---------------------------------------------------------------------------------- */

int userns_become_root(const struct userns_ids *ids, struct err *e)
{
    /* Where it is denied, the caller's own groups stay. */
    if (setgroups(0, NULL) < 0 && errno != EPERM)
        return err_set(e, ERR_SYS, errno, "setgroups");
    if (setresgid(ids->gid, ids->gid, ids->gid) < 0 || setresuid(ids->uid, ids->uid, ids->uid) < 0)
        return err_set(e, ERR_SYS, errno, "cannot become root of the container's user namespace");
    return 0;
}

/* For mounts -------------------------------------------------------------------------------- */

/* Only its namespace is wanted of the process. */
static pid_t fork_in_userns(void)
{
    pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);

    if (pid == 0)
        for (;;)
            pause();
    return pid;
}

int userns_for_mount(const struct oci_idmap *uids, size_t nuids, const struct oci_idmap *gids, size_t ngids,
                     struct err *e)
{
    char path[64];
    int fd = -1;
    pid_t pid = fork_in_userns();

    if (pid < 0)
        return err_set(e, ERR_SYS, errno, "a user namespace for an idmapped mount");
    snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
    if (map_direct(pid, "uid_map", uids, nuids, e) == 0 && map_direct(pid, "gid_map", gids, ngids, e) == 0) {
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            err_set(e, ERR_SYS, errno, "%s", path);
    }
    (void)kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return fd;
}
