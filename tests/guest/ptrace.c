/* ptrace(2): what a tracer sees and changes of memory, registers and calls.
 * Also run with: --lanes=off
 * Also run with: --strace */
#include <elf.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "tests/guest/traced.h"

/* Memory and registers -------------------------------------------------------------------------------------
 */

static volatile long word = 0x1122334455667788;

static void __attribute__((noinline)) marks(void)
{
    __asm__ volatile("nop\nnop\nnop\nnop");
}

static void changed(void)
{
    long r;

    if (word != 42)
        _exit(1);
    __asm__ volatile("mov $5, %%rax\nint3\n" : "=a"(r) : : "memory");
    _exit(r == 77 ? 9 : 2);
}

static void memory(void)
{
    struct user_regs_struct r;
    pid_t pid = traced_child(changed);

    started(pid);
    CHECK("PEEKDATA", ptrace(PTRACE_PEEKDATA, pid, &word, 0) == 0x1122334455667788);
    CHECK("POKEDATA", ptrace(PTRACE_POKEDATA, pid, &word, 42L) == 0);
    CHECK("and back", ptrace(PTRACE_PEEKDATA, pid, &word, 0) == 42);
    CHECK_ERRNO("nothing there", ptrace(PTRACE_PEEKDATA, pid, bad_address, 0), EIO);
    /* Where a sandbox has what it needs for itself (sandbox/gate/abi.h), Linux has nothing. */
    CHECK_ERRNO("nothing of the sandbox's", ptrace(PTRACE_POKETEXT, pid, 0x120000L, 0L), EIO);
    CHECK_ERRNO("nor across its edge", ptrace(PTRACE_POKETEXT, pid, 0x11fffcL, 0L), EIO);
    CHECK_ERRNO("nor its data", ptrace(PTRACE_POKEDATA, pid, 0x1e0100L, 0L), EIO);
    CHECK_ERRNO("nor to write to", ptrace(PTRACE_POKEDATA, pid, bad_address, 0), EIO);
    ptrace(PTRACE_CONT, pid, 0, 0);
    CHECK("int3", stopped_by(wait_for(pid), SIGTRAP));
    CHECK("GETREGS", ptrace(PTRACE_GETREGS, pid, 0, &r) == 0 && r.rax == 5 && r.cs == 0x33 && r.ss == 0x2b);
    CHECK("orig_rax", (long)r.orig_rax == -1);
    CHECK("PEEKUSER", ptrace(PTRACE_PEEKUSER, pid, offsetof(struct user, regs.rax), 0) == 5);
    CHECK("fs_base", r.fs_base != 0);
    CHECK("the instruction before", (ptrace(PTRACE_PEEKTEXT, pid, r.rip - 1, 0) & 0xff) == 0xcc);
    r.rax = 77;
    CHECK("SETREGS", ptrace(PTRACE_SETREGS, pid, 0, &r) == 0);
    ptrace(PTRACE_CONT, pid, 0, 0);
    ended(pid, 9);
}

static void bad_registers(void)
{
    struct user_regs_struct r, now;
    pid_t pid = traced_child(marks);

    started(pid);
    r = regs_of(pid);
    errno = 0;
    CHECK_ERRNO("cs 0", ptrace(PTRACE_POKEUSER, pid, offsetof(struct user, regs.cs), 0L), EIO);
    CHECK_ERRNO("ss 0", ptrace(PTRACE_POKEUSER, pid, offsetof(struct user, regs.ss), 0L), EIO);
    CHECK_ERRNO("cs of ring 0", ptrace(PTRACE_POKEUSER, pid, offsetof(struct user, regs.cs), 0x10L), EIO);
    CHECK_ERRNO("unaligned", ptrace(PTRACE_POKEUSER, pid, 3L, 0L), EIO);
    CHECK_ERRNO("beyond", ptrace(PTRACE_PEEKUSER, pid, 0x10000L, 0L), EIO);
    CHECK("all flags", ptrace(PTRACE_POKEUSER, pid, offsetof(struct user, regs.eflags), -1L & ~0x100L) == 0);
    now = regs_of(pid);
    value("flags that can be set", (long)(now.eflags & ~r.eflags & ~0x10000UL) != 0);
    CHECK("no IOPL", (now.eflags & 0x3000) == 0);
    ptrace(PTRACE_SETREGS, pid, 0, &r);
    CHECK("a wild ip",
          ptrace(PTRACE_POKEUSER, pid, offsetof(struct user, regs.rip), 0x4141414141414141L) == 0);
    ptrace(PTRACE_CONT, pid, 0, 0);
    CHECK("is a fault", stopped_by(wait_for(pid), SIGSEGV));
    CHECK("and may be mended", ptrace(PTRACE_SETREGS, pid, 0, &r) == 0);
    ptrace(PTRACE_CONT, pid, 0, 0);
    ended(pid, 0);
}

