// Completion: a one-shot value from whoever produces it to the one coroutine that awaits it, on one core.
#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

#include "ebb/async/core.h"

namespace ebb {

/// Exactly one complete() or fail(), exactly one co_await, in either order, both on the same core. Does not
/// allocate. The waiting coroutine is resumed by the loop, never inside complete(). Not movable: it usually lives in the
/// frame of the coroutine that awaits it, and must stay until the producer has no further use for it.
template <class T = void>
class Completion {
  using Value = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

 public:
  Completion() noexcept = default;
  Completion(const Completion&) = delete;
  Completion& operator=(const Completion&) = delete;

  /// True from complete() or fail() on.
  bool ready() const noexcept { return outcome_.index() != 0; }

  template <class... U>
  void complete(U&&... value) {
    outcome_.template emplace<1>(std::forward<U>(value)...);
    wake();
  }
  /// The awaiter gets `error` thrown.
  void fail(std::exception_ptr error) {
    outcome_.template emplace<2>(std::move(error));
    wake();
  }

  bool await_ready() const noexcept { return ready(); }
  void await_suspend(std::coroutine_handle<> awaiting) noexcept { awaiting_ = awaiting; }
  T await_resume() {
    if (outcome_.index() == 2) std::rethrow_exception(std::get<2>(outcome_));
    if constexpr (!std::is_void_v<T>) return std::get<1>(std::move(outcome_));
  }

 private:
  void wake() {
    if (awaiting_) Core::current().resume_soon(std::exchange(awaiting_, nullptr));
  }

  std::variant<std::monostate, Value, std::exception_ptr> outcome_;
  std::coroutine_handle<> awaiting_ = nullptr;
};

}  // namespace ebb
