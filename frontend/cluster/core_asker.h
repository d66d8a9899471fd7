// Has core 0 do something for a thread of gRPC's, which waits for it, with a limit.
#pragma once

#include <atomic>
#include <future>
#include <memory>
#include <utility>

#include "ebb/async/core.h"
#include "ebb/async/scope.h"
#include "ebb/async/task.h"
#include "ebb/base/result.h"

namespace ebb::frontend::cluster {

template <class T>
using Answer = std::shared_ptr<std::promise<Result<T>>>;

/// Made on core 0.
class CoreAsker {
 public:
  /// Runs `work(answer)`, which gives a task<void>, on core 0 and waits for its answer. Any thread but a core's. Errors:
  /// deadline_exceeded (the answer took longer than `limit`), unavailable (the front end ends).
  template <class T, class Work>
  Result<T> ask(platform::Duration limit, Work work) {
    if (closed_.load(std::memory_order_relaxed)) return ending();
    auto answer = std::make_shared<std::promise<Result<T>>>();
    std::future<Result<T>> future = answer->get_future();
    auto begin = [this, work, kept = std::move(answer)] { scope_.spawn(work(kept)); };
    if (auto posted = Core::post(CoreIndex{0}, std::move(begin)); !posted) return std::move(posted).error();
    const platform::Instant end = platform::Clock::now() + limit;
    while (future.wait_for(kClosedLook) != std::future_status::ready) {
      if (closed_.load(std::memory_order_relaxed)) return ending();
      if (platform::Clock::now() > end) return Error(Errc::deadline_exceeded, "the front end is too busy to answer");
    }
    try {
      return future.get();
    } catch (const std::future_error&) {
      return ending();  // the promise was dropped with its core's events
    }
  }

  /// Calls that wait return (unavailable) within a moment, later ones at once. Any thread.
  void close() noexcept { closed_.store(true, std::memory_order_relaxed); }
  /// Core 0: waits until what was asked for has ended here too.
  task<void> join() { return scope_.join(); }

 private:
  static constexpr platform::Duration kClosedLook = std::chrono::milliseconds(50);
  static Error ending() { return Error(Errc::unavailable, "the front end ends"); }

  std::atomic<bool> closed_{false};  // relaxed: a flag and nothing behind it
  Scope scope_;
};

}  // namespace ebb::frontend::cluster
