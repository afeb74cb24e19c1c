/* objects: sandbox/keep/task/task.o sandbox/keep/task/process.o sandbox/keep/signal/signal.o sandbox/keep/signal/sigmask.o sandbox/keep/signal/stop.o sandbox/keep/time/sleep.o sandbox/keep/signal/sigdeliver.o sandbox/keep/signal/sigcalls.o sandbox/keep/task/exit.o sandbox/keep/task/deaths.o sandbox/keep/task/embryo.o sandbox/keep/task/unheard.o sandbox/keep/hostproc.o sandbox/keep/strbuf.o sandbox/keep/task/park.o sandbox/keep/task/quiet.o sandbox/keep/task/wait.o sandbox/keep/thread.o sandbox/keep/time/timer.o sandbox/keep/time/posix_timer.o sandbox/keep/task/fork.o sandbox/keep/task/cred.o sandbox/keep/idmap.o sandbox/keep/mm/maps.o sandbox/keep/seccomp/seccomp.o sandbox/keep/seccomp/seccomp_install.o sandbox/keep/seccomp/seccomp_native.o sandbox/keep/trace/sites.o sandbox/keep/trace/poke.o sandbox/keep/trace/hold.o sandbox/keep/trace/trace.o sandbox/keep/trace/trace_stop.o sandbox/keep/trace/trace_context.o sandbox/keep/seccomp/bpf.o sandbox/keep/task/credcalls.o sandbox/keep/task/ids.o common/log.o common/err.o */
/* Forks' children that have not made a call, with host processes of the test's own. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "sandbox/keep/task/deaths.h"
#include "sandbox/keep/task/embryo.h"
#include "sandbox/keep/task/task_internal.h"
#define KEEP_STUBS_WITH_EMBRYOS
#include "tests/unit/keep_stubs.h"

#define SECRET 0x1234567
#define PAGE 4096UL
#define VALID 1

static struct container *c;
static struct task *init;
static unsigned retold;

/* A gate's memory, which a fork copies. */
static struct gate_born *const born = (struct gate_born *)UNHEARD_BORN_AT;

int copy_to_host_thread(pid_t host_tid, uaddr_t dst, const void *src, size_t n)
{
    const struct iovec own = {(void *)src, n}, its = {(void *)dst, n};

    return process_vm_writev(host_tid, &own, 1, &its, 1, 0) == (ssize_t)n ? 0 : -EFAULT;
}

unsigned fast_take_slot(struct task *t, uaddr_t slot, bool mask_there, struct gate_slot *s,
                        struct user_copy *parts)
{
    (void)t;
    (void)slot;
    (void)mask_there;
    (void)s;
    (void)parts;
    return 0;
}

uint32_t fast_valid(const struct task *t)
{
    (void)t;
    return VALID;
}

void fast_found(struct task *t)
{
    (void)t;
    retold++;
}

bool fast_may_be(const struct task *t)
{
    (void)t;
    return true;
}

bool fast_is_alone(const struct task *t)
{
    (void)t;
    return true;
}

bool fdtable_is_strange(struct fdtable *ft)
{
    (void)ft;
    return false;
}

static int setup(void **state)
{
    (void)state;
    void *page = (void *)(UNHEARD_BORN_AT & ~(PAGE - 1));

    signal(GATE_KICK_SIGNAL, SIG_IGN);
    if (mmap(page, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1,
             0) != page)
        return -1;
    kernel.procfd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    c = container_make();
    DL_APPEND(kernel.container, c);
    init = spawn(c);
    return kernel.procfd >= 0 ? 0 : -1;
}

static void end_host(pid_t host)
{
    assert_int_equal(kill(host, SIGKILL), 0);
    assert_int_equal(waitpid(host, NULL, 0), host);
}

static void set_token(pid_t host, uint64_t token)
{
    assert_int_equal(copy_to_host_thread(host, (uaddr_t)&born->token, &token, sizeof(token)), 0);
}

static uint64_t token_in(pid_t host)
{
    uint64_t token;
    const struct iovec own = {&token, sizeof(token)}, its = {&born->token, sizeof(token)};

    assert_int_equal(process_vm_readv(host, &own, 1, &its, 1, 0), sizeof(token));
    return token;
}

static struct task *parent, *child; /* references */
static uint64_t token;

/* A guest with that token, which the keep does not know. */
static pid_t host_with(uint64_t its)
{
    pid_t host = fork();
    assert_true(host >= 0);
    if (host == 0)
        for (;;)
            pause();
    set_token(host, its);
    return host;
}

/* The keep has approved a fork of parent's. The host has made it, which is returned, or has yet to. */
static pid_t approve(bool made)
{
    struct embryo *e = calloc(1, sizeof(*e));
    pid_t pid;
    int err = 0;

    parent = fork_with_host(init, SIGCHLD);
    child = task_fork(parent, SIGCHLD, &pid, &err);
    assert_non_null(child);
    e->child = task_get(child);
    e->parent = task_get(parent);
    e->secret = SECRET;
    e->valid = VALID;
    e->unheard = true;
    token = embryo_token(e);
    if (!made)
        set_token(parent->host_tid, token);
    pid_t host = made ? host_with(token) : 0;
    retold = 0;
    LOCKED(&kernel.tasklist_lock);
    DL_APPEND(kernel.embryos, e);
    unheard_begin(e);
    return host;
}

static void over(void)
{
    pid_t host = parent->host_tid;

    assert_null(kernel.embryos);
    assert_int_equal(atomic_load(&kernel.unheard), 0);
    call(init, sys_kill, parent->tid, SIGKILL);
    (void)waitpid(host, NULL, 0);
    (void)call(init, sys_wait4, -1, 0, 0, 0);
    task_put(parent);
    task_put(child);
}

