// The locks that the page fault handler takes as well, taken by code whose stack comes page by page.
#pragma once

#include <cstdint>

#include "kernel/cpu/instructions.h"
#include "kernel/cpu/spin_lock.h"
#include "kernel/memory/pages.h"

namespace kernel::memory {

/// Takes a lock of this folder with interrupts off, for its lifetime. Outside the page fault handler, which has a stack of its own,
/// stacks are regions like others: a fault under such a lock would wait for itself. So this touches the stack down to the next page
/// before, which is far more than what is done under these locks takes. Not for a second lock under a first.
class PrefaultedGuard {
 public:
  explicit PrefaultedGuard(cpu::SpinLock& lock) noexcept : guard_(touched(lock)) {}

 private:
  static cpu::SpinLock& touched(cpu::SpinLock& lock) noexcept {
    const std::uint64_t stack = cpu::read_stack_pointer();
    touch(stack);
    touch(stack - kPageBytes);
    return lock;
  }
  static void touch(std::uint64_t address) noexcept { static_cast<void>(*reinterpret_cast<const volatile unsigned char*>(address)); }

  cpu::SpinGuard guard_;
};

}  // namespace kernel::memory
