// The right of a node to answer for what has one place in the cluster.
#pragma once

#include <atomic>
#include <chrono>

#include "ebb/object/lease.h"
#include "ebb/platform/platform.h"

namespace ebb::detail {

/// Granted by the front end with every heartbeat, from the moment the heartbeat was sent: the front end, which counts from
/// the later moment of its arrival, can so be sure that a lease has run out without hearing of it. Extended on core 0, read
/// on every core.
class Lease {
 public:
  void extend(platform::Instant heartbeat_sent) noexcept {
    // Relaxed: a moment's delay in seeing an extension only makes a core wait.
    until_.store((heartbeat_sent + kLease).time_since_epoch().count(), std::memory_order_relaxed);
  }
  bool valid() const noexcept {
    return platform::Clock::now().time_since_epoch().count() < until_.load(std::memory_order_relaxed);
  }
  /// Of the present lease or the last one; long ago if there was none.
  platform::Instant end() const noexcept { return platform::Instant(platform::Duration(until_.load(std::memory_order_relaxed))); }

 private:
  std::atomic<platform::Clock::rep> until_{std::chrono::nanoseconds::min().count()};
};

}  // namespace ebb::detail
