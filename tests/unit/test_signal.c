/* objects: sandbox/keep/task/task.o sandbox/keep/task/process.o sandbox/keep/signal/signal.o sandbox/keep/signal/sigmask.o sandbox/keep/signal/stop.o sandbox/keep/time/sleep.o sandbox/keep/signal/sigdeliver.o sandbox/keep/signal/sigcalls.o sandbox/keep/task/exit.o sandbox/keep/task/deaths.o sandbox/keep/hostproc.o sandbox/keep/strbuf.o sandbox/keep/task/park.o sandbox/keep/task/quiet.o sandbox/keep/task/wait.o sandbox/keep/thread.o sandbox/keep/time/timer.o sandbox/keep/time/posix_timer.o sandbox/keep/task/fork.o sandbox/keep/task/cred.o sandbox/keep/idmap.o sandbox/keep/mm/maps.o sandbox/keep/seccomp/seccomp.o sandbox/keep/seccomp/seccomp_install.o sandbox/keep/seccomp/seccomp_native.o sandbox/keep/trace/sites.o sandbox/keep/trace/poke.o sandbox/keep/trace/hold.o sandbox/keep/trace/trace.o sandbox/keep/trace/trace_stop.o sandbox/keep/trace/trace_context.o sandbox/keep/seccomp/bpf.o sandbox/keep/task/credcalls.o sandbox/keep/task/ids.o common/log.o common/err.o */
/* Signals, children and timers, without guests. */
#include <errno.h>
#include <sched.h>
#include <sys/time.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "sandbox/gate/abi.h"
#include "sandbox/keep/signal/sigmask.h"
#include "sandbox/keep/task/task_internal.h"
#include "tests/unit/keep_stubs.h"

#define HANDLER 0x1000

static struct container *c;
static struct task *init;

/* A child whose "host thread" is this very thread: kicks are ignored here. */
static struct task *child_here(void)
{
    pid_t vpid;
    int err;
    struct task *t = task_fork(init, SIGCHLD, &vpid, &err);
    assert_non_null(t);
    t->process->host_pid = getpid();
    t->host_tid = (pid_t)syscall(SYS_gettid);
    return t;
}

static void end(struct task *t)
{
    pid_t pid = t->process->pid;
    t->host_tid = 0;
    task_exit(t, 0);
    task_put(t);
    assert_int_equal(call(init, sys_wait4, pid, 0, 0, 0), pid);
}

static void handle(struct task *t, int signo, uint64_t handler, uint64_t flags, sigset64 mask)
{
    struct ksigaction sa = {.handler = handler, .flags = flags, .mask = mask};
    assert_int_equal(call(t, sys_rt_sigaction, signo, &sa, 0, 8), 0);
}

static struct gate_signal ask(struct task *t)
{
    struct gate_signal gs;
    long r = call(t, gate_signal, &gs);
    assert_int_equal(r, gs.deliver);
    return gs;
}

static int setup(void **state)
{
    (void)state;
    signal(GATE_KICK_SIGNAL, SIG_IGN);
    c = container_make();
    init = spawn(c);
    assert_int_equal(init->tid, 1);
    assert_true(init->process->is_init);
    return 0;
}

static void a_handler_runs_with_its_mask(void **state)
{
    (void)state;
    struct task *t = child_here();
    handle(t, SIGUSR1, HANDLER, 0, SIGBIT(SIGUSR2));
    assert_int_equal(ask(t).deliver, 0);
    assert_int_equal(call(t, sys_kill, t->tid, SIGUSR1), 0);
    assert_true(t->kicked);
    struct gate_signal gs = ask(t);
    assert_int_equal(gs.signo, SIGUSR1);
    assert_int_equal(gs.handler, HANDLER);
    assert_int_equal(gs.old_mask, 0);
    siginfo_t info;
    memcpy(&info, gs.info, sizeof(info));
    assert_int_equal(info.si_pid, t->tid);
    assert_int_equal(t->blocked, SIGBIT(SIGUSR1) | SIGBIT(SIGUSR2));
    assert_int_equal(call(t, gate_sigreturn, gs.old_mask), 0);
    assert_int_equal(t->blocked, 0);
    end(t);
}

