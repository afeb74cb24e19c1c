/* Giving a cgroup of version 2 to the container (runtime-spec, config-linux.md, "Cgroup ownership"). */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "oci/config.h"
#include "runtime/cgroup/cgroup_internal.h"

/* It must be able to see its own cgroup only, and be allowed to change it. */
static bool is_asked_for(const struct oci_config *c)
{
    const struct oci_namespace *ns = &c->lx.ns[OCI_NS_CGROUP];
    bool writable = false;

    if (!ns->set || ns->path)
        return false;
    for (size_t i = 0; i < c->nmounts; i++) {
        const struct oci_mount *m = &c->mounts[i];
        if (strcmp(m->destination, "/sys/fs/cgroup") == 0)
            writable = (strcmp(m->type, "cgroup") == 0 || strcmp(m->type, "cgroup2") == 0) &&
                       !(m->flags & MS_RDONLY);
    }
    return writable;
}

/* The host's id of an id of the container; without mappings they are the same. */
static uid_t host_uid(const struct oci_config *c, uid_t uid)
{
    for (size_t i = 0; i < c->lx.nuid_mappings; i++) {
        const struct oci_idmap *m = &c->lx.uid_mappings[i];
        if (uid >= m->container_id && uid - m->container_id < m->size)
            return m->host_id + (uid - m->container_id);
    }
    return uid;
}

static int give(int dir, char *files, uid_t uid)
{
    char *save = NULL;

    if (fchownat(dir, "", uid, (gid_t)-1, AT_EMPTY_PATH))
        return errno;
    for (char *f = strtok_r(files, "\n", &save); f; f = strtok_r(NULL, "\n", &save))
        if (!strchr(f, '/') && fchownat(dir, f, uid, (gid_t)-1, AT_SYMLINK_NOFOLLOW) && errno != ENOENT)
            return errno;
    return 0;
}

int cgroup_delegate(const struct cgroup *cg, const struct oci_config *c, struct err *e)
{
    const struct cgroup_tree *t = cgroup_tree_of(cg, CG_UNIFIED);
    char path[PATH_MAX];

    if (!t || !c->process || !is_asked_for(c))
        return 0;
    _cleanup_free_ char *files = cgroup_read("/sys/kernel/cgroup/delegate");
    if (!files)
        files = strdup("cgroup.procs\ncgroup.subtree_control\ncgroup.threads\n");
    _cleanup_close_ int dir =
        cgroup_file(t, cg->path, "", path) ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (!files || dir < 0)
        return err_set(e, ERR_SYS, files ? errno : ENOMEM, "cgroup %s%s", t->mount, cg->path);
    int r = give(dir, files, host_uid(c, c->process->user.uid));
    return r ? err_set(e, ERR_SYS, r, "cannot give cgroup %s%s to the container", t->mount, cg->path) : 0;
}
