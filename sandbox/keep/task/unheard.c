#include "sandbox/keep/task/unheard.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/uio.h>

#include "sandbox/keep/fs/fdtable.h"
#include "sandbox/keep/fs/vfs.h"
#include "sandbox/keep/lanes/fast.h"
#include "sandbox/keep/mm/uaccess.h"
#include "sandbox/keep/signal/sigmask.h"
#include "sandbox/keep/task/deaths.h"
#include "sandbox/keep/task/embryo.h"
#include "sandbox/keep/task/task_internal.h"
#include "sandbox/keep/trace/trace.h"

#define PAUSE_NS (NSEC_PER_SEC / 1000) /* of the keep's own looks: twice as long each time */
#define PAUSES 10
#define VAIN 3  /* looks for one that should have been there: the host's memory may have been short */
#define EAGER 8 /* after so many for the same one, whoever asks shares looks with others */
#define SHARED_NS (10 * PAUSE_NS)

/* The token in the memory of that host process; 0: none. At that address is the gate's own data, which
 * nothing else can be mapped over: a read that waits for nobody (docs/security.md). */
static uint64_t token_of(pid_t host_pid)
{
    uint64_t token;
    const struct iovec own = {&token, sizeof(token)};
    const struct iovec its = {(void *)(UNHEARD_BORN_AT + offsetof(struct gate_born, token)), sizeof(token)};

    return process_vm_readv(host_pid, &own, 1, &its, 1, 0) == sizeof(token) ? token : 0;
}

/* Beginning
 * --------------------------------------------------------------------------------------------------------
 */

/* Whether the child's gate can do without being told. */
static bool may_be_unheard(const struct task *t, const struct task *child, unsigned long flags)
{
    const unsigned long others = CLONE_VM | CLONE_VFORK | CLONE_FILES | CLONE_THREAD | CLONE_PIDFD;
    const struct process *p = t->process;
    const struct mm *mm = child->process->mm;

    return !(flags & others) && t->slot && t->mask_told && task_mask_is_in_slot(t) && fast_is_alone(t) &&
           fast_may_be(child) && !p->stopped && !p->group_exit && !t->trace && !trace_has_tracee(p) &&
           !child->exited && !child->judge_next && !child->nice_owed && !signal_pending_set(child) &&
           !fdtable_is_strange(child->fdt) && !mm->lanes_unset && !mm->actions_unset;
}

bool unheard_prepare(struct task *t, struct embryo *e, unsigned long flags, struct gate_born *born)
{
    struct user_copy parts[FAST_SLOT_PARTS]; /* which its memory says already, but for these */
    struct gate_slot s;

    LOCKED(&kernel.tasklist_lock);
    e->unheard = may_be_unheard(t, e->child, flags);
    if (!e->unheard)
        return false;
    (void)fast_take_slot(e->child, t->slot, true, &s, parts);
    e->valid = s.valid;
    *born = (struct gate_born){.token = embryo_token(e), .valid = s.valid, .pid = (uint32_t)s.pid};
    return true;
}

void unheard_begin(struct embryo *e)
{
    if (!e->unheard)
        return;
    atomic_fetch_add(&kernel.unheard, 1);
    e->child->process->unheard = true;
    deaths_unheard(e->child->process);
}

void unheard_over(struct embryo *e)
{
    if (!e->unheard)
        return;
    e->unheard = e->child->process->unheard = false;
    atomic_fetch_sub(&kernel.unheard, 1);
    deaths_forget(e->child->process);
}

/* What was told when it was approved may have changed since; found by a look, its gate may have written over
 * it, too. */
static void become_known(struct embryo *e, pid_t host_pid, bool found, int nr)
{
    struct task *child = e->child;
    struct process *p = child->process;

    embryo_remove(e);
    task_host_known(child, host_pid, nr);
    if (child->exited || p->group_exit)
        return;
    if (found || child->marks || p->mm->lanes_unset || fast_valid(child) != e->valid)
        fast_found(child);
    if (p->stopped && !p->soft_stop)
        process_host_signal(p, SIGSTOP);
}

/* Whose memory says so: but its parent's does, too, until its gate has taken that away, and may be nobody's
 * by then. */
static struct embryo *find(uint64_t token, pid_t host_pid)
{
    struct embryo *e = token ? embryo_find(NULL, token) : NULL;

    return e && e->unheard && e->parent->process->host_pid != host_pid ? e : NULL;
}