static void find_child(void)
{
    LOCKED(&kernel.tasklist_lock);
    unheard_find(child->process);
}

/* The keep's own looks. */
static bool is_alive(void)
{
    struct pollfd pfd = {.fd = kernel.deaths_fd, .events = POLLIN};

    if (poll(&pfd, 1, 1) > 0)
        deaths_bury();
    LOCKED(&kernel.tasklist_lock);
    return child->process->state == PROCESS_ALIVE;
}

static unsigned looks(void)
{
    LOCKED(&kernel.tasklist_lock);
    return kernel.embryos ? kernel.embryos->looks : 0;
}

static void end_child(pid_t host)
{
    int status;

    call(parent, sys_kill, child->tid, SIGKILL);
    assert_int_equal(waitpid(host, NULL, 0), host);
    assert_int_equal(call(parent, sys_wait4, child->tid, &status, 0, 0), child->tid);
    assert_int_equal(status, SIGKILL);
    over();
}

static void its_first_call_tells(void **state)
{
    (void)state;
    pid_t host = approve(true);

    struct task *t = unheard_heard(host, SYS_getpid);
    assert_ptr_equal(t, child);
    task_put(t);
    assert_false(child->process->unheard);
    assert_int_equal(child->process->host_pid, host);
    assert_int_equal(token_in(host), token);
    assert_int_equal(retold, 0);
    assert_null(unheard_heard(host, SYS_getpid));
    end_child(host);
}

static void who_is_named_is_found(void **state)
{
    (void)state;
    pid_t host = approve(true), other = host_with(token + 1);

    find_child();
    assert_int_equal(child->process->host_pid, host);
    assert_int_equal(token_in(host), 0);
    assert_int_equal(token_in(other), token + 1);
    assert_int_equal(retold, 1);
    end_host(other);
    end_child(host);
}

static void who_is_at_work_is_found(void **state)
{
    (void)state;
    pid_t host = approve(true);

    while (child->process->unheard)
        assert_true(is_alive());
    assert_int_equal(child->process->host_pid, host);
    end_child(host);
}

/* What its parent's memory says is said of the child. */
static void its_parent_is_not_taken_for_it(void **state)
{
    (void)state;
    (void)approve(false);

    assert_null(unheard_heard(parent->host_tid, SYS_getpid));
    {
        LOCKED(&kernel.tasklist_lock);
        task_forget_host(parent); /* as at its end */
    }
    find_child();
    assert_int_equal(child->process->host_pid, 0);
    assert_null(unheard_heard(parent->host_tid, SYS_getpid));
    pid_t host = host_with(token);
    find_child();
    assert_int_equal(child->process->host_pid, host);
    end_child(host);
}

static void who_died_before_is_missed(void **state)
{
    (void)state;
    int status;
    end_host(approve(true));

    while (is_alive())
        ;
    assert_int_equal(call(parent, sys_wait4, child->tid, &status, 0, 0), child->tid);
    assert_int_equal(status, SIGKILL);
    over();
}

static void who_is_not_made_yet_is_waited_for(void **state)
{
    (void)state;
    int status;
    (void)approve(false);

    while (looks() < 6)
        assert_true(is_alive());
    set_token(parent->host_tid, 0);
    while (is_alive())
        ;
    assert_int_equal(call(parent, sys_wait4, child->tid, &status, 0, 0), child->tid);
    over();
}

static void so_is_it_when_its_parent_is_gone(void **state)
{
    (void)state;
    (void)approve(false);

    while (looks() < 3)
        assert_true(is_alive());
    assert_int_equal(kill(parent->host_tid, SIGKILL), 0);
    while (is_alive())
        ;
    over();
}

static void expect_killed(pid_t host)
{
    int status;

    assert_int_equal(waitpid(host, &status, 0), host);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    while (is_alive())
        ;
    assert_int_equal(call(parent, sys_wait4, child->tid, &status, 0, 0), child->tid);
    assert_int_equal(status, SIGKILL);
    over();
}

static void who_was_killed_before_it_was_made_ends(void **state)
{
    (void)state;
    (void)approve(false);

    call(parent, sys_kill, child->tid, SIGKILL);
    expect_killed(host_with(token));
}

static void so_does_who_had_ended_for_the_keep(void **state)
{
    (void)state;
    (void)approve(false);

    process_exit(child->process, SIGKILL, true);
    assert_false(is_alive());
    assert_int_equal(atomic_load(&kernel.unheard), 1);
    expect_killed(host_with(token));
}

static void so_does_who_makes_a_call_first(void **state)
{
    (void)state;
    (void)approve(false);

    process_exit(child->process, SIGKILL, true);
    pid_t host = host_with(token);
    struct task *t = unheard_heard(host, SYS_getpid);
    if (t) /* else it was found */
        task_put(t);
    expect_killed(host);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_first_call_tells),
        cmocka_unit_test(who_is_named_is_found),
        cmocka_unit_test(who_is_at_work_is_found),
        cmocka_unit_test(its_parent_is_not_taken_for_it),
        cmocka_unit_test(who_died_before_is_missed),
        cmocka_unit_test(who_is_not_made_yet_is_waited_for),
        cmocka_unit_test(so_is_it_when_its_parent_is_gone),
        cmocka_unit_test(who_was_killed_before_it_was_made_ends),
        cmocka_unit_test(so_does_who_had_ended_for_the_keep),
        cmocka_unit_test(so_does_who_makes_a_call_first),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
