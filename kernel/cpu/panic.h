// The end of a node that cannot go on: what, where, on which core, on the console; then the machine stops.
#pragma once

#include <cstdint>

#include "kernel/cpu/interrupts.h"

namespace kernel::cpu {

/// A processor exception that nobody can handle.
[[noreturn]] void panic_at(const InterruptFrame& frame) noexcept;

/// A broken promise of the kernel itself, or abort() in the application. `rip`, `rbp`: where, for the backtrace.
[[noreturn]] void panic(const char* what, std::uint64_t rip, std::uint64_t rsp, std::uint64_t rbp) noexcept;
#define KERNEL_PANIC(what) \
  ::kernel::cpu::panic(what, reinterpret_cast<std::uint64_t>(__builtin_return_address(0)), 0, \
                       reinterpret_cast<std::uint64_t>(__builtin_frame_address(0)))

/// Powers the machine off with `status` (0 to 127, anything else counts as 127), as far as it can tell it to anyone: QEMU's
/// isa-debug-exit device turns it into an exit status of its own, otherwise it is lost.
[[noreturn]] void power_off(int status) noexcept;

}  // namespace kernel::cpu
