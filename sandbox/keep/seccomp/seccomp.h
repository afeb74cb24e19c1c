/* Filters: the container's profile (linux.seccomp of config.json), and those that guests install on
 * themselves (seccomp(2)): classic BPF, interpreted in the keep.
 *
 * The profile judges every call: what it does not allow outright does not run natively (gate_filter.h).
 * So do guests' own filters: calls that would run natively are trapped by a host filter that the gate adds to
 * the thread (seccomp_native.c).
 */
#ifndef BAILEY_KEEP_SECCOMP_H
#define BAILEY_KEEP_SECCOMP_H

#include "sandbox/keep/kernel.h"

/* Whether a call is one that filters judge: not what the gate asks for itself. */
bool seccomp_covers(const struct sysargs *a);

/* 0: go on with the call. Else the call's end: -errno, SYS_EXACT, or SYS_NOANSWER (the task is being killed).
 * Only when t->seccomp_mode is not 0. */
long seccomp_check(struct task *t, const struct sysargs *a);

/* [T] What t's filters say of a call: SECCOMP_RET_* with its data; nothing comes of it. */
struct seccomp_data;
uint32_t seccomp_verdict(const struct task *t, const struct seccomp_data *d);

/* GATE_VALUE: what GATE_ANSWERED stood for last. */
long seccomp_value(struct task *t, const struct sysargs *a);

/* In t's call a: 0, the listener that the flags ask for, the thread that could not be synchronised (> 0), or
 * -errno. prog: a guest's struct sock_fprog. */
long seccomp_install(struct task *t, const struct sysargs *a, unsigned flags, uaddr_t prog);
long seccomp_set_strict(struct task *t);

/* The container's profile for a session's first task, which has no filter yet and does not run. -EINVAL: the
 * program is not valid; -ENOMEM. */
struct keep_process;
int seccomp_apply_profile(struct task *t, const struct keep_process *p);

/* Before t runs: its profile's SCMP_ACT_NOTIFY goes to the stand-in at fd, which is taken over (closed where
 * there is no profile). */
void seccomp_set_standin(struct task *t, int fd);

/* Whether t may make that call whatever its arguments are. */
bool seccomp_always_allows(const struct task *t, int nr);

/* How many filters t has. */
unsigned seccomp_count(const struct task *t);

/* A child's are its parent's. [T] */
void seccomp_inherit(struct task *child, const struct task *parent);
/* [T] t has ended: its filters are without it, though it still refers to them. */
void seccomp_task_ended(struct task *t);
/* A task's reference, when the task goes. */
struct seccomp_filter;
void seccomp_put(struct seccomp_filter *f);

#endif
