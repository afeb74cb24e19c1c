/* Calls from patched sites. What depends on the guest's own state is answered from the thread's slot; transfers on
 * lanes are made here, natively; all else goes back to the system call instruction that the site stands for.
 *
 * In: the call's registers; rcx: behind that instruction. As the instruction does, this leaves every register but
 * rax, rcx and r11 alone, and it uses no stack: red zone and small stacks are the guest's. */
#include "sandbox/gate/x86_64/slots.h"

#define WAITED 0x10000 /* in SLOT_NR: see wait_first */
#define EPERM 1
#define EBADF 9
#define ENOTSOCK 88
#define MSG_DONTWAIT 0x40
#define MSG_PEEK 0x2
#define MSG_OOB 0x1
#define MSG_ERRQUEUE 0x2000
#define MSG_NAME 0 /* struct msghdr */
#define MSG_IOV 16
#define MSG_IOVLEN 24
#define MSG_CONTROLLEN 40
#define MAX_RW_COUNT 0x7ffff000
#define FAST_CALLS 440
#define AT_EMPTY_PATH 0x1000
#define NR_read 0
#define NR_fstat 5
#define NR_pread64 17
#define NR_readv 19
#define NR_nanosleep 35 /* as in patch.c */
#define NR_sendto 44
#define NR_recvfrom 45
#define NR_epoll_wait 232
#define NR_preadv 295
#define NR_preadv2 327
#define NR_futex 202
#define FUTEX_WAIT_PRIVATE 128
#define ETIMEDOUT 110

/* r11 := the slot's offset; refuses where GS is not ours. */
.macro find_slot
    rdgsbase %r11
    sub $SLOTS, %r11
    cmp $SLOTS_SIZE, %r11
    jae refuse
.endm

.macro id name, offset
fast_\name:
    find_slot
    cmpl $0, SLOTS + SLOT_VALID(%r11)
    je refuse
    incq SLOTS + SLOT_ANSWERED(%r11)
    mov SLOTS + \offset(%r11), %r11d
    jmp answer
.endm

    .text
    .globl gate_self_called
    .globl gate_fast, gate_fast_done, gate_fast_saved, gate_fast_call, gate_fast_called, gate_fast_out, gate_fast_end
    .balign 64
gate_fast:
    cmp $FAST_CALLS, %eax
    jae refuse
    mov %eax, %r11d
    movslq fast_table(, %r11, 4), %r11
    add $refuse, %r11
    jmp *%r11

fast_mask:
    jmp gate_mask
fast_robust:
    jmp gate_robust

    id getpid, SLOT_PID
    id gettid, SLOT_TID
    id getuid, SLOT_UID
    id geteuid, SLOT_EUID
    id getgid, SLOT_GID
    id getegid, SLOT_EGID

/* To ask for an action that is the default, or to set it to that again, as posix_spawn does for every signal. What
 * faults here is a bad address, for the keep to say so (gate_on_fault). */
fast_sigaction:
    cmp $8, %r10
    jne refuse
    lea -1(%rdi), %r11
    cmp $64, %r11
    jae refuse
    find_slot
    cmpl $0, SLOTS + SLOT_VALID(%r11)
    je refuse
    mov SLOTS + SLOT_UNTOUCHED(%r11), %r11
    bt %rdi, %r11 /* that of 64 is bit 0 */
    jnc refuse
    test %rsi, %rsi
    jz 1f
    cmpq $0, (%rsi)
    jne refuse
1:  incq %gs:SLOT_ANSWERED
    xor %r11d, %r11d
    test %rdx, %rdx
    jz answer
    mov %r11, (%rdx)
    mov %r11, 8(%rdx)
    mov %r11, 16(%rdx)
    mov %r11, 24(%rdx)
    jmp answer

/* A signal to oneself. One that may not be handled at once is the keep's. */
fast_kill:
    find_slot
    cmp %gs:SLOT_PID, %edi
    jne refuse
    mov %esi, %r11d
    jmp self
fast_tkill:
    find_slot
    cmp %gs:SLOT_TID, %edi
    jne refuse
    mov %esi, %r11d
    jmp self
fast_tgkill:
    find_slot
    cmp %gs:SLOT_PID, %edi
    jne refuse
    cmp %gs:SLOT_TID, %esi
    jne refuse
    mov %edx, %r11d
