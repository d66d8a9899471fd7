// Waiting for time, and letting others run first.
#pragma once

#include <coroutine>

#include "ebb/async/core.h"

namespace ebb {

namespace detail {
class SleepAwaiter {
 public:
  explicit SleepAwaiter(platform::Instant until) noexcept : until_(until) {}
  SleepAwaiter(const SleepAwaiter&) = delete;
  SleepAwaiter& operator=(const SleepAwaiter&) = delete;
  ~SleepAwaiter() {
    // Still set only when the frame is destroyed while it waits: the loop has stopped.
    if (timer_.generation != 0) Core::current().cancel(timer_);
  }
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> awaiting) {
    // Behind all timers that are due: after a stop of the machine one may say that this node's word counts no more.
    timer_ = Core::current().call_at(until_, [awaiting] { Core::current().resume_soon(awaiting); });
  }
  void await_resume() noexcept { timer_ = {}; }

 private:
  platform::Instant until_;
  TimerId timer_;
};

struct YieldAwaiter {
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> awaiting) const { Core::current().resume_soon(awaiting); }
  void await_resume() const noexcept {}
};
}  // namespace detail

/// `co_await sleep_for(1ms)`: goes on no sooner than after `delay`; the core does other work meanwhile.
inline detail::SleepAwaiter sleep_for(platform::Duration delay) {
  return detail::SleepAwaiter(detail::from_now(delay));
}
/// The same until a moment; for one that has come it goes on with the timers that are due in the loop's next turn.
inline detail::SleepAwaiter sleep_until(platform::Instant instant) { return detail::SleepAwaiter(instant); }

/// `co_await yield()`: goes on after the events that are ready now.
inline detail::YieldAwaiter yield() noexcept { return {}; }

}  // namespace ebb
