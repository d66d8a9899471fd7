// See shared.h.
#include "kernel/net/shared.h"

namespace kernel::net {

namespace {
std::uint64_t bit_of(ebb::CoreIndex core) noexcept { return std::uint64_t{1} << (to_number(core) % 64); }
}  // namespace

bool Shared::add(std::uint16_t port, ebb::CoreIndex core) noexcept {
  for (Slot& slot : slots_) {
    std::uint16_t expected = 0;
    // Relaxed: a port is a name and publishes nothing; whoever reads the slot reads `cores` for itself.
    if (slot.port.compare_exchange_strong(expected, port, std::memory_order_relaxed) || expected == port) {
      slot.cores.fetch_or(bit_of(core), std::memory_order_relaxed);
      return true;
    }
  }
  return false;
}

void Shared::remove(std::uint16_t port, ebb::CoreIndex core) noexcept {
  for (Slot& slot : slots_) {
    if (slot.port.load(std::memory_order_relaxed) == port) {
      slot.cores.fetch_and(~bit_of(core), std::memory_order_relaxed);
      return;
    }
  }
}

std::uint64_t Shared::cores(std::uint16_t port) const noexcept {
  for (const Slot& slot : slots_) {
    const std::uint16_t taken = slot.port.load(std::memory_order_relaxed);
    if (taken == port) return slot.cores.load(std::memory_order_relaxed);
    if (taken == 0) return 0;
  }
  return 0;
}

}  // namespace kernel::net
