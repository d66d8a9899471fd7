// Scope: the owner of spawned tasks.
#pragma once

#include <coroutine>
#include <cstddef>
#include <exception>
#include <utility>

#include "ebb/async/cancellation.h"
#include "ebb/async/core.h"
#include "ebb/async/task.h"

namespace ebb {

class Context;

/// Every task that runs beside its creator belongs to a scope, and none outlives it. The everyday end is join(); a scope
/// that ends without it (an exception leaves the block, say) cancels its token and waits. That wait parks the event, not
/// the core, and lasts until the last task has ended: give tasks that wait for something the token or a deadline.
/// One core only; unbounded, so bound the work with a Semaphore where a peer drives it.
///
/// Source: structured concurrency, as in N. J. Smith, "Notes on structured concurrency, or: Go statement considered
/// harmful" (2018).
class Scope {
 public:
  Scope() noexcept = default;
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;
  /// Cancels and waits, if tasks still run. An exception that nobody joined for is written to the log. Destroying one whose
  /// tasks run in a hook or a platform callback, or where 64 wait beyond Context::kMaxContexts already, is a programming error:
  /// the node reports it and ends (not while the core stops: then its tasks never go on).
  ~Scope();

  /// Starts `work` soon, as an event of its own.
  void spawn(task<void> work);

  /// Fires when cancel() was called, when an exception has left one of the tasks, and when the scope ends with tasks that
  /// still run. For whatever the tasks wait for: `.cancelled_by(scope.token())`.
  cancel_token token() { return cancellation_.token(); }

  /// Asks the tasks to end early. Tasks spawned later find the token fired.
  void cancel() { cancellation_.cancel(); }

  /// Tasks that have not ended.
  std::size_t running() const noexcept { return running_; }

  /// Waits until no task runs, including those spawned meanwhile, then throws the first exception that left one, if
  /// any. May be repeated; one joiner at a time.
  task<void> join();

 private:
  static detail::Detached run(task<void> work, Scope* scope);
  void ended();

  std::size_t running_ = 0;
  std::exception_ptr first_error_;
  std::coroutine_handle<> joiner_ = nullptr;
  Context* ender_ = nullptr;  // parked in the destructor
  cancel_source cancellation_;
};

}  // namespace ebb
