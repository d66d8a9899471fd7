// MSI-X: which message a device sends for each of its interrupt reasons [PCI 3.0, 6.8.2].
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>

#include "ebb/base/result.h"
#include "kernel/pci/device.h"

namespace kernel::pci {

/// Makes device memory at a physical address touchable.
using MapDevice = std::function<ebb::Result<volatile void*>(std::uint64_t physical, std::size_t bytes)>;

using Windows = std::array<std::optional<Window>, kBars>;

/// A function's MSI-X table. One core at a time.
class MsixTable {
 public:
  /// Finds and maps the table, masks every entry and turns MSI-X on. Errors: not_found (the function has no MSI-X),
  /// malformed (its table lies outside its window).
  static ebb::Result<MsixTable> enable(ConfigSpace& config, Address address, const Windows& windows, const MapDevice& map);

  std::size_t size() const noexcept { return size_; }
  /// Entry `index` (below size()) sends `data` to `message_address` from now on.
  void set(std::size_t index, std::uint64_t message_address, std::uint32_t data) noexcept;

 private:
  struct Entry {
    std::uint32_t address_low, address_high, data, control;
  };
  static_assert(sizeof(Entry) == 16);
  MsixTable(volatile Entry* entries, std::size_t size) noexcept : entries_(entries), size_(size) {}
  volatile Entry* entries_;
  std::size_t size_;
};

}  // namespace kernel::pci
