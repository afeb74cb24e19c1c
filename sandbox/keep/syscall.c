/* From a notification to its handler and back. */
#include "sandbox/keep/container/container.h"
#include "sandbox/keep/syscall.h"

#include <errno.h>
#include <sys/syscall.h>

#include "common/log.h"
#include "sandbox/gate/abi.h"
#include "sandbox/keep/events/aio.h"
#include "sandbox/keep/task/clone.h"
#include "sandbox/keep/task/unheard.h"
#include "sandbox/keep/counters.h"
#include "sandbox/keep/task/exec.h"
#include "sandbox/keep/lanes/fast.h"
#include "sandbox/keep/lanes/kept.h"
#include "sandbox/keep/lanes/later.h"
#include "sandbox/keep/task/quiet.h"
#include "sandbox/keep/seccomp/seccomp.h"
#include "sandbox/keep/trace/strace.h"
#include "sandbox/keep/ipc/sysv_shm.h"
#include "sandbox/keep/lanes/mailbox.h"
#include "sandbox/keep/task/task.h"
#include "sandbox/keep/trace/trace.h"
#include "sandbox/platform/listener.h"

/* A call whose subsystem is not there links all the same and is ENOSYS. */
#define SYS(nr, name, level, args)                                                                           \
    long sys_##name(struct task *t, const struct sysargs *a) __attribute__((weak));
#define SYS_ALIAS(nr, name, level, args, fn)
#define SYS_NONE(nr, name, args)
#include "sandbox/keep/syscalls.def"
#undef SYS
#undef SYS_ALIAS
#undef SYS_NONE

#define SYS(nr, name, level, args) [nr] = {#name, sys_##name, LEVEL_##level, args},
#define SYS_ALIAS(nr, name, level, args, fn) [nr] = {#name, fn, LEVEL_##level, args},
#define SYS_NONE(nr, name, args) [nr] = {#name, NULL, LEVEL_NONE, args},
const struct syscall_desc syscall_table[SYSCALL_MAX] = {
#include "sandbox/keep/syscalls.def"
};

static const syscall_fn gate_calls[GATE_CALL_END - GATE_CALL_BASE] = {
    [GATE_ATTACH - GATE_CALL_BASE] = gate_found,
    [GATE_CLONE_ABORT - GATE_CALL_BASE] = gate_clone_abort,
    [GATE_EXEC - GATE_CALL_BASE] = gate_exec,
    [GATE_EXEC_ABORT - GATE_CALL_BASE] = gate_exec_abort,
    [GATE_EXEC_DONE - GATE_CALL_BASE] = gate_exec_done,
    [GATE_SIGNAL - GATE_CALL_BASE] = gate_signal,
    [GATE_FAULT - GATE_CALL_BASE] = gate_fault,
    [GATE_SIGRETURN - GATE_CALL_BASE] = gate_sigreturn,
    [GATE_SHMAT - GATE_CALL_BASE] = gate_shmat,
    [GATE_SHM_DONE - GATE_CALL_BASE] = gate_shm_done,
    [GATE_SHMDT - GATE_CALL_BASE] = gate_shmdt,
    [GATE_VALUE - GATE_CALL_BASE] = seccomp_value,
    [GATE_SETTLE - GATE_CALL_BASE] = gate_settle,
    [GATE_DIES - GATE_CALL_BASE] = gate_dies,
    [GATE_STOP - GATE_CALL_BASE] = gate_stop,
    [GATE_AIO_SETUP - GATE_CALL_BASE] = gate_aio_setup,
    [GATE_AIO_DONE - GATE_CALL_BASE] = gate_aio_done,
    [GATE_AIO_DESTROY - GATE_CALL_BASE] = gate_aio_destroy,
};

bool from_gate(const struct sysargs *a)
{
    return gate_holds(a->ip) && a->ip != GATE_RING_IP && a->ip != GATE_TRACED_IP;
}