/* As a gate's: the mask is there, and the keep's copy of it is old. */
static void give_slot(struct task *t, struct gate_slot *s)
{
    *s = (struct gate_slot){0};
    t->slot = (uaddr_t)s;
    LOCKED(&kernel.tasklist_lock);
    sigmask_attach(t, true, s);
}

static void the_mask_is_in_the_slot(void **state)
{
    (void)state;
    struct task *t = child_here();
    struct gate_slot s;
    handle(t, SIGUSR1, HANDLER, 0, SIGBIT(SIGUSR2));
    give_slot(t, &s);
    s.blocked = SIGBIT(SIGUSR1) | SIGBIT(SIGKILL);
    call(t, sys_kill, t->tid, SIGUSR1);
    assert_int_equal(s.marks, SIGBIT(SIGUSR1));
    assert_false(t->kicked);
    sigset64 pending;
    call(t, sys_rt_sigpending, &pending, 8);
    assert_int_equal(pending, SIGBIT(SIGUSR1));
    s.blocked = 0; /* the gate unblocks it, and finds the mark */
    assert_int_equal(call(t, gate_settle, 0), 0);
    assert_true(t->kicked);
    assert_int_equal(s.marks, 0);
    struct gate_signal gs = ask(t);
    assert_int_equal(gs.signo, SIGUSR1);
    assert_int_equal(gs.old_mask, 0);
    assert_int_equal(s.blocked, SIGBIT(SIGUSR1) | SIGBIT(SIGUSR2));
    s.blocked = 0; /* back from the handler */
    call(t, sys_kill, t->tid, SIGUSR1);
    assert_true(t->kicked);
    s.blocked = SIGBIT(SIGUSR1); /* before the kick arrives */
    assert_int_equal(ask(t).deliver, 0);
    assert_int_equal(s.marks, SIGBIT(SIGUSR1));
    t->mask_in_slot = false;
    end(t);
}

static void a_temporary_mask_leaves_the_slot_alone(void **state)
{
    (void)state;
    struct task *t = child_here();
    struct gate_slot s;
    handle(t, SIGUSR1, HANDLER, 0, 0);
    give_slot(t, &s);
    s.blocked = SIGBIT(SIGUSR1);
    set_temporary_mask(t, SIGBIT(SIGUSR2));
    call(t, sys_kill, t->tid, SIGUSR2);
    call(t, sys_kill, t->tid, SIGUSR1);
    assert_true(t->kicked);
    assert_int_equal(s.blocked, SIGBIT(SIGUSR1));
    struct gate_signal gs = ask(t);
    assert_int_equal(gs.signo, SIGUSR1);
    assert_int_equal(gs.old_mask, SIGBIT(SIGUSR1));
    assert_int_equal(s.blocked, SIGBIT(SIGUSR1) | SIGBIT(SIGUSR2));
    set_temporary_mask(t, 0);
    restore_temporary_mask(t);
    {
        LOCKED(&kernel.tasklist_lock);
        assert_int_equal(task_mask(t), SIGBIT(SIGUSR1) | SIGBIT(SIGUSR2));
    }
    t->mask_in_slot = false;
    end(t);
}

