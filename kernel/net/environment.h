// What the network stack asks of the world: time, randomness, the link, and the stacks of the node's other cores.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "ebb/base/ids.h"
#include "ebb/platform/platform.h"

namespace kernel::net {

using ebb::CoreIndex;
using ebb::platform::Duration;
using ebb::platform::Instant;

/// What the link does for the stack; all false is always right.
struct LinkCapabilities {
  bool transmit_checksum = false;  ///< completes a TCP checksum (virtio-net CSUM): see OutgoingFrame::partial_checksum
  bool tcp_segmentation = false;   ///< cuts TCP super-segments of up to 64 KiB (HOST_TSO4); needs transmit_checksum
};

/// A frame to send, in up to three pieces: all headers from Ethernet on, then payload that may wrap around a ring.
/// The pieces are valid during Environment::transmit only.
struct OutgoingFrame {
  std::span<const std::byte> headers;
  std::array<std::span<const std::byte>, 2> payload;
  /// The TCP checksum field holds the pseudo-header's sum only; the link sums from checksum_start to the end of the
  /// frame and stores the complement checksum_offset bytes after checksum_start. Only with transmit_checksum.
  bool partial_checksum = false;
  std::uint16_t checksum_start = 0;
  std::uint16_t checksum_offset = 0;
  /// Not 0: a super-segment to be cut into TCP segments of this many payload bytes. Only with tcp_segmentation.
  std::uint16_t segment_bytes = 0;

  std::size_t size_bytes() const noexcept { return headers.size() + payload[0].size() + payload[1].size(); }
};

/// What is known about a received frame.
struct ReceiveFlags {
  bool checksum_valid = false;  ///< the TCP/UDP checksum was checked, or is partial because a host made the frame
  bool passed = false;          ///< came through Environment::pass from another core of this node
  bool final = false;           ///< the passing core knows that this core is the one: do not pass it on again
};

/// Implemented once per core by whoever runs a Stack; every call comes from that core, from inside a Stack call.
class Environment {
 public:
  virtual ~Environment() = default;

  /// Puts a frame on the link without blocking, copying what it keeps. False: the ring is full; the stack treats
  /// the frame as lost on the way (TCP sends it again).
  virtual bool transmit(const OutgoingFrame& frame) = 0;

  /// Hands a received frame to another core, whose Stack::receive gets a copy with the same flags. May drop the
  /// frame when the bounded ring between the two cores is full.
  virtual void pass(CoreIndex core, std::span<const std::byte> frame, ReceiveFlags flags) = 0;

  /// Cryptographic random bytes; called when a Stack is made, and for ports and transaction ids.
  virtual void fill_random(std::span<std::byte> bytes) = 0;

  /// Monotonic time.
  virtual Instant now() = 0;
};

}  // namespace kernel::net
