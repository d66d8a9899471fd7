#include "kernel/pci/device.h"

#include <algorithm>
#include <string>

namespace kernel::pci {
namespace {

// Type 0 header [PCI 3.0, 6.1].
constexpr std::uint8_t kCommandAndStatus = 0x04;
constexpr std::uint8_t kHeaderType = 0x0e;
constexpr std::uint8_t kFirstBar = 0x10;
constexpr std::uint8_t kCapabilityPointer = 0x34;

constexpr std::uint32_t kCommandMemory = 1u << 1;
constexpr std::uint32_t kCommandMaster = 1u << 2;
constexpr std::uint32_t kCommandMask = 0xffff;  // the status half is cleared by writing ones
constexpr std::uint32_t kStatusCapabilities = 1u << 20;
constexpr std::uint8_t kMultiFunction = 0x80;
constexpr std::uint8_t kTypeMask = 0x7f;

// Base address registers [PCI 3.0, 6.2.5.1].
constexpr std::uint32_t kBarPorts = 1;
constexpr std::uint32_t kBarTypeMask = 6;
constexpr std::uint32_t kBarType64 = 4;
constexpr std::uint32_t kBarFlags = 0xf;

constexpr std::uint16_t kNobody = 0xffff;
constexpr std::size_t kFirstCapability = 0x40;

std::uint8_t bar_offset(std::size_t bar) { return static_cast<std::uint8_t>(kFirstBar + 4 * bar); }

/// How many registers the function has: ordinary functions 6, bridges 2.
std::size_t bar_count(ConfigSpace& config, Address address) {
  const std::uint8_t type = config.read8(address, kHeaderType) & kTypeMask;
  return type == 0 ? kBars : type == 1 ? 2 : 0;
}

struct Sized {
  Window window;
  bool wide = false;
};

/// Asks a register for its size. Memory decoding must be off.
std::optional<Sized> size_bar(ConfigSpace& config, Address address, std::size_t bar, std::size_t count) {
  const std::uint8_t offset = bar_offset(bar);
  const std::uint32_t low = config.read32(address, offset);
  if (low & kBarPorts) return std::nullopt;
  const bool wide = (low & kBarTypeMask) == kBarType64;
  if (wide && bar + 1 >= count) return std::nullopt;
  Sized sized;
  sized.wide = wide;
  sized.window.base = low & ~kBarFlags;
  config.write32(address, offset, ~0u);
  std::uint64_t mask = config.read32(address, offset) & ~kBarFlags;
  config.write32(address, offset, low);
  if (wide) {
    const auto upper = static_cast<std::uint8_t>(offset + 4);
    const std::uint32_t high = config.read32(address, upper);
    sized.window.base |= std::uint64_t{high} << 32;
    config.write32(address, upper, ~0u);
    mask |= std::uint64_t{config.read32(address, upper)} << 32;
    config.write32(address, upper, high);
  } else if (mask != 0) {
    mask |= ~std::uint64_t{0xffff'ffff};
  }
  sized.window.bytes = mask == 0 ? 0 : ~mask + 1;
  // A size is a power of two; anything else is no size.
  if ((sized.window.bytes & (sized.window.bytes - 1)) != 0) sized.window.bytes = 0;
  return sized;
}

void set_command(ConfigSpace& config, Address address, std::uint32_t set, std::uint32_t clear) {
  const std::uint32_t command = config.read32(address, kCommandAndStatus) & kCommandMask;
  config.write32(address, kCommandAndStatus, (command | set) & ~clear);
}

std::uint32_t command_of(ConfigSpace& config, Address address) {
  return config.read32(address, kCommandAndStatus) & kCommandMask;
}

}  // namespace

std::vector<Function> functions_on_bus_0(ConfigSpace& config) {
  std::vector<Function> found;
  for (std::uint8_t device = 0; device < 32; ++device) {
    for (std::uint8_t function = 0; function < 8; ++function) {
      const Address address{0, device, function};
      const std::uint32_t id = config.read32(address, 0);
      const auto vendor = static_cast<std::uint16_t>(id);
      if (vendor != kNobody) found.push_back({address, vendor, static_cast<std::uint16_t>(id >> 16)});
      // Function 0 must be there, and says whether there are others.
      if (function == 0 && (vendor == kNobody || !(config.read8(address, kHeaderType) & kMultiFunction))) break;
    }
  }
  return found;
}

std::vector<Capability> capabilities(ConfigSpace& config, Address address) {
  std::vector<Capability> found;
  if (!(config.read32(address, kCommandAndStatus) & kStatusCapabilities)) return found;
  std::uint8_t offset = config.read8(address, kCapabilityPointer) & 0xfc;
  std::array<bool, 64> seen{};
  while (offset >= kFirstCapability && !seen[offset / 4] && found.size() < kMaxCapabilities) {
    seen[offset / 4] = true;
    const std::uint16_t header = config.read16(address, offset);
    found.push_back({static_cast<std::uint8_t>(header), offset});
    offset = static_cast<std::uint8_t>(header >> 8) & 0xfc;
  }
  return found;
}

WindowAllocator::WindowAllocator(ConfigSpace& config) {
  for (const Function& function : functions_on_bus_0(config)) {
    const std::uint32_t command = command_of(config, function.address);
    set_command(config, function.address, 0, kCommandMemory);
    const std::size_t count = bar_count(config, function.address);
    for (std::size_t bar = 0; bar < count; ++bar) {
      const auto sized = size_bar(config, function.address, bar, count);
      if (!sized) continue;
      if (sized->wide) ++bar;
      const Window& window = sized->window;
      if (window.base != 0 && window.bytes != 0 && window.base + window.bytes > window.base) taken_.push_back(window);
    }
    config.write32(function.address, kCommandAndStatus, command);
  }
}

std::optional<std::uint64_t> WindowAllocator::allocate(std::uint64_t bytes) {
  if (bytes == 0 || bytes > kEnd - kBegin) return std::nullopt;
  const auto align = [bytes](std::uint64_t address) { return (address + bytes - 1) & ~(bytes - 1); };
  std::uint64_t base = align(kBegin);
  // Each turn either ends or moves past a taken window for good.
  while (base <= kEnd - bytes) {
    const auto in_the_way = std::find_if(taken_.begin(), taken_.end(), [&](const Window& taken) {
      return taken.base <= base ? base - taken.base < taken.bytes : taken.base - base < bytes;
    });
    if (in_the_way == taken_.end()) {
      taken_.push_back({base, bytes});
      return base;
    }
    base = align(in_the_way->base + in_the_way->bytes);
  }
  return std::nullopt;
}

ebb::Result<std::array<std::optional<Window>, kBars>> enable_windows(ConfigSpace& config, Address address,
                                                                     WindowAllocator& allocator) {
  std::array<std::optional<Window>, kBars> windows;
  set_command(config, address, 0, kCommandMemory);
  const std::size_t count = bar_count(config, address);
  for (std::size_t bar = 0; bar < count; ++bar) {
    auto sized = size_bar(config, address, bar, count);
    if (!sized) continue;
    const std::size_t number = bar;
    if (sized->wide) ++bar;
    if (sized->window.bytes == 0) continue;
    if (sized->window.base == 0) {
      const auto base = allocator.allocate(sized->window.bytes);
      if (!base) {
        return ebb::Error(ebb::Errc::resource_exhausted,
                          "no address range is left for a device's window of " + std::to_string(sized->window.bytes) +
                              " bytes; give the node fewer devices");
      }
      sized->window.base = *base;
      config.write32(address, bar_offset(number), static_cast<std::uint32_t>(*base));
      if (sized->wide) config.write32(address, bar_offset(number + 1), 0);
    }
    windows[number] = sized->window;
  }
  set_command(config, address, kCommandMemory | kCommandMaster, 0);
  return windows;
}

}  // namespace kernel::pci