self:
    testb $VALID_SELF, %gs:SLOT_VALID
    jz refuse
    dec %r11d
    cmp $64, %r11d
    jae refuse
    bt %r11, %gs:SLOT_BLOCKED
    jc refuse
    bt %r11, %gs:SLOT_MARKS
    jc refuse
    shl $5, %r11d
    cmpq $0, ACTIONS(%r11)
    je refuse
    int3
gate_self_called:
    ud2

answer:
    mov %r11d, %eax
gate_fast_done:
    jmp *%rcx

refuse:
    lea -2(%rcx), %r11
    jmp *%r11

fast_mailbox:
    jmp gate_mailbox

/* The descriptor is a lane (or, with PLAIN, one of those); what is changed for the native call is put aside. */
.macro save_lane which=LANES, other=fast_mailbox
    cmp $LANE_FDS, %rdi
    jae \other
    bt %rdi, \which
    jnc \other
    find_slot
    testb $VALID_IDS, SLOTS + SLOT_VALID(%r11)
    jz refuse
    incq SLOTS + SLOT_TRANSFERS(%r11)
    mov %rcx, %gs:SLOT_RET
    mov %eax, %gs:SLOT_NR
    mov %rsi, %gs:SLOT_SI
    mov %rdx, %gs:SLOT_DX
    mov %r10, %gs:SLOT_R10
    mov %r9, %gs:SLOT_R9
    mov %r8, %gs:SLOT_R8
.endm

/* Nothing at all is not always nothing (a datagram), and more than this is cut in more than one way. */
.macro check_count
    lea -1(%rdx), %r11
    cmp $MAX_RW_COUNT, %r11
    jae refuse
.endm

/* -1 would be the file's own position. */
.macro check_position
    test %r10, %r10
    js refuse
.endm

/* read, write */
fast_one:
    check_count
    save_lane
    jmp one

/* pread64, pwrite64 */
fast_one_at:
    check_count
    check_position
    save_lane
    jmp one_at

/* readv, writev */
fast_pieces:
    save_lane
    jmp pieces

/* preadv, pwritev */
fast_pieces_at:
    check_position
    save_lane
    jmp pieces_at

/* fstat, lseek */
fast_plain:
    save_lane PLAIN, fast_mailbox
    jmp gate_fast_call

/* newfstatat of the descriptor itself, as C libraries make fstat. What faults here is a bad path. */
fast_fstatat:
    cmp $AT_EMPTY_PATH, %r10d
    jne fast_mailbox
    test %rsi, %rsi
    jz fast_mailbox
    cmpb $0, (%rsi)
    jne fast_mailbox
    save_lane PLAIN, fast_mailbox
    jmp as_fstat

/* epoll_ctl: both descriptors */
fast_two_lanes:
    mov %edx, %r11d
    cmp $LANE_FDS, %r11d
    jae refuse
    bt %r11, LANES
    jnc refuse
    jmp fast_lane

/* epoll_pwait without a mask */
fast_pwait:
    test %r8, %r8
    jnz refuse
    mov $NR_epoll_wait, %eax
    jmp fast_lane

/* The peer's address is the keep's to look at. */
fast_recvfrom:
    test %r8, %r8
    jz fast_lane
    mov %r10d, %r11d
    and $MSG_OOB | MSG_ERRQUEUE, %r11d
    jnz refuse
    save_lane
    jmp wait_first

/* What comes along is the keep's to hand over. */
fast_recvmsg:
    test $MSG_OOB | MSG_ERRQUEUE, %edx
    jnz refuse
    cmpq $0, (%rsi)
    save_lane
    mov %rdx, %r10
    jmp wait_first

/* One piece, to whoever the socket is connected to. */
fast_sendmsg:
    cmpq $0, MSG_NAME(%rsi)
    jne refuse
    cmpq $1, MSG_IOVLEN(%rsi)
    jne refuse
    cmpq $0, MSG_CONTROLLEN(%rsi)
    jne refuse
    save_lane
    jmp one_message

/* A short sleep without a remainder, as a wait for a word that nobody changes. The first argument is put aside in
 * the place of the second, which is 0. What faults here is a bad address. */