static void enosys_once(int nr)
{
    unsigned long bit = 1UL << (nr % 64);

    if (nr < 0 || nr >= SYSCALL_MAX || (atomic_fetch_or(&kernel.enosys_logged[nr / 64], bit) & bit))
        return;
    const char *name = syscall_table[nr].name;
    log_info("system call %d (%s) is not implemented: ENOSYS", nr, name ? name : "unknown");
}

static long gate_judge(struct task *t, const struct sysargs *a)
{
    (void)t; /* whoever comes here has passed */
    (void)a;
    return GATE_JUDGE_PASSED;
}

static syscall_fn find(const struct sysargs *a)
{
    if (a->nr >= GATE_JUDGE_BASE && a->nr < GATE_JUDGE_BASE + SYSCALL_MAX)
        return gate_judge;
    if (a->nr >= GATE_CALL_BASE && a->nr < GATE_CALL_END)
        return from_gate(a) ? gate_calls[a->nr - GATE_CALL_BASE] : NULL;
    if (a->nr < 0 || a->nr >= SYSCALL_MAX)
        return NULL;
    if (!syscall_table[a->nr].fn)
        enosys_once(a->nr);
    return syscall_table[a->nr].fn;
}

static bool has_signal(struct task *t)
{
    LOCKED(&kernel.tasklist_lock);
    return signal_pending(t) || t->kicked || (atomic_load(&t->life) & (TASK_DYING | TASK_EXITED));
}

/* A signal meant for the whole process may have gone to another thread: then the wait simply goes on. */
static long run(struct task *t, const struct sysargs *a, syscall_fn fn)
{
    long r;

    while (is_restart(r = fn(t, a)) && !has_signal(t))
        if (r == -ERESTART_RESTARTBLOCK)
            fn = sys_restart_syscall;
    return r;
}

/* By its own call: from then on nothing keeps its process, whose other threads may end at any time, from
 * giving back its memory. */
static bool has_ended(const struct task *t)
{
    return atomic_load(&t->life) & TASK_EXITED;
}

static void answer(struct task *t, const struct sysargs *a, long r)
{
    if (r == SYS_NOANSWER)
        return;
    if (r == SYS_EXACT) {
        task_answers(t);
        (void)notif_answer(a, t->exact);
        return;
    }
    if (r == SYS_CONTINUE || r == SYS_CONTINUE_BLOCKING) {
        t->continued = r == SYS_CONTINUE_BLOCKING;
        t->ended_ip = a->ip;
        t->restart_nr = a->nr;
        t->restart_arg0 = a->arg[0];
        task_answers(t);
        (void)notif_continue(a);
        return;
    }
    if (is_restart(r)) {
        t->restart = (int)-r;
        t->restart_nr = a->nr;
        r = -EINTR;
    }
    if (r == -EINTR)
        t->ended_ip = a->ip;
    if (t->kicked && !has_ended(t))
        signal_push(t, a);
    task_answers(t);
    (void)notif_answer(a, r);
}

void syscall_end(struct task *t, const struct sysargs *a, long r, const struct timespec *start)
{
    counters_count(a->nr, r, start);
    if (kernel.strace)
        strace_call(t, a, r, start);
    answer(t, a, r);
}

int syscall_answer_fd(struct task *t, const struct sysargs *a, int fd, int at)
{
    if (!a->listener) /* by a mailbox, whose thread serves t alone as it is */
        return -ENOENT;
    task_answer_early(t);
    int r = notif_answer_fd(a, fd, at);
    if (r < 0)
        task_answer_over();
    return r;
}

static bool is_signal_call(int nr)
{
    return nr == GATE_SIGNAL || nr == GATE_FAULT || nr == GATE_STOP;
}

/* A thread that its filter has ended comes from its gate, to leave. One that comes for anything else does not
 * mean to. */
