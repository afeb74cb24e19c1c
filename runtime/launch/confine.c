#include "runtime/launch/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "oci/config.h"
#include "oci/parse.h"
#include "runtime/procfile.h"

static struct keep_confine from_config(const struct oci_process *p, const struct oci_linux *lx)
{
    struct keep_confine c = KEEP_CONFINE_INIT;

    if (p && p->scheduler.set)
        c.sched = (struct keep_sched_attr){
            .size = sizeof(c.sched),
            .policy = p->scheduler.policy,
            .flags = p->scheduler.flags,
            .nice = p->scheduler.nice,
            .priority = p->scheduler.priority,
            .runtime = p->scheduler.runtime,
            .deadline = p->scheduler.deadline,
            .period = p->scheduler.period,
        };
    if (p && p->io_priority.set)
        c.ioprio = (int32_t)p->io_priority.v;
    if (lx->memory_policy.set) {
        c.mempolicy = lx->memory_policy.mode;
        c.mempolicy_nodes = lx->memory_policy.nodes;
    }
    if (lx->personality.set)
        c.personality = lx->personality.v;
    return c;
}

/* The child's answer: which field, and what went wrong. */
struct trial {
    const char *what;
    int err;
};

static int run_trial(const struct keep_confine *c, struct trial *t)
{
    int p[2], status;

    if (pipe2(p, O_CLOEXEC) < 0)
        return -1;
    pid_t child = fork();
    if (child == 0) {
        struct trial mine = {0};
        mine.err = -confine_apply(c, &mine.what);
        _exit(write(p[1], &mine, sizeof(mine)) == sizeof(mine) ? 0 : 1);
    }
    (void)close(p[1]);
    /* Pointers to constants mean the same here as in the child. */
    bool ok = child > 0 && read(p[0], t, sizeof(*t)) == sizeof(*t);
    (void)close(p[0]);
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return ok ? 0 : -1;
}

int confine_init(const struct oci_process *p, const struct oci_linux *lx, struct keep_confine *ret,
                 struct err *e)
{
    struct trial t = {0};

    *ret = from_config(p, lx);
    if (!ret->sched.size && !ret->ioprio && ret->mempolicy < 0 && ret->personality < 0)
        return 0;
    if (run_trial(ret, &t) < 0)
        return err_set(e, ERR_SYS, errno, "cannot try out what config.json asks for");
    return t.err ? err_set(e, t.err == EPERM ? ERR_PERM : ERR_UNSUPPORTED, t.err,
                           "config.json: %s: the host refuses it", t.what)
                 : 0;
}

int confine_oom(const struct oci_process *p, pid_t porter, struct err *e)
{
    char text[16];

    if (!p || !p->oom_score_adj.set)
        return 0;
    snprintf(text, sizeof(text), "%d", (int)p->oom_score_adj.v);
    int r = procfile_write_of(porter, "oom_score_adj", text);
    if (r == 0)
        return 0;
    return err_set(
        e, r == -EACCES || r == -EPERM ? ERR_PERM : ERR_SYS, -r,
        "config.json: process.oomScoreAdj: cannot set %s (below the caller's own it takes CAP_SYS_RESOURCE)",
        text);
}

static void add_cpus(void *arg, unsigned first, unsigned last)
{
    cpu_set_t *set = arg;

    for (unsigned cpu = first; cpu <= last; cpu++)
        CPU_SET(cpu, set);
}

int confine_affinity(const char *list, pid_t pid, const char *field, struct err *e)
{
    cpu_set_t set;

    if (!list || !*list)
        return 0;
    CPU_ZERO(&set);
    if (parse_number_list(list, CPU_SETSIZE, add_cpus, &set) || sched_setaffinity(pid, sizeof(set), &set) < 0)
        return err_set(e, ERR_CONFIG, errno, "config.json: process.execCPUAffinity.%s: %.100s", field, list);
    return 0;
}
