// The little that the stacks of one node's cores share: which core listens on which port.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "ebb/base/ids.h"

namespace kernel::net {

/// Listening ports of a node and, for each, the cores that listen. Any core; never blocks. A new connection whose
/// hash names a core that does not listen goes to one that does.
class Shared {
 public:
  static constexpr std::size_t kMaxPorts = 256;

  /// `core` listens on `port` (not 0) from now on; false when kMaxPorts ports are taken.
  bool add(std::uint16_t port, ebb::CoreIndex core) noexcept;
  void remove(std::uint16_t port, ebb::CoreIndex core) noexcept;
  /// A bit per listening core.
  std::uint64_t cores(std::uint16_t port) const noexcept;

 private:
  static_assert(ebb::kMaxCores <= 64, "one bit per core");
  // A slot's port is set once by compare-and-swap and never changes, so that a reader needs no lock; the cores come
  // and go. A port that is listened on again finds its slot.
  struct Slot {
    std::atomic<std::uint16_t> port{0};
    std::atomic<std::uint64_t> cores{0};
  };
  std::array<Slot, kMaxPorts> slots_;
};

}  // namespace kernel::net
