// What the portable runtime asks of the world it runs in. Implemented by src/hosted (Linux), kernel/platform
// (bare metal) and, in time, tests/sim; chosen when the program is linked. Nothing above knows which one it is.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "ebb/base/ids.h"
#include "ebb/base/result.h"

namespace ebb::platform {

/// Monotonic time since an arbitrary start, in nanoseconds. Callable on any thread; costs a few ns.
struct Clock {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<Clock, duration>;
  static constexpr bool is_steady = true;
  static time_point now() noexcept;
};
using Instant = Clock::time_point;                  ///< a moment of this node's monotonic clock
using Duration = Clock::duration;                   ///< in nanoseconds
inline constexpr Instant kNever = Instant::max();   ///< for wait(): until something happens

/// Cores this node may use: on Linux the CPUs of the affinity mask, on bare metal the processors that came up.
/// At most kMaxCores.
std::size_t available_cores() noexcept;

/// Makes the calling thread the node's core `core`: pins it, gives it an empty translation table (see
/// translation_table.h) and its own event sources. Called once per thread before any other per-core call below.
Result<void> enter_core(CoreIndex core);

/// Undoes enter_core; every Stream and Listener of this core must be gone.
void leave_core() noexcept;

/// Delivers what devices or the kernel have ready on this core, at most a bounded batch; true if there was
/// anything. Runs StreamHandler callbacks. Never blocks.
bool poll();

/// Sleeps until an event source of this core has something, until wake() names this core, or until `deadline`.
/// May return early. A wake() that happened after the last return of wait() is never lost: the caller announces
/// that it is about to sleep, looks at its queues once more, then calls wait().
void wait(Instant deadline);

/// Makes `core`'s present or next wait() return. Any thread may call; does not block.
void wake(CoreIndex core) noexcept;

/// Fills `bytes` from the system's cryptographic source (getrandom on Linux, RDRAND/virtio-rng-seeded on bare
/// metal).
void fill_random(std::span<std::byte> bytes);

/// The bytes whoever launched this node handed to it outside its command line, where no process list shows them:
/// on bare metal the first boot module, on Linux all that can be read from the file descriptor numbered in the
/// environment variable EBB_SECRET_FD (closed afterwards). At most 4,096 bytes (too_large); not_found when there is
/// none. Call once, before the cores start.
Result<std::vector<std::byte>> launch_secret();

/// Writes one line of diagnostics (without newline) where an operator of this node looks: stderr or the console.
void write_log(std::string_view line) noexcept;

/// Ends the node at once with `status`; on bare metal the machine powers off.
[[noreturn]] void exit_node(int status) noexcept;

}  // namespace ebb::platform
