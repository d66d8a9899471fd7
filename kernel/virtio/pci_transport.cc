#include "kernel/virtio/pci_transport.h"

#include <array>
#include <atomic>
#include <cstring>
#include <utility>

namespace kernel::virtio {
namespace {

using ebb::Errc;
using ebb::Error;

// The vendor capability: cap_vndr, cap_next, cap_len, cfg_type; bar; offset; length [virtio 1.1, 4.1.4].
constexpr std::uint8_t kTypeAndBar = 4;
constexpr std::uint8_t kOffset = 8;
constexpr std::uint8_t kLength = 12;
constexpr std::uint8_t kMultiplier = 16;
constexpr std::uint8_t kCapabilityBytes = 16;
constexpr std::uint8_t kNotifyCapabilityBytes = 20;

constexpr std::uint8_t kTypeCommon = 1;
constexpr std::uint8_t kTypeNotify = 2;
constexpr std::uint8_t kTypeSettings = 4;
constexpr std::size_t kTypes = 5;

constexpr std::uint16_t kNoInterrupt = 0xffff;
constexpr unsigned kSettingsTries = 16;
constexpr std::uint16_t kMaxQueues = 1024;

struct Part {
  volatile std::byte* memory = nullptr;
  std::uint32_t bytes = 0;
};

}  // namespace

ebb::Result<std::unique_ptr<PciTransport>> PciTransport::create(pci::ConfigSpace& config, pci::Address address,
                                                                const pci::Windows& windows, const pci::MapDevice& map) {
  std::unique_ptr<PciTransport> transport(new PciTransport);
  std::array<Part, kTypes> parts;
  for (const pci::Capability& capability : pci::capabilities(config, address)) {
    if (capability.id != pci::kCapabilityVendor || capability.offset > 256 - kCapabilityBytes) continue;
    const auto at = [&](std::uint8_t offset) { return static_cast<std::uint8_t>(capability.offset + offset); };
    const auto type = static_cast<std::uint8_t>(config.read32(address, at(0)) >> 24);
    const auto length_of_capability = static_cast<std::uint8_t>(config.read32(address, at(0)) >> 16);
    if (type != kTypeCommon && type != kTypeNotify && type != kTypeSettings) continue;
    const std::uint8_t bar = config.read8(address, at(kTypeAndBar));
    const std::uint64_t offset = config.read32(address, at(kOffset));
    const std::uint32_t bytes = config.read32(address, at(kLength));
    // Several of a type: the device's order is its preference, so the first that can be used.
    if (parts[type].memory != nullptr || bar >= pci::kBars || !windows[bar] || bytes == 0 ||
        offset + bytes > windows[bar]->bytes) {
      continue;
    }
    if (type == kTypeNotify) {
      if (length_of_capability < kNotifyCapabilityBytes || capability.offset > 256 - kNotifyCapabilityBytes) continue;
      transport->notify_multiplier_ = config.read32(address, at(kMultiplier));
    }
    auto mapped = map(windows[bar]->base + offset, bytes);
    if (!mapped) return std::move(mapped).error();
    parts[type] = {static_cast<volatile std::byte*>(*mapped), bytes};
  }
  if (parts[kTypeCommon].bytes < sizeof(CommonConfiguration) || parts[kTypeNotify].bytes < 2 ||
      parts[kTypeSettings].memory == nullptr) {
    return Error(Errc::malformed, "the virtio device lacks a modern register block; use a modern one (QEMU: disable-modern=off)");
  }
  transport->common_ = reinterpret_cast<volatile CommonConfiguration*>(parts[kTypeCommon].memory);
  transport->notify_ = parts[kTypeNotify].memory;
  transport->notify_bytes_ = parts[kTypeNotify].bytes;
  transport->settings_ = parts[kTypeSettings].memory;
  transport->settings_bytes_ = parts[kTypeSettings].bytes;
  return transport;
}

std::uint64_t PciTransport::device_features() {
  common_->device_feature_select = 0;
  const std::uint64_t low = common_->device_feature;
  common_->device_feature_select = 1;
  return std::uint64_t{common_->device_feature} << 32 | low;
}

void PciTransport::set_driver_features(std::uint64_t features) {
  common_->driver_feature_select = 0;
  common_->driver_feature = static_cast<std::uint32_t>(features);
  common_->driver_feature_select = 1;
  common_->driver_feature = static_cast<std::uint32_t>(features >> 32);
}

std::uint16_t PciTransport::max_queue_size(std::uint16_t queue) {
  // Asked of each queue: how many there are in all, QEMU knows only when the features are chosen.
  if (queue >= kMaxQueues) return 0;
  common_->queue_select = queue;
  return common_->queue_size;
}

ebb::Result<void> PciTransport::set_up_queue(std::uint16_t queue, const QueueAddresses& addresses,
                                             std::optional<std::uint16_t> interrupt) {
  if (queue >= kMaxQueues) return Error(Errc::malformed, "the virtio device lacks a queue that its kind must have");
  common_->queue_select = queue;
  const std::uint64_t doorbell = std::uint64_t{common_->queue_notify_offset} * notify_multiplier_;
  if (doorbell + sizeof(std::uint16_t) > notify_bytes_ || (doorbell & 1) != 0) {
    return Error(Errc::malformed, "the virtio device's notification register lies outside its block");
  }
  common_->queue_size = addresses.size;
  const auto put = [](volatile std::uint32_t* target, std::uint64_t value) {
    target[0] = static_cast<std::uint32_t>(value);
    target[1] = static_cast<std::uint32_t>(value >> 32);
  };
  put(common_->queue_descriptors, addresses.descriptors);
  put(common_->queue_available, addresses.available);
  put(common_->queue_used, addresses.used);
  const std::uint16_t entry = interrupt.value_or(kNoInterrupt);
  common_->queue_interrupt = entry;
  // The device says by what it keeps whether it could [4.1.5.1.2].
  if (common_->queue_interrupt != entry) {
    return Error(Errc::resource_exhausted, "the virtio device has no interrupt for a queue; give it vectors (QEMU: vectors=2N+2)");
  }
  common_->queue_enable = 1;
  if (queue >= doorbells_.size()) doorbells_.resize(queue + std::size_t{1});
  doorbells_[queue] = reinterpret_cast<volatile std::uint16_t*>(notify_ + doorbell);
  return {};
}

void PciTransport::notify(std::uint16_t queue) {
  // The write is uncached; what it is about must be out before it.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  *doorbells_[queue] = queue;
}

bool PciTransport::read_settings(std::size_t offset, std::span<std::byte> target) {
  if (offset > settings_bytes_ || target.size() > settings_bytes_ - offset) return false;
  // Again when they changed meanwhile [4.1.4.3.1]; a device that changes them all the time gets the last reading.
  for (unsigned attempt = 0; attempt < kSettingsTries; ++attempt) {
    const std::uint8_t before = common_->settings_generation;
    // Fields of 16 bits are read whole, others byte by byte [4.1.3.1].
    if (target.size() == sizeof(std::uint16_t) && offset % sizeof(std::uint16_t) == 0) {
      const std::uint16_t value = *reinterpret_cast<const volatile std::uint16_t*>(settings_ + offset);
      std::memcpy(target.data(), &value, sizeof value);
    } else {
      for (std::size_t i = 0; i < target.size(); ++i) target[i] = settings_[offset + i];
    }
    if (common_->settings_generation == before) break;
  }
  return true;
}

}  // namespace kernel::virtio
