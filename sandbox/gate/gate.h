/* The gate's inside: freestanding C with what little assembly the architecture folder gives. It runs in guest
 * processes on its own alternate stack, with every signal blocked, and nothing it says is believed. */
#ifndef BAILEY_GATE_H
#define BAILEY_GATE_H

#include <stddef.h>

#include "sandbox/gate/abi.h"
#include "sandbox/gate/x86_64/frame.h"

/* Tables that few programs come to use: away from what every one writes to as it begins. */
#define GATE_LATE __attribute__((section(".bss.late")))
/* A part of the guest's call by the mailbox (mailbox.c), and what is to be within each function that uses it.
 */
#define MAILBOX_TEXT __attribute__((section(".text.mailbox"), noinline))
#define INLINE static inline __attribute__((always_inline))

/* Whether fd is in a set of gate_lanes' or gate_later's, which the keep may change at any time. */
INLINE int is_lane(const uint64_t *set, uint64_t fd)
{
    return fd < GATE_LANE_FDS && (*(const volatile uint64_t *)&set[fd / 64] >> (fd % 64) & 1);
}

/* The thread's gate state, at the start of its area; the rest of the area is the native alternate stack. */
struct gate_area {
    struct gate_area *next; /* all areas of the process */
    uint32_t in_use;
    uint32_t lent;           /* to a vfork child: its parent gives it back */
    uint32_t pinned;         /* by the parent of its thread, for a moment */
    struct gate_clone clone; /* of the clone that made its thread */
    struct gate_slot *slot;  /* NULL: none is left */
    struct native_stack alt; /* the guest's own sigaltstack */
    uint64_t traced_ip;      /* behind the call that is being made for a traced thread */
    uint64_t returned_ip;    /* where the last handler returned to */
    uint32_t trace;          /* enum gate_trace */
    struct gate_signal sig;
};

/* The end of the area's stack; above it is what is written to anyhow when the stack is. */
static inline uint64_t area_top(const struct gate_area *a)
{
    return (uint64_t)a + GATE_AREA_SIZE - 64;
}

/* How many clones the thread has made, or somebody's threads in its place before. */
static inline uint16_t *area_clones(const struct gate_area *a)
{
    return (uint16_t *)area_top(a);
}

/* Its thread's signal mask, if that is in the slot. */
static inline uint64_t area_mask(const struct gate_area *a)
{
    return a->slot ? __atomic_load_n(&a->slot->blocked, __ATOMIC_RELAXED) : 0;
}

#define SIGBUS 7
#define SIGSEGV 11

static inline int is_fault(int sig)
{
    return sig == SIGSEGV || sig == SIGBUS;
}

struct gate_area *area_current(void);
struct gate_area *area_alloc(void);
/* After a fork only the caller's thread is there. */
void area_reset_after_fork(void);
struct native_stack area_native_stack(struct gate_area *a);
/* Makes the static first area ready. */
struct gate_area *area_init(void);
/* No other thread runs on this memory. */
int area_is_only(void);

/* patch.c: call sites that jump into the gate ----------------------------------------------------------- */

/* Whether the CPU and the kernel let the gate find the thread's slot by its GS base (AT_HWCAP2). Once. */
void patch_init(uint64_t hwcap2);
/* The thread's slot, if its GS base points there; else NULL. */
struct gate_slot *patch_slot(void);
/* Whether a thread on this area will have a slot; its number. */
int patch_can_have(const struct gate_area *a);
uint64_t patch_slot_number(const struct gate_slot *slot);
/* Points the thread's GS base at its area's slot. Returns the slot's address, or 0. */
uint64_t patch_own_slot(void);
/* Makes the site jump into the gate, if it has one of the shapes that are safe to change. */
void patch_site(const struct gate_patch *p);
/* Completes what another thread was at when the process forked. */
void patch_after_fork(void);
/* True: the trap came from a site that was being patched, and is to be taken again. */
int patch_trapped(struct native_ucontext *uc);
enum patch_state {
    PATCH_NONE,   /* no native call was interrupted */
    PATCH_WAITED, /* one was, and the context stands on its instruction, to make it again */
    PATCH_EINTR,  /* one was that is never made again by itself: the context stands behind it, with EINTR */
};
/* Makes a context within a patched call what it would be in the unpatched program. */
enum patch_state patch_translate(struct native_ucontext *uc);
/* A call that trapped behind a patched site: as if the site's own instruction had. */
void patch_show_site(struct native_sigcontext *r);
/* The thread's GS base points at its slot. */
int patch_is_own_gs(void);
/* True: it was the gate that met a bad address of the guest's; the call is for the keep to refuse. */
int patch_faulted(struct native_ucontext *uc);
/* The number of the thread's last native call. */
uint64_t patch_number(void);
/* A system call instruction stands at ip, or stood there before it was patched. */
int patch_is_syscall(uint64_t ip);

/* mask.c: out of mask.S, to where the call began, or behind it. False: the context is not there. */
int mask_leave(struct native_sigcontext *r);
/* A bad address was met in mask.S: the keep is to say so. False: not there. */
int mask_faulted(struct native_sigcontext *r);
/* The guest's mask from here on; rings where a signal waits for that. */
void mask_set(uint64_t mask);

static inline void gate_lock(int *l)
{
    while (__atomic_exchange_n(l, 1, __ATOMIC_ACQUIRE))
        sys0(NR_sched_yield);
}

static inline void gate_unlock(int *l)
{
    __atomic_store_n(l, 0, __ATOMIC_RELEASE);
}

/* What the call returns. One that a filter trapped leaves its number where it was. */
static inline void gate_result(struct native_ucontext *uc, long r)
{
    if (r == GATE_ANSWERED)
        r = sys0(GATE_VALUE);
    if (r != GATE_TRAPPED)
        uc->mc.ax = (uint64_t)r;
}