static void every_thread_is_told(void **state)
{
    (void)state;
    const unsigned long flags = CLONE_THREAD | CLONE_SIGHAND | CLONE_VM | CLONE_FS | CLONE_FILES;
    pid_t tid;
    int err;
    struct task *t = child_here(), *other = task_fork(t, flags, &tid, &err);
    struct gate_slot s, o;
    other->host_tid = t->host_tid;
    handle(t, SIGUSR1, HANDLER, 0, 0);
    give_slot(t, &s);
    give_slot(other, &o);
    s.blocked = o.blocked = SIGBIT(SIGUSR1);
    call(t, sys_kill, t->tid, SIGUSR1);
    assert_int_equal(s.marks & o.marks, SIGBIT(SIGUSR1));
    assert_false(t->kicked || other->kicked);
    o.blocked = 0;
    call(other, gate_settle, 0);
    assert_true(other->kicked);
    assert_int_equal(s.marks, SIGBIT(SIGUSR1));
    /* It ends instead of asking: the signal is the process's still, and t's to take. */
    s.blocked = 0;
    other->mask_in_slot = false;
    task_exit(other, 0);
    assert_true(t->kicked);
    assert_int_equal(ask(t).signo, SIGUSR1);
    t->mask_in_slot = false;
    task_put(other);
    end(t);
}

static void what_waits_is_pushed_with_an_answer(void **state)
{
    (void)state;
    struct task *t = child_here();
    struct gate_signal buf = {0};
    struct sysargs from_guest = {.ip = GATE_LIMIT};
    handle(t, SIGUSR1, HANDLER, 0, 0);
    t->signal_buf = (uaddr_t)&buf;
    signal_push(t, &from_guest);
    assert_int_equal(buf.pushed, 0); /* nothing waits */
    call(t, sys_kill, t->tid, SIGUSR1);
    t->restart = ERESTARTNOHAND;
    signal_push(t, &from_guest);
    assert_true(buf.pushed && buf.deliver && !t->kicked);
    assert_int_equal(buf.signo, SIGUSR1);
    assert_int_equal(buf.restart, GATE_RESTART_EINTR);
    assert_int_equal(t->blocked, SIGBIT(SIGUSR1));
    assert_int_equal(ask(t).deliver, 0);
    end(t);
}

static void flags_of_actions_count(void **state)
{
    (void)state;
    struct task *t = child_here();
    handle(t, SIGUSR1, HANDLER, SA_NODEFER | SA_RESETHAND, 0);
    call(t, sys_kill, t->tid, SIGUSR1);
    assert_int_equal(ask(t).deliver, 1);
    assert_int_equal(t->blocked, 0);
    assert_int_equal(t->process->sighand->action[SIGUSR1 - 1].handler, 0);
    end(t);
}

static void standard_signals_merge_and_realtime_ones_queue(void **state)
{
    (void)state;
    struct task *t = child_here();
    handle(t, SIGUSR1, HANDLER, 0, 0);
    handle(t, 40, HANDLER, 0, 0);
    set_blocked(t, SIGBIT(SIGUSR1) | SIGBIT(40));
    for (int i = 0; i < 3; i++) {
        siginfo_t info = {.si_signo = 40, .si_code = SI_QUEUE};
        info.si_value.sival_int = i;
        call(t, sys_kill, t->tid, SIGUSR1);
        assert_int_equal(call(t, sys_rt_sigqueueinfo, t->tid, 40, &info), 0);
    }
    sigset64 pending;
    assert_int_equal(call(t, sys_rt_sigpending, &pending, 8), 0);
    assert_int_equal(pending, SIGBIT(SIGUSR1) | SIGBIT(40));
    set_blocked(t, 0);
    assert_int_equal(ask(t).signo, SIGUSR1); /* the lowest first */
    for (int i = 0; i < 3; i++) {
        struct gate_signal gs = ask(t);
        siginfo_t info;
        assert_int_equal(gs.signo, 40);
        memcpy(&info, gs.info, sizeof(info));
        assert_int_equal(info.si_value.sival_int, i);
        call(t, gate_sigreturn, gs.old_mask);
    }
    assert_int_equal(ask(t).deliver, 0);
    end(t);
}

static void ignoring_forgets(void **state)
{
    (void)state;
    struct task *t = child_here();
    call(t, sys_kill, t->tid, SIGWINCH); /* ignored by default */
    assert_int_equal(t->process->pending.set, 0);
    set_blocked(t, SIGBIT(SIGWINCH));
    call(t, sys_kill, t->tid, SIGWINCH); /* blocked: kept */
    assert_int_equal(t->process->pending.set, SIGBIT(SIGWINCH));
    handle(t, SIGWINCH, 1, 0, 0);
    assert_int_equal(t->process->pending.set, 0);
    assert_int_equal(t->process->nsigqueued, 0);
    end(t);
}

