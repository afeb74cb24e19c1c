/* objects: sandbox/keep/syscall.o common/log.o common/err.o */
/* What a worker still does when its call has been served: which calls leave their task to it, and which not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <sys/syscall.h>

#include "sandbox/gate/abi.h"
#include "sandbox/keep/events/aio.h"
#include "sandbox/keep/task/clone.h"
#include "sandbox/keep/container/container.h"
#include "sandbox/keep/counters.h"
#include "sandbox/keep/task/exec.h"
#include "sandbox/keep/lanes/fast.h"
#include "sandbox/keep/lanes/kept.h"
#include "sandbox/keep/lanes/later.h"
#include "sandbox/keep/lanes/mailbox.h"
#include "sandbox/keep/task/quiet.h"
#include "sandbox/keep/seccomp/seccomp.h"
#include "sandbox/keep/trace/strace.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/ipc/sysv_shm.h"
#include "sandbox/keep/task/task.h"
#include "sandbox/keep/task/unheard.h"
#include "sandbox/keep/trace/trace.h"
#include "sandbox/platform/listener.h"

struct kernel kernel = {.tasklist_lock = PTHREAD_MUTEX_INITIALIZER};

static struct {
    unsigned heard, after, missed, parked, pushed, answered, continued, left;
} did;

/* The calls ----------------------------------------------------------------------------------------------
 */

long sys_getpid(struct task *t, const struct sysargs *a)
{
    (void)a;
    return t->tid;
}

/* As task_exit leaves the task. */
long sys_exit(struct task *t, const struct sysargs *a)
{
    (void)a;
    atomic_fetch_or(&t->life, TASK_DYING | TASK_EXITED);
    t->process->mm = NULL;
    return SYS_CONTINUE;
}

long sys_pause(struct task *t, const struct sysargs *a)
{
    (void)t;
    (void)a;
    return SYS_PARKED;
}

/* Around them --------------------------------------------------------------------------------------------
 */

bool kept_hear(struct task *t, const struct sysargs *a)
{
    (void)t;
    (void)a;
    did.heard++;
    return true;
}

void kept_after(struct task *t, const struct sysargs *a)
{
    (void)a;
    assert_non_null(t->process->mm);
    did.after++;
}

void fast_missed(struct task *t, const struct sysargs *a, long r)
{
    (void)a;
    (void)r;
    assert_non_null(t->process->mm);
    did.missed++;
}

void kept_parked(void)
{
    did.parked++;
}

void signal_push(struct task *t, const struct sysargs *a)
{
    (void)a;
    assert_non_null(t->process->mm);
    did.pushed++;
}

int notif_answer(const struct sysargs *a, long result)
{
    (void)a;
    (void)result;
    did.answered++;
    return 0;
}

int notif_continue(const struct sysargs *a)
{
    (void)a;
    did.continued++;
    return 0;
}

bool task_enter(struct task *t)
{
    return t;
}

void task_answers(struct task *t)
{
    (void)t;
}

void task_leave(struct task *t)
{
    (void)t;
    did.left++;
}

/* Not there ----------------------------------------------------------------------------------------------
 */

#define NO_CALL(name)                                                                                        \
    long name(struct task *t, const struct sysargs *a)                                                       \
    {                                                                                                        \
        (void)t;                                                                                             \
        (void)a;                                                                                             \
        return -ENOSYS;                                                                                      \
    }
NO_CALL(gate_aio_destroy)
NO_CALL(gate_aio_done)
NO_CALL(gate_aio_setup)
NO_CALL(gate_clone_abort)
NO_CALL(gate_dies)
NO_CALL(gate_exec)
NO_CALL(gate_exec_abort)
NO_CALL(gate_exec_done)
NO_CALL(gate_fault)
NO_CALL(gate_found)
NO_CALL(gate_settle)
NO_CALL(gate_shm_done)
NO_CALL(gate_shmat)
NO_CALL(gate_shmdt)
NO_CALL(gate_signal)
NO_CALL(gate_sigreturn)
NO_CALL(gate_stop)
NO_CALL(seccomp_value)

struct task *task_by_host_tid(pid_t host_tid)
{
    (void)host_tid;
    return NULL;
}

long gate_attach(pid_t host_tid, const struct sysargs *a)
{
    (void)host_tid;
    (void)a;
    return -ENOSYS;
}

