// A modern virtio device on PCI [virtio 1.1, 4.1].
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "ebb/base/result.h"
#include "kernel/pci/device.h"
#include "kernel/pci/msix.h"
#include "kernel/virtio/transport.h"

namespace kernel::virtio {

/// The common configuration structure [4.1.4.3].
struct CommonConfiguration {
  std::uint32_t device_feature_select, device_feature, driver_feature_select, driver_feature;
  std::uint16_t config_interrupt, queue_count;
  std::uint8_t device_status, settings_generation;
  std::uint16_t queue_select, queue_size, queue_interrupt, queue_enable, queue_notify_offset;
  std::uint32_t queue_descriptors[2], queue_available[2], queue_used[2];  // low half first
};
static_assert(sizeof(CommonConfiguration) == 56 && offsetof(CommonConfiguration, device_status) == 20 &&
              offsetof(CommonConfiguration, queue_select) == 22 && offsetof(CommonConfiguration, queue_descriptors) == 32);

class PciTransport final : public Transport {
 public:
  /// Finds the device's structures in its windows and maps them. Errors: malformed (one is missing or lies outside its
  /// window), or what `map` says.
  static ebb::Result<std::unique_ptr<PciTransport>> create(pci::ConfigSpace& config, pci::Address address,
                                                           const pci::Windows& windows, const pci::MapDevice& map);

  std::uint8_t status() override { return common_->device_status; }
  void set_status(std::uint8_t status) override { common_->device_status = status; }
  std::uint64_t device_features() override;
  void set_driver_features(std::uint64_t features) override;
  std::uint16_t max_queue_size(std::uint16_t queue) override;
  ebb::Result<void> set_up_queue(std::uint16_t queue, const QueueAddresses& addresses,
                                 std::optional<std::uint16_t> interrupt) override;
  void notify(std::uint16_t queue) override;
  bool read_settings(std::size_t offset, std::span<std::byte> target) override;

 private:
  PciTransport() = default;
  volatile CommonConfiguration* common_ = nullptr;
  volatile std::byte* notify_ = nullptr;
  std::uint64_t notify_bytes_ = 0;
  std::uint32_t notify_multiplier_ = 0;
  volatile std::byte* settings_ = nullptr;
  std::size_t settings_bytes_ = 0;
  std::vector<volatile std::uint16_t*> doorbells_;  // by queue; nullptr: not set up
};

}  // namespace kernel::virtio
