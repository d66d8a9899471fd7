// Threads: a processor each. The first runs main(); pthread_create() starts the next parked one.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernel/libc/syscall_frame.h"

namespace kernel::libc {

/// A time as the Linux ABI passes it.
struct Timespec {
  std::int64_t seconds;
  std::int64_t nanoseconds;
};

/// What clone3(2) takes; of its fields these count.
struct CloneArguments {
  std::uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
};

/// Parks the calling processor until a thread is to run on it, and again after each. On the processor's boot stack.
[[noreturn]] void run_threads() noexcept;

/// Starts a thread on a parked processor: its id, -EAGAIN without one, -EINVAL for anything but what pthread_create asks.
std::int64_t clone3(const SyscallFrame& frame, const CloneArguments* arguments, std::size_t size) noexcept;
[[noreturn]] void exit_thread() noexcept;
std::int64_t set_tid_address(int* address) noexcept;
std::int64_t thread_id() noexcept;

/// futex(2): wait, wake, and their bitset forms, with an absolute or relative time limit.
std::int64_t futex(std::uint32_t* word, int operation, std::uint32_t value, const void* timeout, std::uint32_t bits) noexcept;

/// Sleeps (hlt) until the clock says `ns`, or `*woken` becomes true. Interrupts may be on or off; they are on meanwhile.
void halt_until(std::uint64_t ns, const volatile bool* woken) noexcept;

}  // namespace kernel::libc
