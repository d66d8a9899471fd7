// Interrupts and exceptions: the table, the vectors, who handles them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ebb/base/ids.h"
#include "ebb/base/result.h"

namespace kernel::cpu {

/// What a processor was doing when an interrupt or an exception came. Laid out by interrupt_entry.S.
struct InterruptFrame {
  std::uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
  std::uint64_t vector;
  std::uint64_t error_code;  // 0 where the processor pushes none
  std::uint64_t rip, cs, rflags, rsp, ss;
};
static_assert(sizeof(InterruptFrame) == 22 * 8);

inline constexpr std::uint8_t kPageFault = 14;
inline constexpr std::uint8_t kTimerVector = 0x20;
inline constexpr std::uint8_t kWakeVector = 0x21;
inline constexpr std::uint8_t kHaltVector = 0x22;
inline constexpr std::uint8_t kFirstDeviceVector = 0x30;
inline constexpr std::uint8_t kSpuriousVector = 0xff;

/// Makes the processor use the table that all share.
void load_interrupt_table() noexcept;

/// What a device writes, and where, to interrupt a core (SDM vol. 3, 11.11): the content of an MSI-X table entry.
struct MsiMessage {
  std::uint64_t address = 0;
  std::uint32_t data = 0;
};

/// Reserves an interrupt of `core` for a device. `handler(argument)` runs there with interrupts off, on a small stack,
/// compiled without vector registers; it sets flags and returns. At boot or later, any core. Errors: not_found (no such
/// core), resource_exhausted (all vectors are given out). Vectors are not given back.
ebb::Result<MsiMessage> allocate_msi(ebb::CoreIndex core, void (*handler)(void*), void* argument);

}  // namespace kernel::cpu