static void text(void)
{
    struct user_regs_struct r;
    pid_t pid = traced_child(marks);
    long old;

    started(pid);
    old = ptrace(PTRACE_PEEKTEXT, pid, marks, 0);
    CHECK("a breakpoint in text", ptrace(PTRACE_POKETEXT, pid, marks, (old & ~0xffL) | 0xcc) == 0);
    CHECK("is there", (ptrace(PTRACE_PEEKTEXT, pid, marks, 0) & 0xff) == 0xcc);
    CHECK("not in ours", *(volatile unsigned char *)(void *)marks == (old & 0xff));
    ptrace(PTRACE_CONT, pid, 0, 0);
    CHECK("is met", stopped_by(wait_for(pid), SIGTRAP));
    r = regs_of(pid);
    CHECK("right behind it", r.rip == (unsigned long)marks + 1);
    ptrace(PTRACE_POKETEXT, pid, marks, old);
    r.rip--;
    ptrace(PTRACE_SETREGS, pid, 0, &r);
    for (int i = 0; i < 3; i++) {
        ptrace(PTRACE_SINGLESTEP, pid, 0, 0);
        CHECK("a step", stopped_by(wait_for(pid), SIGTRAP));
        unsigned long before = r.rip;
        r = regs_of(pid);
        CHECK("of one instruction", r.rip > before && r.rip < before + 8);
    }
    CHECK("the flag is hidden", !(r.eflags & 0x100));
    ptrace(PTRACE_CONT, pid, 0, 0);
    ended(pid, 0);
}

static void computes(void)
{
    double d = 1.5;
    __asm__ volatile("movsd %0, %%xmm7\nint3\nmovsd %%xmm7, %0" : "+m"(d) : : "xmm7");
    _exit(d == 2.5 ? 11 : 12);
}

static void floats(void)
{
    struct user_fpregs_struct f;
    static unsigned char x[16384];
    struct iovec iov = {x, sizeof(x)};
    pid_t pid = traced_child(computes);
    double d = 0, e = 2.5;

    started(pid);
    ptrace(PTRACE_CONT, pid, 0, 0);
    CHECK("at its breakpoint", stopped_by(wait_for(pid), SIGTRAP));
    CHECK("GETFPREGS", ptrace(PTRACE_GETFPREGS, pid, 0, &f) == 0);
    memcpy(&d, (char *)f.xmm_space + 7 * 16, sizeof(d));
    CHECK("xmm7", d == 1.5);
    CHECK("NT_X86_XSTATE", ptrace(PTRACE_GETREGSET, pid, NT_X86_XSTATE, &iov) == 0);
    value("bytes of it", (long)iov.iov_len);
    CHECK("xmm7 there", memcmp(x + 160 + 7 * 16, &d, sizeof(d)) == 0);
    memcpy(x + 160 + 7 * 16, &e, sizeof(e));
    CHECK("SETREGSET", ptrace(PTRACE_SETREGSET, pid, NT_X86_XSTATE, &iov) == 0);
    ptrace(PTRACE_CONT, pid, 0, 0);
    ended(pid, 11);
}

/* Calls ----------------------------------------------------------------------------------------------------
 */

