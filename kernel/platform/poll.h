// How a device takes part in a core's poll() and wait().
#pragma once

#include "ebb/base/ids.h"
#include "ebb/platform/platform.h"

namespace kernel::platform {

/// A device's work on one core; both functions run on that core only.
struct CorePoller {
  /// Called by platform::poll(): delivers what is ready, at most a bounded batch; true if there was anything.
  bool (*poll)(void* argument) = nullptr;
  /// Called by platform::wait() with interrupts off, before it halts: asks the device to interrupt this core and then
  /// looks once more. Returns when poll() wants to be called at the latest, a time in the past if now. An interrupt that
  /// comes after the look stays pending until `sti; hlt`, which it ends; the handler has nothing to do.
  ebb::platform::Instant (*before_sleep)(void* argument) = nullptr;
  void* argument = nullptr;
};

/// Sets the calling core's poller, the only one it has; an empty one ends it.
void register_poller(ebb::CoreIndex core, const CorePoller& poller) noexcept;

/// Called by enter_core and leave_core on the core itself. Weak: in images that use no streams they are not there, nor is
/// a network stack.
[[gnu::weak]] void enter_network(ebb::CoreIndex core) noexcept;
[[gnu::weak]] void leave_network(ebb::CoreIndex core) noexcept;

}  // namespace kernel::platform
