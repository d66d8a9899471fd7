// Scope: the owner of spawned tasks.
#pragma once

#include <coroutine>
#include <cstddef>
#include <exception>
#include <utility>

#include "ebb/async/core.h"
#include "ebb/async/task.h"

namespace ebb {

/// Every task that runs beside its creator belongs to a scope, and whoever owns the scope awaits join() before it
/// ends. Destroying a scope whose tasks still run is a programming error: the node reports it and ends (except
/// while the core is stopping). One core only; unbounded, so bound the work with a Semaphore where a peer drives it.
class Scope {
 public:
  Scope() noexcept = default;
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;
  ~Scope();

  /// Starts `work` soon, as an event of its own.
  void spawn(task<void> work);

  /// Tasks that have not ended.
  std::size_t running() const noexcept { return running_; }

  /// Waits until no task runs, including those spawned meanwhile, then throws the first exception that left one, if
  /// any. May be repeated; one joiner at a time.
  task<void> join();

 private:
  static detail::Detached run(task<void> work, Scope* scope);

  std::size_t running_ = 0;
  std::exception_ptr first_error_;
  std::coroutine_handle<> joiner_ = nullptr;
};

}  // namespace ebb
