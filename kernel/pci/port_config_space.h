// Configuration space through the two ports that every PC has.
#pragma once

#include "kernel/pci/config_space.h"

namespace kernel::pci {

/// Configuration mechanism 1 [PCI 3.0, 3.2.2.3.2].
class PortConfigSpace final : public ConfigSpace {
 public:
  std::uint32_t read32(Address address, std::uint8_t offset) override;
  void write32(Address address, std::uint8_t offset, std::uint32_t value) override;
};

}  // namespace kernel::pci
