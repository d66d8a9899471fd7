// System calls of the C library, made and answered in ring 0; starting and leaving threads.
//
// `syscall` leaves the stack as it is, so the caller's red zone is stepped over. The Linux ABI keeps every register but
// %rax, %rcx and %r11, vector registers included: what is called from here is compiled without those.

        .section .text, "ax", @progbits
        .code64

        .globl syscall_entry
        .type syscall_entry, @function
syscall_entry:
        .cfi_startproc simple
        .cfi_signal_frame
        .cfi_def_cfa rsp, 0
        .cfi_register rip, rcx
        leaq -128(%rsp), %rsp
        .cfi_def_cfa_offset 128
        pushq %rax
        pushq %rcx
        pushq %r11
        pushq %rdi
        pushq %rsi
        pushq %rdx
        pushq %r10
        pushq %r8
        pushq %r9
        pushq %rbx
        pushq %rbp
        pushq %r12
        pushq %r13
        pushq %r14
        pushq %r15
        .cfi_def_cfa_offset 248
        .cfi_offset rip, -144
        .cfi_offset rbx, -208
        .cfi_offset rbp, -216
        .cfi_offset r12, -224
        .cfi_offset r13, -232
        .cfi_offset r14, -240
        .cfi_offset r15, -248
        movq %rsp, %rdi
        movq %rsp, %rbp
        .cfi_def_cfa rbp, 248
        andq $-16, %rsp
        call handle_syscall
        movq %rbp, %rsp
        .cfi_def_cfa rsp, 248
        popq %r15
        popq %r14
        popq %r13
        popq %r12
        popq %rbp
        popq %rbx
        popq %r9
        popq %r8
        popq %r10
        popq %rdx
        popq %rsi
        popq %rdi
        popq %r11
        popq %rcx
        .cfi_def_cfa_offset 136
        .cfi_register rip, rcx
        popq %rax                       // the answer
        pushq %r11
        popfq
        leaq 128(%rsp), %rsp
        .cfi_def_cfa_offset 0
        jmp *%rcx
        .cfi_endproc

// enter_thread(const SyscallFrame* frame, stack): goes on where the caller of clone3 does, as its child: %rax is 0, the
// stack is the new one, everything else is as the caller had it.
        .globl enter_thread
        .type enter_thread, @function
enter_thread:
        movq %rsi, %rsp
        movq 0(%rdi), %r15
        movq 8(%rdi), %r14
        movq 16(%rdi), %r13
        movq 24(%rdi), %r12
        movq 32(%rdi), %rbp
        movq 40(%rdi), %rbx
        movq 48(%rdi), %r9
        movq 56(%rdi), %r8
        movq 64(%rdi), %r10
        movq 72(%rdi), %rdx
        movq 80(%rdi), %rsi
        movq 96(%rdi), %r11
        movq 104(%rdi), %rcx
        movq 88(%rdi), %rdi
        xorl %eax, %eax
        pushq %r11
        popfq
        jmp *%rcx

// leave_thread(stack): goes on in thread_left() on the processor's own stack; the thread's may be gone any moment.
        .globl leave_thread
        .type leave_thread, @function
leave_thread:
        movq %rdi, %rsp
        xorl %ebp, %ebp
        call thread_left
        ud2

        .section .note.GNU-stack, "", @progbits
