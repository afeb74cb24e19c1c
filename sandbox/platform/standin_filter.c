#include "sandbox/platform/standin_filter.h"

#include <asm/unistd.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "sandbox/gate/standin.h"

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RETURN(action) BPF_STMT(BPF_RET | BPF_K, (action))
#define ALLOW(call) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_##call, 0, 1), RETURN(SECCOMP_RET_ALLOW)

int standin_filter_install(bool killable)
{
    struct sock_filter prog[] = {
        LOAD(arch),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
        RETURN(SECCOMP_RET_KILL_PROCESS),
        LOAD(instruction_pointer),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)STANDIN_IP, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, instruction_pointer) + 4),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1),
        RETURN(SECCOMP_RET_USER_NOTIF),
        LOAD(nr),
        ALLOW(sched_yield), /* until the porter has the listener */
        ALLOW(execveat),    /* the gate's image */
        ALLOW(recvmsg),
        ALLOW(sendto),
        ALLOW(read),
        ALLOW(clone),
        ALLOW(close),
        ALLOW(dup3),
        ALLOW(fcntl),
        ALLOW(mmap),
        ALLOW(mprotect),
        ALLOW(munmap),
        ALLOW(exit_group),
        /* to find out what the agent said (sandbox/gate/standin_call.c) */
        ALLOW(gettid),
        ALLOW(exit),
        ALLOW(brk),
        ALLOW(msync),
        ALLOW(clock_gettime),
        ALLOW(rseq),
        ALLOW(rt_sigaction),
        ALLOW(rt_sigprocmask),
        ALLOW(sigaltstack),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_tgkill, 0, 3),
        LOAD(args[2]), /* no signal */
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1),
        RETURN(SECCOMP_RET_ALLOW),
        RETURN(SECCOMP_RET_KILL_PROCESS),
    };
    const struct sock_fprog fprog = {.len = ARRAY_SIZE(prog), .filter = prog};
    unsigned flags =
        SECCOMP_FILTER_FLAG_NEW_LISTENER | (killable ? SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV : 0);

    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &fprog);
}