fast_nanosleep:
    test %rsi, %rsi
    jnz refuse
    cmpq $0, (%rdi)
    jne refuse
    find_slot
    testb $VALID_IDS, SLOTS + SLOT_VALID(%r11)
    jz refuse
    incq SLOTS + SLOT_ANSWERED(%r11)
    mov %rcx, %gs:SLOT_RET
    mov %eax, %gs:SLOT_NR
    mov %rdi, %gs:SLOT_SI
    mov %rdx, %gs:SLOT_DX
    mov %r10, %gs:SLOT_R10
    mov %r9, %gs:SLOT_R9
    mov %r8, %gs:SLOT_R8
    jmp sleep

fast_sendto:
    test %r8, %r8
    jnz refuse

fast_lane:
    save_lane
gate_fast_saved:
    jmp gate_fast_call

/* By preadv2 and pwritev2, whose numbers lie as those of the others do: a write's behind the read's. The registers
 * put aside are the one piece's struct iovec. Of a stream socket the host's recvfrom and sendto, whose numbers lie the
 * other way round, do the same for less. */
one:
    bt %rdi, SOCKETS
    jc one_of_stream
    add $NR_preadv2 - NR_read, %eax
    mov $-1, %r10
    jmp 1f
one_at:
    add $NR_preadv2 - NR_pread64, %eax
1:  lea SLOTS + SLOT_SI(%r11), %rsi
    mov $1, %edx
    jmp no_flags
pieces:
    add $NR_preadv2 - NR_readv, %eax
    mov $-1, %r10
    jmp no_flags
pieces_at:
    add $NR_preadv2 - NR_preadv, %eax
no_flags:
    xor %r9d, %r9d
    jmp gate_fast_call
as_fstat:
    mov %rdx, %rsi
    mov $NR_fstat, %eax
    jmp gate_fast_call
sleep:
    mov %rdi, %r10
    mov $sleep_word, %edi
    mov $FUTEX_WAIT_PRIVATE, %esi
    xor %edx, %edx
    mov $NR_futex, %eax
    jmp gate_fast_call

one_of_stream:
    neg %eax
    add $NR_recvfrom - NR_read, %eax
    xor %r10d, %r10d
    xor %r8d, %r8d
    jmp gate_fast_call

one_message:
    mov %rdx, %r10
    mov MSG_IOV(%rsi), %r11
    mov (%r11), %rsi
    mov 8(%r11), %rdx
    xor %r8d, %r8d
    mov $NR_sendto, %eax
    jmp gate_fast_call

/* Waits here for what the keep is then asked for, so that none of its threads has to: a look at no bytes. If that
 * fails, so does the call. */
wait_first:
    orl $WAITED, %gs:SLOT_NR
    and $MSG_DONTWAIT, %r10d
    or $MSG_PEEK, %r10d
    xor %esi, %esi
    xor %edx, %edx
    xor %r8d, %r8d
    mov $NR_recvfrom, %eax

gate_fast_call:
    syscall
gate_fast_called:
    cmpl $NR_nanosleep, %gs:SLOT_NR
    je slept
    mov %gs:SLOT_RET, %rcx
    mov %gs:SLOT_SI, %rsi
    mov %gs:SLOT_DX, %rdx
    mov %gs:SLOT_R10, %r10
    mov %gs:SLOT_R9, %r9
    mov %gs:SLOT_R8, %r8
    test %rax, %rax
    js 2f
    testl $WAITED, %gs:SLOT_NR
    jnz 1f
    jmp gate_fast_out
slept:
    mov %gs:SLOT_RET, %rcx
    mov %gs:SLOT_SI, %rdi
    xor %esi, %esi
    mov %gs:SLOT_DX, %rdx
    mov %gs:SLOT_R10, %r10
    mov %gs:SLOT_R9, %r9
    mov %gs:SLOT_R8, %r8
    cmp $-ETIMEDOUT, %rax
    jne gate_fast_out
    xor %eax, %eax
gate_fast_out:
    jmp *%rcx
2:  cmp $-EBADF, %rax
    je 1f
    cmp $-EPERM, %rax
    je 1f
    cmp $-ENOTSOCK, %rax
    jne gate_fast_out
/* Waited for; or taken away meanwhile (epoll_ctl says EPERM then, and what was a socket ENOTSOCK): the keep knows
 * what is there now. */
1:  movzwl %gs:SLOT_NR, %eax
    lea -2(%rcx), %r11
    jmp *%r11
gate_fast_end:

