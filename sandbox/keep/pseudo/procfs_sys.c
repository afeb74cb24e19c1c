/* /proc/sys: a table of paths, whose directories are what the paths have in common. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "common/log.h"
#include "sandbox/keep/pseudo/procfs_priv.h"
#include "sandbox/keep/version.h"

#define VALUE_MAX 256

enum kind { KIND_RO, KIND_NUM, KIND_BIG, KIND_STR, KIND_FN };

struct sysctl {
    const char *path;
    enum kind kind;
    mode_t mode;
    const char *init;
    long min, max;
    int (*show)(struct task *t, struct strbuf *sb);
    int (*write)(struct task *t, const char *value);
};

struct sysctl_value {
    char s[VALUE_MAX];
};

/* What is made when it is read
 * -------------------------------------------------------------------------------- */

static int show_name(const char name[65], const char *empty, struct strbuf *sb)
{
    char copy[65];
    {
        LOCKED(&kernel.tasklist_lock);
        memcpy(copy, name, sizeof(copy));
    }
    copy[sizeof(copy) - 1] = 0;
    sb_printf(sb, "%s\n", copy[0] ? copy : empty);
    return 0;
}

static int write_name(char name[65], const char *value)
{
    char copy[65] = "";
    (void)snprintf(copy, sizeof(copy), "%s", value);
    LOCKED(&kernel.tasklist_lock);
    memcpy(name, copy, sizeof(copy));
    return 0;
}

static int show_hostname(struct task *t, struct strbuf *sb)
{
    return show_name(t->process->container->uts->hostname, "", sb);
}

static int write_hostname(struct task *t, const char *value)
{
    return write_name(t->process->container->uts->hostname, value);
}

static int show_domainname(struct task *t, struct strbuf *sb)
{
    return show_name(t->process->container->uts->domainname, "(none)", sb);
}

static int write_domainname(struct task *t, const char *value)
{
    return write_name(t->process->container->uts->domainname, value);
}

static int show_last_pid(struct task *t, struct strbuf *sb)
{
    LOCKED(&kernel.tasklist_lock);
    sb_printf(sb, "%d\n", t->process->container->pids->last_pid);
    return 0;
}

static int show_boot_id(struct task *t, struct strbuf *sb)
{
    (void)t;
    sb_printf(sb, "%s\n", kernel.procfs->boot_id);
    return 0;
}

static int show_uuid(struct task *t, struct strbuf *sb)
{
    (void)t;
    char uuid[37];
    proc_uuid(uuid);
    sb_printf(sb, "%s\n", uuid);
    return 0;
}

static int show_file_nr(struct task *t, struct strbuf *sb)
{
    (void)t;
    sb_printf(sb, "0\t0\t9223372036854775807\n");
    return 0;
}

static int show_aio_nr(struct task *t, struct strbuf *sb)
{
    (void)t;
    sb_printf(sb, "%lu\n", atomic_load(&kernel.aio_nr));
    return 0;
}

/* The table -------------------------------------------------------------------------------------------------
 */

#define SYSCTL_RO(path_, text_) {.path = (path_), .kind = KIND_RO, .mode = 0444, .init = (text_)},
#define SYSCTL_NUM(path_, text_, min_, max_)                                                                 \
    {.path = (path_), .kind = KIND_NUM, .mode = 0644, .init = (text_), .min = (min_), .max = (max_)},
#define SYSCTL_STR(path_, text_) {.path = (path_), .kind = KIND_STR, .mode = 0644, .init = (text_)},
#define SYSCTL_BIG(path_, text_) {.path = (path_), .kind = KIND_BIG, .mode = 0644, .init = (text_)},
#define SYSCTL_FN(path_, mode_, show_, write_)                                                               \
    {.path = (path_), .kind = KIND_FN, .mode = (mode_), .show = (show_), .write = (write_)},

static const struct sysctl sysctls[] = {
#include "sandbox/keep/pseudo/sysctls.def"
};

/* Limits ----------------------------------------------------------------------------------------------------
 */

