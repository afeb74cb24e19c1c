#include "runtime/sysctl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "oci/config.h"
#include "runtime/procfile.h"
#include "sandbox/keep/pseudo/procfs.h"

static const char *const of_ipc[] = {
    "kernel/msgmax", "kernel/msgmnb", "kernel/msgmni", "kernel/sem", "kernel/shm_rmid_forced",
    "kernel/shmall", "kernel/shmmax", "kernel/shmmni", NULL,
};

/* The keep judges who may use a low port or send an echo request; on the host both are open to it. */
static const char *const of_keep[] = {"net/ipv4/ip_unprivileged_port_start", "net/ipv4/ping_group_range",
                                      NULL};

static bool listed(const char *const *list, const char *path)
{
    for (; *list; list++)
        if (strcmp(*list, path) == 0)
            return true;
    return false;
}

/* "net.ipv4.ip_forward" as a path below /proc/sys; a key with a slash is one already (sysctl(8)). False: it
 * is none. */
static bool to_path(const char *key, char *path, size_t size)
{
    bool slashes = strchr(key, '/') && (!strchr(key, '.') || strchr(key, '/') < strchr(key, '.'));
    int n = snprintf(path, size, "%s", key);

    for (char *c = path; *c; c++) {
        if (!slashes && (*c == '.' || *c == '/'))
            *c = *c == '.' ? '/' : '.';
    }
    return n > 0 && (size_t)n < size && path[0] != '/' && path[n - 1] != '/' && !strstr(path, "//") &&
           !strstr(path, "/../") && strncmp(path, "../", 3) != 0 &&
           strncmp(path + (n > 3 ? n - 3 : 0), "/..", 3) != 0;
}

static int refuse(const struct oci_pair *s, struct err *e, const char *why)
{
    return err_set(e, ERR_CONFIG, 0, "config.json: linux.sysctl.%.100s: %s", s->key, why);
}

static int check_value(const struct oci_pair *s, const char *path, struct err *e)
{
    char text[512];

    if (snprintf(text, sizeof(text), "%s=%s", path, s->value) >= (int)sizeof(text))
        return refuse(s, e, "is too long");
    int r = procfs_sysctl_check(text);
    if (r == 0 || (r == -ENOENT && strncmp(path, "net/", 4) == 0)) /* the host says what it thinks of those */
        return 0;
    return refuse(s, e,
                  r == -ENOENT   ? "there is no such setting"
                  : r == -EACCES ? "can only be read"
                                 : "not a valid value");
}

static int take_name(const struct oci_config *c, const struct oci_pair *s, const char **name, struct err *e)
{
    if (!c->lx.ns[OCI_NS_UTS].set)
        return refuse(s, e, "the container has no uts namespace of its own");
    if (*name && strcmp(*name, s->value) != 0)
        return refuse(s, e, name == &c->hostname ? "differs from hostname" : "differs from domainname");
    if (strlen(s->value) > 64)
        return refuse(s, e, "is longer than 64 characters");
    *name = s->value;
    return 0;
}

/* A path may lead back to the caller's own, whose settings are the host's. */
static bool other_network(const struct oci_config *c)
{
    const struct oci_namespace *ns = &c->lx.ns[OCI_NS_NET];
    struct stat own, joined;

    return ns->set && (!ns->path || stat("/proc/self/ns/net", &own) < 0 || stat(ns->path, &joined) < 0 ||
                       own.st_dev != joined.st_dev || own.st_ino != joined.st_ino);
}

static int check_one(struct oci_config *c, const struct oci_pair *s, struct err *e)
{
    char path[256];

    if (!to_path(s->key, path, sizeof(path)))
        return refuse(s, e, "is no setting's name");
    if (strcmp(path, "kernel/hostname") == 0)
        return take_name(c, s, &c->hostname, e);
    if (strcmp(path, "kernel/domainname") == 0)
        return take_name(c, s, &c->domainname, e);
    if (listed(of_ipc, path) || strncmp(path, "fs/mqueue/", 10) == 0)
        return c->lx.ns[OCI_NS_IPC].set ? check_value(s, path, e)
                                        : refuse(s, e, "the container has no ipc namespace of its own");
    if (strncmp(path, "net/", 4) == 0)
        return other_network(c) ? check_value(s, path, e)
                                : refuse(s, e, "the container has no network namespace of its own");
    return refuse(s, e, "does not belong to a namespace, so that it is not the container's to set");
}

int sysctl_check(struct oci_config *c, struct err *e)
{
    for (size_t i = 0; i < c->lx.nsysctl; i++)
        if (check_one(c, &c->lx.sysctl[i], e))
            return -1;
    return 0;
}

int sysctl_write_net(const struct oci_config *c, struct err *e)
{
    char path[256], file[300];

    for (size_t i = 0; i < c->lx.nsysctl; i++) {
        const struct oci_pair *s = &c->lx.sysctl[i];
        if (!to_path(s->key, path, sizeof(path)) || strncmp(path, "net/", 4) != 0 || listed(of_keep, path))
            continue;
        snprintf(file, sizeof(file), "sys/%s", path);
        int r = procfile_write(file, s->value);
        if (r)
            return err_set(e, ERR_CONFIG, -r, "config.json: linux.sysctl.%.100s: cannot set it to \"%.100s\"",
                           s->key, s->value);
    }
    return 0;
}
