// One core's part in the node's network: its stack, its queue pair, and what comes from the other cores.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>

#include "kernel/net/stack.h"
#include "kernel/platform/network_inbox.h"
#include "kernel/virtio/net_device.h"

namespace kernel::platform {

class NetworkCore;

/// The address that all cores of the node share, and the cores themselves. Any core.
class NetworkNode {
 public:
  /// `buffer_bytes`: what the buffers of all connections may take together.
  NetworkNode(virtio::net::NetDevice& device, std::size_t core_count, std::size_t buffer_bytes)
      : device_(device), core_count_(core_count), buffer_bytes_(buffer_bytes) {}

  virtio::net::NetDevice& device() noexcept { return device_; }
  kernel::net::Shared& shared() noexcept { return shared_; }
  std::size_t core_count() const noexcept { return core_count_; }
  std::size_t buffer_bytes() const noexcept { return buffer_bytes_; }

  /// The core, or nullptr if it takes no part (yet).
  NetworkCore* core(std::size_t index) const noexcept { return cores_[index].load(std::memory_order_acquire); }
  void add(std::size_t index, NetworkCore& core) noexcept { cores_[index].store(&core, std::memory_order_release); }

  /// Every core takes the address at its next poll(), and is woken for it.
  void set_address(std::optional<kernel::net::Ipv4Config> address);
  std::optional<kernel::net::Ipv4Config> address() const;
  /// Changes with every set_address().
  std::uint64_t address_version() const noexcept { return address_version_.load(std::memory_order_acquire); }

 private:
  virtio::net::NetDevice& device_;
  std::size_t core_count_;
  std::size_t buffer_bytes_;
  kernel::net::Shared shared_;
  std::array<std::atomic<NetworkCore*>, ebb::kMaxCores> cores_{};
  mutable std::mutex mutex_;
  std::optional<kernel::net::Ipv4Config> address_;  // guarded by mutex_
  std::atomic<std::uint64_t> address_version_{0};
};

/// Used by its own core, except for deliver(). Never destroyed: streams may outlive everything but the node.
class NetworkCore final : public kernel::net::Environment {
 public:
  NetworkCore(NetworkNode& node, ebb::CoreIndex core);

  kernel::net::Stack& stack() noexcept { return stack_; }
  const NetworkNode& node() const noexcept { return node_; }

  /// Sends, receives and advances what is due: at most a bounded batch. True if there was anything.
  bool poll();
  /// Asks the device for an interrupt and looks once more; when poll() is needed at the latest, the past if now.
  ebb::platform::Instant before_sleep();

  /// From any core: puts a message in, and wakes this core if it must be.
  void put(std::unique_ptr<FrameMessage> message);

  bool transmit(const kernel::net::OutgoingFrame& frame) override;
  void pass(ebb::CoreIndex core, std::span<const std::byte> frame, kernel::net::ReceiveFlags flags) override;
  void fill_random(std::span<std::byte> bytes) override { ebb::platform::fill_random(bytes); }
  ebb::platform::Instant now() override { return ebb::platform::Clock::now(); }

 private:
  static constexpr std::size_t kReceiveBatch = 64;

  void take_address();
  bool take_messages();

  NetworkNode& node_;
  ebb::CoreIndex core_;
  virtio::net::QueuePair* pair_;  // nullptr: there are fewer pairs than cores; core 0 sends for this one
  kernel::net::Stack stack_;
  NetworkInbox inbox_;
  virtio::net::QueuePair::Deliver deliver_;
  std::uint64_t address_seen_ = 0;
  bool interrupts_wanted_ = false;
  bool broken_reported_ = false;
};

}  // namespace kernel::platform
