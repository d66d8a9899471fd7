// A guest for tests of the libvirt driver: prints "hello", its command line and the 32 bytes of its boot module on
// the serial port, and powers off, or, told --ebb-node=99, stays. PVH entry: 32-bit, ebx = hvm_start_info.
  .section .note.Xen, "a", @note
  .align 4
  .long 4, 4, 18              // XEN_ELFNOTE_PHYS32_ENTRY
  .asciz "Xen"
  .long _start

  .text
  .code32
  .globl _start
_start:
  movl $stack_end, %esp
  movl $hello, %esi
  call print
  movl 24(%ebx), %esi         // cmdline_paddr
  movl %esi, %ebp
  call print
  movl $newline, %esi
  call print
  cmpl $0, 12(%ebx)           // nr_modules
  je end
  movl 16(%ebx), %eax         // modlist_paddr
  movl (%eax), %esi
  movl $32, %ecx
1: lodsb
  call put
  loop 1b
  movl $newline, %esi
  call print
end:
  cmpw $0x3939, 11(%ebp)      // "--ebb-node=" is 11 bytes, then "99"
  je stay
  movw $0x604, %dx
  movw $0x2000, %ax
  outw %ax, %dx
stay:
  hlt
  jmp stay

print:
  lodsb
  testb %al, %al
  jz 2f
  call put
  jmp print
2: ret

put:
  movb %al, %ah
  movw $0x3fd, %dx
3: inb %dx, %al               // line status: wait for an empty holding register
  testb $0x20, %al
  jz 3b
  movb %ah, %al
  movw $0x3f8, %dx
  outb %al, %dx
  ret

hello: .asciz "hello\n"
newline: .asciz "\n"
  .bss
  .align 16
  .skip 1024
stack_end:
  .section .note.GNU-stack, "", @progbits
