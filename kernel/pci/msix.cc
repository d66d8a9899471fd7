#include "kernel/pci/msix.h"

#include <algorithm>

namespace kernel::pci {
namespace {

// Message control, in the upper half of the capability's first word.
constexpr std::uint32_t kSizeMask = 0x07ff;
constexpr std::uint32_t kFunctionMask = 1u << 14;
constexpr std::uint32_t kEnable = 1u << 15;
constexpr std::uint32_t kEntryMasked = 1;
constexpr std::uint8_t kTableOffset = 4;
constexpr std::uint32_t kBarMask = 7;

}  // namespace

ebb::Result<MsixTable> MsixTable::enable(ConfigSpace& config, Address address, const Windows& windows, const MapDevice& map) {
  const auto list = capabilities(config, address);
  const auto found = std::find_if(list.begin(), list.end(), [](const Capability& entry) { return entry.id == kCapabilityMsix; });
  if (found == list.end() || found->offset > 0xf4) {
    return ebb::Error(ebb::Errc::not_found, "the device has no MSI-X interrupts; give it vectors (QEMU: vectors=2N+2)");
  }
  const std::uint32_t header = config.read32(address, found->offset);
  const std::size_t size = (header >> 16 & kSizeMask) + 1;
  const std::uint32_t table = config.read32(address, static_cast<std::uint8_t>(found->offset + kTableOffset));
  const std::size_t bar = table & kBarMask;
  const std::uint64_t offset = table & ~kBarMask;
  const std::size_t bytes = size * sizeof(Entry);
  if (bar >= kBars || !windows[bar] || offset + bytes > windows[bar]->bytes) {
    return ebb::Error(ebb::Errc::malformed, "the device's MSI-X table lies outside its memory window");
  }
  auto mapped = map(windows[bar]->base + offset, bytes);
  if (!mapped) return std::move(mapped).error();
  auto* entries = static_cast<volatile Entry*>(*mapped);
  for (std::size_t i = 0; i < size; ++i) entries[i].control = kEntryMasked;
  const std::uint32_t control = (header >> 16 | kEnable) & ~kFunctionMask;
  config.write32(address, found->offset, (header & 0xffff) | control << 16);
  return MsixTable(entries, size);
}

void MsixTable::set(std::size_t index, std::uint64_t message_address, std::uint32_t data) noexcept {
  volatile Entry& entry = entries_[index];
  entry.control = kEntryMasked;
  entry.address_low = static_cast<std::uint32_t>(message_address);
  entry.address_high = static_cast<std::uint32_t>(message_address >> 32);
  entry.data = data;
  entry.control = 0;
}

}  // namespace kernel::pci
