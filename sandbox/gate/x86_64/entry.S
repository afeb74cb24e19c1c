/* The few things that C cannot say. */

/* A call's six arguments, from where they stand one after the other. */
    .macro load_args from
    mov (\from), %rdi
    mov 8(\from), %rsi
    mov 16(\from), %rdx
    mov 24(\from), %r10
    mov 32(\from), %r8
    mov 40(\from), %r9
    .endm

/* standin_call(nr, args): at the image's very beginning, so that its call is where standin.h says. Made without a
 * stack, as rt_sigreturn is to find none. What comes back with another thread id is a clone that the call has made: it
 * says so and ends. */
#define MARK 0xff000 /* STANDIN_MARK: cloned, the thread's id, its stack */
    .section .text.standin, "ax"
    .globl standin_call
standin_call:
    mov %rsp, MARK + 8
    xor %esp, %esp
    mov %rdi, %rax
    mov %rsi, %r11
    load_args %r11
    .org standin_call + 0x40, 0x90
    syscall
    test %rax, %rax
    jnz 1f
    mov $186, %eax /* gettid */
    syscall
    cmp MARK + 4, %eax
    jne 2f
    xor %eax, %eax
1:  mov MARK + 8, %rsp
    ret
2:  movl $1, MARK
    mov $60, %eax /* exit */
    syscall
    ud2

/* gate_ring(nr, args): its call is where abi.h says (GATE_RING_IP). */
    .org standin_call + 0x100, 0x90
    .globl gate_ring
gate_ring:
    mov %rdi, %rax
    mov %rsi, %r11
    load_args %r11
    .org standin_call + 0x140, 0x90
    syscall
    ret

/* The calls of traced threads, with the guest's registers, back to where the thread's slot says: that may be
 * gate_traced_end, which raises SIGTRAP. */
    .org standin_call + 0x180, 0x90
    .globl gate_traced, gate_traced_called, gate_traced_end
gate_traced:
    syscall
gate_traced_called:
    mov %gs:0, %rcx
    jmp *%rcx
gate_traced_end:
    int3

    .section .text.entry, "ax"
    .globl _start
_start:
    mov %rsp, %rdi
    lea gate_first_area(%rip), %rsp
    add $32768, %rsp
    xor %ebp, %ebp
    call gate_start
    ud2

    .text
    .globl gate_restorer
gate_restorer:
    mov $15, %eax
    syscall
    ud2

    .globl gate_resume
gate_resume:
    mov %rdi, %rsp
    mov $15, %eax
    syscall
    ud2

/* gate_exit_thread(code, in_use, robust): the area may be another thread's as soon as the keep has marked it free. */
    .globl gate_exit_thread
gate_exit_thread:
    mov $60, %eax
    syscall
    ud2

/* gate_leave(code, clone, robust, in_use): ends the thread without a word, if no robust lock is held and the keep has
 * not taken that right back. The order of the steps is what sandbox/keep/task/quiet.h relies on; from where the area is marked
 * free on nothing touches it. A bad address of the guest's counts as a lock (leave_faulted). */
#define CLONE_QUIET 8
#define CLONE_LEFT 16
#define ROBUST_PENDING 16
#define LEAVES 2
#define LEAVE 0x65617665 /* GATE_LEAVE */
    .globl gate_leave, gate_leave_end
gate_leave:
    test %rdx, %rdx
    jz 1f
    cmp %rdx, (%rdx)
    jne gate_leave_end
    cmpq $0, ROBUST_PENDING(%rdx)
    jne gate_leave_end
1:  movq $1, CLONE_LEFT(%rsi)
    mfence
    cmpq $LEAVES, CLONE_QUIET(%rsi)
    jne gate_leave_end
    movl $0, (%rcx)
    mov $LEAVE, %esi
    mov $60, %eax
    syscall
gate_leave_end:
    ret

    .globl gate_put_id, gate_put_id_end
gate_put_id:
    mov %edi, (%rsi)
gate_put_id_end:
    ret

/* A guest's call that has been judged, with its registers; back to where the thread's slot says. */
    .globl gate_passed, gate_passed_called, gate_passed_end
gate_passed:
    syscall
gate_passed_called:
    mov %gs:0, %rcx
    jmp *%rcx
gate_passed_end:

/* gate_native_clone_vm(arg, uc, c) */
    .globl gate_native_clone_vm
gate_native_clone_vm:
    push %r12
    push %r13
    mov %rsi, %r12
    mov %rdx, %r13
    mov %rdi, %rax
    load_args %rax
    mov $56, %eax
    syscall
    test %rax, %rax
    jz 1f
    pop %r13
    pop %r12
    ret
1:  xor %ebp, %ebp
    mov %r12, %rdi
    mov %r13, %rsi
    call gate_child
    ud2

    .section .note.GNU-stack, "", @progbits
