// Where interrupts and exceptions arrive: 256 entries that name their vector, and the common way to C++ and back.
// Each runs on a stack of its own (the table's IST), so code that uses the red zone below its stack is not harmed.

        .section .text, "ax", @progbits
        .code64

        .altmacro
        .macro vector_entry number
        .p2align 4
        // The processor pushes an error code for these alone (SDM vol. 3, 6.13).
        .if \number == 8 || \number == 10 || \number == 11 || \number == 12 || \number == 13 || \number == 14 || \number == 17 || \number == 21
        .else
        pushq $0
        .endif
        pushq $\number
        jmp interrupt_common
        .endm

        .p2align 4
        .globl interrupt_entries
interrupt_entries:
        .set number, 0
        .rept 256
        vector_entry %number
        .set number, number + 1
        .endr

        .type interrupt_common, @function
interrupt_common:
        .cfi_startproc
        .cfi_signal_frame
        .cfi_def_cfa rsp, 56            // rip lies 16 bytes above: vector, error code
        .cfi_offset rip, -40
        .cfi_offset rsp, -16
        pushq %rax
        pushq %rbx
        pushq %rcx
        pushq %rdx
        pushq %rsi
        pushq %rdi
        pushq %rbp
        pushq %r8
        pushq %r9
        pushq %r10
        pushq %r11
        pushq %r12
        pushq %r13
        pushq %r14
        pushq %r15
        .cfi_def_cfa_offset 176
        cld
        movq %rsp, %rdi
        call handle_interrupt
        popq %r15
        popq %r14
        popq %r13
        popq %r12
        popq %r11
        popq %r10
        popq %r9
        popq %r8
        popq %rbp
        popq %rdi
        popq %rsi
        popq %rdx
        popq %rcx
        popq %rbx
        popq %rax
        addq $16, %rsp
        iretq
        .cfi_endproc

        .section .note.GNU-stack, "", @progbits
