/* Into mailbox_call (sandbox/gate/mailbox.c) from a patched site, and back. All registers are put aside, since C may use
 * any and a signal may end it anywhere: mailbox_leave then makes them what they were.
 *
 * In and out as fast.S. The offsets are those of struct mailbox_thread (mailbox.c asserts them). */
#include "sandbox/gate/x86_64/slots.h"

#define VALID_MAILBOX 2
#define THREADS 32
#define THREAD_SIZE 256

#define AX 0
#define DI 8
#define SI 16
#define DX 24
#define R10 32
#define R8 40
#define R9 48
#define CX 56
#define BX 64
#define BP 72
#define SP 80
#define R12 88
#define R13 96
#define R14 104
#define R15 112
#define PAGE 120
#define STACK 128
#define RESULT 136
#define TO 144
#define PHASE 152
#define SENT 176
#define PHASE_DONE 2

    .section .text.mailbox.entry, "ax"
    .globl gate_mailbox, gate_mailbox_saved, mailbox_native, mailbox_instead, gate_mailbox_call, gate_mailbox_called, gate_mailbox_stored
    .globl mailbox_host, gate_mailbox_send, gate_mailbox_sent, gate_mailbox_noted
    .balign 64
1:  lea -2(%rcx), %r11
    jmp *%r11
gate_mailbox:
    rdgsbase %r11
    sub $SLOTS, %r11
    cmp $(SLOT_SIZE * THREADS), %r11
    jae 1b
    testl $VALID_MAILBOX, SLOTS + SLOT_VALID(%r11)
    jz 1b
    imul $(THREAD_SIZE / SLOT_SIZE), %r11, %r11
    add $mailbox_threads, %r11
    cmpq $0, PAGE(%r11)
    je 1b
    mov %rax, AX(%r11)
    mov %rdi, DI(%r11)
    mov %rsi, SI(%r11)
    mov %rdx, DX(%r11)
    mov %r10, R10(%r11)
    mov %r8, R8(%r11)
    mov %r9, R9(%r11)
    mov %rcx, CX(%r11)
    mov %rbx, BX(%r11)
    mov %rbp, BP(%r11)
    mov %rsp, SP(%r11)
    mov %r12, R12(%r11)
    mov %r13, R13(%r11)
    mov %r14, R14(%r11)
    mov %r15, R15(%r11)
    movl $0, PHASE(%r11)
gate_mailbox_saved:
    mov STACK(%r11), %rsp
    mov %r11, %rbx
    mov %r11, %rdi
    call mailbox_call
    mov %rbx, %r11
    mov RESULT(%r11), %rax
    mov DI(%r11), %rdi
    mov SI(%r11), %rsi
    mov DX(%r11), %rdx
    mov R10(%r11), %r10
    mov R8(%r11), %r8
    mov R9(%r11), %r9
    mov CX(%r11), %rcx
    mov BX(%r11), %rbx
    mov BP(%r11), %rbp
    mov SP(%r11), %rsp
    mov R12(%r11), %r12
    mov R13(%r11), %r13
    mov R14(%r11), %r14
    mov R15(%r11), %r15
    mov TO(%r11), %r11
    jmp *%r11

/* mailbox_instead(thread, call): that one of the host's, of four arguments, for the thread's call. */
mailbox_instead:
    push %rbx
    mov %rdi, %rbx
    mov %rsi, %r11
    mov (%r11), %rax
    mov 8(%r11), %rdi
    mov 16(%r11), %rsi
    mov 24(%r11), %rdx
    mov 32(%r11), %r10
    xor %r8d, %r8d
    xor %r9d, %r9d
    jmp gate_mailbox_call

/* mailbox_native(thread): the thread's call from here, by the doorbell or (close) natively. */
mailbox_native:
    push %rbx
    mov %rdi, %rbx
    mov AX(%rbx), %rax
    mov SI(%rbx), %rsi
    mov DX(%rbx), %rdx
    mov R10(%rbx), %r10
    mov R8(%rbx), %r8
    mov R9(%rbx), %r9
    mov DI(%rbx), %rdi
gate_mailbox_call:
    syscall
gate_mailbox_called:
    mov %rax, RESULT(%rbx)
    movl $PHASE_DONE, PHASE(%rbx)
gate_mailbox_stored:
    pop %rbx
    ret

/* mailbox_host(thread, a, b, c, nr): the host's call nr(thread's first argument, a, b, c, 0, 0). What it says is in
 * thread->sent. */
mailbox_host:
    push %rbx
    mov %rdi, %rbx
    mov DI(%rbx), %rdi
    mov %rcx, %r10
    mov %r8, %rax
    xor %r8d, %r8d
    xor %r9d, %r9d
    xor %ecx, %ecx
gate_mailbox_send:
    syscall
gate_mailbox_sent:
    mov %rax, SENT(%rbx)
gate_mailbox_noted:
    pop %rbx
    ret

    .section .note.GNU-stack, "", @progbits
