/* rt_sigprocmask and set_robust_list, from the thread's slot. Entered as gate_fast is: from patched sites, and by the
 * handler of SIGSYS, which sends a call here to be made in the guest's own context, where bad addresses may fault.
 *
 * A signal in the middle finds the call not begun (up to gate_mask_committed), or done: sandbox/gate/mask.c makes
 * it so. sandbox/keep/signal/sigmask.c says why the order of the steps matters. */
#include "sandbox/gate/x86_64/slots.h"

#define GATE_SETTLE 0x200c
#define UNBLOCKABLE 0x40100 /* SIGKILL, SIGSTOP */
#define ROBUST_HEAD_SIZE 24

/* Where there is no slot that counts, the instruction itself traps, and the handler asks the keep. */
.macro check_slot
    rdgsbase %r11
    sub $SLOTS, %r11
    cmp $SLOTS_SIZE, %r11
    jae refuse
    testb $VALID_IDS, SLOTS + SLOT_VALID(%r11)
    jz refuse
.endm

    .text
    .globl gate_mask_begin, gate_mask, gate_robust, gate_mask_committed, gate_mask_written, gate_mask_settle
    .globl gate_mask_ring, gate_mask_ringing, gate_mask_rung, gate_mask_end
    .balign 64
gate_mask_begin:
query:
    test %rdx, %rdx
    jz done
    mov %gs:SLOT_BLOCKED, %r11
    mov %r11, (%rdx)
    jmp done

gate_robust:
    check_slot
    cmp $ROBUST_HEAD_SIZE, %rsi
    jne gate_mask_ring
    mov %rdi, %gs:SLOT_ROBUST
    jmp done

refuse:
    lea -2(%rcx), %r11
    jmp *%r11

gate_mask:
    check_slot
    cmp $8, %r10
    jne gate_mask_ring
    test %rsi, %rsi
    jz query
    test %rdx, %rdx
    jz 1f
    test $7, %dl /* a locked access must not lie across a line */
    jnz gate_mask_ring
    lock orq $0, (%rdx) /* it can be written to: after the change there is no way back */
1:  mov (%rsi), %r11
    cmp $1, %edi
    je unblock
    ja 2f
    or %gs:SLOT_BLOCKED, %r11
    jmp set
2:  cmp $2, %edi
    je set
    jmp gate_mask_ring
unblock:
    not %r11
    and %gs:SLOT_BLOCKED, %r11
set:
    and $~UNBLOCKABLE, %r11
    xchg %r11, %gs:SLOT_BLOCKED
gate_mask_committed:
    test %rdx, %rdx
    jz gate_mask_written
    mov %r11, (%rdx)
gate_mask_written:
    mov %gs:SLOT_BLOCKED, %r11
    not %r11
    test %r11, %gs:SLOT_MARKS
    jnz settle
done:
    incq %gs:SLOT_ANSWERED
    xor %eax, %eax
    jmp *%rcx
settle:
    mov %rcx, %gs:SLOT_RET
    mov $GATE_SETTLE, %eax
gate_mask_settle:
    syscall
    mov %gs:SLOT_RET, %rcx
    xor %eax, %eax
    jmp *%rcx

/* The keep is to refuse it. */
gate_mask_ring:
    mov %rcx, %gs:SLOT_RET
gate_mask_ringing:
    syscall
gate_mask_rung:
    mov %gs:SLOT_RET, %rcx
    jmp *%rcx
gate_mask_end:

    .section .note.GNU-stack, "", @progbits