static const struct {
    const char *path;
    unsigned nth; /* number in it */
    unsigned long usual;
} limits[LIMITS] = {
    [LIMIT_MSGMAX] = {"kernel/msgmax", 0, 8192},
    [LIMIT_MSGMNB] = {"kernel/msgmnb", 0, 16384},
    [LIMIT_MSGMNI] = {"kernel/msgmni", 0, 32000},
    [LIMIT_SEMMSL] = {"kernel/sem", 0, 32000},
    [LIMIT_SEMMNS] = {"kernel/sem", 1, 1024000000},
    [LIMIT_SEMOPM] = {"kernel/sem", 2, 500},
    [LIMIT_SEMMNI] = {"kernel/sem", 3, 32000},
    [LIMIT_SHMMAX] = {"kernel/shmmax", 0, 18446744073692774399UL},
    [LIMIT_SHMALL] = {"kernel/shmall", 0, 18446744073692774399UL},
    [LIMIT_SHMMNI] = {"kernel/shmmni", 0, 4096},
    [LIMIT_MQ_QUEUES] = {"fs/mqueue/queues_max", 0, 256},
    [LIMIT_MQ_MSG] = {"fs/mqueue/msg_max", 0, 10},
    [LIMIT_MQ_MSGSIZE] = {"fs/mqueue/msgsize_max", 0, 8192},
    [LIMIT_MQ_MSG_DEFAULT] = {"fs/mqueue/msg_default", 0, 10},
    [LIMIT_MQ_MSGSIZE_DEFAULT] = {"fs/mqueue/msgsize_default", 0, 8192},
    [LIMIT_UNPRIVILEGED_PORT] = {"net/ipv4/ip_unprivileged_port_start", 0, 1024},
    [LIMIT_AIO] = {"fs/aio-max-nr", 0, 65536},
};

unsigned long procfs_limit(enum keep_limit l)
{
    const struct procfs *pf = kernel.procfs;
    return pf && pf->sysctl ? atomic_load_explicit(&pf->limits[l], memory_order_relaxed) : limits[l].usual;
}

/* The setting of this path has this text now. */
static void note_limits(struct procfs *pf, const char *path, const char *text)
{
    for (size_t i = 0; i < LIMITS; i++) {
        const char *s = text;
        char *end;
        if (strcmp(limits[i].path, path) != 0)
            continue;
        unsigned long v = strtoul(s, &end, 10);
        for (unsigned n = 0; n < limits[i].nth; n++)
            v = strtoul(end, &end, 10);
        atomic_store_explicit(&pf->limits[i], v, memory_order_relaxed);
    }
}

/* Values ----------------------------------------------------------------------------------------------------
 */

/* As many numbers as init has may follow; fewer leave the rest as they are. Normalised into out. */
static bool normalise_numbers(const struct sysctl *s, const char *value, const char *old, char out[VALUE_MAX])
{
    size_t len = 0;
    bool more = true; /* numbers are left in value */
    for (size_t i = 0; *old; i++) {
        char *end, *old_end;
        errno = 0;
        long v = strtol(old, &old_end, 10);
        if (more) {
            long given = strtol(value, &end, 10);
            more = end != value;
            if (more && (errno || given < s->min || given > s->max))
                return false;
            if (!more && (i == 0 || value[strspn(value, " \t\n")]))
                return false;
            v = more ? given : v;
            value = end;
        }
        int n = snprintf(out + len, VALUE_MAX - len, "%s%ld", i ? "\t" : "", v);
        if (n < 0 || (size_t)n >= VALUE_MAX - len)
            return false;
        len += (size_t)n;
        old = old_end + strspn(old_end, "\t ");
    }
    return !value[strspn(value, " \t\n")];
}

/* One number of the whole range of unsigned long. */
static bool is_big(const char *value)
{
    char *end;
    errno = 0;
    (void)strtoul(value, &end, 10);
    return *value >= '0' && *value <= '9' && !errno && !end[strspn(end, " \t\n")];
}

