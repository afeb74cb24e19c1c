/* What the gate (in every guest process) and the keep say to each other.
 *
 * The gate rings the doorbell with system call numbers that Linux does not have (GATE_*), from its own text.
 * The keep believes none of what it is told here: a guest can jump into the gate and say anything. */
#ifndef BAILEY_GATE_ABI_H
#define BAILEY_GATE_ABI_H

#include <stdint.h>

/* The gate's place in every guest address space: below everything that is linked at a fixed address, the
 * first MiB, above which valgrind loads programs, and above mmap_min_addr (64 KiB with most kernels), so that
 * `jmp *abs32` reaches it and the filter compares one 32-bit word. Guest memory calls at or above GATE_LIMIT
 * can not touch it. */
#define GATE_BASE 0x20000UL
#define GATE_LIMIT 0x100000UL

/* Whether an address is in the gate's place. */
static inline int gate_holds(uint64_t at)
{
    return at >= GATE_BASE && at < GATE_LIMIT;
}

/* Whether any of n bytes from at on may be; also where their end is beyond all addresses. */
static inline int gate_meets(uint64_t at, uint64_t n)
{
    return at < GATE_LIMIT && (n > GATE_LIMIT || at + n > GATE_BASE);
}

/* Where the keep puts programs' loaders (PT_INTERP), and nothing else lies of what it or the host has placed:
 * the upper half of an address. So the filter knows by where a call is made that it is one of a loader's. */
#define GATE_LOADERS 0x7e80U
#define GATE_LOADERS_END 0x7ec0U

static inline int gate_is_loader(uint64_t at)
{
    return at >> 32 >= GATE_LOADERS && at >> 32 < GATE_LOADERS_END;
}

/* A gate thread area: the native alternate stack on which the gate's handlers run, with the thread's gate
 * state at its start. Aligned to its size, so that the state is found from the stack pointer. */
#define GATE_AREA_SIZE 32768UL

/* The gate's only native argument: blanks, to make room for the command that the host is to show. */
#define GATE_BLANKS_16 "                "
#define GATE_BLANKS_64 GATE_BLANKS_16 GATE_BLANKS_16 GATE_BLANKS_16 GATE_BLANKS_16
#define GATE_TITLE_TEXT "gate" GATE_BLANKS_64 GATE_BLANKS_64 GATE_BLANKS_64 GATE_BLANKS_16 GATE_BLANKS_16
#define GATE_TITLE sizeof(GATE_TITLE_TEXT)

/* The native real-time signal with which the keep tells a guest thread that a guest signal waits. */
#define GATE_KICK_SIGNAL 64

