// A made-up bus 0 with functions whose registers behave as the standard says, or as a test wants them to.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "kernel/pci/config_space.h"

namespace pci_test {

struct FakeFunction {
  std::array<std::uint32_t, 64> words{};
  std::array<std::uint32_t, 6> bar_masks{};  // the bits of a base address register that can be set; 0: unused
  bool decoding_when_sized = false;          // somebody sized a register while the windows were live

  FakeFunction(std::uint16_t vendor, std::uint16_t device) { words[0] = std::uint32_t{device} << 16 | vendor; }
  void set_bar(std::size_t bar, std::uint32_t bytes, std::uint32_t flags = 0, std::uint32_t base = 0) {
    bar_masks[bar] = ~(bytes - 1);
    words[4 + bar] = base | flags;
    if ((flags & 6) == 4) bar_masks[bar + 1] = ~0u;
  }
  /// Bytes of a capability after its id and next pointer; linked in front of the others.
  void add_capability(std::uint8_t offset, std::uint8_t id, const std::vector<std::uint8_t>& body) {
    words[1] |= 1u << 20;
    auto* bytes = reinterpret_cast<std::uint8_t*>(words.data());
    bytes[offset] = id;
    bytes[offset + 1] = bytes[0x34];
    std::copy(body.begin(), body.end(), bytes + offset + 2);
    bytes[0x34] = offset;
  }
  std::uint32_t command() const { return words[1] & 0xffff; }
};

class FakeConfigSpace final : public kernel::pci::ConfigSpace {
 public:
  FakeFunction& add(std::uint8_t device, std::uint8_t function, FakeFunction made) {
    return functions.emplace(std::pair(device, function), made).first->second;
  }
  std::uint32_t read32(kernel::pci::Address address, std::uint8_t offset) override {
    FakeFunction* function = find(address);
    return function == nullptr ? ~0u : function->words[offset / 4];
  }
  void write32(kernel::pci::Address address, std::uint8_t offset, std::uint32_t value) override {
    FakeFunction* function = find(address);
    if (function == nullptr) return;
    std::uint32_t& word = function->words[offset / 4];
    if (offset == 4) {
      word = (word & 0xffff'0000) | (value & 0xffff);
    } else if (offset >= 0x10 && offset < 0x28) {
      const std::size_t bar = (offset - 0x10u) / 4;
      if (function->command() & 2) function->decoding_when_sized = true;
      const bool upper = bar > 0 && (function->words[4 + bar - 1] & 7) == 4;
      const std::uint32_t flags = upper ? 0 : word & 0xf;
      word = (value & function->bar_masks[bar] & (upper ? ~0u : ~0xfu)) | flags;
    } else {
      word = value;
    }
  }
  std::map<std::pair<std::uint8_t, std::uint8_t>, FakeFunction> functions;

 private:
  FakeFunction* find(kernel::pci::Address address) {
    const auto found = functions.find({address.device, address.function});
    return address.bus != 0 || found == functions.end() ? nullptr : &found->second;
  }
};

}  // namespace pci_test
