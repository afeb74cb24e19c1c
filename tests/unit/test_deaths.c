/* objects: sandbox/keep/task/task.o sandbox/keep/task/process.o sandbox/keep/signal/signal.o sandbox/keep/signal/sigmask.o sandbox/keep/signal/stop.o sandbox/keep/time/sleep.o sandbox/keep/signal/sigdeliver.o sandbox/keep/signal/sigcalls.o sandbox/keep/task/exit.o sandbox/keep/task/deaths.o sandbox/keep/hostproc.o sandbox/keep/strbuf.o sandbox/keep/task/park.o sandbox/keep/task/quiet.o sandbox/keep/task/wait.o sandbox/keep/thread.o sandbox/keep/time/timer.o sandbox/keep/time/posix_timer.o sandbox/keep/task/fork.o sandbox/keep/task/cred.o sandbox/keep/idmap.o sandbox/keep/mm/maps.o sandbox/keep/seccomp/seccomp.o sandbox/keep/seccomp/seccomp_install.o sandbox/keep/seccomp/seccomp_native.o sandbox/keep/trace/sites.o sandbox/keep/trace/poke.o sandbox/keep/trace/hold.o sandbox/keep/trace/trace.o sandbox/keep/trace/trace_stop.o sandbox/keep/trace/trace_context.o sandbox/keep/seccomp/bpf.o sandbox/keep/task/credcalls.o sandbox/keep/task/ids.o common/log.o common/err.o */
/* Ends that the host tells of, with host processes of the test's own. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "sandbox/gate/abi.h"
#include "sandbox/keep/task/deaths.h"
#include "sandbox/keep/task/task_internal.h"
#include "sandbox/keep/time/timer.h"
#include "tests/unit/keep_stubs.h"

#define PATIENCE_MS 20000

static struct container *c;
static struct task *init;

static int setup(void **state)
{
    (void)state;
    signal(GATE_KICK_SIGNAL, SIG_IGN);
    kernel.procfd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(kernel.procfd >= 0);
    c = container_make();
    DL_APPEND(kernel.container, c);
    init = spawn(c);
    return 0;
}

/* As the control thread does, once. */
static void hear(void)
{
    struct pollfd pfd = {.fd = kernel.deaths_fd, .events = POLLIN};

    assert_int_equal(poll(&pfd, 1, PATIENCE_MS), 1);
    deaths_bury();
}

static struct task *young_one(void)
{
    struct task *t = fork_with_host(init, SIGCHLD);

    assert_true(t->process->young);
    assert_int_equal(t->process->pidfd, -1);
    return t;
}

static void end_host(pid_t host)
{
    assert_int_equal(kill(host, SIGKILL), 0);
    assert_int_equal(waitpid(host, NULL, 0), host);
}

/* Its parent is told so, and the keep is done with it. */
static void expect_killed(struct task *t, int signo)
{
    pid_t pid = t->tid;
    int status;

    assert_int_equal(call(init, sys_wait4, pid, &status, WNOHANG, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == signo);
    assert_null(kernel.young);
    task_put(t);
}

static void the_old_are_watched(void **state)
{
    (void)state;
    struct task *t = young_one();
    pid_t host = t->process->host_pid;

    while (t->process->pidfd < 0)
        hear();
    assert_false(t->process->young);
    assert_int_equal(t->process->state, PROCESS_ALIVE);
    end_host(host);
    while (t->process->state == PROCESS_ALIVE)
        hear();
    expect_killed(t, SIGKILL);
}

static void who_died_young_is_found(void **state)
{
    (void)state;
    struct task *t = young_one(), *other = young_one();
    pid_t host = t->process->host_pid, others = other->process->host_pid;

    end_host(host);
    while (t->process->state == PROCESS_ALIVE)
        hear();
    while (other->process->pidfd < 0)
        hear();
    assert_int_equal(other->process->state, PROCESS_ALIVE);
    expect_killed(t, SIGKILL);
    call(init, sys_kill, other->tid, SIGKILL);
    assert_int_equal(waitpid(others, NULL, 0), others);
    expect_killed(other, SIGKILL);
}

static void who_ends_by_itself_is_forgotten(void **state)
{
    (void)state;
    struct task *t = young_one();
    pid_t host = t->process->host_pid;

    call(t, sys_exit_group, 3);
    assert_null(kernel.young);
    assert_int_equal(t->process->pidfd, -1);
    end_host(host);
    assert_int_equal(call(init, sys_wait4, t->tid, 0, 0, 0), t->tid);
    task_put(t);
}

static void a_signal_finds_the_young(void **state)
{
    (void)state;
    struct task *t = young_one();
    pid_t host = t->process->host_pid;
    int status;

    call(init, sys_kill, t->tid, SIGKILL);
    assert_int_equal(waitpid(host, &status, 0), host);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    expect_killed(t, SIGKILL);
}

/* As if the host had given the number to another process since. */
static void another_process_is_left_alone(void **state)
{
    (void)state;
    struct task *t = young_one(), *other = young_one();
    pid_t host = t->process->host_pid, others = other->process->host_pid;

    t->process->attached -= 10 * NSEC_PER_SEC;
    other->process->attached -= 10 * NSEC_PER_SEC;
    call(init, sys_kill, other->tid, SIGTERM);
    while (t->process->state == PROCESS_ALIVE)
        hear();
    assert_int_equal(waitpid(host, NULL, WNOHANG), 0);
    assert_int_equal(waitpid(others, NULL, WNOHANG), 0);
    end_host(host);
    end_host(others);
    expect_killed(t, SIGKILL);
    expect_killed(other, SIGTERM);
}

/* Nobody ends for that proc(5) has no word for it. */
static void what_cannot_be_read_says_nothing(void **state)
{
    (void)state;
    int procfd = kernel.procfd;
    struct task *t = young_one();
    pid_t host = t->process->host_pid;

    kernel.procfd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    while (t->process->pidfd < 0)
        hear();
    (void)close(kernel.procfd);
    kernel.procfd = procfd;
    assert_int_equal(t->process->state, PROCESS_ALIVE);
    call(init, sys_kill, t->tid, SIGKILL);
    assert_int_equal(waitpid(host, NULL, 0), host);
    expect_killed(t, SIGKILL);
}

static void without_a_descriptor_it_is_looked_at_again(void **state)
{
    (void)state;
    struct rlimit was, few = {0};
    struct task *t = young_one();
    pid_t host = t->process->host_pid;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
    few.rlim_max = was.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    int64_t first = t->process->look_at;
    while (t->process->look_at == first)
        deaths_bury(); /* no poll with that limit */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
    assert_int_equal(t->process->pidfd, -1);
    while (t->process->pidfd < 0)
        hear();
    assert_int_equal(t->process->state, PROCESS_ALIVE);
    call(init, sys_kill, t->tid, SIGKILL);
    assert_int_equal(waitpid(host, NULL, 0), host);
    expect_killed(t, SIGKILL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_old_are_watched),
        cmocka_unit_test(who_died_young_is_found),
        cmocka_unit_test(who_ends_by_itself_is_forgotten),
        cmocka_unit_test(a_signal_finds_the_young),
        cmocka_unit_test(another_process_is_left_alone),
        cmocka_unit_test(what_cannot_be_read_says_nothing),
        cmocka_unit_test(without_a_descriptor_it_is_looked_at_again),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