static bool is_overdue(const struct task *t, const struct sysargs *a)
{
    return t->ended_by && a->nr != GATE_SIGNAL && !(a->nr == SYS_exit && from_gate(a));
}

static void leave_parked(void)
{
    kept_parked();
    tasks_bury();
}

/* r: 0, or what the filters have said. */
static void go_on(struct task *t, const struct sysargs *a, struct gate_mailbox *mailbox, long r)
{
    if (mailbox && from_gate(a))
        mailbox_begin(t, mailbox);
    syscall_fn fn = find(a);
    if (r == 0)
        r = fn ? run(t, a, fn) : -ENOSYS;
    if (r == SYS_PARKED) {
        leave_parked();
        return;
    }
    if (!has_ended(t)) {
        if (r != SYS_NOANSWER)
            kept_after(t, a);
        fast_missed(t, a, r);
    }
    mailbox_end();
    if (mailbox)
        mailbox_rung(t);
    syscall_end(t, a, r, &t->call_start); /* from here on another worker may be in t's next call */
    task_leave(t);
    later_arm();
}

void syscall_go_on(struct task *t, const struct sysargs *a)
{
    if (t->process->container->frozen)
        task_await_thaw(t);
    quiet_hear();
    (void)kept_hear(t, a); /* by this worker, which may be another */
    go_on(t, a, NULL, 0);
}

void syscall_dispatch(struct task *t, const struct sysargs *a)
{
    if (!task_enter(t))
        return;
    if (is_overdue(t, a)) {
        process_exit(t->process, t->ended_by, true);
        task_leave(t);
        return;
    }
    if (t->process->container->frozen)
        task_await_thaw(t);
    t->call_start = (struct timespec){0};
    if (kernel.strace || counters_timed())
        clock_gettime(CLOCK_MONOTONIC, &t->call_start);
    if (!is_signal_call(a->nr)) {
        t->restart = 0;
        t->continued = false;
        t->ended_ip = 0;
    }
    bool goes_on = a->nr == SYS_restart_syscall && t->again.ours;
    if (!goes_on && !is_signal_call(a->nr))
        t->again.ours = false;
    later_hear(t);
    if (!clone_for_guest(a)) /* see sys_clone */
        quiet_hear();
    (void)kept_hear(t, a); /* which a doorbell is */
    long r = t->seccomp_mode && !goes_on && seccomp_covers(a) ? seccomp_check(t, a) : 0;
    if (r == SYS_PARKED)
        leave_parked();
    else
        go_on(t, a, mailbox_takes(a->nr) ? mailbox_page(t) : NULL, r);
}

/* Of a thread that is nobody's to the keep, but need not have attached. */
static struct task *heard_of(pid_t host_tid, const struct sysargs *a)
{
    struct task *t = a->nr == GATE_ATTACH ? NULL : clone_heard(host_tid, a);

    return t || a->nr == GATE_ATTACH || clone_left(a) ? t : exec_heard(host_tid);
}

/* Of one that became known between the look for it and its turn. With the lock, as whoever makes it known
 * holds that, too. */
static struct task *known_meanwhile(pid_t host_tid)
{
    LOCKED(&kernel.tasklist_lock);
    return task_by_host_tid(host_tid);
}

void syscall_dispatch_unattached(pid_t host_tid, const struct sysargs *a)
{
    long r = -ESRCH;
    struct task *t = heard_of(host_tid, a);

    if (!t && a->nr == GATE_ATTACH)
        r = gate_attach(host_tid, a);
    if (!t && r == -ESRCH)
        t = known_meanwhile(host_tid);
    if (t) {
        syscall_dispatch(t, a);
        task_put(t);
        return;
    }
    if (clone_left(a)) {
        clone_gives_back(host_tid, a->arg[1]);
        (void)notif_continue(a);
    } else {
        if (r < 0)
            clone_end_stranger(host_tid, a);
        (void)notif_answer(a, r);
    }
    tasks_bury(); /* who was to be killed as soon as it came */
}
