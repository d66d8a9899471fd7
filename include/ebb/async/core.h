// A core's event loop: ready events, messages from other cores, timers, devices, sleep.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "ebb/async/event.h"
#include "ebb/base/ids.h"
#include "ebb/base/result.h"
#include "ebb/platform/platform.h"

namespace ebb {

class Core;
namespace detail {
class CoreState;
struct ReadyQueue {
  Event* slots = nullptr;
  std::size_t mask = 0;  // capacity - 1
  std::size_t head = 0;  // next to run
  std::size_t tail = 0;  // next to fill
};
/// The calling thread's core. Contexts never change threads, so this is safe to read anywhere in an event.
extern constinit thread_local Core* current_core;

/// The moment `delay` from now, or the last that there is: a delay may be as long as its type holds.
inline platform::Instant from_now(platform::Duration delay) noexcept {
  const platform::Instant now = platform::Clock::now();
  return delay > platform::Instant::max() - now ? platform::Instant::max() : now + delay;
}
}  // namespace detail

/// Names a timer until it has fired or was cancelled; afterwards it names nothing, and cancelling it does nothing.
struct TimerId {
  std::uint32_t index = 0;
  std::uint32_t generation = 0;  // 0: no timer
  friend bool operator==(TimerId, TimerId) = default;
};

/// Names a hook of before_wait.
enum class HookId : std::uint32_t {};

/// One event loop per core. Events run to completion, one at a time, in the order they became ready, and never
/// move to another core; one may block its context (context.h), and the core then goes on with the next.
/// Unless said otherwise a member may be called only on this core, from an event, a timer or a callback.
///
/// An exception that leaves an event is a programming error: the node reports its type and text and ends with
/// status kUncaughtStatus. (Errors that are expected are values; exceptions of a task reach whoever awaits it.)
class Core {
 public:
  /// Events waiting on one core; spawn() beyond it throws ErrorException(overloaded).
  static constexpr std::size_t kMaxReadyEvents = std::size_t{1} << 22;
  /// Messages under way between two given cores; spawn_on() beyond it returns overloaded.
  static constexpr std::size_t kMaxCrossCoreEvents = 512;
  /// Events posted to one core from outside; post() beyond it returns overloaded.
  static constexpr std::size_t kMaxPostedEvents = 65'536;
  /// Timers pending on one core; call_at() beyond it throws ErrorException(overloaded).
  static constexpr std::size_t kMaxTimers = std::size_t{1} << 22;
  /// Events taken from one source before the loop looks at the others; fewer of them once a turn has lasted kLongestTurn.
  static constexpr std::size_t kBatch = 256;
  /// How long the loop runs events before it looks at timers and devices again, as far as the events are short.
  static constexpr platform::Duration kLongestTurn = std::chrono::milliseconds(1);
  /// How long an idle core looks for work before it sleeps, when every core has a CPU of its own.
  static constexpr platform::Duration kIdlePoll = std::chrono::microseconds(50);
  /// Exit status of a node in which an exception left an event.
  static constexpr int kUncaughtStatus = 70;

  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  /// The core this code runs on; only on a core's thread.
  static Core& current() noexcept { return *detail::current_core; }
  /// The same, or nullptr on a thread that is no core (a gRPC thread, main before run_cores).
  static Core* current_or_null() noexcept { return detail::current_core; }
  /// How many cores run: 0 outside run_cores(). Any thread.
  static std::size_t count() noexcept;

  CoreIndex index() const noexcept { return index_; }  ///< among the cores of this node

  /// Runs `callable()` on this core soon, after the events that are ready now. Never runs it inline.
  template <class F>
  void spawn(F&& callable) {
    detail::ReadyQueue& queue = ready_;
    if (queue.tail - queue.head > queue.mask) grow_ready();
    ::new (static_cast<void*>(&queue.slots[queue.tail & queue.mask])) Event(std::forward<F>(callable));
    ++queue.tail;
  }
  /// Resumes a suspended coroutine of this core soon.
  void resume_soon(std::coroutine_handle<> handle) {
    spawn([handle] { handle.resume(); });
  }

  /// Runs `event` on `core`, from a core; events between two cores stay in order. Does not block, takes no lock.
  /// overloaded: kMaxCrossCoreEvents are under way to that core, nothing was queued; not_found: no such core.
  /// To the calling core itself it is spawn().
  static Result<void> spawn_on(CoreIndex core, Event event);

  /// Runs `event` on `core`, from any thread; takes a lock for a moment. overloaded at kMaxPostedEvents,
  /// unavailable when that core does not run.
  static Result<void> post(CoreIndex core, Event event);

  /// Runs `event` on this core when `instant` has come, never before, and late by the loop's delay at most. Timers
  /// due within the same microsecond run in the order they were set.
  TimerId call_at(platform::Instant instant, Event event);
  TimerId call_after(platform::Duration delay, Event event);  ///< the same, `delay` from now
  /// Removes a timer; false if it has fired or was cancelled before (then nothing happens).
  bool cancel(TimerId timer) noexcept;
  /// Timers that are set and have not fired.
  std::size_t pending_timers() const noexcept;

  /// Calls `hook` at the end of every iteration of the loop that ran something, before the core may sleep: the place
  /// to write out what the iteration's events have gathered. A hook may spawn but must not block its context.
  HookId before_wait(std::function<void()> hook);
  void remove_hook(HookId hook) noexcept;  ///< also from within a hook

  /// True once request_stop() has been called or main has ended; the loop runs no further events.
  bool stopping() const noexcept;

  /// For src/async only: what the loop needs besides.
  detail::CoreState& state() noexcept { return *state_; }

 private:
  friend class detail::CoreState;
  Core() = default;
  void grow_ready();

  detail::ReadyQueue ready_;
  CoreIndex index_{};
  detail::CoreState* state_ = nullptr;
};

/// Core::current().spawn(callable).
template <class F>
void spawn(F&& callable) {
  Core::current().spawn(std::forward<F>(callable));
}

}  // namespace ebb