enum gate_call {
    GATE_CALL_BASE = 0x2000,
    /* attach(token, slot): a new thread or process is there, with that struct gate_slot (0: none). By one
     * that the keep has found meanwhile (gate_born): what the keep has written to that may have been lost.
     * Returns 0, or GATE_ATTACH_CLEAR: it was forked while others used its parent's descriptors, and is to
     * have the host close all that it holds, by a close_range that rings. */
    GATE_ATTACH = GATE_CALL_BASE,
    /* clone_abort(token): the native clone failed. */
    GATE_CLONE_ABORT,
    /* exec(dirfd, path, argv, envp, flags, address of the guest's call | GATE_EXEC_PLAIN for execve): checks
     * and prepares an execve. Returns -errno, or the number of a descriptor of the gate's image, which the
     * gate executes. */
    GATE_EXEC,
    /* exec_abort(): the native exec failed. */
    GATE_EXEC_ABORT,
    /* exec_done(buf, sp, vdso, slot, title): a fresh gate asks what to load: struct gate_exec at buf; title:
     * GATE_TITLE bytes for the command that the host is to show. Returns 0, or n > 0: make n bytes of stack
     * below sp accessible, then ask again. */
    GATE_EXEC_DONE,
    /* signal(buf): is there a signal to deliver? Returns 0 or 1; struct gate_signal at buf in both cases. Or
     * GATE_SIGNAL_END: the thread is to end. */
    GATE_SIGNAL,
    /* fault(buf, siginfo, err): guest code raised a synchronous native signal. As signal(), once the keep has
     * queued the guest's signal. */
    GATE_FAULT,
    /* sigreturn(mask): the guest returned from a handler; its signal mask is now mask. Only where the slot
     * does not count, or the mask lets a marked signal through. */
    GATE_SIGRETURN,
    /* shmat(id, addr, flags, buf, 0, address): struct gate_op at buf says what to map with which descriptor.
       0 or -errno. */
    GATE_SHMAT,
    /* shm_done(fd): it is mapped, or can not be. Returns 1 where the descriptor is to be closed natively. */
    GATE_SHM_DONE,
    /* shmdt(addr, buf, 0, 0, 0, address): struct gate_op at buf says what to unmap. 0 or -errno. */
    GATE_SHMDT,
    /* value(): what GATE_ANSWERED stands for. */
    GATE_VALUE,
    /* settle(): a marked signal is not blocked any more (struct gate_slot). What can be delivered is, before
     * the guest goes on. Returns 0. */
    GATE_SETTLE,
    /* stop(buf, context, why | enum patch_state << 8, number, FS base, GS base): a traced thread stands here
     * (enum gate_stop), its registers in the struct ucontext at `context`, where the keep changes them.
     * Answers once it may go on: as signal(), or GATE_STOP_SKIP. */
    GATE_STOP,
    /* aio_setup(events, address of the id, buf, 0, 0, address): as shmat, for the ring of a context of
     * io_setup(2). */
    GATE_AIO_SETUP,
    /* aio_done(fd, address of the ring or -errno, address of the id): it is mapped, or can not be, which is
     * what the call returns then. 0 or -errno; GATE_SHM_DONE is to follow. */
    GATE_AIO_DONE,
    /* aio_destroy(id, buf, 0, 0, 0, address): as shmdt. */
    GATE_AIO_DESTROY,
    /* dies(signal): the gate itself can not go on, as where there is no room for a handler's frame: the
     * process ends by SIGBUS, or SIGSEGV. */
    GATE_DIES,
    GATE_CALL_END,
    /* judge(arg 0 .. arg 4, instruction pointer of the call) at GATE_JUDGE_BASE + its number: a call that the
     * gate is to make or to answer, which a filter has a say in. Returns GATE_JUDGE_PASSED, or what the call
     * is to return. */
    GATE_JUDGE_BASE = 0x4000
};

/* A new thread or process: the gate makes the native clone, which the keep approves and lets through. Its
 * flags, in the lower half, are what the host is to know; above them are the guest's, of fork and vfork those
 * that they stand for. The sixth argument, of which the host knows nothing, is the address of a struct
 * gate_clone, with the guest's call (enum gate_clone_call) in its lowest bits and a number above it: one that
 * the thread's last clone had not, so that a call that the host makes again is known. The fifth is the
 * thread's signal mask, where it is not the host's to know (CLONE_SETTLS). Where the keep approves, it has
 * written the token with which the child attaches; -errno otherwise. */
struct gate_clone {
    uint64_t token;     /* 31-bit secret << 32 | pid; 0: none was given */
    uint64_t quiet;     /* enum gate_quiet */
    uint64_t left;      /* the gate's: the thread ends by itself, if `quiet` still says that it may */
    uint64_t ip, stack; /* the guest's call: what is behind it, its second argument */
    uint64_t tls;       /* and its fifth */
};

enum gate_quiet {
    GATE_NOT_QUIET,
    GATE_QUIET,  /* the child need not attach, its slot is as it should be (GATE_CALLED_THREAD) */
    GATE_LEAVES, /* and may end without a word, having set `left` */
};

/* The second argument of the host's exit where that is made without asking. */
#define GATE_LEAVE 0x65617665UL

/* THREAD is a clone whose child shares the caller's memory and has a slot: with its number in bits 3 to 14,
 * and the address that of the child's area. */
enum gate_clone_call { GATE_CALLED_CLONE, GATE_CALLED_FORK, GATE_CALLED_VFORK, GATE_CALLED_THREAD };

