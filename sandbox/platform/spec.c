#include "sandbox/platform/spec.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"

#define SPEC_MAX (16 * 1024 * 1024)
#define GROUPS_MAX 65536

/* Then groups (gid_t), then the seccomp profile (struct sock_filter), then the strings: cwd, path ("": none),
 * args, env, each with its NUL. */
struct header {
    uint32_t version;
    uint32_t nargs, nenv, ngroups;
    uint64_t strings; /* bytes */
    uid_t uid;
    gid_t gid;
    uint32_t umask;
    int32_t oom_score_adj;
    uint32_t no_new_privs, terminal;
    uint32_t has_more, has_notify; /* more_fd, notify_fd come with it */
    int32_t porter;
    uint64_t cap_bounding, cap_effective, cap_inheritable, cap_permitted, cap_ambient;
    uint32_t nfilter, filter_log, filter_killable, pad;
    struct keep_confine confine;
    struct rlimit rlim[RLIM_NLIMITS];
};

#define SPEC_VERSION 4

static size_t list_size(char *const *v, uint32_t *n)
{
    size_t len = 0;

    for (*n = 0; v && v[*n]; ++*n)
        len += strlen(v[*n]) + 1;
    return len;
}

static char *put_list(char *at, char *const *v)
{
    for (; v && *v; v++)
        at = stpcpy(at, *v) + 1;
    return at;
}

static struct header header_of(const struct keep_process *p)
{
    struct header h = {
        .version = SPEC_VERSION,
        .ngroups = p->ngroups,
        .uid = p->uid,
        .gid = p->gid,
        .umask = p->umask,
        .oom_score_adj = p->oom_score_adj,
        .no_new_privs = p->no_new_privs,
        .terminal = p->terminal,
        .has_more = p->more_fd >= 0,
        .has_notify = p->notify_fd >= 0,
        .porter = p->porter,
        .cap_bounding = p->cap_bounding,
        .cap_effective = p->cap_effective,
        .cap_inheritable = p->cap_inheritable,
        .cap_permitted = p->cap_permitted,
        .cap_ambient = p->cap_ambient,
        .nfilter = p->nfilter,
        .filter_log = p->filter_log,
        .filter_killable = p->filter_killable,
        .confine = p->confine,
    };

    h.strings = strlen(p->cwd) + 1;
    h.strings += strlen(p->path ? p->path : "") + 1;
    h.strings += list_size(p->args, &h.nargs);
    h.strings += list_size(p->env, &h.nenv);
    memcpy(h.rlim, p->rlim, sizeof(h.rlim));
    return h;
}

