#include "runtime/launch/exec_process.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/arena.h"
#include "oci/caps.h"
#include "runtime/procenv.h"

/* Digits and nothing else, up to the character that ends it. */
static const char *number(const char *s, uint32_t *ret)
{
    char *end;

    if (!isdigit((unsigned char)*s))
        return NULL;
    errno = 0;
    unsigned long v = strtoul(s, &end, 10);
    if (errno || v >= UINT32_MAX)
        return NULL;
    *ret = (uint32_t)v;
    return end;
}

static int set_user(const char *text, struct oci_user *u, struct err *e)
{
    uint32_t uid = 0, gid = u->gid;
    const char *s = number(text, &uid);

    if (s && *s == ':')
        s = number(s + 1, &gid);
    if (!s || *s)
        return err_set(e, ERR_USAGE, 0, "option --user: must be UID or UID:GID in numbers, not \"%.60s\"",
                       text);
    u->uid = uid;
    u->gid = gid;
    return 0;
}

static int add_groups(const struct option_list *l, struct arena *a, struct oci_user *u, struct err *e)
{
    gid_t *groups = arena_alloc(a, u->ngroups + l->n, sizeof(*groups));

    if (u->ngroups)
        memcpy(groups, u->groups, u->ngroups * sizeof(*groups));
    u->groups = groups;
    for (size_t i = 0; i < l->n; i++) {
        uint32_t gid = 0;
        const char *end = number(l->v[i], &gid);
        if (!end || *end)
            return err_set(e, ERR_USAGE, 0, "option --additional-gids: must be a number, not \"%.60s\"",
                           l->v[i]);
        u->groups[u->ngroups++] = gid;
    }
    return 0;
}

static int add_caps(const struct option_list *l, struct oci_caps *c, struct err *e)
{
    for (size_t i = 0; i < l->n; i++) {
        int cap = oci_cap_of(l->v[i]);
        if (cap < 0)
            return err_set(e, ERR_USAGE, 0, "option --cap: unknown capability \"%.60s\"", l->v[i]);
        uint64_t bit = UINT64_C(1) << cap;
        c->set = true;
        c->bounding |= bit;
        c->effective |= bit;
        c->permitted |= bit;
    }
    return 0;
}

/* A variable that is there already is replaced. The list is copied: it may be another process's, too. */
static int add_env(const struct option_list *l, struct arena *a, struct oci_process *p, struct err *e)
{
    char **env = arena_alloc(a, p->nenv + 1, sizeof(*env));

    if (p->nenv)
        memcpy(env, p->env, p->nenv * sizeof(*env));
    p->env = env;
    for (size_t i = 0; i < l->n; i++) {
        if (!strchr(l->v[i], '=') || l->v[i][0] == '=')
            return err_set(e, ERR_USAGE, 0, "option --env: must be NAME=VALUE, not \"%.60s\"", l->v[i]);
        procenv_set(a, p, l->v[i]);
    }
    return 0;
}

int exec_process_options(const struct exec_options *o, const struct oci_config *c, struct oci_process *p,
                         struct err *e)
{
    if (o->tty)
        p->terminal = true;
    if (o->no_new_privs)
        p->no_new_privileges = true;
    if (o->cwd && o->cwd[0] != '/')
        return err_set(e, ERR_USAGE, 0, "option --cwd: must be absolute, not \"%.60s\"", o->cwd);
    if (o->cwd)
        p->cwd = o->cwd;
    if (o->process_label)
        p->selinux_label = o->process_label;
    if (o->apparmor)
        p->apparmor_profile = o->apparmor;
    if (o->user && set_user(o->user, &p->user, e))
        return -1;
    if (add_groups(&o->gids, c->arena, &p->user, e) || add_caps(&o->caps, &p->caps, e))
        return -1;
    return add_env(&o->env, c->arena, p, e);
}

int exec_process_args(const struct exec_options *o, const struct oci_config *c, char **args,
                      struct oci_process *p, struct err *e)
{
    if (!c->process)
        return err_set(e, ERR_USAGE, 0,
                       "the container has no process whose settings could be taken: use --process");
    *p = *c->process;
    p->terminal = false;
    p->args = args;
    for (p->nargs = 0; args[p->nargs];)
        p->nargs++;
    return exec_process_options(o, c, p, e);
}
