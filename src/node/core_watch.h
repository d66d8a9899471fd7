// What each core does about time by itself: it shows that it comes back to its loop, and, on a backend, drops what it may only
// show under the lease when that has ended.
#pragma once

#include <array>
#include <atomic>
#include <chrono>

#include "ebb/async/core.h"
#include "ebb/async/task.h"
#include "ebb/base/ids.h"
#include "ebb/platform/platform.h"
#include "src/node/lease.h"

namespace ebb::detail {

/// One a node; started and stopped on core 0. No core waits for another: with one stuck the others still drop their replicas.
class CoreWatch {
 public:
  /// How often a core looks; and what a lease must last at least to begin, so that every core has seen it before it ends.
  static constexpr platform::Duration kTick = std::chrono::milliseconds(500);
  /// A core that has not come back to its loop for so long is stuck: its node then sends no heartbeats, so that it loses its
  /// lease and, if that lasts, counts as gone. Else whatever waits for this core would wait for ever.
  static constexpr platform::Duration kStuck = std::chrono::seconds(2);

  explicit CoreWatch(const Lease& lease) noexcept : lease_(lease) {}

  task<void> start();
  /// Nothing if it was not started.
  task<void> stop();
  /// Whether every core has come back to its loop lately. Core 0.
  bool all_tick() const noexcept;

 private:
  /// Used on its core, but for `ticked`.
  struct alignas(64) Part {
    std::atomic<platform::Clock::rep> ticked{0};  // relaxed: an age, and nothing else hangs on it
    platform::Instant dropped_at;                 // the end of the lease for which replicas were dropped
    TimerId timer;
  };

  void tick(Part& part);

  const Lease& lease_;
  std::size_t cores_ = 0;
  std::array<Part, kMaxCores> parts_;
};

}  // namespace ebb::detail
