// OneShot: something that happens once, waited for with a limit.
#pragma once

#include <algorithm>
#include <vector>

#include "ebb/async/completion.h"
#include "ebb/async/core.h"
#include "ebb/async/task.h"

namespace ebb::frontend::cluster {

/// Any number of waiters, one core. Outlives them.
class OneShot {
 public:
  bool happened() const noexcept { return happened_; }

  void happen() {
    if (happened_) return;
    happened_ = true;
    for (Completion<bool>* waiter : waiters_) waiter->complete(true);
    waiters_.clear();
  }

  task<void> wait() {
    if (happened_) co_return;
    Completion<bool> outcome;
    waiters_.push_back(&outcome);
    static_cast<void>(co_await outcome);
  }

  /// True once it has happened, false when `limit` passed first.
  task<bool> wait(platform::Duration limit) {
    if (happened_) co_return true;
    Completion<bool> outcome;
    waiters_.push_back(&outcome);
    const TimerId timer = Core::current().call_after(limit, [this, place = &outcome] {
      if (std::erase(waiters_, place) != 0) place->complete(false);
    });
    const bool in_time = co_await outcome;
    Core::current().cancel(timer);
    co_return in_time;
  }

 private:
  bool happened_ = false;
  std::vector<Completion<bool>*> waiters_;
};

}  // namespace ebb::frontend::cluster
