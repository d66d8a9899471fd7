// From the hypervisor's jump to C++: the PVH entry of the first processor, and the start of the others; and from the
// started kernel into the C library.
//
// PVH (xen/include/public/arch-x86/hvm/start_info.h): 32-bit protected mode, paging off, interrupts off, flat segments,
// %ebx = physical address of the start info. The other processors begin in real mode (SDM vol. 3, 9.4) in a copy of
// ap_trampoline below 1 MiB.

#define CR0_PE 0x1
#define CR0_MP 0x2
#define CR0_NE 0x20
#define CR0_WP 0x10000
#define CR0_PG 0x80000000
#define CR4_PAE 0x20
#define EFER 0xc0000080
#define EFER_SCE 0x1
#define EFER_LME 0x100
#define EFER_NXE 0x800

#define CODE64 0x08
#define DATA 0x10
#define CODE32 0x18

// Long mode and paging, with %cr3 and %cr4 set; the far jump that follows enters it (SDM vol. 3, 10.8.5).
        .macro turn_on_long_mode
        movl $EFER, %ecx
        rdmsr
        orl $(EFER_LME | EFER_SCE | EFER_NXE), %eax
        wrmsr
        movl $(CR0_PE | CR0_MP | CR0_NE | CR0_WP | CR0_PG), %eax
        movl %eax, %cr0
        .endm

        .macro load_segments
        movl $DATA, %eax
        movl %eax, %ds
        movl %eax, %es
        movl %eax, %ss
        xorl %eax, %eax
        movl %eax, %fs
        movl %eax, %gs
        .endm

        .section .note.Xen, "a", @note
        .p2align 2
        .long 4                         // name
        .long 8                         // descriptor
        .long 18                        // XEN_ELFNOTE_PHYS32_ENTRY
        .asciz "Xen"
        .quad pvh_entry

        .section .text.boot, "ax", @progbits
        .code32
        .globl pvh_entry
        .type pvh_entry, @function
pvh_entry:
        cli
        cld
        // The loader need not have cleared what the file does not hold.
        movl $__bss_start, %edi
        movl $_end, %ecx
        subl %edi, %ecx
        xorl %eax, %eax
        rep stosb
        movl $boot_stack_top, %esp
        movl %ebx, start_info_address

        // The first tables map 4 GiB one to one with pages of 2 MiB; kernel/boot/address_space.cc makes better ones.
        movl $boot_pml4, %edi
        movl $boot_pdpt + 3, (%edi)
        movl $boot_pdpt, %edi
        movl $boot_pd + 3, %eax
        movl $4, %ecx
1:      movl %eax, (%edi)
        addl $8, %edi
        addl $0x1000, %eax
        loop 1b
        movl $boot_pd, %edi
        movl $0x83, %eax                // present, writable, 2 MiB
        movl $2048, %ecx
2:      movl %eax, (%edi)
        addl $8, %edi
        addl $0x200000, %eax
        loop 2b

        movl $boot_pml4, %eax
        movl %eax, %cr3
        movl %cr4, %eax
        orl $CR4_PAE, %eax
        movl %eax, %cr4
        turn_on_long_mode
        lgdt boot_gdt_pointer
        ljmp $CODE64, $long_mode

        .code64
long_mode:
        load_segments
        movq $boot_stack_top, %rsp
        xorl %ebp, %ebp
        movl start_info_address(%rip), %edi
        call kernel_start
        ud2

// Position independent up to its jump to 64-bit code: it runs at the page kApTrampoline of kernel/boot/processors.cc,
// which fills in the three words at its end. %cs:0 is that page.
        .globl ap_trampoline, ap_trampoline_end, ap_trampoline_cr3, ap_trampoline_stack, ap_trampoline_index
        .p2align 4
        .code16
ap_trampoline:
        cli
        cld
        movw %cs, %ax
        movw %ax, %ds
        xorl %ebx, %ebx
        movw %ax, %bx
        shll $4, %ebx                   // where we are
        lgdtl (ap_gdt_pointer - ap_trampoline)
        movl (ap_trampoline_cr3 - ap_trampoline), %eax
        movl %eax, %cr3
        movl $CR4_PAE, %eax
        movl %eax, %cr4
        turn_on_long_mode
        ljmpl $CODE64, $ap_long_mode
        .p2align 3
ap_gdt_pointer:
        .word boot_gdt_end - boot_gdt - 1
        .long boot_gdt
        .p2align 3
ap_trampoline_cr3:
        .quad 0
ap_trampoline_stack:
        .quad 0
ap_trampoline_index:
        .quad 0
ap_trampoline_end:

        .code64
ap_long_mode:
        load_segments
        movl %ebx, %ebx                 // its upper half is undefined now
        movq (ap_trampoline_stack - ap_trampoline)(%rbx), %rsp
        movq (ap_trampoline_index - ap_trampoline)(%rbx), %rdi
        xorl %ebp, %ebp
        call processor_start
        ud2

// enter_c_library(stack): the process begins (System V ABI, AMD64 supplement, 3.4.1).
        .globl enter_c_library
        .type enter_c_library, @function
enter_c_library:
        movq %rdi, %rsp
        xorl %ebp, %ebp
        xorl %edx, %edx
        sti
        jmp _start

        .section .rodata.boot, "a", @progbits
        .p2align 3
boot_gdt:
        .quad 0
        .quad 0x00af9b000000ffff        // 64-bit code
        .quad 0x00cf93000000ffff        // data
        .quad 0x00cf9b000000ffff        // 32-bit code
boot_gdt_end:
boot_gdt_pointer:
        .word boot_gdt_end - boot_gdt - 1
        .long boot_gdt

        .section .bss.boot, "aw", @nobits
        .p2align 12
boot_pml4:
        .skip 0x1000
boot_pdpt:
        .skip 0x1000
boot_pd:
        .skip 0x4000
        .p2align 4
        .skip 0x4000
boot_stack_top:
        .p2align 3
start_info_address:
        .skip 8

        .section .note.GNU-stack, "", @progbits