struct task *clone_heard(pid_t host_tid, const struct sysargs *a)
{
    (void)host_tid;
    (void)a;
    return NULL;
}

bool clone_left(const struct sysargs *a)
{
    (void)a;
    return false;
}

void clone_gives_back(pid_t host_tid, uaddr_t in_use)
{
    (void)host_tid;
    (void)in_use;
}

void clone_end_stranger(pid_t host_tid, const struct sysargs *a)
{
    (void)host_tid;
    (void)a;
}

struct task *exec_heard(pid_t host_tid)
{
    (void)host_tid;
    return NULL;
}

void quiet_hear(void) {}

bool seccomp_covers(const struct sysargs *a)
{
    (void)a;
    return false;
}

bool counters_timed(void)
{
    return false;
}

void counters_count(int nr, long r, const struct timespec *start)
{
    (void)nr;
    (void)r;
    (void)start;
}

void strace_call(struct task *t, const struct sysargs *a, long result, const struct timespec *start)
{
    (void)t;
    (void)a;
    (void)result;
    (void)start;
}

void mailbox_begin(struct task *t, struct gate_mailbox *page)
{
    (void)t;
    (void)page;
}

struct gate_mailbox *mailbox_page(const struct task *t)
{
    (void)t;
    return NULL;
}

void mailbox_rung(struct task *t)
{
    (void)t;
}

bool mailbox_takes(int nr)
{
    (void)nr;
    return false;
}

int notif_answer_fd(const struct sysargs *a, int fd, int at)
{
    (void)a;
    (void)fd;
    (void)at;
    return -ENOENT;
}

void process_exit(struct process *p, int status, bool kill_host)
{
    (void)p;
    (void)status;
    (void)kill_host;
}

bool signal_pending(struct task *t)
{
    (void)t;
    return false;
}

void task_answer_early(struct task *t)
{
    (void)t;
}

void task_await_thaw(struct task *t)
{
    (void)t;
}

void task_put(struct task *t)
{
    (void)t;
}

void later_hear(struct task *t)
{
    (void)t;
}

void later_arm(void) {}
void mailbox_end(void) {}
void task_answer_over(void) {}
void tasks_bury(void) {}

/* Tests --------------------------------------------------------------------------------------------------
 */

struct guest {
    struct container container;
    struct process process;
    struct task task;
    struct mm mm;
};

static void call(struct guest *g, int nr)
{
    const struct sysargs a = {.nr = nr};

    memset(g, 0, sizeof(*g));
    memset(&did, 0, sizeof(did));
    g->process.container = &g->container;
    g->process.mm = &g->mm;
    g->task.process = &g->process;
    g->task.kicked = true;
    syscall_dispatch(&g->task, &a);
    assert_int_equal(did.heard, 1);
}

static void an_ordinary_call(void **state)
{
    struct guest g;

    (void)state;
    call(&g, SYS_getpid);
    assert_int_equal(did.after, 1);
    assert_int_equal(did.missed, 1);
    assert_int_equal(did.pushed, 1);
    assert_int_equal(did.answered, 1);
    assert_int_equal(did.left, 1);
}

/* Another thread's end may have given the memory back, or do so at this moment. */
static void one_that_ends_its_task(void **state)
{
    struct guest g;

    (void)state;
    call(&g, SYS_exit);
    assert_int_equal(did.after, 0);
    assert_int_equal(did.missed, 0);
    assert_int_equal(did.pushed, 0);
    assert_int_equal(did.continued, 1);
    assert_int_equal(did.left, 1);
}

/* The worker forgets it; who goes on with it hears what there is, as at the beginning. */
static void one_that_is_parked(void **state)
{
    const struct sysargs a = {.nr = SYS_getpid};
    struct guest g;

    (void)state;
    call(&g, SYS_pause);
    assert_int_equal(did.parked, 1);
    assert_int_equal(did.after + did.missed + did.answered + did.left, 0);
    syscall_go_on(&g.task, &a);
    assert_int_equal(did.heard, 2);
    assert_int_equal(did.after, 1);
    assert_int_equal(did.left, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_ordinary_call),
        cmocka_unit_test(one_that_ends_its_task),
        cmocka_unit_test(one_that_is_parked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
