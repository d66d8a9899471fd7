// Threads for calls that block, so that cores need not.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "ebb/async/completion.h"
#include "ebb/async/core.h"
#include "ebb/async/task.h"

namespace ebb::frontend::cluster {

/// Runs `event` on `core`, from any thread that may sleep: waits while its posts are full, drops the event when that
/// core does not run.
void post_surely(CoreIndex core, std::function<void()> event);

/// A few threads and a queue. Made before the cores start, so that its threads are tied to no CPU; destroyed after they
/// have ended (it finishes what is queued). What is queued is bounded by its callers, who each wait for one result.
class Workers {
 public:
  explicit Workers(std::size_t threads);
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;
  ~Workers();

  /// Runs `work()`, which may block and must not throw, on one of the threads; its result comes back to the calling
  /// core. From a core.
  template <class F>
  task<std::invoke_result_t<F&>> run(F work) {
    // Shared: when the loops stop early the waiting frame goes, and the thread still has its place to write to.
    struct Call {
      F work;
      std::optional<std::invoke_result_t<F&>> result;
      Completion<> done;
    };
    auto call = std::shared_ptr<Call>(new Call{std::move(work), std::nullopt, {}});
    submit([call, home = Core::current().index()] {
      call->result.emplace(call->work());
      post_surely(home, [call] { call->done.complete(); });
    });
    co_await call->done;
    co_return *std::move(call->result);
  }

  /// Waits until nothing is queued and nothing runs. Not from a thread of these, nor while others submit.
  void drain();

 private:
  void submit(std::function<void()> job);
  void serve();

  std::mutex mutex_;  // guards the next three
  std::deque<std::function<void()>> queue_;
  std::size_t busy_ = 0;
  bool ending_ = false;
  std::condition_variable changed_;
  std::vector<std::thread> threads_;
};

}  // namespace ebb::frontend::cluster