/* What the keep has lent a descriptor to map; then that is given back. */
static inline long gate_map_lent(const struct gate_op *op)
{
    return sys6(NR_mmap, op->addr, op->len, op->prot, op->flags, (uint64_t)op->fd, 0);
}

static inline void gate_give_back(int fd)
{
    if (sys1(GATE_SHM_DONE, fd) == 1)
        sys1(NR_close, fd);
}

void *memcpy(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);

/* mailbox.c ------------------------------------------------------------------------------------------------
 */

/* For a program's first thread: what mailbox_own reads is written to before, or that is a fault of its own.
 */
void mailbox_init(const struct gate_area *a);
/* The area's thread may use the mailbox of its slot, once there is one. */
void mailbox_own(const struct gate_area *a);
/* Maps the process's mailboxes from descriptor fd, which is closed. */
void mailbox_map(int fd);
/* The parent's are not ours. */
void mailbox_after_fork(void);
/* In a handler: what the keep has taken back of the process (kept.h) is closed. */
void mailbox_drop(void);
/* Not 0: the context was within a call by the mailbox, and is now at that call's site, before it or behind
 * it. 2: behind it with EINTR, since it was one that waited (poll(2), or with a time-out). 3: before it, and
 * it has waited in the host. */
int mailbox_leave(struct native_sigcontext *r);

/* The image as a stand-in (standin.h). */
_Noreturn void standin_main(void);

/* judge.c: calls that a filter has a say in ---------------------------------------------------------------
 */

/* Traps these calls (judged.h) of the thread, and of all that it makes, from now on. */
void judge_install(uint64_t calls);
/* True: the call that raised SIGSYS is dealt with. */
int judge_trapped(struct native_ucontext *uc);
/* True: the context was at gate_passed (entry.S), and now is where the guest made its call. */
int judge_leave(struct native_sigcontext *r);

/* The guest's call as it stands, from where it rings as if no gate were there. */
void judge_pass_on(struct native_ucontext *uc);

/* given.c: what the keep told with the image ---------------------------------------------------------------
 */

extern struct gate_given *const gate_given;
/* A call that struct gate_given may answer; it is passed on else. */
void given_call(struct native_ucontext *uc);
/* A copy of the process is about to be made, which is not to know what this one draws. */
void given_before_fork(void);
/* In the copy. */
void given_after_fork(void);

/* loader.c: what a loader makes of a library that it has opened: by the gate where that is a lane. */
void loader_call(struct native_ucontext *uc);
void loader_map(struct native_ucontext *uc);

/* trace.c: threads that are traced (ptrace(2)) --------------------------------------------------------- */

/* The keep wants the thread to come with its registers, which are the guest's own by now. */
void trace_signal(struct native_ucontext *uc, enum patch_state in);
/* SIGSYS because the thread is traced: its call. */
void trace_call(struct native_ucontext *uc, const struct native_siginfo *si);
/* True: the trap was the end of such a call. */
int trace_returned(struct native_ucontext *uc);
/* True: the context was in the middle of one, and now is where the guest made it, or behind. */
int trace_leave(struct native_sigcontext *r);
/* Waits for the end of a vfork. */
void trace_vfork(struct native_ucontext *uc, uint32_t pid);
/* Before the thread ends with this status, as for wait4. */
void trace_ends(struct native_ucontext *uc, int status);

/* self.c: True: the trap was a signal of the thread's to itself, which is delivered, or for the keep. */
int self_trapped(struct native_ucontext *uc);

/* Handlers of the native signals. */
/* Makes a call that needs registers. */
void gate_dispatch(struct native_ucontext *uc);
/* Lets a handler of the guest's run next. */
void gate_build_frame(struct native_ucontext *uc, const struct gate_signal *s);
void gate_on_sigsys(int sig, struct native_siginfo *si, struct native_ucontext *uc);
void gate_on_kick(int sig, struct native_siginfo *si, struct native_ucontext *uc);
void gate_on_fault(int sig, struct native_siginfo *si, struct native_ucontext *uc);

/* The calls that need registers; each leaves its result in uc. */
struct guest_clone {
    uint64_t flags, stack, ptid, ctid, tls;
};
void gate_clone(struct native_ucontext *uc, const struct guest_clone *g);
/* True: the fault was in gate_leave or gate_put_id (entry.S), which the context is out of. */
int leave_faulted(struct native_sigcontext *r);
void gate_execve(struct native_ucontext *uc, long dirfd, uint64_t path, uint64_t argv, uint64_t envp,
                 uint64_t flags);
void gate_sigreturn(struct native_ucontext *uc);
void gate_sigaltstack(struct native_ucontext *uc);
void gate_shmat(struct native_ucontext *uc, uint64_t id, uint64_t addr, uint64_t flags);
void gate_shmdt(struct native_ucontext *uc, uint64_t addr);
void gate_io_setup(struct native_ucontext *uc, uint64_t events, uint64_t at);
void gate_io_destroy(struct native_ucontext *uc, uint64_t id);
void gate_futex(struct native_ucontext *uc);
/* Less than a page at addr, asked of the host: a fault in a handler would end the process. */
int guest_can_read(uint64_t addr, uint64_t len);
int guest_can_write(uint64_t addr, uint64_t len);
/* rt_sigprocmask and set_robust_list (mask.c): answered from the slot, else asked of the keep. */
void gate_mask_call(struct native_ucontext *uc);
_Noreturn void gate_exit(int code);
void gate_brk(struct native_ucontext *uc);
void gate_brk_reset_after_fork(void);
/* Applies the keep's answer: restart, and the frame of a handler. */
void gate_apply_signal(struct native_ucontext *uc, long deliver, const struct gate_signal *s);

#endif
