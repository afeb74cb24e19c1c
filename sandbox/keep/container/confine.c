/* A session's first task is shown what its host process was given. */
#include "sandbox/keep/container/confine.h"
#include "sandbox/keep/task/task.h"

#define FLAG_RESET_ON_FORK 1

void task_confine(struct task *t, const struct keep_confine *c)
{
    if (c->sched.size) {
        t->sched_policy = (int)c->sched.policy;
        t->sched_priority = (int)c->sched.priority;
        t->sched_reset_on_fork = c->sched.flags & FLAG_RESET_ON_FORK;
        t->sched_runtime = c->sched.runtime;
        t->sched_deadline = c->sched.deadline;
        t->sched_period = c->sched.period;
        t->nice = c->sched.nice;
    }
    t->ioprio = c->ioprio;
    if (c->personality >= 0)
        t->personality = (unsigned long)c->personality;
    if (c->mempolicy >= 0) {
        t->mempolicy = c->mempolicy;
        t->mempolicy_nodes = c->mempolicy_nodes;
    }
}
