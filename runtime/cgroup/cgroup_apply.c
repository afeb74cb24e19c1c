/* Writing limits. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "common/cleanup.h"
#include "oci/config.h"
#include "runtime/cgroup/cgroup_internal.h"

static int write_set(const struct cgroup *cg, const struct cgroup_set *w)
{
    const struct cgroup_tree *t = cgroup_tree_of(cg, w->ctl);
    char file[PATH_MAX];

    if (!t || !cgroup_file(t, cg->path, w->file, file))
        return ENOENT;
    int r = cgroup_write(file, w->value);
    if (r == ENOENT && w->optional)
        return 0;
    if (r != ENOENT || !w->fallback[0] || !cgroup_file(t, cg->path, w->fallback, file))
        return r;
    return cgroup_write(file, w->instead[0] ? w->instead : w->value);
}

static int refused(const struct cgroup_set *w, int errnum, struct err *e)
{
    if (errnum == ENOENT)
        return err_set(e, ERR_UNSUPPORTED, 0, "linux.resources.%s: this kernel has no cgroup file %s",
                       w->field, w->file);
    return err_set(e, errnum == EROFS || errnum == EACCES ? ERR_PERM : ERR_SYS, errnum,
                   "linux.resources.%s: writing \"%.80s\" to cgroup file %s", w->field, w->value, w->file);
}

/* Some files take their value only after others have theirs: the limits of memory, and of memory with swap,
 * depending on which way they move; the quota and its period. So what is refused is tried once more at the
 * end, in reverse. Rules on devices and the rest have an order of their own, and are final. */
static int write_sets(const struct cgroup *cg, const struct cgroup_sets *s, struct err *e)
{
    _cleanup_free_ bool *again = calloc(s->n + 1, sizeof(*again));
    int r;

    if (!again)
        return err_set(e, ERR_SYS, ENOMEM, "linux.resources");
    for (size_t i = 0; i < s->n; i++) {
        r = write_set(cg, &s->list[i]);
        again[i] = r == EINVAL && (s->list[i].ctl == CG_MEMORY || s->list[i].ctl == CG_CPU);
        if (r && !again[i])
            return refused(&s->list[i], r, e);
    }
    for (size_t i = s->n; i-- > 0;)
        if (again[i] && (r = write_set(cg, &s->list[i])))
            return refused(&s->list[i], r, e);
    return 0;
}

/* memory.checkBeforeUpdate: rather no limit than one that kills at once. */
static int check_usage(const struct cgroup *cg, const struct oci_resources *res, struct err *e)
{
    const struct cgroup_tree *t = cgroup_tree_of(cg, CG_MEMORY);
    char file[PATH_MAX];

    if (!t || !res->memory.check_before_update || !res->memory.limit.set || res->memory.limit.v <= 0)
        return 0;
    if (!cgroup_file(t, cg->path, t->version == 1 ? "memory.usage_in_bytes" : "memory.current", file))
        return 0;
    _cleanup_free_ char *text = cgroup_read(file);
    if (text && strtoull(text, NULL, 10) > (uint64_t)res->memory.limit.v)
        return err_set(e, ERR_STATE, 0,
                       "linux.resources.memory.limit: %" PRId64 " is less than what is in use, %.*s",
                       res->memory.limit.v, (int)strcspn(text, "\n"), text);
    return 0;
}

int cgroup_apply(const struct cgroup *cg, const struct oci_resources *res, struct err *e)
{
    _cleanup_(cgroup_sets_free) struct cgroup_sets sets = {0};
    int version[CG_CTLS];

    for (enum cgroup_ctl c = 0; c < CG_CTLS; c++) {
        const struct cgroup_tree *t = cgroup_tree_of(cg, c);
        version[c] = t ? t->version : 0;
    }
    if (cgroup_sets_make(res, version, &sets, e) || check_usage(cg, res, e))
        return -1;
    if (write_sets(cg, &sets, e))
        return -1;
    const struct cgroup_tree *two = cgroup_tree_of(cg, CG_UNIFIED);
    return two && !cgroup_tree_of(cg, CG_DEVICES) && res->ndevices > 0
               ? cgroup_set_devices(two, cg->path, res, e)
               : 0;
}
