#include "runtime/cgroup/cgroup_birth.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "runtime/cgroup/cgroup_internal.h"

/* The path that text ("4:memory:/a/b" lines) has for a hierarchy; *len is its length. NULL: none. */
static const char *path_in(const struct cgroup_tree *t, const char *text, size_t *len)
{
    for (const char *line = text; line && *line; line = strchr(line, '\n'), line += line ? 1 : 0) {
        const char *list = strchr(line, ':'), *path = list ? strchr(list + 1, ':') : NULL;
        if (!path)
            return NULL;
        list++;
        enum cgroup_ctl c = cgroup_ctl_by_name(list, strcspn(list, ",:"), 1);
        if (t->version == 2 ? strncmp(line, "0::", 3) != 0 : c == CG_CTLS || !(t->ctls & 1U << c))
            continue;
        *len = strcspn(path + 1, "\n");
        return path + 1;
    }
    return NULL;
}

bool cgroup_is_in(const struct cgroup *cg, const struct cgroup_tree *t, const char *text)
{
    size_t len = 0;
    const char *path = path_in(t, text, &len);

    return path && strlen(cg->path) == len && strncmp(path, cg->path, len) == 0;
}

static int open_tasks(const struct cgroup_tree *t, const char *path)
{
    char file[PATH_MAX];

    return cgroup_file(t, path, "tasks", file) ? open(file, O_WRONLY | O_CLOEXEC) : -1;
}

static int open_own(const struct cgroup_tree *t, const char *text)
{
    char own[PATH_MAX];
    size_t len = 0;
    const char *path = path_in(t, text, &len);

    if (!path || len >= sizeof(own) || strncmp(path, "/..", 3) == 0) /* beyond what this namespace shows */
        return -1;
    snprintf(own, sizeof(own), "%.*s", (int)len, path);
    return open_tasks(t, strcmp(own, "/") == 0 ? "" : own);
}

static void enter_one(const struct cgroup *cg, const struct cgroup_tree *t, const char *text,
                      struct cgroup_birth *b)
{
    int out = open_own(t, text), in = out < 0 ? -1 : open_tasks(t, cg->path);

    if (in >= 0 && write(in, "0", 1) == 1) {
        b->in[b->n] = in;
        b->out[b->n++] = out;
        return;
    }
    cleanup_close_p(&in);
    cleanup_close_p(&out);
}

void cgroup_birth_enter(const struct cgroup *cg, struct cgroup_birth *b)
{
    char dir[PATH_MAX];

    *b = (struct cgroup_birth){.v2 = -1};
    _cleanup_free_ char *text = cg && cg->path[0] ? cgroup_read("/proc/self/cgroup") : NULL;
    if (!text || sched_getaffinity(0, sizeof(b->cpus), &b->cpus))
        return;
    for (unsigned i = 0; i < cg->ntrees; i++) {
        const struct cgroup_tree *t = &cg->trees[i];
        if (t->version == 1)
            enter_one(cg, t, text, b);
        else if (b->v2 < 0 && cgroup_file(t, cg->path, "", dir))
            b->v2 = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    }
}

int cgroup_birth_leave(struct cgroup_birth *b, struct err *e)
{
    int failed = 0;

    for (unsigned i = 0; i < b->n; i++) {
        if (write(b->out[i], "0", 1) != 1)
            failed = errno;
        cleanup_close_p(&b->in[i]);
        cleanup_close_p(&b->out[i]);
    }
    cleanup_close_p(&b->v2);
    /* Kernels before 6.2 forget it on the way through a cpuset. */
    if (b->n > 0)
        (void)sched_setaffinity(0, sizeof(b->cpus), &b->cpus);
    *b = (struct cgroup_birth){.v2 = -1};
    return failed ? err_set(e, ERR_SYS, failed, "cannot go back into this process's own cgroup") : 0;
}

pid_t cgroup_birth_fork(unsigned long flags, int v2)
{
    struct clone_args a = {
        .flags = flags | CLONE_INTO_CGROUP,
        .exit_signal = flags & CLONE_PARENT ? 0 : SIGCHLD, /* with CLONE_PARENT it is the caller's own */
        .cgroup = (uint64_t)v2,
    };
    pid_t pid = v2 < 0 ? -1 : (pid_t)syscall(SYS_clone3, &a, sizeof(a));

    return pid >= 0 ? pid : (pid_t)syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
}
