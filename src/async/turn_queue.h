// The calls that have come to a core from other cores and other nodes, and have not begun: their objects take turns.
#pragma once

#include <cstddef>
#include <memory>

#include "ebb/async/core.h"
#include "ebb/async/turn.h"
#include "ebb/base/queue_depth.h"

namespace ebb::detail {

/// One core only. Each object has a line, in which its calls stay in the order in which they came; the lines take turns, one call
/// each: so many calls of one object do not keep those of others waiting (as Nagle has hosts share a switch, RFC 970).
/// The lines are made of the calls themselves: entering takes no memory, and nothing here throws.
class TurnQueue {
 public:
  /// As many as there may be ready events, of which each call was one where it came from.
  static constexpr std::size_t kMaxWaiting = Core::kMaxReadyEvents;

  explicit TurnQueue(CoreIndex core, std::size_t limit = kMaxWaiting) noexcept
      : limit_(limit), depth_(Bounded::waiting_turns, core, limit) {}
  TurnQueue(const TurnQueue&) = delete;
  TurnQueue& operator=(const TurnQueue&) = delete;

  /// At the end of its object's line. False, and it is not in it, if as many wait as may.
  bool enter(Turn& turn) noexcept;
  /// The call whose turn it is, or nullptr.
  Turn* take() noexcept;
  std::size_t waiting() const noexcept { return waiting_; }

 private:
  static constexpr std::size_t kFirstChains = 64;
  static constexpr std::size_t kKeptChains = 4096;

  /// Where the first call of the object is, or would be, among the chains of the index.
  Turn** place_of(ObjectId object) noexcept;
  void grow() noexcept;

  // The lines by their objects: chains, by the low bits of a hash.
  Turn* first_chains_[kFirstChains] = {};
  std::unique_ptr<Turn*[]> more_chains_;  // instead of those, once there are many lines
  Turn** chains_ = first_chains_;
  std::size_t chain_count_ = kFirstChains;
  std::size_t lines_ = 0;
  // In the order of their turns.
  Turn* first_ = nullptr;
  Turn* last_ = nullptr;
  std::size_t waiting_ = 0;
  const std::size_t limit_;
  QueueDepth depth_;
};

}  // namespace ebb::detail
