// One receive and one transmit queue of a network device, used by one core.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "ebb/base/result.h"
#include "kernel/net/environment.h"
#include "kernel/virtio/transport.h"
#include "kernel/virtio/virtqueue.h"

namespace kernel::virtio::net {

/// Counts since the device was set up.
struct PairStatistics {
  std::uint64_t received = 0;
  std::uint64_t sent = 0;
  std::uint64_t refused_full = 0;       ///< transmit() found no room
  std::uint64_t dropped_malformed = 0;  ///< the device gave lengths that cannot be
};

/// Descriptor i of either queue owns page i of the queue's buffers for good, so no length or index from the device can
/// lead outside them.
class QueuePair {
 public:
  /// Ethernet frames with an IP packet of 64 KiB, in whole buffers.
  static constexpr std::size_t kMaxFrameBytes = 65'535 + 14;
  using Deliver = std::function<void(std::span<const std::byte> frame, kernel::net::ReceiveFlags flags)>;

  /// Sets up queues 2 * `index` and the one after it; the device interrupts by entry `interrupt` for received frames.
  /// `merge`: a frame may span buffers. Errors: as Virtqueue::create and Transport::set_up_queue.
  static ebb::Result<std::unique_ptr<QueuePair>> create(Transport& transport, std::uint16_t index, bool merge,
                                                        std::uint16_t interrupt, AllocatePages allocate);

  /// Copies the frame to the device's queue; it goes out with the next flush() at the latest. False: no room.
  bool transmit(const kernel::net::OutgoingFrame& frame);
  /// Tells the device about frames that it has not been told about.
  void flush();

  /// Delivers up to `limit` received frames and gives their buffers back; says how many. The span is valid during the
  /// call. `deliver` may call transmit().
  std::size_t receive(std::size_t limit, const Deliver& deliver);
  /// Is there something for receive()?
  bool waiting() const noexcept { return receive_.used_waiting() != 0; }
  /// Asks for an interrupt at the next frame, or for none. After asking, look at waiting() once more.
  void want_interrupts(bool want) noexcept { receive_.want_interrupts(want); }

  /// The device broke the rules and this pair does nothing any more.
  bool broken() const noexcept { return receive_.broken() || transmit_.broken(); }
  const PairStatistics& statistics() const noexcept { return statistics_; }

 private:
  /// How many frames may wait for flush() before the device is told anyway.
  static constexpr unsigned kMaxUntold = 16;
  static constexpr std::uint16_t kChainEnd = 0xffff;

  QueuePair(Transport& transport, std::uint16_t index, bool merge, Virtqueue receive, Virtqueue transmit,
            std::byte* receive_buffers, std::byte* transmit_buffers);
  void post(std::uint16_t index);
  void reclaim();
  bool receive_one(const Deliver& deliver);

  Transport& transport_;
  std::uint16_t receive_number_;
  std::uint16_t transmit_number_;
  bool merge_;
  Virtqueue receive_;
  Virtqueue transmit_;
  std::byte* receive_buffers_;
  std::byte* transmit_buffers_;
  std::vector<std::uint16_t> free_;   // transmit descriptors
  std::vector<std::uint16_t> chain_;  // the descriptor after each one in a frame under way, or kChainEnd
  std::vector<std::byte> merged_;     // a frame put together, with its header
  unsigned untold_ = 0;
  PairStatistics statistics_;
};

}  // namespace kernel::virtio::net
