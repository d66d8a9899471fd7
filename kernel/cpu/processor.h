// A processor's own state: its descriptor tables, its interrupt stacks, its number.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kernel::cpu {

inline constexpr std::size_t kMaxProcessors = 64;

inline constexpr std::uint16_t kCodeSelector = 0x08;
inline constexpr std::uint16_t kDataSelector = 0x10;
inline constexpr std::uint16_t kFirstTaskSelector = 0x20;

/// Which processor this is, from 0 in the order they were started: its task register tells them apart, so the answer
/// needs no memory and no segment base. Any context, also an interrupt.
inline std::size_t processor_index() noexcept {
  std::uint32_t selector;
  asm("str %0" : "=r"(selector));
  return (selector - kFirstTaskSelector) / 16;
}

/// Sets the calling processor up as number `index`: segments, task state, interrupt table, floating point, system calls.
/// Once, with interrupts off, before anything else of C++ library code runs on it.
void set_up_processor(std::size_t index) noexcept;

}  // namespace kernel::cpu