static uint32_t restart_of(struct task *t, int restart, uint64_t flags, bool signal)
{
    handle(t, SIGUSR1, HANDLER, flags, 0);
    t->restart = restart;
    if (signal)
        call(t, sys_kill, t->tid, SIGUSR1);
    struct gate_signal gs = ask(t);
    call(t, gate_sigreturn, 0);
    return gs.restart;
}

static void interrupted_calls_go_on_as_linux_has_it(void **state)
{
    (void)state;
    struct task *t = child_here();
    assert_int_equal(restart_of(t, ERESTARTSYS, 0, true), GATE_RESTART_EINTR);
    assert_int_equal(restart_of(t, ERESTARTSYS, SA_RESTART, true), GATE_RESTART_AGAIN);
    assert_int_equal(restart_of(t, ERESTARTSYS, 0, false), GATE_RESTART_AGAIN);
    assert_int_equal(restart_of(t, ERESTARTNOHAND, SA_RESTART, true), GATE_RESTART_EINTR);
    assert_int_equal(restart_of(t, ERESTARTNOHAND, SA_RESTART, false), GATE_RESTART_AGAIN);
    assert_int_equal(restart_of(t, ERESTARTNOINTR, 0, true), GATE_RESTART_AGAIN);
    assert_int_equal(restart_of(t, 0, 0, true), GATE_RESTART_NONE);
    end(t);
}

static void a_temporary_mask_is_what_the_frame_restores(void **state)
{
    (void)state;
    struct task *t = child_here();
    handle(t, SIGUSR1, HANDLER, 0, 0);
    set_blocked(t, SIGBIT(SIGUSR1));
    call(t, sys_kill, t->tid, SIGUSR1);
    sigset64 empty = 0;
    assert_int_equal(call(t, sys_rt_sigsuspend, &empty, 8), -ERESTARTNOHAND);
    struct gate_signal gs = ask(t);
    assert_int_equal(gs.signo, SIGUSR1);
    assert_int_equal(gs.old_mask, SIGBIT(SIGUSR1));
    call(t, gate_sigreturn, gs.old_mask);
    assert_int_equal(t->blocked, SIGBIT(SIGUSR1));
    end(t);
}

static void sigtimedwait_takes_what_is_blocked(void **state)
{
    (void)state;
    struct task *t = child_here();
    sigset64 set = SIGBIT(SIGUSR1);
    struct timespec soon = {.tv_nsec = 1000000};
    siginfo_t info;
    set_blocked(t, set);
    assert_int_equal(call(t, sys_rt_sigtimedwait, &set, &info, &soon, 8), -EAGAIN);
    call(t, sys_kill, t->tid, SIGUSR1);
    assert_int_equal(call(t, sys_rt_sigtimedwait, &set, &info, &soon, 8), SIGUSR1);
    assert_int_equal(info.si_pid, t->tid);
    assert_int_equal(t->process->pending.set, 0);
    end(t);
}

static void init_is_protected(void **state)
{
    (void)state;
    init->host_tid = (pid_t)syscall(SYS_gettid);
    init->process->host_pid = getpid();
    assert_int_equal(call(init, sys_kill, 1, SIGTERM), 0);
    assert_int_equal(call(init, sys_kill, 1, SIGKILL), 0);
    deliver_external_signal(init->process, SIGTERM, SI_USER, 0, 0);
    assert_int_equal(init->process->state, PROCESS_ALIVE);
    assert_false(init->process->group_exit);
    handle(init, SIGTERM, HANDLER, 0, 0);
    deliver_external_signal(init->process, SIGTERM, SI_USER, 0, 0);
    assert_int_equal(ask(init).signo, SIGTERM);
    call(init, gate_sigreturn, 0);
    handle(init, SIGTERM, 0, 0, 0);
    init->host_tid = 0;
}