#define GATE_CLONE_ADDRESS 0xfffffffffff8UL
#define GATE_CLONE_CALL 7UL
#define GATE_CLONE_NUMBER_SHIFT 48
#define GATE_CLONE_SLOT_SHIFT 3
#define GATE_CLONE_IN_AREA 24UL /* from the area's beginning */

/* Where the struct gate_clone of a call with that last argument is. */
static inline uint64_t gate_clone_at(uint64_t arg)
{
    uint64_t at = arg & GATE_CLONE_ADDRESS;

    return (arg & GATE_CLONE_CALL) == GATE_CALLED_THREAD ? (at & ~(GATE_AREA_SIZE - 1)) + GATE_CLONE_IN_AREA
                                                         : at;
}

/* What of a guest's clone the host is to know; ids, names and parents are the keep's: VM, FILES, SIGHAND,
 * VFORK, THREAD, SYSVSEM, SETTLS, CHILD_CLEARTID. */
#define GATE_CLONE_NATIVE 0x2d4d00UL
#define GATE_CLONE_THREAD 0x10000UL
#define GATE_CLONE_PARENT 0x8000UL
#define GATE_CLONE_SETTLS 0x80000UL

/* All processes are the porter's children. */
#define GATE_CLONE_FLAGS(guest)                                                                              \
    (((guest)&GATE_CLONE_NATIVE) | ((guest)&GATE_CLONE_THREAD ? 0 : GATE_CLONE_PARENT))

/* Instead of the host's clone with CLONE_VFORK, by one that is traced: it is to be made without, and
 * GATE_STOP_VFORK waits. */
#define GATE_VFORK_STOPS (-0x76666f726bL)

#define GATE_JUDGE_PASSED 0x6a75646765L

/* Instead of a result: a filter has SIGSYS sent for the call. */
#define GATE_TRAPPED (-0x74726170L)
/* Instead of a result of calls that gates ask for: a filter, or its agent, has given the guest's call one
 * that is no error. GATE_VALUE tells it. */
#define GATE_ANSWERED (-0x616e7377L)

#define GATE_ATTACH_CLEAR 1

/* GATE_SIGNAL's answer to a thread that a filter has ended. */
#define GATE_SIGNAL_END 2
/* To one that is traced (ptrace(2)): it is to come with all its registers (GATE_STOP). */
#define GATE_SIGNAL_STOP 3

enum gate_stop {
    GATE_STOP_SIGNAL, /* after GATE_SIGNAL_STOP */
    GATE_STOP_ENTER,  /* a call of the guest's is about to be made: its number is in rax */
    GATE_STOP_EXIT,   /* it was made */
    GATE_STOP_FRAME,  /* the frame that the last answer was about is built, and the first step done */
    GATE_STOP_VFORK,  /* the number is that of its vfork's child, for which it waits here */
    GATE_STOP_ENDS,   /* the thread is about to end: its status, as for wait4, is the number */
};

/* GATE_STOP_ENTER's answer: the call is not to be made. */
#define GATE_STOP_SKIP 4

/* gate_signal.trace */
enum gate_trace {
    GATE_TRACE_ON = 1,    /* no call is to be made past the gate, nor by it alone */
    GATE_TRACE_CALLS = 2, /* GATE_STOP_ENTER, GATE_STOP_EXIT */
    GATE_TRACE_STEP = 4,  /* GATE_STOP_EXIT, GATE_STOP_FRAME */
    GATE_TRACE_ENDS = 8,  /* GATE_STOP_ENDS */
    GATE_TRACE_FS = 16,   /* fs_base is to be set */
};

#define GATE_EXEC_PLAIN (1UL << 63)

/* Where a process holds the gate's image, from program to program: execve then takes one call, the host's
 * execveat of the image, with GATE_EXEC_HERE in its flags (of which the host sees the lower half) and the
 * arguments of GATE_EXEC where its sixth one points (struct gate_exec_here). The keep lets it through once
 * all is prepared. Below the 64 descriptors that each table of the host's has room for; gone when one of the
 * guest's own takes its place. */
struct gate_exec_here {
    uint64_t arg[6];
    uint64_t mask; /* the thread's signal mask, if that is in its slot */
};

#define GATE_IMAGE_FD 63
#define GATE_EXEC_HERE (1UL << 32)

