// Access to PCI configuration space, so that the logic above also runs against a made-up machine.
#pragma once

#include <cstdint>

namespace kernel::pci {

/// Bus, device and function.
struct Address {
  std::uint8_t bus = 0;
  std::uint8_t device = 0;    // 0 to 31
  std::uint8_t function = 0;  // 0 to 7
  friend bool operator==(const Address&, const Address&) = default;
};

/// The 256 bytes every function has [PCI 3.0, 6]. Offsets are aligned to the access; reading where no function is gives
/// all ones. One core at a time.
class ConfigSpace {
 public:
  virtual ~ConfigSpace() = default;
  virtual std::uint32_t read32(Address address, std::uint8_t offset) = 0;
  virtual void write32(Address address, std::uint8_t offset, std::uint32_t value) = 0;

  std::uint16_t read16(Address address, std::uint8_t offset) {
    return static_cast<std::uint16_t>(read32(address, offset & 0xfc) >> (8 * (offset & 2)));
  }
  std::uint8_t read8(Address address, std::uint8_t offset) {
    return static_cast<std::uint8_t>(read32(address, offset & 0xfc) >> (8 * (offset & 3)));
  }
};

}  // namespace kernel::pci
