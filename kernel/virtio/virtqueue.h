// A split virtqueue: the driver's side of the three areas a device shares with it [virtio 1.1, 2.6].
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "kernel/virtio/transport.h"

namespace kernel::virtio {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "virtio's fields are little-endian, and used as they are");

inline constexpr std::size_t kPageBytes = 4096;

/// Gives `count` zeroed pages that follow each other and that a device reaches under the same address; nullptr when there
/// are none. Never given back.
using AllocatePages = void* (*)(std::size_t count);

/// [virtio 1.1, 2.6.5]
struct Descriptor {
  std::uint64_t address;
  std::uint32_t length;
  std::uint16_t flags;
  std::uint16_t next;
};
static_assert(sizeof(Descriptor) == 16);
inline constexpr std::uint16_t kDescriptorNext = 1;
inline constexpr std::uint16_t kDescriptorDeviceWrites = 2;

/// [virtio 1.1, 2.6.8]
struct UsedElement {
  std::uint32_t id;
  std::uint32_t length;
};
static_assert(sizeof(UsedElement) == 8);

/// Flags of the available and the used area [virtio 1.1, 2.6.6 and 2.6.8].
inline constexpr std::uint16_t kAvailableNoInterrupt = 1;
inline constexpr std::uint16_t kUsedNoNotify = 1;

/// Belongs to one core. What the device writes is checked: a head that is not with the device breaks the queue for good,
/// and nothing outside the queue's own buffers can be reached through it.
class Virtqueue {
 public:
  static constexpr std::uint16_t kMaxSize = 256;

  /// The largest power of two that is at most `offered` and kMaxSize; memory from `allocate`. Errors: resource_exhausted
  /// (no memory), malformed (the device offers no queue).
  static ebb::Result<Virtqueue> create(std::uint16_t offered, AllocatePages allocate);

  std::uint16_t size() const noexcept { return size_; }
  QueueAddresses addresses() const noexcept;

  /// A descriptor of this queue, to be filled while it is not with the device.
  Descriptor& descriptor(std::uint16_t index) noexcept { return descriptors_[index]; }
  /// Hands the chain that begins at `head` to the device.
  void publish(std::uint16_t head) noexcept;
  /// After publish(): does the device want to be told? Once per batch.
  bool wants_notification() noexcept;

  struct Used {
    std::uint16_t head = 0;
    std::uint32_t length = 0;  ///< what the device says it wrote; may be any number
  };
  /// The next chain that the device is done with; nullopt when there is none or the queue is broken.
  std::optional<Used> take_used() noexcept;
  /// How many chains take_used() would give now, at most size().
  std::uint16_t used_waiting() const noexcept;

  /// Asks for interrupts or asks for none; the device may not heed the latter at once. After asking for them, look at
  /// used_waiting() once more: what came before is not announced.
  void want_interrupts(bool want) noexcept;

  /// The device broke the rules; nothing is exchanged any more.
  bool broken() const noexcept { return broken_; }

 private:
  Virtqueue(std::uint16_t size, std::byte* memory) noexcept;
  static std::size_t available_offset(std::uint16_t size) noexcept { return sizeof(Descriptor) * size; }
  static std::size_t used_offset(std::uint16_t size) noexcept;
  static std::size_t bytes(std::uint16_t size) noexcept;

  std::uint16_t size_;
  Descriptor* descriptors_;
  std::uint16_t* available_;  // flags, index, ring[size]
  std::uint16_t* used_;       // flags, index; then the ring
  UsedElement* used_ring_;
  std::uint16_t published_ = 0;
  std::uint16_t taken_ = 0;
  std::vector<bool> with_device_;  // by head
  bool broken_ = false;
};

}  // namespace kernel::virtio
