// Blocking events: an event may park the context (stack) it runs on, and its core goes on in another.
#pragma once

#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

#include "ebb/async/core.h"
#include "ebb/async/task.h"

namespace ebb {

/// The stack that an event runs on. Valid as a name from within the event until the event ends. Belongs to one core.
class Context {
 public:
  /// Stacks that one core may have in use; 64 more are kept for scopes that end when all of them are.
  static constexpr std::size_t kMaxContexts = 1024;

  /// The context of the running event; only in an event.
  static Context& current() noexcept;

  /// Whether this event may block: false at kMaxContexts, and in hooks and platform callbacks (on_data, ...).
  static bool can_block() noexcept;

  /// Parks this event until resume() has been called on its context; returns at once if that happened before. One
  /// resume() pays for one block(). Ends the node with a report in hooks and platform callbacks, and when no context is
  /// left, not even of those that are kept for scopes: ask can_block() first, which leaves those alone.
  static void block();

  /// Lets the event go on, after the events that are ready now. Only on the core of the context; another core
  /// sends itself there with Core::spawn_on, any other thread with Core::post.
  void resume();

 protected:
  Context() = default;
  ~Context() = default;
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
};

namespace detail {

void require_can_block();

template <class T>
struct BlockedOutcome {
  std::variant<std::monostate, T, std::exception_ptr> outcome;
  T take() {
    if (outcome.index() == 2) std::rethrow_exception(std::get<2>(outcome));
    return std::get<1>(std::move(outcome));
  }
};
template <>
struct BlockedOutcome<void> {
  std::exception_ptr error;
  void take() {
    if (error) std::rethrow_exception(error);
  }
};

template <class T>
Detached run_for_blocked(task<T> work, BlockedOutcome<T>* result, Context* context, bool* done) {
  try {
    if constexpr (std::is_void_v<T>) {
      co_await std::move(work);
    } else {
      result->outcome.template emplace<1>(co_await std::move(work));
    }
  } catch (...) {
    if constexpr (std::is_void_v<T>) {
      result->error = std::current_exception();
    } else {
      result->outcome.template emplace<2>(std::current_exception());
    }
  }
  *done = true;
  context->resume();
}

}  // namespace detail

/// Runs `work` to its end for code that is no coroutine: the event is parked while the task waits, its core goes
/// on. Only in an event. Throws what the task throws, and ErrorException(overloaded), before it starts the task,
/// where can_block() is false.
template <class T>
T block_on(task<T> work) {
  detail::require_can_block();
  detail::BlockedOutcome<T> result;
  bool done = false;
  detail::run_for_blocked(std::move(work), &result, &Context::current(), &done);
  // Once even when the task is done already: its resume() must be used up.
  do {
    Context::block();
  } while (!done);
  return result.take();
}

}  // namespace ebb
