// How much is in each bounded queue of a core, and the most that ever was: what tests hold against the bounds.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "ebb/base/ids.h"

namespace ebb::detail {

/// What is bounded. Of one element of the kind (a connection, an object), except for `now`, which sums them up.
enum class Bounded : std::uint8_t {
  pending_calls,           ///< of a connection: sent, and neither answered nor given up
  waiting_sends,           ///< of a connection
  output_bytes,            ///< of a connection
  incoming_calls,          ///< of a connection: this side works on them
  waiting_turns,           ///< of a core: incoming calls that have not begun
  calls_of_object,         ///< from other nodes; only the most is noted
  unsent_writes,           ///< of a replicated object at its home
  collectives,             ///< of a core: its parts of calls of every representative that have not ended
  remembered_collectives,  ///< of a core: those that have
  streams,                 ///< of a core: its giving ends
  kept_parcels,            ///< of a core, in bytes: states on their way
};
inline constexpr std::size_t kBoundedKinds = 11;

/// Relaxed: written by their core alone, read by whoever wants to know.
struct DepthCell {
  std::atomic<std::size_t> now{0};
  std::atomic<std::size_t> most{0};
  std::atomic<std::size_t> bound{0};
  void note(std::size_t depth) noexcept {
    if (depth > most.load(std::memory_order_relaxed)) most.store(depth, std::memory_order_relaxed);
  }
};

/// This node's, for a core. Every core may call.
DepthCell& depth_of(Bounded what, CoreIndex core) noexcept;
/// For messages.
const char* name_of(Bounded what) noexcept;

/// One queue's share of its core's cell. One core only.
class QueueDepth {
 public:
  QueueDepth(Bounded what, CoreIndex core, std::size_t bound) noexcept : cell_(depth_of(what, core)) {
    cell_.bound.store(bound, std::memory_order_relaxed);
  }
  ~QueueDepth() { set(0); }
  QueueDepth(const QueueDepth&) = delete;
  QueueDepth& operator=(const QueueDepth&) = delete;

  /// It has so many elements now.
  void set(std::size_t depth) noexcept {
    cell_.now.store(cell_.now.load(std::memory_order_relaxed) + depth - depth_, std::memory_order_relaxed);
    depth_ = depth;
    cell_.note(depth);
  }

 private:
  DepthCell& cell_;
  std::size_t depth_ = 0;
};

}  // namespace ebb::detail