/* The text that the setting is to have, from a value and the text that it has now. */
static int normalise(const struct sysctl *s, const char *value, const char *old, char out[VALUE_MAX])
{
    if (s->kind == KIND_RO)
        return -EACCES;
    if (strlen(value) >= VALUE_MAX || (s->kind == KIND_BIG && !is_big(value)))
        return -EINVAL;
    if (s->kind == KIND_NUM)
        return normalise_numbers(s, value, old, out) ? 0 : -EINVAL;
    (void)snprintf(out, VALUE_MAX, "%s", value);
    return 0;
}

/* Sets a value from text without a newline at its end. t may be NULL at the start. */
static int sysctl_set(struct procfs *pf, struct task *t, size_t i, const char *value)
{
    const struct sysctl *s = &sysctls[i];
    char out[VALUE_MAX] = "";
    if (s->kind == KIND_FN)
        return s->write && t ? s->write(t, value) : -EACCES;
    LOCKED(&pf->lock);
    int r = normalise(s, value, pf->sysctl[i].s, out);
    if (r)
        return r;
    memcpy(pf->sysctl[i].s, out, sizeof(out));
    note_limits(pf, s->path, out);
    return 0;
}

static int find(const char *path)
{
    for (size_t i = 0; i < ARRAY_SIZE(sysctls); i++)
        if (!strcmp(sysctls[i].path, path))
            return (int)i;
    return -1;
}

/* "net.core.somaxconn=1024": dots or slashes, as sysctl(8). The place in the table and the value; -EINVAL,
 * -ENOENT. */
static int take_apart(const char *setting, const char **value)
{
    char path[VALUE_MAX];
    size_t len = strcspn(setting, "=");
    if (!setting[len] || len >= sizeof(path))
        return -EINVAL;
    memcpy(path, setting, len);
    path[len] = 0;
    bool slashes = strchr(path, '/');
    for (char *c = path; !slashes && *c; c++)
        if (*c == '.')
            *c = '/';
    *value = setting + len + 1;
    int i = find(path);
    return i < 0 ? -ENOENT : i;
}

int procfs_sysctl_check(const char *setting)
{
    const char *value = "";
    char out[VALUE_MAX] = "";
    int i = take_apart(setting, &value);
    if (i < 0)
        return i;
    return sysctls[i].kind == KIND_FN ? -EACCES : normalise(&sysctls[i], value, sysctls[i].init, out);
}

/* Those of the network namespace that are not shown are the host's business alone. */
static int apply(struct procfs *pf, const char *setting)
{
    const char *value = "";
    int i = take_apart(setting, &value);
    if (i == -ENOENT && strncmp(setting, "net", 3) == 0)
        return 0;
    if (i >= 0 && sysctls[i].kind == KIND_FN) /* the machine's names are set by other means, before this */
        return 0;
    return i < 0 ? i : sysctl_set(pf, NULL, (size_t)i, value);
}

int proc_sysctl_init(struct procfs *pf, const struct keep_boot *b)
{
    pf->sysctl = calloc(ARRAY_SIZE(sysctls), sizeof(*pf->sysctl));
    if (!pf->sysctl)
        return -ENOMEM;
    for (size_t i = 0; i < ARRAY_SIZE(sysctls); i++)
        if (sysctls[i].init)
            (void)snprintf(pf->sysctl[i].s, VALUE_MAX, "%s", sysctls[i].init);
    for (size_t i = 0; i < ARRAY_SIZE(sysctls); i++)
        note_limits(pf, sysctls[i].path, pf->sysctl[i].s);
    for (char *const *s = b->sysctl; s && *s; s++) {
        int r = apply(pf, *s);
        if (r < 0) {
            log_error("sysctl %s: %s", *s, r == -ENOENT ? "no such setting" : "the value is not valid");
            return -EINVAL;
        }
    }
    return 0;
}

/* Nodes -----------------------------------------------------------------------------------------------------
 */

/* A file's key is its place in the table; a directory's, the first line in it, with its path's length above.
 */
