// Functions on bus 0: finding them, their capabilities, and where their memory windows are.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "ebb/base/result.h"
#include "kernel/pci/config_space.h"

namespace kernel::pci {

inline constexpr std::size_t kBars = 6;
inline constexpr std::size_t kMaxCapabilities = 48;  // 192 bytes of at least 4 each

/// Capability ids [PCI Code and ID Assignment 1.11, 2].
inline constexpr std::uint8_t kCapabilityVendor = 0x09;
inline constexpr std::uint8_t kCapabilityMsix = 0x11;

/// A function that answers.
struct Function {
  Address address;
  std::uint16_t vendor = 0;
  std::uint16_t device = 0;
};

/// All functions on bus 0 (at most 256), in order. A node's devices are there; bridges are not followed.
std::vector<Function> functions_on_bus_0(ConfigSpace& config);

/// Where a capability begins in configuration space.
struct Capability {
  std::uint8_t id = 0;
  std::uint8_t offset = 0;
};

/// The function's capabilities in the list's order; a loop or a pointer to nowhere ends it.
std::vector<Capability> capabilities(ConfigSpace& config, Address address);

/// A base address register that asks for memory.
struct Window {
  std::uint64_t base = 0;
  std::uint64_t bytes = 0;
};

/// Gives addresses to memory windows the firmware left unset (qboot does).
class WindowAllocator {
 public:
  /// Below this lies RAM on both of QEMU's PCs, at kEnd begin the interrupt controllers and the firmware.
  static constexpr std::uint64_t kBegin = 0xe000'0000;
  static constexpr std::uint64_t kEnd = 0xfec0'0000;

  /// Learns which parts of the range are taken already, by any function on bus 0.
  explicit WindowAllocator(ConfigSpace& config);

  /// A free place, aligned to its size (a power of two); nullopt when there is none.
  std::optional<std::uint64_t> allocate(std::uint64_t bytes);

 private:
  std::vector<Window> taken_;
};

/// The function's memory windows by register number; nullopt for unused registers, ports, and the upper half of 64-bit
/// windows. Sizes them (memory decoding is off meanwhile), places those without an address, then lets the function
/// answer to memory accesses and be a bus master. Errors: resource_exhausted (no room for a window).
ebb::Result<std::array<std::optional<Window>, kBars>> enable_windows(ConfigSpace& config, Address address,
                                                                     WindowAllocator& allocator);

}  // namespace kernel::pci
