#include "runtime/cgroup/cgroup_view.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "oci/config.h"
#include "runtime/cgroup/cgroup_internal.h"

struct cgroup_view {
    int fds[CGROUP_FDS]; /* as CONTROL_CGROUP wants them: the text, then a directory each; -1: none */
    unsigned n;
};

static bool is_writable(const struct oci_config *c)
{
    bool writable = false;

    for (size_t i = 0; i < c->nmounts; i++)
        writable |= strncmp(c->mounts[i].type, "cgroup", 6) == 0 && !(c->mounts[i].flags & MS_RDONLY);
    return writable;
}

static int open_dir(const struct cgroup_tree *t, const char *path, bool writable)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC |
                                          (writable ? 0 : MOUNT_ATTR_RDONLY),
                              .propagation = MS_PRIVATE};
    char dir[PATH_MAX];

    if (!cgroup_file(t, path, "", dir))
        return -1;
    _cleanup_close_ int fd = open_tree(AT_FDCWD, dir, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (fd < 0 || mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)))
        return -1;
    return steal_fd(&fd);
}

/* The container's hierarchy that a line of /proc/PID/cgroup is about. */
static const struct cgroup_tree *tree_of(const struct cgroup *cg, unsigned hierarchy, const char *controllers)
{
    if (hierarchy == 0)
        return cgroup_tree_of(cg, CG_UNIFIED);
    enum cgroup_ctl c = cgroup_ctl_by_name(controllers, strcspn(controllers, ","), 1);
    const struct cgroup_tree *t = c == CG_CTLS ? NULL : cgroup_tree_of(cg, c);
    return t && t->version == 1 ? t : NULL;
}

/* "4:memory:/bailey/x" */
static void add_line(const struct cgroup *cg, bool inside, bool writable, char *line, struct cgroup_view *v,
                     FILE *out)
{
    char *save = NULL, *number = strtok_r(line, ":", &save), *controllers = save;
    char *path = controllers ? strchr(controllers, ':') : NULL;
    int at = -1;

    if (!number || !path)
        return;
    *path++ = '\0';
    unsigned hierarchy = (unsigned)strtoul(number, NULL, 10);
    const struct cgroup_tree *t = tree_of(cg, hierarchy, controllers);
    if (t && v->n < CGROUP_FDS) {
        int fd = open_dir(t, cg->path, writable);
        if (fd < 0)
            log_debug("cgroup %s%s cannot be shown inside: %s", t->mount, cg->path, strerror(errno));
        if (fd >= 0) {
            at = (int)v->n - 1;
            v->fds[v->n++] = fd;
        }
    }
    fprintf(out, "%d %d %u %s:%s\n", at, hierarchy == 0 ? 2 : 1, hierarchy, controllers, inside ? "/" : path);
}

/* Fills *v, which is to be closed by view_close, on failure too. */
static int view_open(const struct cgroup *cg, const struct oci_config *c, pid_t porter, struct cgroup_view *v,
                     struct err *e)
{
    char file[64], *save = NULL;

    *v = (struct cgroup_view){.n = 1};
    for (int i = 0; i < CGROUP_FDS; i++)
        v->fds[i] = -1;
    snprintf(file, sizeof(file), "/proc/%d/cgroup", porter);
    _cleanup_free_ char *text = cgroup_read(file);
    v->fds[0] = memfd_create("cgroup", MFD_CLOEXEC);
    int copy = v->fds[0] < 0 ? -1 : dup(v->fds[0]);
    _cleanup_fclose_ FILE *out = copy < 0 ? NULL : fdopen(copy, "w");
    if (!text || !out)
        return err_set(e, ERR_SYS, errno, "%s", file);
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        add_line(cg, c->lx.ns[OCI_NS_CGROUP].set, is_writable(c), line, v, out);
    return fflush(out) ? err_set(e, ERR_SYS, errno, "%s", file) : 0;
}

static void view_close(struct cgroup_view *v)
{
    for (int i = 0; i < CGROUP_FDS; i++)
        cleanup_close_p(&v->fds[i]);
}

int cgroup_view_send(int sock, const struct cgroup *cg, const struct oci_config *c, pid_t porter,
                     struct err *e)
{
    struct control_msg m = {.type = CONTROL_CGROUP};
    _cleanup_(view_close) struct cgroup_view v;

    if (view_open(cg, c, porter, &v, e))
        return -1;
    int r = msg_send_fds(sock, &m, sizeof(m), v.fds, v.n);
    return r < 0 ? msg_failed(r, "the sandbox", e) : 0;
}
