/* A container's cgroup as a unit of systemd's. The hierarchies (and limits) that systemd does not care for
 * are made and written as without it, at the path that the unit has. */
#include <errno.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "oci/config.h"
#include "runtime/cgroup/cgroup_internal.h"
#include "runtime/systemd/systemd.h"

int cgroup_plan_unit(struct cgroup *cg, const struct oci_config *c, const char *id, int state_dir,
                     struct err *e)
{
    struct systemd_unit u;

    *cg = (struct cgroup){.asked = true};
    if (systemd_unit_of(c->lx.cgroups_path, id, &u, e) || cgroup_find_trees(cg, e))
        return -1;
    memcpy(cg->unit, u.name, sizeof(cg->unit));
    return cgroup_save(cg, state_dir, e);
}

static void put_bool(FILE *f, const char *name, bool v)
{
    systemd_put(f, "%s", name);
    systemd_put(f, "b");
    systemd_put(f, v ? "true" : "false");
}

static void put_unit(FILE *f, const struct cgroup *cg, const struct systemd_unit *u, const char *id,
                     pid_t porter)
{
    const struct cgroup_tree *io = cgroup_tree_of(cg, CG_IO);
    static const char *const counted[] = {"MemoryAccounting", "CPUAccounting", "TasksAccounting"};

    systemd_put(f, "Description");
    systemd_put(f, "s");
    systemd_put(f, "bailey container %.200s", id);
    systemd_put(f, u->is_slice ? "Wants" : "Slice");
    systemd_put(f, u->is_slice ? "as" : "s");
    if (u->is_slice)
        systemd_put(f, "1");
    systemd_put(f, "%s", u->slice);
    if (!u->is_slice) {
        put_bool(f, "Delegate", true);
        systemd_put(f, "PIDs");
        systemd_put(f, "au");
        systemd_put(f, "1");
        systemd_put(f, "%d", porter);
    }
    put_bool(f, "DefaultDependencies", false);
    for (size_t i = 0; i < ARRAY_SIZE(counted); i++)
        put_bool(f, counted[i], true);
    put_bool(f, io && io->version == 1 ? "BlockIOAccounting" : "IOAccounting", true);
}

/* The unit is there, with the porter in it: where is that? */
static int start(struct cgroup *cg, const struct oci_config *c, const char *id, pid_t porter, struct err *e)
{
    _cleanup_free_ char *request = NULL, *answer = NULL;
    struct systemd_unit u;
    size_t len = 0;
    FILE *f = open_memstream(&request, &len);

    if (!f)
        return err_set(e, ERR_SYS, ENOMEM, "systemd");
    int r = systemd_unit_of(c->lx.cgroups_path, id, &u, e);
    if (r == 0) {
        systemd_put(f, "start");
        systemd_put(f, "%s", u.name);
        put_unit(f, cg, &u, id, porter);
        r = systemd_put_resources(f, cg, &c->lx.resources, e) || systemd_put_annotations(f, c, e) ? -1 : 0;
    }
    if (fclose(f) || r || systemd_call(request, len, &answer, e))
        return e->code ? -1 : err_set(e, ERR_SYS, ENOMEM, "systemd");
    if (answer[0] != '/' || !answer[1] || strlen(answer) >= sizeof(cg->path))
        return err_set(e, ERR_SYS, 0, "systemd: unit %s has no cgroup of its own", u.name);
    memcpy(cg->path, answer, strlen(answer) + 1);
    return 0;
}

int cgroup_start_unit(struct cgroup *cg, const struct oci_config *c, const char *id, pid_t porter,
                      int state_dir, struct err *e)
{
    if (start(cg, c, id, porter, e))
        return -1;
    return cgroup_adopt(cg, &c->lx.resources, state_dir, e);
}

/* Version 2 has swap alone: to know what is meant by memory and swap together, one has to know the former. */
static void complete(const struct cgroup *cg, struct oci_resources *res)
{
    const struct cgroup_tree *t = cgroup_tree_of(cg, CG_MEMORY);

    if (!t || t->version == 1 || !res->memory.swap.set || res->memory.swap.v <= 0 || res->memory.limit.set)
        return;
    uint64_t now = cgroup_number_of(cg, CG_MEMORY, "memory.max");
    if (now > 0 && now <= INT64_MAX)
        res->memory.limit = (struct oci_int){.set = true, .v = (int64_t)now};
}

int cgroup_update(const struct cgroup *cg, const struct oci_resources *asked, struct err *e)
{
    _cleanup_free_ char *request = NULL;
    struct oci_resources whole = *asked, *res = &whole;
    size_t len = 0;

    complete(cg, res);
    if (!cg->unit[0])
        return cgroup_apply(cg, res, e);
    FILE *f = open_memstream(&request, &len);
    if (!f)
        return err_set(e, ERR_SYS, ENOMEM, "systemd");
    systemd_put(f, "set");
    systemd_put(f, "%s", cg->unit);
    int r = systemd_put_resources(f, cg, res, e);
    if (fclose(f) || r || systemd_call(request, len, NULL, e))
        return e->code ? -1 : err_set(e, ERR_SYS, ENOMEM, "systemd");
    return cgroup_apply(cg, res, e);
}

void cgroup_stop_unit(const struct cgroup *cg)
{
    char request[CGROUP_UNIT_MAX + 8];
    struct err why = ERR_INIT;

    if (!cg->unit[0])
        return;
    int n = snprintf(request, sizeof(request), "stop%c%s%c", 0, cg->unit, 0);
    if (systemd_call(request, (size_t)n, NULL, &why))
        log_err(&why);
}
