// on_core: run something on another core of this node and get its result back here.
#pragma once

#include <exception>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

#include "ebb/async/completion.h"
#include "ebb/async/core.h"
#include "ebb/async/sleep.h"
#include "ebb/async/task.h"

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

/// Lives in the frame of on_core() on the calling core, used by one core at a time.
template <class F>
struct CoreCall {
  using R = OnCoreResult<F>;
  using Value = std::conditional_t<std::is_void_v<R>, std::monostate, R>;

  F callable;
  CoreIndex origin;
  std::variant<std::monostate, Value, std::exception_ptr> outcome;
  Completion<> returned;

  void run() {
    if constexpr (IsTask<std::invoke_result_t<F&>>::value) {
      run_task(this);
    } else {
      try {
        if constexpr (std::is_void_v<R>) {
          callable();
          outcome.template emplace<1>();
        } else {
          outcome.template emplace<1>(callable());
        }
      } catch (...) {
        outcome.template emplace<2>(std::current_exception());
      }
      send_back();
    }
  }
  static Detached run_task(CoreCall* self) {
    try {
      if constexpr (std::is_void_v<R>) {
        co_await self->callable();
        self->outcome.template emplace<1>();
      } else {
        self->outcome.template emplace<1>(co_await self->callable());
      }
    } catch (...) {
      self->outcome.template emplace<2>(std::current_exception());
    }
    self->send_back();
  }
  void send_back() {
    spawn_on_when_room(origin, [this] { returned.complete(); });
  }
};

}  // namespace detail

/// Runs `callable()` on `core` and returns what it returns, or throws what it throws, here. The callable is moved
/// into this task and stays there; it may return a task, which then runs on that core (the callable itself must be
/// no coroutine with captures: call one that takes parameters). Waits while the ring to that core is full. Throws
/// ErrorException(not_found) if there is no such core. Only from a core.
template <class F>
task<detail::OnCoreResult<F>> on_core(CoreIndex core, F callable) {
  detail::CoreCall<F> call{std::move(callable), Core::current().index(), {}, {}};
  auto* place = &call;
  for (;;) {
    Result<void> sent = Core::spawn_on(core, [place] { place->run(); });
    if (sent) break;
    if (sent.code() != Errc::overloaded) throw ErrorException(std::move(sent).error());
    co_await yield();
  }
  co_await call.returned;
  if (call.outcome.index() == 2) std::rethrow_exception(std::get<2>(call.outcome));
  if constexpr (!std::is_void_v<detail::OnCoreResult<F>>) co_return std::get<1>(std::move(call.outcome));
}

}  // namespace ebb
