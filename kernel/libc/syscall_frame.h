// The registers of a system call, as syscall_entry.S saves them.
#pragma once

#include <cstdint>

namespace kernel::libc {

struct SyscallFrame {
  std::uint64_t r15, r14, r13, r12, rbp, rbx, r9, r8, r10, rdx, rsi, rdi;
  std::uint64_t r11;  // the caller's flags
  std::uint64_t rcx;  // where the caller goes on
  std::uint64_t rax;  // the call's number
};
static_assert(sizeof(SyscallFrame) == 15 * 8);

}  // namespace kernel::libc
