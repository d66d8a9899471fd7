// A virtio network device: what it can do, its queue pairs, and how many of them it uses.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "ebb/base/result.h"
#include "kernel/net/config.h"
#include "kernel/net/environment.h"
#include "kernel/virtio/net_queue_pair.h"
#include "kernel/virtio/transport.h"

namespace kernel::virtio::net {

class NetDevice {
 public:
  /// Takes the device over (resetting it) with up to `max_pairs` queue pairs; pair i interrupts by entry i of the device's
  /// interrupt table, of which there are `interrupts`. One pair is used until set_active_pairs(). `transport` must
  /// outlive it. One core. Errors: malformed (the device lacks what its kind must have), resource_exhausted, unavailable
  /// (it does not reset).
  static ebb::Result<std::unique_ptr<NetDevice>> create(Transport& transport, std::size_t max_pairs, std::size_t interrupts,
                                                        AllocatePages allocate);

  const kernel::net::MacAddress& mac() const noexcept { return mac_; }
  std::uint16_t mtu() const noexcept { return mtu_; }
  kernel::net::LinkCapabilities link() const noexcept { return link_; }

  std::size_t pair_count() const noexcept { return pairs_.size(); }
  /// Pair `index` below pair_count(), for the one core that uses it.
  QueuePair& pair(std::size_t index) noexcept { return *pairs_[index]; }

  /// Lets the device spread received frames over the first `count` pairs (1 to pair_count()). Waits for the device's
  /// answer while `keep_waiting` says so. One core at a time. Errors: unavailable (no answer, or it refuses).
  ebb::Result<void> set_active_pairs(std::size_t count, const std::function<bool()>& keep_waiting);

 private:
  NetDevice(Transport& transport) : transport_(transport) {}
  ebb::Result<void> negotiate();
  ebb::Result<void> set_up(std::size_t max_pairs, std::size_t interrupts, AllocatePages allocate);

  Transport& transport_;
  std::uint64_t features_ = 0;
  kernel::net::MacAddress mac_;
  std::uint16_t mtu_ = 1500;
  std::size_t offered_pairs_ = 1;
  kernel::net::LinkCapabilities link_;
  std::vector<std::unique_ptr<QueuePair>> pairs_;
  std::optional<Virtqueue> control_;
  std::uint16_t control_number_ = 0;
  std::byte* command_ = nullptr;  // a page
  bool control_stuck_ = false;    // a command was never answered: its memory is the device's
};

}  // namespace kernel::virtio::net
