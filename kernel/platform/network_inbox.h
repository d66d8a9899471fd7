// Frames that a core's network stack gets from the node's other cores.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kernel/net/environment.h"

namespace kernel::platform {

/// A frame on its way to another core: received there, or sent by that core's queue.
struct FrameMessage {
  enum class Kind : std::uint8_t { receive, transmit };
  Kind kind = Kind::receive;
  kernel::net::ReceiveFlags flags;    // receive
  kernel::net::OutgoingFrame offload;  // transmit: all but its spans, which are empty
  std::size_t header_bytes = 0;        // transmit: how much of `bytes` is headers
  std::vector<std::byte> bytes;
  FrameMessage* next = nullptr;
};

/// Many cores put in, one takes out. Without locks: a list that grows at its head and is taken as a whole.
class NetworkInbox {
 public:
  static constexpr std::size_t kMaxMessages = 1024;
  static constexpr std::size_t kMaxBytes = std::size_t{4} << 20;

  NetworkInbox() = default;
  ~NetworkInbox();
  NetworkInbox(const NetworkInbox&) = delete;
  NetworkInbox& operator=(const NetworkInbox&) = delete;

  enum class Put : std::uint8_t {
    full,   ///< kMaxMessages or kMaxBytes wait; the message is dropped, as on a full link
    first,  ///< the inbox was empty: its core must be woken
    more,   ///< whoever put the first one wakes the core
  };
  /// Any core; does not block.
  Put put(std::unique_ptr<FrameMessage> message);

  /// The owner only: everything there is, oldest first.
  std::vector<std::unique_ptr<FrameMessage>> take();
  bool empty() const noexcept { return head_.load(std::memory_order_seq_cst) == nullptr; }

 private:
  std::atomic<FrameMessage*> head_{nullptr};
  std::atomic<std::size_t> count_{0};
  std::atomic<std::size_t> bytes_{0};
};

}  // namespace kernel::platform
