#include "kernel/cpu/symbols.h"

#include <cstddef>

// Sorted addresses and the places of their names; weak, because the first link is made without them.
extern "C" {
[[gnu::weak]] extern const std::uint32_t ebb_symbol_count;
[[gnu::weak]] extern const std::uint32_t ebb_symbol_addresses[];
[[gnu::weak]] extern const std::uint32_t ebb_symbol_names[];
[[gnu::weak]] extern const char ebb_symbol_text[];
}

namespace kernel::cpu {

const char* symbol_at(std::uint64_t address, std::uint64_t& offset) noexcept {
  if (&ebb_symbol_count == nullptr || ebb_symbol_count == 0 || address < ebb_symbol_addresses[0]) return nullptr;
  std::size_t low = 0;
  std::size_t high = ebb_symbol_count;
  while (high - low > 1) {
    const std::size_t middle = (low + high) / 2;
    (ebb_symbol_addresses[middle] <= address ? low : high) = middle;
  }
  offset = address - ebb_symbol_addresses[low];
  // Far from any function: data, a table, or nothing.
  constexpr std::uint64_t kLongest = 1 << 20;
  return offset < kLongest ? &ebb_symbol_text[ebb_symbol_names[low]] : nullptr;
}

}  // namespace kernel::cpu