int spec_pack(const struct keep_process *p)
{
    struct header h = header_of(p);
    size_t groups = p->ngroups * sizeof(gid_t), filter = p->nfilter * sizeof(*p->filter);
    size_t size = sizeof(h) + groups + filter + h.strings;
    _cleanup_free_ char *buf = malloc(size);
    _cleanup_close_ int fd = memfd_create("spec", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (!buf)
        return -ENOMEM;
    memcpy(buf, &h, sizeof(h));
    if (groups)
        memcpy(buf + sizeof(h), p->groups, groups);
    if (filter)
        memcpy(buf + sizeof(h) + groups, p->filter, filter);
    char *at = stpcpy(buf + sizeof(h) + groups + filter, p->cwd) + 1;
    at = stpcpy(at, p->path ? p->path : "") + 1;
    at = put_list(at, p->args);
    put_list(at, p->env);
    if (fd < 0 || write(fd, buf, size) != (ssize_t)size ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
        return errno ? -errno : -EIO;
    return steal_fd(&fd);
}

/* n strings from at (not beyond end), as pointers into the text. NULL: too few, or no memory. */
static char **take_list(char **at, const char *end, uint32_t n)
{
    char **v = calloc((size_t)n + 1, sizeof(*v));

    for (uint32_t i = 0; v && i < n; i++) {
        char *stop = *at < end ? memchr(*at, 0, (size_t)(end - *at)) : NULL;
        if (!stop) {
            free(v);
            return NULL;
        }
        v[i] = *at;
        *at = stop + 1;
    }
    return v;
}

static void take_header(const struct header *h, struct keep_process *p)
{
    *p = (struct keep_process){
        .uid = h->uid,
        .gid = h->gid,
        .ngroups = h->ngroups,
        .umask = h->umask & 07777,
        .oom_score_adj = h->oom_score_adj,
        .no_new_privs = h->no_new_privs,
        .terminal = h->terminal,
        .porter = h->porter,
        .cap_bounding = h->cap_bounding,
        .cap_effective = h->cap_effective,
        .cap_inheritable = h->cap_inheritable,
        .cap_permitted = h->cap_permitted,
        .cap_ambient = h->cap_ambient,
        .nfilter = h->nfilter,
        .filter_log = h->filter_log,
        .filter_killable = h->filter_killable,
        .confine = h->confine,
        .stdio = {-1, -1, -1},
        .tty_fd = -1,
        .more_fd = -1,
        .notify_fd = -1,
        .with_more = h->has_more,
        .with_notify = h->has_notify,
    };
    memcpy(p->rlim, h->rlim, sizeof(p->rlim));
}

static char *read_all(int fd, size_t *size)
{
    struct stat st;

    if (fstat(fd, &st) < 0 || st.st_size < (off_t)sizeof(struct header) || st.st_size > SPEC_MAX)
        return NULL;
    *size = (size_t)st.st_size;
    char *buf = malloc(*size);
    if (buf && pread(fd, buf, *size, 0) == st.st_size)
        return buf;
    free(buf);
    return NULL;
}

int spec_unpack(int fd, struct keep_process *ret)
{
    size_t size;
    _cleanup_free_ char *buf = read_all(fd, &size);
    struct header h;

    if (!buf)
        return -EBADMSG;
    memcpy(&h, buf, sizeof(h));
    size_t groups = (size_t)h.ngroups * sizeof(gid_t), filter = h.nfilter * sizeof(*ret->filter);
    if (h.version != SPEC_VERSION || h.ngroups > GROUPS_MAX || h.nargs > size || h.nenv > size ||
        h.strings > size || h.nfilter > BPF_MAXINSNS || sizeof(h) + groups + filter + h.strings != size)
        return -EBADMSG;
    take_header(&h, ret);
    char *at = buf + sizeof(h) + groups + filter, *end = buf + size;
    char **names = take_list(&at, end, 2);
    ret->args = names ? take_list(&at, end, h.nargs) : NULL;
    ret->env = ret->args ? take_list(&at, end, h.nenv) : NULL;
    if (ret->env && h.nargs == 0) { /* a container without a program */
        free(ret->args);
        ret->args = NULL;
    }
    if (!ret->env) {
        free(names);
        free(ret->args);
        return -EBADMSG;
    }
    ret->cwd = names[0];
    ret->path = *names[1] ? names[1] : NULL;
    free(names);
    ret->groups = (gid_t *)(void *)(buf + sizeof(h));
    ret->filter = h.nfilter ? (const struct sock_filter *)(const void *)(buf + sizeof(h) + groups) : NULL;
    ret->block = steal_ptr(&buf);
    return 0;
}

void spec_take_fds(struct keep_process *p, int *fds)
{
    unsigned n = 0;

    if (p->terminal)
        p->tty_fd = steal_fd(&fds[n++]);
    for (int i = 0; !p->terminal && i < 3; i++)
        p->stdio[i] = steal_fd(&fds[n++]);
    if (p->with_more)
        p->more_fd = steal_fd(&fds[n++]);
    if (p->with_notify)
        p->notify_fd = steal_fd(&fds[n]);
}

unsigned spec_give_fds(const struct keep_process *p, int fds[SPEC_FDS])
{
    unsigned n = 0;

    if (p->terminal)
        fds[n++] = p->tty_fd;
    for (int i = 0; !p->terminal && i < 3; i++)
        fds[n++] = p->stdio[i];
    if (p->more_fd >= 0)
        fds[n++] = p->more_fd;
    if (p->notify_fd >= 0)
        fds[n++] = p->notify_fd;
    return n;
}

void spec_free(struct keep_process *p)
{
    if (!p->block)
        return;
    free(p->args);
    free(p->env);
    free(p->block);
    *p = (struct keep_process)KEEP_PROCESS_INIT;
}
