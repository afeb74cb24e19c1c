/* objects: sandbox/keep/task/task.o sandbox/keep/task/process.o sandbox/keep/signal/signal.o sandbox/keep/signal/sigmask.o sandbox/keep/signal/stop.o sandbox/keep/time/sleep.o sandbox/keep/task/exit.o sandbox/keep/task/deaths.o sandbox/keep/hostproc.o sandbox/keep/strbuf.o sandbox/keep/task/park.o sandbox/keep/task/quiet.o sandbox/keep/thread.o sandbox/keep/time/timer.o sandbox/keep/time/posix_timer.o sandbox/keep/task/cred.o sandbox/keep/idmap.o sandbox/keep/task/credcalls.o sandbox/keep/task/prctl.o sandbox/keep/mm/maps.o sandbox/keep/seccomp/seccomp.o sandbox/keep/seccomp/seccomp_install.o sandbox/keep/seccomp/seccomp_native.o sandbox/keep/trace/sites.o sandbox/keep/trace/poke.o sandbox/keep/trace/hold.o sandbox/keep/trace/trace.o sandbox/keep/trace/trace_stop.o sandbox/keep/trace/trace_context.o sandbox/keep/signal/sigdeliver.o sandbox/keep/seccomp/bpf.o common/log.o common/err.o */
/* Credentials, capabilities and guests' own filters: capabilities(7), setresuid(2), seccomp(2). */
#include <errno.h>
#include <linux/capability.h>
#include <linux/prctl.h>
#include <linux/securebits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "sandbox/keep/seccomp/bpf.h"
#include "sandbox/keep/seccomp/seccomp.h"
#include "tests/unit/keep_stubs.h"

#define BIT(cap) (1ULL << (cap))
#define ALL (BIT(41) - 1)

static struct container *c;

static int setup(void **state)
{
    (void)state;
    c = container_make();
    return 0;
}

static void leaving_root_drops_capabilities(void **state)
{
    (void)state;
    struct task *t = spawn(c);
    assert_int_equal(call(t, sys_setresuid, 1000, 1000, 1000), 0);
    assert_int_equal(t->cred->cap_permitted, 0);
    assert_int_equal(t->cred->cap_effective, 0);
    assert_int_equal(t->cred->fsuid, 1000);
    assert_int_equal(call(t, sys_setuid, 0), -EPERM);
    assert_int_equal(call(t, sys_setresuid, -1, 1000, -1), 0);
    task_put(t);
}

static void the_saved_id_brings_them_back(void **state)
{
    (void)state;
    struct task *t = spawn(c);
    assert_int_equal(call(t, sys_setresuid, -1, 1000, -1), 0);
    assert_int_equal(t->cred->cap_effective, 0);
    assert_int_equal(t->cred->cap_permitted, ALL);
    assert_int_equal(call(t, sys_setuid, 0), 0);
    assert_int_equal(t->cred->cap_effective, ALL);
    task_put(t);
}

static void keep_caps_keeps_the_permitted_set(void **state)
{
    (void)state;
    struct task *t = spawn(c);
    assert_int_equal(call(t, sys_prctl, PR_SET_KEEPCAPS, 1), 0);
    assert_int_equal(call(t, sys_setuid, 1000), 0);
    assert_int_equal(t->cred->cap_effective, 0);
    assert_int_equal(t->cred->cap_permitted, ALL);
    task_put(t);
}

static void fsuid_moves_the_file_capabilities(void **state)
{
    (void)state;
    struct task *t = spawn(c);
    assert_int_equal(call(t, sys_setfsuid, 1000), 0);
    assert_false(capable(t, CAP_DAC_OVERRIDE));
    assert_true(capable(t, CAP_KILL));
    assert_int_equal(call(t, sys_setfsuid, 0), 1000);
    assert_true(capable(t, CAP_DAC_OVERRIDE));
    task_put(t);
}

static void capset_only_takes_away(void **state)
{
    (void)state;
    struct task *t = spawn(c);
    struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct d[2] = {{.effective = 1, .permitted = 3, .inheritable = 2}}, got[2];
    assert_int_equal(call(t, sys_capset, &h, d), 0);
    assert_int_equal(call(t, sys_capget, &h, got), 0);
    assert_memory_equal(d, got, sizeof(d));
    d[0].permitted = 7;
    assert_int_equal(call(t, sys_capset, &h, d), -EPERM);
    d[0].permitted = 2;
    assert_int_equal(call(t, sys_capset, &h, d), -EPERM); /* effective has more */
    h.version = 1;
    assert_int_equal(call(t, sys_capget, &h, 0), 0);
    assert_int_equal(h.version, _LINUX_CAPABILITY_VERSION_3);
    task_put(t);
}

static struct cred *exec(struct task *t, const struct exec_file_rights *r, bool *secure)
{
    bool eperm;
    struct cred *n = exec_cred(t, r, secure, &eperm);
    assert_non_null(n);
    assert_false(eperm);
    return n;
}

