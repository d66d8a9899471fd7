// A virtio device as a driver sees it, whatever bus it is on. PCI implements it, and the tests' made-up devices do.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "ebb/base/result.h"

namespace kernel::virtio {

/// Device status bits [virtio 1.1, 2.1].
inline constexpr std::uint8_t kStatusAcknowledge = 1;
inline constexpr std::uint8_t kStatusDriver = 2;
inline constexpr std::uint8_t kStatusDriverOk = 4;
inline constexpr std::uint8_t kStatusFeaturesOk = 8;
inline constexpr std::uint8_t kStatusNeedsReset = 64;
inline constexpr std::uint8_t kStatusFailed = 128;

/// Feature bits of every device [virtio 1.1, 6].
inline constexpr std::uint64_t kFeatureVersion1 = std::uint64_t{1} << 32;

/// Where a split queue's three parts are, as the device addresses them.
struct QueueAddresses {
  std::uint16_t size = 0;
  std::uint64_t descriptors = 0;
  std::uint64_t available = 0;
  std::uint64_t used = 0;
};

/// One device. While it is set up, one core; notify() afterwards any core, for queues that are set up.
class Transport {
 public:
  virtual ~Transport() = default;

  virtual std::uint8_t status() = 0;
  virtual void set_status(std::uint8_t status) = 0;  ///< 0 resets; the reset is over when status() is 0
  virtual std::uint64_t device_features() = 0;
  virtual void set_driver_features(std::uint64_t features) = 0;

  /// The largest size the device offers for a queue; 0: there is no such queue.
  virtual std::uint16_t max_queue_size(std::uint16_t queue) = 0;
  /// Makes the queue live. `interrupt` is an entry of the device's interrupt table; nullopt: it never interrupts.
  /// Errors: malformed (the device describes the queue wrongly), resource_exhausted (it takes no interrupt).
  virtual ebb::Result<void> set_up_queue(std::uint16_t queue, const QueueAddresses& addresses,
                                         std::optional<std::uint16_t> interrupt) = 0;
  /// Tells the device that the queue has new buffers.
  virtual void notify(std::uint16_t queue) = 0;

  /// The device's own settings from `offset` on, all of one moment. False: they are not that long.
  virtual bool read_settings(std::size_t offset, std::span<std::byte> target) = 0;
};

}  // namespace kernel::virtio
