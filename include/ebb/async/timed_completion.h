// TimedCompletion: a wait of limited length, which somebody may end before.
#pragma once

#include <utility>

#include "ebb/async/completion.h"
#include "ebb/async/core.h"
#include "ebb/platform/platform.h"

namespace ebb::detail {

/// A completion that comes by itself when its time is over; who awaits it looks for itself which of the two it was. One
/// core's: made, awaited (exactly once) and completed there. Not movable: it stays where it is until its coroutine goes on.
class TimedCompletion : private Completion<> {
 public:
  /// Throws ErrorException(overloaded) like Core::call_after().
  explicit TimedCompletion(platform::Duration at_most)
      : timer_(Core::current().call_after(at_most, [this] { complete(); })) {}
  /// On its core, unless it is complete.
  ~TimedCompletion() {
    if (!ready()) Core::current().cancel(timer_);
  }
  TimedCompletion(const TimedCompletion&) = delete;
  TimedCompletion& operator=(const TimedCompletion&) = delete;

  /// Ends the wait; does nothing when that is over.
  void complete() {
    if (ready()) return;
    Core::current().cancel(timer_);
    Completion<>::complete();
  }

  using Completion<>::await_ready;
  using Completion<>::await_suspend;
  using Completion<>::await_resume;

 private:
  TimerId timer_;
};

}  // namespace ebb::detail