static void calls_some(void)
{
    syscall(SYS_getppid);
    syscall(SYS_chdir, "/nowhere");
    syscall(SYS_mmap, 0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    syscall(SYS_sched_yield);
    syscall(SYS_getpid); /* becomes another */
    if (syscall(SYS_getppid) != 1234)
        syscall(SYS_exit_group, 1);
    syscall(SYS_exit_group, 5);
}

static void calls(void)
{
    static const long want[] = {SYS_getppid, SYS_chdir,   SYS_mmap,      SYS_sched_yield,
                                SYS_getpid,  SYS_getppid, SYS_exit_group};
    struct __ptrace_syscall_info i;
    struct user_regs_struct r;
    pid_t pid = traced_child(calls_some);

    started(pid);
    CHECK("SETOPTIONS", ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD) == 0);
    CHECK_ERRNO("of what is none", ptrace(PTRACE_SETOPTIONS, pid, 0, 0x40000000L), EINVAL);
    memset(&i, 0, sizeof(i));
    CHECK("no call",
          ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(i), &i) > 0 && i.op == PTRACE_SYSCALL_INFO_NONE);
    ptrace(PTRACE_SYSCALL, pid, 0, 0);
    for (int status = wait_for(pid); stopped_by(status, SIGTRAP | 0x80); status = wait_for(pid)) {
        ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(i), &i);
        if (i.op == PTRACE_SYSCALL_INFO_ENTRY && i.entry.nr == SYS_getppid)
            break;
        ptrace(PTRACE_SYSCALL, pid, 0, 0); /* what raise does at its end */
    }
    for (size_t k = 0; k < sizeof(want) / sizeof(want[0]); k++) {
        r = regs_of(pid);
        ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(i), &i);
        value("call", (long)r.orig_rax);
        CHECK("entry", (long)r.orig_rax == want[k] && (long)r.rax == -ENOSYS);
        CHECK("info of it", i.op == PTRACE_SYSCALL_INFO_ENTRY && (long)i.entry.nr == want[k] &&
                                i.instruction_pointer == r.rip && i.entry.args[0] == r.rdi);
        if (k == 4)
            ptrace(PTRACE_POKEUSER, pid, offsetof(struct user, regs.orig_rax), -1L);
        if (k == 6)
            break;
        ptrace(PTRACE_SYSCALL, pid, 0, 0);
        CHECK("stops at its end", stopped_by(wait_for(pid), SIGTRAP | 0x80));
        r = regs_of(pid);
        ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(i), &i);
        CHECK("exit", i.op == PTRACE_SYSCALL_INFO_EXIT && i.exit.rval == (long)r.rax &&
                          i.exit.is_error == ((long)r.rax < 0));
        if (k == 1)
            CHECK("ENOENT", (long)r.rax == -ENOENT);
        if (k == 5) {
            r.rax = 1234;
            ptrace(PTRACE_SETREGS, pid, 0, &r);
        }
        ptrace(PTRACE_SYSCALL, pid, 0, 0);
        CHECK("and before the next", stopped_by(wait_for(pid), SIGTRAP | 0x80));
    }
    ptrace(PTRACE_SYSCALL, pid, 0, 0);
    ended(pid, 5);
}
/* PTRACE_INTERRUPT of one that is stopped counts when it goes on; any other stop before makes up for it. */
static void interrupting(void)
{
    struct user_regs_struct r;
    pid_t pid = idle_child();

    await_sleep(pid);
    ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACESYSGOOD);
    ptrace(PTRACE_INTERRUPT, pid, 0, 0);
    CHECK("interrupted", is_event(wait_for(pid), PTRACE_EVENT_STOP));
    CHECK("INTERRUPT while it is stopped", ptrace(PTRACE_INTERRUPT, pid, 0, 0) == 0);
    CHECK("does nothing yet", waitpid(pid, NULL, WNOHANG | __WALL) == 0);
    ptrace(PTRACE_CONT, pid, 0, 0);
    CHECK("but then", is_event(wait_for(pid), PTRACE_EVENT_STOP));
    ptrace(PTRACE_SYSCALL, pid, 0, 0);
    CHECK("pause is made again", stopped_by(wait_for(pid), SIGTRAP | 0x80));
    r = regs_of(pid);
    value("the call", (long)r.orig_rax);
    ptrace(PTRACE_SYSCALL, pid, 0, 0);
    await_sleep(pid);
    ptrace(PTRACE_INTERRUPT, pid, 0, 0);
    CHECK("the call's end", stopped_by(wait_for(pid), SIGTRAP | 0x80));
    ptrace(PTRACE_SYSCALL, pid, 0, 0);
    CHECK("makes up for it", stopped_by(wait_for(pid), SIGTRAP | 0x80));
    r = regs_of(pid);
    CHECK("it begins again", (long)r.rax == -ENOSYS);
    kill(pid, SIGKILL);
    wait_for(pid);
}

int main(void)
{
    memory();
    bad_registers();
    text();
    floats();
    calls();
    interrupting();
    return check_done();
}
