#include "kernel/virtio/virtqueue.h"

#include <algorithm>
#include <atomic>
#include <bit>

namespace kernel::virtio {
namespace {

constexpr std::size_t kFlags = 0;
constexpr std::size_t kIndex = 1;
constexpr std::size_t kRing = 2;

}  // namespace

std::size_t Virtqueue::used_offset(std::uint16_t size) noexcept {
  // The available area ends with a field for event indexes that we do not use; the used area is aligned to 4.
  const std::size_t end = available_offset(size) + sizeof(std::uint16_t) * (kRing + size + 1);
  return (end + 3) & ~std::size_t{3};
}

std::size_t Virtqueue::bytes(std::uint16_t size) noexcept {
  return used_offset(size) + 2 * sizeof(std::uint16_t) + sizeof(UsedElement) * size + sizeof(std::uint16_t);
}

ebb::Result<Virtqueue> Virtqueue::create(std::uint16_t offered, AllocatePages allocate) {
  if (offered == 0) return ebb::Error(ebb::Errc::malformed, "the virtio device lacks a queue that its kind must have");
  const std::uint16_t size = std::bit_floor(std::min(offered, kMaxSize));
  void* memory = allocate((bytes(size) + kPageBytes - 1) / kPageBytes);
  if (memory == nullptr) {
    return ebb::Error(ebb::Errc::resource_exhausted, "no memory is left for a device queue; give the node more memory");
  }
  return Virtqueue(size, static_cast<std::byte*>(memory));
}

Virtqueue::Virtqueue(std::uint16_t size, std::byte* memory) noexcept
    : size_(size),
      descriptors_(reinterpret_cast<Descriptor*>(memory)),
      available_(reinterpret_cast<std::uint16_t*>(memory + available_offset(size))),
      used_(reinterpret_cast<std::uint16_t*>(memory + used_offset(size))),
      used_ring_(reinterpret_cast<UsedElement*>(memory + used_offset(size) + 2 * sizeof(std::uint16_t))),
      with_device_(size, false) {
  want_interrupts(false);
}

QueueAddresses Virtqueue::addresses() const noexcept {
  return {size_, reinterpret_cast<std::uintptr_t>(descriptors_), reinterpret_cast<std::uintptr_t>(available_),
          reinterpret_cast<std::uintptr_t>(used_)};
}

void Virtqueue::publish(std::uint16_t head) noexcept {
  with_device_[head] = true;
  available_[kRing + (published_ & (size_ - 1))] = head;
  ++published_;
  // Release: the device that sees the index sees the ring entry and the descriptors [virtio 1.1, 2.6.13.3].
  std::atomic_ref(available_[kIndex]).store(published_, std::memory_order_release);
}

bool Virtqueue::wants_notification() noexcept {
  if (broken_) return false;
  // Pairs with the device's own fence between turning notifications on and looking at the available index: either it
  // sees what we published, or we see that it wants to be told [virtio 1.1, 2.6.13.4].
  std::atomic_thread_fence(std::memory_order_seq_cst);
  return !(std::atomic_ref(used_[kFlags]).load(std::memory_order_relaxed) & kUsedNoNotify);
}

std::uint16_t Virtqueue::used_waiting() const noexcept {
  if (broken_) return 0;
  // Acquire: the used entries and the buffers below the index are there.
  const std::uint16_t index = std::atomic_ref(used_[kIndex]).load(std::memory_order_acquire);
  return std::min(static_cast<std::uint16_t>(index - taken_), size_);
}

std::optional<Virtqueue::Used> Virtqueue::take_used() noexcept {
  if (used_waiting() == 0) return std::nullopt;
  const volatile UsedElement& element = used_ring_[taken_ & (size_ - 1)];
  const std::uint32_t id = element.id;  // read once: the device may change it at any time
  const std::uint32_t length = element.length;
  if (id >= size_ || !with_device_[id]) {
    broken_ = true;
    return std::nullopt;
  }
  with_device_[id] = false;
  ++taken_;
  return Used{static_cast<std::uint16_t>(id), length};
}

void Virtqueue::want_interrupts(bool want) noexcept {
  std::atomic_ref(available_[kFlags]).store(want ? 0 : kAvailableNoInterrupt, std::memory_order_relaxed);
  // Pairs with the device's fence between using a buffer and reading the flags: it interrupts, or the look that follows
  // here sees what it used [virtio 1.1, 2.6.7.2].
  if (want) std::atomic_thread_fence(std::memory_order_seq_cst);
}

}  // namespace kernel::virtio
