/* The syscall table: sandbox/keep/syscalls.def names every x86-64 call once, with its handler, how complete
 * it is, and how --strace prints its arguments. A handler lives in its subsystem's file and is declared here.
 */
#ifndef BAILEY_KEEP_SYSCALL_H
#define BAILEY_KEEP_SYSCALL_H

#include "sandbox/keep/kernel.h"

enum syscall_level {
    LEVEL_NONE,    /* ENOSYS */
    LEVEL_PARTIAL, /* what is missing says so in docs/syscalls.md */
    LEVEL_FULL,
};

struct syscall_desc {
    const char *name; /* NULL: Linux has no such number */
    syscall_fn fn;    /* NULL with LEVEL_NONE */
    enum syscall_level level;
    const char *args; /* one letter an argument: d int, u unsigned, x hex, p pointer, s string, f fd, o octal,
                         a AT_FDCWD-able fd, l long, S sigset, g signal number */
};

#define SYSCALL_MAX 512
extern const struct syscall_desc syscall_table[SYSCALL_MAX];

/* Runs one notification's call for its task and answers it. */
void syscall_dispatch(struct task *t, const struct sysargs *a);
/* The rest of a call that the filters have let go on, within task_enter; that ends here, too. */
void syscall_go_on(struct task *t, const struct sysargs *a);
/* The end of a call: counted, shown, answered with r. */
void syscall_end(struct task *t, const struct sysargs *a, long r, const struct timespec *start);
/* Puts host descriptor fd into t at number at, as notif_addfd does, and answers a by that number. The guest
 * goes on at once, but its next call waits until this one is over, so the handler may still look at what is
 * the task's. 0, for the handler to return SYS_NOANSWER; or -errno: a is still to be answered. */
int syscall_answer_fd(struct task *t, const struct sysargs *a, int fd, int at);
/* The same for a thread that the keep does not know: it attaches, or is one that need not have (quiet.h,
 * exec_heard), or ends, for the keep already; otherwise its host process is killed. */
void syscall_dispatch_unattached(pid_t host_tid, const struct sysargs *a);
/* The call's instruction stands in the gate (no proof of anything: guests can jump there). */
bool from_gate(const struct sysargs *a);
/* The guest's own filters (seccomp.c): 0 to go on, or what to answer. */
long seccomp_check(struct task *t, const struct sysargs *a) __attribute__((weak));

#define SYS(nr, name, level, args) long sys_##name(struct task *t, const struct sysargs *a);
#define SYS_ALIAS(nr, name, level, args, fn)
#define SYS_NONE(nr, name, args)
#include "sandbox/keep/syscalls.def"
#undef SYS
#undef SYS_ALIAS
#undef SYS_NONE

#endif
