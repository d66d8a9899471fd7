#include "kernel/pci/port_config_space.h"

#include "kernel/cpu/instructions.h"

namespace kernel::pci {
namespace {

constexpr std::uint16_t kAddressPort = 0xcf8;
constexpr std::uint16_t kDataPort = 0xcfc;
constexpr std::uint32_t kEnable = 0x8000'0000;

void select(Address address, std::uint8_t offset) noexcept {
  cpu::out32(kAddressPort, kEnable | std::uint32_t{address.bus} << 16 | (address.device & 0x1fu) << 11 |
                               (address.function & 7u) << 8 | (offset & 0xfcu));
}

}  // namespace

std::uint32_t PortConfigSpace::read32(Address address, std::uint8_t offset) {
  select(address, offset);
  return cpu::in32(kDataPort);
}

void PortConfigSpace::write32(Address address, std::uint8_t offset, std::uint32_t value) {
  select(address, offset);
  cpu::out32(kDataPort, value);
}

}  // namespace kernel::pci