/* How far behind refuse a call's code is, in the order of the numbers; what is not named is refused. */
.macro entry nr, code
    .org fast_table + 4 * \nr
    .long \code - refuse
.endm

    .section .rodata
    .balign 4
sleep_word:
    .long 0
fast_table:
    entry 0, fast_one          /* read */
    entry 1, fast_one          /* write */
    entry 2, fast_mailbox      /* open */
    entry 3, fast_mailbox      /* close */
    entry 4, fast_mailbox      /* stat */
    entry 5, fast_plain        /* fstat */
    entry 6, fast_mailbox      /* lstat */
    entry 7, fast_mailbox      /* poll */
    entry 8, fast_plain        /* lseek */
    entry 13, fast_sigaction   /* rt_sigaction */
    entry 14, fast_mask        /* rt_sigprocmask */
    entry 17, fast_one_at      /* pread64 */
    entry 18, fast_one_at      /* pwrite64 */
    entry 19, fast_pieces      /* readv */
    entry 20, fast_pieces      /* writev */
    entry 21, fast_mailbox     /* access */
    entry 35, fast_nanosleep
    entry 39, fast_getpid
    entry 40, fast_mailbox     /* sendfile */
    entry 42, fast_mailbox     /* connect */
    entry 44, fast_sendto
    entry 45, fast_recvfrom
    entry 46, fast_sendmsg
    entry 47, fast_recvmsg
    entry 62, fast_kill
    entry 72, fast_mailbox     /* fcntl */
    entry 76, fast_mailbox     /* truncate */
    entry 77, fast_mailbox     /* ftruncate */
    entry 80, fast_mailbox     /* chdir */
    entry 81, fast_mailbox     /* fchdir */
    entry 82, fast_mailbox     /* rename */
    entry 83, fast_mailbox     /* mkdir */
    entry 84, fast_mailbox     /* rmdir */
    entry 85, fast_mailbox     /* creat */
    entry 86, fast_mailbox     /* link */
    entry 87, fast_mailbox     /* unlink */
    entry 88, fast_mailbox     /* symlink */
    entry 89, fast_mailbox     /* readlink */
    entry 90, fast_mailbox     /* chmod */
    entry 91, fast_mailbox     /* fchmod */
    entry 92, fast_mailbox     /* chown */
    entry 93, fast_mailbox     /* fchown */
    entry 94, fast_mailbox     /* lchown */
    entry 95, fast_mailbox     /* umask */
    entry 102, fast_getuid
    entry 104, fast_getgid
    entry 107, fast_geteuid
    entry 108, fast_getegid
    entry 110, fast_mailbox    /* getppid */
    entry 186, fast_gettid
    entry 191, fast_mailbox    /* getxattr */
    entry 192, fast_mailbox    /* lgetxattr */
    entry 193, fast_mailbox    /* fgetxattr */
    entry 194, fast_mailbox    /* listxattr */
    entry 195, fast_mailbox    /* llistxattr */
    entry 200, fast_tkill
    entry 217, fast_mailbox    /* getdents64 */
    entry 232, fast_lane       /* epoll_wait */
    entry 233, fast_two_lanes  /* epoll_ctl */
    entry 234, fast_tgkill
    entry 257, fast_mailbox    /* openat */
    entry 258, fast_mailbox    /* mkdirat */
    entry 260, fast_mailbox    /* fchownat */
    entry 262, fast_fstatat    /* newfstatat */
    entry 263, fast_mailbox    /* unlinkat */
    entry 264, fast_mailbox    /* renameat */
    entry 265, fast_mailbox    /* linkat */
    entry 266, fast_mailbox    /* symlinkat */
    entry 267, fast_mailbox    /* readlinkat */
    entry 268, fast_mailbox    /* fchmodat */
    entry 269, fast_mailbox    /* faccessat */
    entry 271, fast_mailbox    /* ppoll */
    entry 273, fast_robust     /* set_robust_list */
    entry 280, fast_mailbox    /* utimensat */
    entry 281, fast_pwait      /* epoll_pwait */
    entry 295, fast_pieces_at  /* preadv */
    entry 296, fast_pieces_at  /* pwritev */
    entry 316, fast_mailbox    /* renameat2 */
    entry 332, fast_mailbox    /* statx */
    entry 439, fast_mailbox    /* faccessat2 */
    .org fast_table + 4 * FAST_CALLS

    .section .note.GNU-stack, "", @progbits
