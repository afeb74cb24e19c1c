/* Calls on a process's own memory and threads, which an agent's "go on" has the stand-in's child make:
 * whether it did, or the agent answered. The kernel does not say, so the call is given something to do that
 * can be seen afterwards.
 *
 * An error is always the answer: the child's call is made to succeed wherever the guest's might, so that an
 * error is either the agent's own or what the guest's call would end with, too. The exceptions are told by
 * one error each that agents do not use: EFAULT where the call's memory is out of the child's reach, and
 * EINVAL for shared memory, of which the child has none. A success that leaves nothing to see (a hint, a
 * wake-up of nobody) counts as made. */
#include "sandbox/gate/gate.h"
#include "sandbox/gate/standin.h"

#define PAGE 4096UL
#define EFAULT 14
#define EINVAL 22
#define PROT_READ 1
#define PROT_WRITE 2
#define PROT_GROWSDOWN 0x01000000
#define MAP_SHARED 1
#define MAP_PRIVATE 2
#define MAP_ANON_THERE 0x104020 /* MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE */
#define MAP_GROWSDOWN 0x100
#define MADV_REMOVE 9
#define MS_ASYNC 1
#define RSEQ_UNREGISTER 1
#define CLONE_THREAD 0x10000UL
#define SA_SIGINFO 4UL
#define SA_RESTORER 0x04000000UL
#define SA_ONSTACK 0x08000000UL
#define SIGSEGV 11
#define SIG_SETMASK 2
#define FUTEX_WAKE 1
#define FUTEX_REQUEUE 3
#define FUTEX_WAKE_BITSET 10
#define FUTEX_PRIVATE 128UL
#define FUTEX_CLOCK_REALTIME 256UL
#define LOOKS 100000
#define ALT_STACK 32768

static struct standin_mark *const mark = (struct standin_mark *)STANDIN_MARK;

static uint64_t round_up(uint64_t n)
{
    return (n + PAGE - 1) & ~(PAGE - 1);
}

/* Memory where the guest's call expects some. */
static void map(uint64_t addr, uint64_t len, int prot, uint64_t flags)
{
    if (!(addr % PAGE))
        sys6(NR_mmap, addr, round_up(len), (uint64_t)prot, flags | MAP_ANON_THERE, (uint64_t)-1, 0);
}

static int is_mapped(uint64_t addr)
{
    return sys3(NR_msync, addr, PAGE, MS_ASYNC) == 0;
}

static int is_writable(uint64_t addr)
{
    return sys2(NR_clock_gettime, 0, addr) == 0;
}

/* rt_sigreturn finds no frame, which is SIGSEGV. */
static void catch_segv(void (*handler)(void))
{
    static char stack[ALT_STACK];
    const struct native_stack alt = {.sp = (uint64_t)stack, .size = sizeof(stack)};
    const struct {
        void (*handler)(void);
        uint64_t flags;
        void (*restorer)(void);
        uint64_t mask;
    } action = {handler, SA_SIGINFO | SA_RESTORER | SA_ONSTACK, gate_restorer, 0};

    static const uint64_t none;

    sys4(NR_rt_sigprocmask, SIG_SETMASK, &none, 0, 8);
    sys2(NR_sigaltstack, &alt, 0);
    sys4(NR_rt_sigaction, SIGSEGV, &action, 0, 8);
}

static void prepare_rseq(const uint64_t *a)
{
    uint64_t page = a[0] & ~(PAGE - 1);

    map(page, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    if (a[2] == RSEQ_UNREGISTER)
        sys4(NR_rseq, a[0], a[1], 0, a[3]);
}

void standin_prepare(const struct standin_request *q, void (*on_trace)(void))
{
    const uint64_t *a = q->args;

    map(STANDIN_MARK, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
    mark->tid = (int32_t)sys0(NR_gettid);
    switch (q->nr) {
    case NR_munmap:
        map(a[0], PAGE, 0, MAP_PRIVATE);
        break;
    case NR_mprotect:
        map(a[0], a[1], a[2] & PROT_WRITE ? 0 : PROT_READ | PROT_WRITE,
            MAP_PRIVATE | (a[2] & PROT_GROWSDOWN ? MAP_GROWSDOWN : 0));
        break;
    case NR_mremap:
        map(a[0], a[1] ? a[1] : PAGE, 0, a[1] ? MAP_PRIVATE : MAP_SHARED);
        break;
    case NR_madvise:
        map(a[0], a[1], PROT_READ | PROT_WRITE, a[2] == MADV_REMOVE ? MAP_SHARED : MAP_PRIVATE);
        break;
    case NR_rseq:
        prepare_rseq(a);
        break;
    case NR_rt_sigreturn:
        catch_segv(on_trace);
        break;
    }
}

/* The result is a clone's number, or one that the agent made up. */
static int has_cloned(const struct standin_request *q, long result)
{
    int thread = q->nr == NR_clone && (q->args[0] & CLONE_THREAD);

    if (result <= 0)
        return 0;
    for (int i = 0; i < LOOKS && !mark->cloned; i++) {
        if (sys3(NR_tgkill, thread ? mark->tid : result, result, 0) < 0)
            break;
        sys0(NR_sched_yield);
    }
    return (int)mark->cloned;
}

static int has_remapped(const uint64_t *a, uint64_t at)
{
    uint64_t was = round_up(a[1]), is = round_up(a[2]);

    if (at != a[0])
        return is_mapped(at);
    if (is > was)
        return is_mapped(at + was);
    return is == was || !is_mapped(at + is);
}

static int has_protected(const uint64_t *a)
{
    return a[1] == 0 || is_writable(a[0]) == ((a[2] & PROT_WRITE) != 0);
}

static int only_wakes(uint64_t op)
{
    op &= ~(FUTEX_PRIVATE | FUTEX_CLOCK_REALTIME);
    return op == FUTEX_WAKE || op == FUTEX_REQUEUE || op == FUTEX_WAKE_BITSET;
}

int standin_went_on(const struct standin_request *q, long result)
{
    const uint64_t *a = q->args;
    int is_error = result < 0 && result >= -4095;

    switch (q->nr) {
    case NR_mmap:
        return !is_error && (uint64_t)result >= GATE_LIMIT && is_mapped((uint64_t)result);
    case NR_munmap:
        return result == 0 && !is_mapped(a[0]);
    case NR_mprotect:
        return result == 0 && has_protected(a);
    case NR_mremap:
        return !is_error && has_remapped(a, (uint64_t)result);
    case NR_madvise:
    case NR_rseq:
    case NR_sched_yield:
        return result == 0;
    case NR_futex:
        return result == -EFAULT || (result == 0 && only_wakes(a[1]));
    case NR_sigaltstack:
        return result == 0 || result == -EFAULT;
    case NR_clock_gettime:
        return result == -EFAULT;
    case NR_brk:
        return result == sys1(NR_brk, 0);
    case NR_clone:
    case NR_fork:
    case NR_vfork:
        return has_cloned(q, result);
    case NR_shmat:
    case NR_shmdt:
    case NR_io_destroy:
    case NR_io_submit:
        return result == -EINVAL;
    case NR_io_getevents:
    case NR_io_pgetevents:
        return result == -EINVAL || result == -EFAULT;
    case NR_io_setup:
    case NR_io_cancel:
        return result == -EFAULT;
    default:
        return 0;
    }
}