static char host_state(pid_t pid)
{
    char path[64], st = 0;
    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%*d %*s %c", &st), 1);
    fclose(f);
    return st;
}

static void wait_for_state(pid_t pid, char wanted)
{
    for (int i = 0; i < 40000 && host_state(pid) != wanted; i++)
        usleep(1000);
    assert_int_equal(host_state(pid), wanted);
}

static void stops_are_native_and_told(void **state)
{
    (void)state;
    struct task *t = fork_with_host(init, SIGCHLD);
    pid_t host = t->process->host_pid, pid = t->tid;
    int status;
    call(init, sys_kill, pid, SIGSTOP);
    wait_for_state(host, 'T');
    assert_int_equal(call(init, sys_wait4, -1, &status, WNOHANG, 0), 0);
    assert_int_equal(call(init, sys_wait4, -1, &status, WUNTRACED, 0), pid);
    assert_true(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
    assert_int_equal(call(init, sys_wait4, -1, &status, WUNTRACED | WNOHANG, 0), 0);
    assert_int_equal(c->pids->nstopped, 1);
    call(init, sys_kill, pid, SIGCONT);
    wait_for_state(host, 'S');
    assert_int_equal(call(init, sys_wait4, pid, &status, WCONTINUED, 0), pid);
    assert_true(WIFCONTINUED(status));
    assert_int_equal(c->pids->nstopped, 0);
    call(init, sys_kill, pid, SIGSTOP);
    call(init, sys_kill, pid, SIGTERM); /* waits for SIGCONT */
    assert_false(t->process->group_exit);
    call(init, sys_kill, pid, SIGCONT);
    assert_int_equal(waitpid(host, &status, 0), host);
    assert_int_equal(call(init, sys_wait4, pid, &status, 0, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    task_put(t);
}

static void killing_ends_host_and_guest(void **state)
{
    (void)state;
    struct task *t = fork_with_host(init, SIGCHLD);
    pid_t host = t->process->host_pid, pid = t->tid;
    int status;
    assert_int_equal(call(init, sys_kill, pid, SIGKILL), 0);
    assert_int_equal(waitpid(host, &status, 0), host);
    assert_true(WIFSIGNALED(status));
    siginfo_t info = {0};
    assert_int_equal(call(init, sys_waitid, P_PID, pid, &info, WEXITED | WNOWAIT, 0), 0);
    assert_int_equal(info.si_code, CLD_KILLED);
    assert_int_equal(info.si_status, SIGKILL);
    assert_int_equal(call(init, sys_kill, pid, 0), 0); /* a zombie is still there */
    assert_int_equal(call(init, sys_wait4, pid, &status, 0, 0), pid);
    assert_int_equal(call(init, sys_kill, pid, 0), -ESRCH);
    assert_int_equal(call(init, sys_wait4, -1, &status, 0, 0), -ECHILD);
    task_put(t);
}

static void orphans_go_to_the_subreaper(void **state)
{
    (void)state;
    pid_t pid;
    int err, status;
    struct task *reaper = child_here();
    reaper->process->child_subreaper = true;
    struct task *mid = task_fork(reaper, SIGCHLD, &pid, &err);
    struct task *leaf = task_fork(mid, SIGCHLD, &pid, &err);
    task_exit(mid, 3 << 8);
    assert_ptr_equal(leaf->process->parent, reaper->process);
    assert_int_equal(call(reaper, sys_wait4, -1, &status, 0, 0), mid->tid);
    assert_int_equal(WEXITSTATUS(status), 3);
    handle(reaper, SIGCHLD, 1, 0, 0); /* ignoring SIGCHLD reaps */
    pid = leaf->tid;
    task_exit(leaf, 0);
    assert_null(process_by_pid(c->pids, pid));
    assert_int_equal(call(reaper, sys_wait4, -1, &status, 0, 0), -ECHILD);
    task_put(mid);
    task_put(leaf);
    end(reaper);
}

static void threads_share_and_end_together(void **state)
{
    (void)state;
    const unsigned long flags = CLONE_THREAD | CLONE_SIGHAND | CLONE_VM | CLONE_FS | CLONE_FILES;
    pid_t tid;
    int err, status;
    struct task *t = child_here();
    assert_null(task_fork(t, CLONE_THREAD, &tid, &err));
    assert_int_equal(err, -EINVAL);
    struct task *thread = task_fork(t, flags, &tid, &err);
    assert_non_null(thread);
    assert_ptr_equal(thread->process, t->process);
    assert_ptr_equal(thread->fs, t->fs);
    assert_int_equal(t->process->nthreads, 2);
    struct task *gone = task_fork(t, flags, &tid, &err);
    task_fork_abort(gone);
    task_put(gone);
    assert_null(task_by_tid(c->pids, tid));
    task_exit(t, 0); /* the leader goes first: its number stays */
    assert_non_null(task_by_tid(c->pids, t->tid));
    assert_int_equal(call(init, sys_wait4, t->tid, &status, WNOHANG, 0), 0);
    task_exit(thread, 7 << 8);
    assert_int_equal(call(init, sys_wait4, t->tid, &status, 0, 0), t->tid);
    assert_int_equal(WEXITSTATUS(status), 7);
    task_put(thread);
    task_put(t);
}

static void a_busy_worker_finishes_a_killed_task(void **state)
{
    (void)state;
    struct task *t = child_here();
    pid_t pid = t->tid;
    int status;
    t->host_tid = 0;
    atomic_fetch_add(&t->life, TASK_BUSY_ONE); /* as by another worker */
    process_exit(t->process, SIGKILL, false);
    assert_int_equal(call(init, sys_wait4, pid, &status, WNOHANG, 0), 0);
    assert_non_null(t->fdt);
    task_leave(t);
    assert_null(t->fdt);
    assert_int_equal(call(init, sys_wait4, pid, &status, WNOHANG, 0), pid);
    task_put(t);
}

/* The first has answered, but is not gone yet when the second is in the next call, which has come without a
 * notification. */
static void a_worker_that_leaves_late_ends_nothing(void **state)
{
    (void)state;
    struct task *t = child_here();
    pid_t pid = t->tid;
    int status;
    t->host_tid = 0;
    assert_true(task_enter(t));
    assert_false(task_enter_idle(t));
    task_answers(t);
    assert_true(task_enter_idle(t));
    assert_false(task_enter_idle(t));
    task_leave(t);
    process_exit(t->process, SIGKILL, false);
    assert_non_null(t->fdt);
    assert_non_null(t->process->mm);
    assert_int_equal(call(init, sys_wait4, pid, &status, WNOHANG, 0), 0);
    task_leave_idle(t);
    assert_null(t->fdt);
    assert_int_equal(call(init, sys_wait4, pid, &status, WNOHANG, 0), pid);
    task_put(t);
}

static void timers_fire(void **state)
{
    (void)state;
    struct task *t = child_here();
    struct itimerval v = {.it_value = {.tv_usec = 2000}}, late = {.it_value = {.tv_sec = 1000}}, old;
    handle(t, SIGALRM, HANDLER, 0, 0);
    set_blocked(t, SIGBIT(SIGALRM));
    assert_int_equal(call(t, sys_setitimer, ITIMER_REAL, &late, 0), 0);
    assert_int_equal(call(t, sys_getitimer, ITIMER_REAL, &old), 0);
    assert_true(old.it_value.tv_sec > 0 && old.it_value.tv_sec <= 1000);
    assert_int_equal(call(t, sys_setitimer, ITIMER_REAL, &v, 0), 0);
    sigset64 set = SIGBIT(SIGALRM);
    struct timespec patience = {.tv_sec = 100};
    assert_int_equal(call(t, sys_rt_sigtimedwait, &set, 0, &patience, 8), SIGALRM);
    int id;
    struct itimerspec its = {.it_value = {.tv_nsec = 1}, .it_interval = {.tv_nsec = 1000000}};
    siginfo_t info;
    assert_int_equal(call(t, sys_timer_create, CLOCK_MONOTONIC, 0, &id), 0);
    assert_int_equal(call(t, sys_timer_settime, id, 0, &its, 0), 0);
    bool came = false;
    for (int i = 0; i < 40000 && !came; i++) {
        usleep(1000);
        LOCKED(&kernel.tasklist_lock);
        came = t->process->pending.set & set;
    }
    { /* the timers' thread can not run meanwhile */
        LOCKED(&kernel.tasklist_lock);
        usleep(20000);
        assert_int_equal(signal_dequeue(t, set, &info), SIGALRM);
    }
    assert_int_equal(info.si_code, SI_TIMER);
    assert_true(info.si_overrun >= 19);
    assert_int_equal(call(t, sys_timer_delete, id), 0);
    assert_int_equal(call(t, sys_timer_delete, id), -EINVAL);
    end(t);
}

static void groups_and_sessions(void **state)
{
    (void)state;
    struct task *t = child_here();
    pid_t pid, tid = t->tid;
    int err;
    assert_int_equal(call(t, sys_setsid, 0), tid);
    assert_int_equal(call(t, sys_setsid, 0), -EPERM);
    assert_int_equal(call(t, sys_setpgid, 0, 0), -EPERM);
    struct task *k = task_fork(t, SIGCHLD, &pid, &err);
    assert_int_equal(call(t, sys_setpgid, pid, pid), 0);
    assert_int_equal(call(t, sys_getpgid, pid), pid);
    assert_int_equal(call(t, sys_setpgid, pid, 99999), -EPERM);
    k->process->did_exec = true;
    assert_int_equal(call(t, sys_setpgid, pid, tid), -EACCES);
    assert_int_equal(call(init, sys_setpgid, pid, pid), -ESRCH);
    task_exit(k, 0);
    call(t, sys_wait4, pid, 0, 0, 0);
    task_put(k);
    end(t);
}

static void the_end_of_init_ends_all(void **state)
{
    (void)state;
    struct task *t = fork_with_host(init, SIGCHLD);
    pid_t host = t->process->host_pid;
    int status;
    call(init, sys_exit_group, 5);
    assert_int_equal(init_status, 5 << 8);
    assert_int_equal(waitpid(host, &status, 0), host);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_true(t->exited);
    task_put(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_handler_runs_with_its_mask),
        cmocka_unit_test(the_mask_is_in_the_slot),
        cmocka_unit_test(a_temporary_mask_leaves_the_slot_alone),
        cmocka_unit_test(every_thread_is_told),
        cmocka_unit_test(what_waits_is_pushed_with_an_answer),
        cmocka_unit_test(flags_of_actions_count),
        cmocka_unit_test(standard_signals_merge_and_realtime_ones_queue),
        cmocka_unit_test(ignoring_forgets),
        cmocka_unit_test(interrupted_calls_go_on_as_linux_has_it),
        cmocka_unit_test(a_temporary_mask_is_what_the_frame_restores),
        cmocka_unit_test(sigtimedwait_takes_what_is_blocked),
        cmocka_unit_test(init_is_protected),
        cmocka_unit_test(stops_are_native_and_told),
        cmocka_unit_test(killing_ends_host_and_guest),
        cmocka_unit_test(orphans_go_to_the_subreaper),
        cmocka_unit_test(threads_share_and_end_together),
        cmocka_unit_test(a_busy_worker_finishes_a_killed_task),
        cmocka_unit_test(a_worker_that_leaves_late_ends_nothing),
        cmocka_unit_test(timers_fire),
        cmocka_unit_test(groups_and_sessions),
        cmocka_unit_test(the_end_of_init_ends_all),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
