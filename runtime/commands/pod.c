#include "runtime/commands/pod.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "oci/config.h"

static const struct {
    const char *type, *sandbox;
} names[] = {
    {"io.kubernetes.cri.container-type", "io.kubernetes.cri.sandbox-id"},
    {"io.kubernetes.cri-o.ContainerType", "io.kubernetes.cri-o.SandboxID"},
};

static const char *annotation(const struct oci_pair *list, size_t n, const char *key)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i].key, key) == 0)
            return list[i].value;
    return NULL;
}

static enum pod_role role(const struct oci_pair *list, size_t n, const char **ret_sandbox)
{
    *ret_sandbox = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        const char *type = annotation(list, n, names[i].type);
        const char *sandbox = annotation(list, n, names[i].sandbox);
        if (type && strcmp(type, "sandbox") == 0)
            return POD_SANDBOX;
        if (type && strcmp(type, "container") == 0 && sandbox) {
            *ret_sandbox = sandbox;
            return POD_MEMBER;
        }
    }
    return POD_NONE;
}

/* What the annotations say: io.kubernetes.cri.container-type and sandbox-id, or io.kubernetes.cri-o.
 * ContainerType and SandboxID. *ret_sandbox: the sandbox's id, for POD_MEMBER. */
static enum pod_role role_of(const struct oci_config *c, const char **ret_sandbox)
{
    return role(c->annotations, c->nannotations, ret_sandbox);
}

bool pod_is_sandbox(const struct record *r)
{
    const char *ignored;

    return role(r->annotations, r->nannotations, &ignored) == POD_SANDBOX;
}

static bool same_file(const char *a, const char *b)
{
    struct stat sa, sb;

    return stat(a, &sa) == 0 && stat(b, &sb) == 0 && sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

static bool shares(const struct oci_config *c, enum oci_ns_type type, const char *name, pid_t porter)
{
    const struct oci_namespace *ns = &c->lx.ns[type];
    char own[64], theirs[64];

    if (ns->set && !ns->path)
        return false;
    snprintf(own, sizeof(own), "/proc/self/ns/%s", name);
    snprintf(theirs, sizeof(theirs), "/proc/%d/ns/%s", porter, name);
    return same_file(ns->set ? ns->path : own, theirs);
}

/* Those of the network go into the namespace; the others are the keep's own. */
static void warn_of_sysctls(const struct oci_config *c, const char *sandbox)
{
    for (size_t i = 0; i < c->lx.nsysctl; i++)
        if (strncmp(c->lx.sysctl[i].key, "net", 3) != 0)
            log_warning("linux.sysctl: %s: that of the pod's sandbox %s holds", c->lx.sysctl[i].key, sandbox);
}

static int connect_to(const struct oci_config *c, struct pod *p, struct err *e)
{
    const struct target *t = &p->sandbox;
    enum status s = target_status(t);

    /* podman's infra container is a container like others. */
    if (!pod_is_sandbox(&t->rec)) {
        log_info(
            "container %s, the sandbox by the annotations, was not made as one: the container gets a keep "
            "of its own",
            t->dir.id);
        p->role = POD_NONE;
        return 0;
    }
    if (s == STATUS_STOPPED)
        return err_set(e, ERR_STATE, 0, "the pod's sandbox %.255s is not running", t->dir.id);
    /* The keep makes the sockets of all, and all its guests are in its user namespace, by its clocks. */
    if (!shares(c, OCI_NS_NET, "net", t->rec.porter.pid) ||
        !shares(c, OCI_NS_USER, "user", t->rec.porter.pid) ||
        !shares(c, OCI_NS_TIME, "time", t->rec.porter.pid)) {
        log_info(
            "the container does not share the network, user or time namespace of its pod's sandbox %s: it "
            "gets a keep of its own",
            t->dir.id);
        p->role = POD_NONE;
        return 0;
    }
    warn_of_sysctls(c, t->dir.id);
    p->conn = target_connect(t, e);
    return p->conn < 0 ? -1 : 0;
}

int pod_find(const struct globals *g, const struct oci_config *c, struct pod *p, struct err *e)
{
    const char *id;
    struct err why = ERR_INIT;

    p->role = role_of(c, &id);
    if (p->role != POD_MEMBER)
        return 0;
    if (state_check_id(id, &why))
        return err_set(e, ERR_CONFIG, 0, "config.json: annotations: the sandbox's id \"%.60s\" is none", id);
    if (target_open(g, id, false, &p->sandbox, &why) == 0)
        return connect_to(c, p, e);
    if (why.code != ERR_NO_CONTAINER) {
        *e = why;
        return -1;
    }
    log_info("there is no sandbox %s: the container gets a keep of its own", id);
    p->role = POD_NONE;
    return 0;
}

void pod_close(struct pod *p)
{
    target_close(&p->sandbox);
    cleanup_close_p(&p->conn);
    p->conn = -1;
}
