// on_core: run something on another core of this node and get its result back here.
#pragma once

#include <coroutine>
#include <exception>
#include <type_traits>
#include <utility>
#include <variant>

#include "ebb/async/core.h"
#include "ebb/async/task.h"
#include "ebb/async/turn.h"
#include "ebb/base/ids.h"

namespace ebb {

namespace detail {

template <class Return>
struct AwaitedOf {
  using type = Return;
};
template <class T>
struct AwaitedOf<task<T>> {
  using type = T;
};
template <class F>
using OnCoreResult = typename AwaitedOf<std::invoke_result_t<F&>>::type;

/// Sends `event` to `core`, again at each turn of this core's loop while the ring is full. For replies, which must
/// arrive: their number is bounded by the requests under way.
void spawn_on_when_room(CoreIndex core, Event event);

/// `co_await call` runs a callable on a core as on_core() does: for a call of `object`, which waits there for its turn among those of
/// other objects, or of none (an invalid id), which begins when it comes. Stays where it is, in its caller's frame, and is used by one
/// core at a time. Awaited once; a local with a name, since gcc 12 destroys temporaries of a co_await expression twice (bug 99576).
template <class F>
class CoreCall : Turn {
 public:
  using R = OnCoreResult<F>;

  CoreCall(CoreIndex core, ObjectId called, F work)
      : Turn(called, [](Turn& turn) { static_cast<CoreCall&>(turn).run(); }), callable_(std::move(work)), core_(core) {}

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> caller) {
    caller_ = caller;
    send();
  }
  R await_resume() {
    if (outcome_.index() == 2) std::rethrow_exception(std::get<2>(outcome_));
    if constexpr (!std::is_void_v<R>) return std::get<1>(std::move(outcome_));
  }

 private:
  using Value = std::conditional_t<std::is_void_v<R>, std::monostate, R>;

  /// Again at each turn of this core's loop while the ring is full.
  void send() {
    Result<void> sent = Core::spawn_on(core_, [this] { arrive(); });
    if (sent) return;
    if (sent.code() == Errc::overloaded) return Core::current().spawn([this] { send(); });
    fail(std::move(sent).error());
    Core::current().resume_soon(caller_);
  }
  void arrive() {
    if (!object.valid()) return run();
    if (take_turn(*this)) return;
    fail(no_turn());
    send_back();
  }
  void run() {
    if constexpr (IsTask<std::invoke_result_t<F&>>::value) {
      run_task(this);
    } else {
      try {
        if constexpr (std::is_void_v<R>) {
          callable_();
          outcome_.template emplace<1>();
        } else {
          outcome_.template emplace<1>(callable_());
        }
      } catch (...) {
        outcome_.template emplace<2>(std::current_exception());
      }
      send_back();
    }
  }
  static Detached run_task(CoreCall* self) {
    try {
      if constexpr (std::is_void_v<R>) {
        co_await self->callable_();
        self->outcome_.template emplace<1>();
      } else {
        self->outcome_.template emplace<1>(co_await self->callable_());
      }
    } catch (...) {
      self->outcome_.template emplace<2>(std::current_exception());
    }
    self->send_back();
  }
  void fail(Error error) { outcome_.template emplace<2>(std::make_exception_ptr(ErrorException(std::move(error)))); }
  /// The last that is done here: the caller goes on as an event of its core, and what this is in may be gone before it returns.
  void send_back() {
    spawn_on_when_room(origin_, [caller = caller_] { caller.resume(); });
  }

  F callable_;
  const CoreIndex core_;
  const CoreIndex origin_ = Core::current().index();
  std::coroutine_handle<> caller_ = nullptr;
  std::variant<std::monostate, Value, std::exception_ptr> outcome_;
};

}  // namespace detail

/// Runs `callable()` on `core` and returns what it returns, or throws what it throws, here. The callable is moved
/// into this task and stays there; it may return a task, which then runs on that core (the callable itself must be
/// no coroutine with captures: call one that takes parameters). Waits while the ring to that core is full. Throws
/// ErrorException(not_found) if there is no such core. Only from a core.
template <class F>
task<detail::OnCoreResult<F>> on_core(CoreIndex core, F callable) {
  detail::CoreCall<F> call(core, ObjectId(), std::move(callable));
  if constexpr (std::is_void_v<detail::OnCoreResult<F>>) {
    co_await call;
  } else {
    co_return co_await call;
  }
}

}  // namespace ebb