static size_t node_index(const struct pnode *n)
{
    return n->key & 0xffff;
}

static size_t node_prefix(const struct pnode *n)
{
    return n->key >> 16;
}

static int sys_show(struct task *t, struct pnode *n, struct strbuf *sb)
{
    size_t i = node_index(n);
    if (sysctls[i].show)
        return sysctls[i].show(t, sb);
    LOCKED(&kernel.procfs->lock);
    sb_printf(sb, "%s\n", kernel.procfs->sysctl[i].s);
    return 0;
}

static ssize_t sys_write(struct task *t, struct pnode *n, const char *data, size_t len, off_t pos)
{
    if (pos)
        return (ssize_t)len; /* sysctl_writes_strict: only a write at the start counts */
    char value[VALUE_MAX];
    size_t used = strcspn(data, "\n");
    if (used > len)
        used = len;
    if (used >= sizeof(value))
        return -EINVAL;
    memcpy(value, data, used);
    value[used] = 0;
    int r = sysctl_set(kernel.procfs, t, node_index(n), value);
    return r < 0 ? r : (ssize_t)len;
}

/* As on Linux the mode bits alone decide, by the effective user: capabilities do not help. */
static int sys_permission(struct task *t, struct pnode *n, int mask)
{
    mode_t m = n->mode;
    if (t->cred->euid == 0)
        m >>= 6;
    return (mask & W_OK && !(m & 2)) || (mask & R_OK && !(m & 4)) ? -EACCES : 0;
}

static const struct pnode_ops sys_file_ops = {
    .show = sys_show, .write = sys_write, .permission = sys_permission};

/* The length of the component at path, and whether it is a directory's. */
static size_t component(const char *path, bool *dir)
{
    size_t len = strcspn(path, "/");
    *dir = path[len] == '/';
    return len;
}

static bool in_dir(size_t i, const char *prefix, size_t len)
{
    return i < ARRAY_SIZE(sysctls) && !strncmp(sysctls[i].path, prefix, len);
}

static int sys_lookup(struct task *t, struct pnode *dir, const char *name, struct pnode **ret)
{
    (void)t;
    size_t first = node_index(dir), prefix = node_prefix(dir), want = strlen(name);
    for (size_t i = first; in_dir(i, sysctls[first].path, prefix); i++) {
        bool is_dir;
        const char *rest = sysctls[i].path + prefix;
        size_t len = component(rest, &is_dir);
        if (len != want || memcmp(rest, name, len) != 0)
            continue;
        struct pnode *n = pnode_new(is_dir ? &proc_sys_ops : &sys_file_ops,
                                    is_dir ? PROC_DIR(0555) : PROC_FILE(sysctls[i].mode), dir, name);
        if (!n)
            return -ENOMEM;
        n->key = i | (uint64_t)(is_dir ? prefix + len + 1 : 0) << 16;
        *ret = n;
        return 0;
    }
    return -ENOENT;
}

/* Positions are 2 + the place in the table. */
static int sys_iterate(struct task *t, struct pnode *dir, off_t *pos, struct dir_context *ctx)
{
    (void)t;
    size_t first = node_index(dir), prefix = node_prefix(dir);
    const char *last = "";
    size_t last_len = 0;
    for (size_t i = first; in_dir(i, sysctls[first].path, prefix); i++) {
        bool is_dir;
        const char *rest = sysctls[i].path + prefix;
        size_t len = component(rest, &is_dir);
        if (len == last_len && !memcmp(rest, last, len))
            continue;
        last = rest;
        last_len = len;
        if ((off_t)i + 2 < *pos)
            continue;
        char name[VALUE_MAX];
        (void)snprintf(name, sizeof(name), "%.*s", (int)len, rest);
        if (ctx->emit(ctx, name, pnode_child_ino(dir, name), is_dir ? DT_DIR : DT_REG, (off_t)i + 3))
            return 1;
        *pos = (off_t)i + 3;
    }
    return 0;
}

const struct pnode_ops proc_sys_ops = {.lookup = sys_lookup, .iterate = sys_iterate};
