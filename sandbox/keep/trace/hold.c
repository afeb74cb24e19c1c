/* Threads are held while text is changed under them. A debugger may poke, or step, one thread of a program
 * while others run; what a patched site was before is several bytes, and one of its shapes has a place in the
 * middle from which the way back differs (sandbox/gate/patch.c). So the host stops whoever shares that memory
 * and does not stand in the keep already, and where each of them is is looked at.
 *
 * A thread that the host has been told to stop, and that was seen not to run since, is in no program until it
 * is continued. */
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#include "sandbox/gate/abi.h"
#include "sandbox/keep/container/container.h"
#include "sandbox/keep/hostproc.h"
#include "sandbox/keep/task/quiet.h"
#include "sandbox/keep/trace/trace.h"

#define LOOKS 1000
#define NAP_NS 100000
#define CMP_MIDDLE 2 /* patch.c: behind the first instruction of a SHAPE_CMP site */

struct hold {
    const struct mm *mm;
    uaddr_t site;
    int signo;
    unsigned looks; /* that are left: whoever waits for tasklist_lock waits, too */
};

/* Its memory is mm's, and it may be within its program. */
static bool is_loose(const struct task *o, const struct mm *mm)
{
    return o->process->mm == mm && !o->exited && o->host_tid && !o->parked && !task_is_current(o);
}

/* [T] Until one says no. */
static bool for_each_loose(struct hold *h, bool (*fn)(struct hold *h, const struct task *o))
{
    struct container *c;
    struct process *p, *tmp;
    struct task *o;

    DL_FOREACH(kernel.container, c)
    HASH_ITER(hh_pid, c->pids->processes, p, tmp)
    DL_FOREACH2(p->threads, o, thread_next)
    {
        if (is_loose(o, h->mm) && !fn(h, o))
            return false;
    }
    return true;
}

/* One that is stopped for its own sake stays so. */
static bool tell(struct hold *h, const struct task *o)
{
    const struct process *p = o->process;

    if (!p->stopped || p->soft_stop)
        (void)syscall(SYS_tgkill, p->host_pid, o->host_tid, h->signo);
    return true;
}

static void tell_all(struct hold *h, int signo)
{
    h->signo = signo;
    (void)for_each_loose(h, tell);
}

/* Calls of the gate's while it patches. */
static bool is_of_patching(long nr)
{
    return nr == SYS_mmap || nr == SYS_munmap || nr == SYS_mprotect || nr == SYS_membarrier;
}

enum where { WHERE_RUNS, WHERE_MIDDLE, WHERE_OUT };

/* From proc(5)'s "syscall": "running", or the call's number (-1: none) first and the instruction pointer
 * last. */
static enum where where_is(const struct task *o, uaddr_t site)
{
    _cleanup_sb_ struct strbuf sb = {0};

    if (host_proc_read(&sb, "%d/task/%d/syscall", (int)o->process->host_pid, (int)o->host_tid) < 0 || !sb.s)
        return WHERE_OUT; /* it has ended */
    if (sb.s[0] == 'r')
        return WHERE_RUNS;
    const char *last = strrchr(sb.s, ' ');
    long nr = strtol(sb.s, NULL, 10);
    uaddr_t ip = last ? strtoull(last + 1, NULL, 16) : 0;
    if (gate_holds(ip))
        return nr < 0 || is_of_patching(nr) ? WHERE_MIDDLE : WHERE_OUT;
    return nr < 0 && ip == site + CMP_MIDDLE ? WHERE_MIDDLE : WHERE_OUT;
}

static bool is_out(struct hold *h, const struct task *o)
{
    enum where w = WHERE_RUNS;

    while (h->looks && (w = where_is(o, h->site)) == WHERE_RUNS) {
        h->looks--;
        (void)nanosleep(&(struct timespec){.tv_nsec = NAP_NS}, NULL);
    }
    return w == WHERE_OUT;
}

static bool is_none(struct hold *h, const struct task *o)
{
    (void)h;
    (void)o;
    return false;
}

/* [T] One that the host can not be told to stop. */
static bool has_quiet(const struct mm *mm)
{
    const struct quiet *q;

    DL_FOREACH(kernel.quiets, q)
    if (q->task->process->mm == mm)
        return true;
    return false;
}

int hold_while(struct mm *mm, uaddr_t site, void (*fn)(void *arg), void *arg)
{
    struct hold h = {.mm = mm, .site = site, .looks = LOOKS};
    bool held = false;

    if (has_quiet(mm))
        return -EAGAIN;
    if (for_each_loose(&h, is_none)) {
        fn(arg);
        return 0;
    }
    for (; !held && h.looks; h.looks -= h.looks > 0) {
        tell_all(&h, SIGSTOP);
        held = for_each_loose(&h, is_out);
        if (held)
            fn(arg);
        tell_all(&h, SIGCONT);
        if (!held)
            (void)sched_yield();
    }
    return held ? 0 : -EAGAIN;
}