static void execve_follows_the_rules(void **state)
{
    (void)state;
    struct task *t = spawn(c);
    struct exec_file_rights plain = {.mode = 0755}, setuid = {.mode = 04755, .uid = 0};
    struct exec_file_rights ping = {
        .mode = 0755, .has_caps = true, .cap_permitted = BIT(CAP_NET_RAW), .cap_effective = true};
    bool secure;
    struct cred *n = exec(t, &plain, &secure);
    assert_int_equal(n->cap_permitted, ALL);
    assert_int_equal(n->cap_effective, ALL);
    assert_false(secure);
    cred_put(n);
    call(t, sys_setresuid, 1000, 1000, 1000);
    n = exec(t, &plain, &secure);
    assert_int_equal(n->cap_permitted, 0);
    assert_false(secure);
    cred_put(n);
    n = exec(t, &setuid, &secure);
    assert_int_equal(n->euid, 0);
    assert_int_equal(n->suid, 0);
    assert_int_equal(n->uid, 1000);
    assert_int_equal(n->cap_effective, ALL);
    assert_true(secure);
    cred_put(n);
    n = exec(t, &ping, &secure);
    assert_int_equal(n->cap_effective, BIT(CAP_NET_RAW));
    assert_true(secure);
    cred_put(n);
    t->no_new_privs = true;
    n = exec(t, &setuid, &secure);
    assert_int_equal(n->euid, 1000);
    assert_int_equal(n->cap_effective, 0);
    assert_false(secure);
    cred_put(n);
    task_put(t);
}

static void ambient_capabilities_survive_a_plain_execve(void **state)
{
    (void)state;
    struct task *t = spawn(c);
    bool secure;
    t->cred->cap_inheritable = BIT(CAP_KILL);
    assert_int_equal(call(t, sys_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0), -EPERM);
    assert_int_equal(call(t, sys_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0), 0);
    call(t, sys_prctl, PR_SET_SECUREBITS, SECBIT_KEEP_CAPS | SECBIT_NO_SETUID_FIXUP);
    call(t, sys_setresuid, 1000, 1000, 1000);
    struct cred *n = exec(t, &(struct exec_file_rights){.mode = 0755}, &secure);
    assert_int_equal(n->cap_effective, BIT(CAP_KILL));
    assert_int_equal(n->cap_permitted, BIT(CAP_KILL));
    cred_put(n);
    n = exec(t, &(struct exec_file_rights){.mode = 04755, .uid = 5}, &secure);
    assert_int_equal(n->cap_effective, 0);
    cred_put(n);
    task_put(t);
}

static void programs_are_checked(void **state)
{
    (void)state;
    const struct sock_filter good[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 39, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 13),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct seccomp_data data = {.nr = 39};
    assert_true(bpf_valid(good, 4));
    assert_int_equal(bpf_run(good, &data), SECCOMP_RET_ERRNO | 13);
    data.nr = 40;
    assert_int_equal(bpf_run(good, &data), SECCOMP_RET_ALLOW);
    assert_false(bpf_valid(good, 2)); /* no return at the end, and a jump past it */
    assert_false(bpf_valid(good, 0));
    const struct sock_filter bad[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 64),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 2),
        BPF_STMT(BPF_ST, 16),
        BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0),
        BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 32),
        BPF_STMT(BPF_JMP | BPF_JA, 0xffffffff),
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0),
        BPF_STMT(0xffff, 0),
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        const struct sock_filter prog[] = {bad[i], BPF_STMT(BPF_RET | BPF_K, 0)};
        assert_false(bpf_valid(prog, 2));
    }
}

static void filters_stack_and_the_strictest_counts(void **state)
{
    (void)state;
    struct task *t = spawn(c);
    struct sock_filter allow[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_filter refuse[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 5, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog p = {4, refuse}, q = {1, allow};
    t->cred->cap_effective = 0;
    assert_int_equal(call(t, sys_seccomp, SECCOMP_SET_MODE_FILTER, 0, &p), -EACCES);
    assert_int_equal(call(t, sys_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    assert_int_equal(call(t, sys_seccomp, SECCOMP_SET_MODE_FILTER, 0, &p), 0);
    assert_int_equal(call(t, sys_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &q), 0);
    assert_int_equal(call(t, sys_prctl, PR_GET_SECCOMP), SECCOMP_MODE_FILTER);
    assert_int_equal(call(t, seccomp_check, 5), 0);
    assert_int_equal(call(t, seccomp_check, 6), SYS_EXACT); /* not answered yet */
    assert_int_equal(t->exact, -EACCES);
    assert_int_equal(call(t, sys_seccomp, SECCOMP_SET_MODE_STRICT, 0, 0), -EINVAL);
    task_put(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leaving_root_drops_capabilities),
        cmocka_unit_test(the_saved_id_brings_them_back),
        cmocka_unit_test(keep_caps_keeps_the_permitted_set),
        cmocka_unit_test(fsuid_moves_the_file_capabilities),
        cmocka_unit_test(capset_only_takes_away),
        cmocka_unit_test(execve_follows_the_rules),
        cmocka_unit_test(ambient_capabilities_survive_a_plain_execve),
        cmocka_unit_test(programs_are_checked),
        cmocka_unit_test(filters_stack_and_the_strictest_counts),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