struct task *unheard_heard(pid_t host_pid, int nr)
{
    uint64_t token = atomic_load(&kernel.unheard) ? token_of(host_pid) : 0;
    struct task *t = NULL;
    struct embryo *e;

    if (!token)
        return NULL;
    {
        LOCKED(&kernel.tasklist_lock);
        if ((e = find(token, host_pid))) {
            t = task_get(e->child);
            become_known(e, host_pid, false, nr);
        }
    }
    if (e)
        embryo_free(e);
    return t;
}

long gate_found(struct task *t, const struct sysargs *a)
{
    (void)a;
    LOCKED(&kernel.tasklist_lock);
    fast_found(t);
    return 0;
}

/* Looking
 * ----------------------------------------------------------------------------------------------------------
 */

static void found(uint64_t token, pid_t host_pid)
{
    struct embryo *e = find(token, host_pid);

    if (!e)
        return;
    (void)copy_to_host_thread(host_pid, UNHEARD_BORN_AT + offsetof(struct gate_born, token), &(uint64_t){0},
                              sizeof(uint64_t));
    become_known(e, host_pid, true, GATE_ATTACH);
    embryo_free(e);
}

static bool is_known(pid_t host_pid)
{
    struct task *t = task_by_host_tid(host_pid);

    if (t)
        task_put(t); /* not the last: it is in the table */
    return t;
}

/* Before the list is read: see the top of unheard.h. */
static void note_look(bool listed)
{
    int64_t now = mono_now();
    struct embryo *e;

    DL_FOREACH(kernel.embryos, e)
    {
        if (!e->unheard)
            continue;
        e->over = listed && (e->over || token_of(e->parent->host_tid) != embryo_token(e));
        e->looks++;
        e->looked = now;
    }
}

static void look(void)
{
    vfs_assume_self(); /* the host lists those that the keep may trace */
    int fd = openat(kernel.procfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);

    note_look(dir);
    if (!dir) {
        if (fd >= 0)
            (void)close(fd);
        return;
    }
    errno = 0;
    for (const struct dirent *e; (e = readdir(dir)); errno = 0) {
        pid_t pid = (pid_t)atoi(e->d_name);
        if (pid > 0 && !is_known(pid))
            found(token_of(pid), pid);
    }
    if (errno)
        note_look(false);
    (void)closedir(dir);
}

/* A child that hides, or whose parent hangs in the clone, is not to keep everybody looking. */
static bool is_worth_it(const struct embryo *e)
{
    return e->unheard && (e->looks < EAGER || mono_now() - e->looked >= SHARED_NS);
}

void unheard_find_all(void)
{
    struct embryo *e;

    if (!atomic_load(&kernel.unheard))
        return;
    DL_FOREACH(kernel.embryos, e)
    {
        if (!is_worth_it(e))
            continue;
        look();
        return;
    }
}

static void look_later(struct embryo *e);

/* It has died, or its clone was not made. */
static void give_up(struct embryo *e)
{
    struct process *p = process_get(e->child->process);

    embryo_remove(e);
    embryo_free(e);
    process_kill_locked(p, SIGKILL, false);
    process_put(p);
}

/* The keep looks by itself: once for all of this moment. */
static void look_again(struct ktimer *kt)
{
    struct embryo *e = (struct embryo *)kt; /* its first member */
    struct task *child = task_get(e->child);

    if (mono_now() - e->looked >= PAUSE_NS)
        look();
    if ((e = embryo_of(child))) {
        e->vain += e->over;
        if (e->vain >= VAIN)
            give_up(e);
        else
            look_later(e);
    }
    task_put(child);
}

static void look_later(struct embryo *e)
{
    unsigned n = e->over ? e->vain : e->looks;

    if (e->timer.queued)
        return;
    e->timer.fire = look_again;
    ktimer_set(&e->timer, mono_now() + (PAUSE_NS << (n < PAUSES ? n : PAUSES)));
}

void unheard_look(struct process *p)
{
    struct embryo *e = p->unheard ? embryo_of(p->leader) : NULL;

    if (!e || !is_worth_it(e))
        return;
    look();
    if (p->unheard) /* for what it has to be told */
        look_later(e);
}

void unheard_await(struct process *p)
{
    struct embryo *e = p->unheard ? embryo_of(p->leader) : NULL;

    if (e && !e->timer.queued)
        look_again(&e->timer);
}

bool unheard_killed(struct embryo *e)
{
    if (!e->unheard)
        return false;
    e->child->process->unheard = false;
    look_later(e);
    return true;
}