/* Its answers: no image is there, or a filter has a say, so GATE_EXEC is to be asked; the sum of the other
 * and -errno: the guest's call is refused. What the host says itself is a plain -errno. */
#define GATE_EXEC_LEND (-0x6c656e64L)
#define GATE_EXEC_REFUSED (-0x7265660000L)
#define GATE_ERRNO_MAX 4095

/* Behind an instruction of the gate's from where every call rings the doorbell, as if guest code had made it:
 * for those that were trapped. Where it did is in the thread's slot (ret). */
#define GATE_RING_IP (GATE_BASE + 0x142)
/* The same for all calls of traced threads; where they were made is in si. */
#define GATE_TRACED_IP (GATE_BASE + 0x182)

/* The data of the filter's SECCOMP_RET_TRAP where the profile is to be asked. */
#define GATE_TRAP_JUDGED 1

/* The fifth argument of a call that the gate passes on (rt_sigprocmask, set_robust_list; the sixth is its
 * address): its site traps often, and is to be patched. */
#define GATE_HOT 0x686f74UL

/* Why and how the interrupted system call goes on. */
enum gate_restart {
    GATE_RESTART_NONE,  /* nothing was interrupted, as far as the keep knows; it has answered EINTR at `at` */
    GATE_RESTART_AGAIN, /* run the instruction again with number nr, if the call returned EINTR at `at` */
    GATE_RESTART_EINTR, /* the call returned; rax is -EINTR already (keep-held), or, where the context still
                           stands on the instruction (continued natively), make it so */
};

/* A system call instruction that keeps coming back, to be made a jump into the gate. */
struct gate_patch {
    uint64_t ip;         /* behind it; 0: none */
    uint64_t start, end; /* of the mapping that it is in */
    uint32_t prot, nr;   /* nr: the call's number */
};

struct gate_signal {
    uint32_t deliver; /* 1: run the handler below */
    uint32_t signo;
    uint64_t handler;
    uint64_t flags; /* SA_* */
    uint64_t restorer;
    uint64_t old_mask; /* for uc_sigmask in the frame */
    uint32_t restart;  /* enum gate_restart */
    uint32_t pushed;   /* the keep wrote this before it was asked: a kick is on its way, and need not ask */
    uint64_t nr;       /* of the interrupted call, or of the one that goes on with it */
    uint64_t at;       /* behind its instruction; 0: not known */
    uint8_t info[128];
    struct gate_patch patch;
    uint32_t mailbox_fd, pad2; /* the process's mailboxes (mailbox.h), to be mapped; 0: none */
    uint64_t judge;            /* calls to be trapped from now on (judged.h), a bit each */
    uint32_t trace, pad3;      /* enum gate_trace; GATE_STOP's answer */
    uint64_t fs_base;
};

/* What patched call sites need to know without asking: written by the keep, read by the gate (and by whoever
 * else in the process cares to; the keep never reads it). */
#define GATE_SHARED 0xe0000UL
#define GATE_LANE_FDS 1024 /* descriptors above ring the doorbell */
#define GATE_SLOTS 512     /* threads above ring the doorbell */

enum gate_valid {
    GATE_VALID_IDS = 1,     /* the ids and the mask are right, and lanes may be used */
    GATE_VALID_MAILBOX = 2, /* and so may the mailbox */
    GATE_VALID_GIVEN = 4,   /* struct gate_given says what the keep would say */
    GATE_VALID_SELF = 8,    /* signals to oneself may be delivered as gate_shared.actions say */
};

/* In gate_slot.nr: the gate only waits, and if that succeeds the keep is asked. */
#define GATE_WAITED 0x10000U

/* A thread's own, at its GS base. */
struct gate_slot {
    uint64_t ret;   /* the gate's: where the call in flight returns to */
    uint32_t nr;    /* the gate's: its number, and GATE_WAITED */
    uint32_t valid; /* enum gate_valid */
    int32_t pid, tid;
    uint32_t uid, euid, gid, egid;
    uint64_t
        untouched; /* a bit for each signal (1 << number % 64) whose action is the default, with no flags */
    uint64_t answered, transfers; /* the gate's: calls that never came to the keep */
    uint64_t si, dx, r10, r9;     /* the gate's: the guest's registers during the call in flight */
    uint64_t blocked; /* the signal mask (sandbox/keep/signal/sigmask.c says when it counts); bit n - 1 is
                         signal n */
    uint64_t marks;   /* the keep's: signals that wait, perhaps; to unblock one of them is to ring */
    uint64_t robust;  /* set_robust_list(2) */
    uint64_t r8;      /* as si to r9 */
};

