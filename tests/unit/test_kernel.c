// objects: common/*.o runtime/kernel.o
/* The check of the host's kernel, on kernels that lack one thing each (by a seccomp filter in a child). */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/cleanup.h"
#include "runtime/kernel.h"

/* From now on the call answers with that errno, as if the kernel did not have it. */
static void take_away(int number, int error)
{
    struct sock_filter prog[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog fprog = {ARRAY_SIZE(prog), prog};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &fprog))
        _exit(2);
}

/* What the check says without that call; shared with the child. */
static const char *check_without(int number, int error, struct err *shared)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        *shared = (struct err)ERR_INIT;
        take_away(number, error);
        _exit(kernel_check(shared) == 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 1 << 8);
    assert_int_equal(shared->code, ERR_UNSUPPORTED);
    return shared->msg;
}

static const struct {
    int number, error;
    const char *feature, *since;
} missing[] = {
    {SYS_openat2, ENOSYS, "openat2", "which Linux 5.6 has"},
    {SYS_pidfd_open, ENOSYS, "pidfd_open", "which Linux 5.3 has"},
    {SYS_close_range, ENOSYS, "close_range", "which Linux 5.9 has"},
    {SYS_mount_setattr, ENOSYS, "mount_setattr", "which Linux 5.12 has"},
    {SYS_seccomp, EINVAL, "seccomp user notification", "which Linux 5.0 has"},
};

static void test_missing(void **state)
{
    struct err *shared =
        mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    (void)state;
    assert_ptr_not_equal(shared, MAP_FAILED);
    for (size_t i = 0; i < ARRAY_SIZE(missing); i++) {
        const char *msg = check_without(missing[i].number, missing[i].error, shared);
        assert_non_null(strstr(msg, "lacks "));
        assert_non_null(strstr(msg, missing[i].feature));
        assert_non_null(strstr(msg, missing[i].since));
    }
    munmap(shared, sizeof(*shared));
}

static void test_this_kernel(void **state)
{
    struct err e = ERR_INIT;

    (void)state;
    if (kernel_check(&e))
        fail_msg("%s", e.msg);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_this_kernel),
        cmocka_unit_test(test_missing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