/* A bit for each descriptor that the gate may use natively: what stands for another file by now is no
 * descriptor of the process's at all, so that the host refuses it with EBADF. */
struct gate_lanes {
    uint64_t any[GATE_LANE_FDS / 64];
    uint64_t sockets[GATE_LANE_FDS / 64]; /* of streams. No more than a hint: the host says what is none */
    uint64_t plain[GATE_LANE_FDS / 64];   /* the host's fstat and lseek say what the keep would say */
};

/* The first threads' epoll descriptors for poll(2), which no number of the guest's own leads to. */
#define GATE_POLL_THREADS 16
#define GATE_POLL_FD (GATE_LANE_FDS - GATE_POLL_THREADS)
#define GATE_POLL_MOST 8 /* descriptors of a poll by the gate */
/* And one that is ready when something has changed that matters to struct gate_kept (mailbox.h). */
#define GATE_KEPT_FD (GATE_POLL_FD - 1)
/* And the file that is kept, whatever number of the guest's stands for it. */
#define GATE_HOME_FD (GATE_KEPT_FD - 1)

/* A system call instruction that traps, and how often it did. */
struct gate_site {
    uint64_t ip, calls;
};

#define GATE_SITES 64

/* As sigaction(2) has set it; handler 0: the keep is to be asked. */
struct gate_action {
    uint64_t handler, flags, restorer, mask;
};

#define GATE_ACTIONS 64

/* For a fork's child that need not attach: written to its parent's memory with the token, just before the
 * host copies that. Its gate takes over what is here, and the keep knows by the token whose first call that
 * is. The parent's gate takes the token away behind the clone. */
struct gate_born {
    uint64_t token;      /* as in struct gate_clone; the keep takes it away when it has found the child */
    uint32_t valid, pid; /* of its slot */
};

/* What is written soon after a fork lies in one page, which becomes the child's own. */
struct gate_shared {
    struct gate_lanes lanes;
    uint64_t polls;                     /* a bit for each slot that has its epoll descriptor */
    struct gate_site sites[GATE_SITES]; /* the gate's own: mask.c */
    struct gate_born born;
    struct gate_slot slots[GATE_SLOTS] __attribute__((aligned(128)));
    struct gate_action actions[GATE_ACTIONS]; /* [signal - 1] */
};

enum gate_op_kind {
    GATE_OP_MAP = 1, /* mmap(addr, len, prot, flags, fd, off) */
    GATE_OP_ZERO,    /* clear len bytes at addr */
    GATE_OP_CLOSE,   /* close(fd) */
    GATE_OP_PROTECT, /* mprotect(addr, len, prot) */
};

struct gate_op {
    uint32_t kind;
    int32_t fd;
    uint64_t addr, len, off;
    uint32_t prot, flags;
};

#define GATE_EXEC_OPS 48

/* What programs ask for as they begin, told with the image. Not for what a fork makes of it. */
#define GATE_LIMITS 16
#define GATE_RANDOM 64

struct gate_given {
    uint64_t limit[GATE_LIMITS][2]; /* struct rlimit */
    uint8_t random[GATE_RANDOM];    /* each byte is given to the guest once */
    uint32_t random_left, pad;      /* from the beginning */
    struct gate_tid_address {
        uint64_t address; /* set_tid_address(2) */
        int32_t tid;      /* by this thread, the first of a process; 0: the keep knows */
        uint32_t pad;
    } cleared; /* the gate's */
};

struct gate_exec {
    uint32_t nops;
    uint32_t pad;
    uint64_t entry, sp, brk;
    struct gate_given given;
    struct gate_op ops[GATE_EXEC_OPS];
};

#endif
