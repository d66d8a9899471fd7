#include "ebb/async/scope.h"

#include <memory>

#include "src/async/core_state.h"

namespace ebb {

namespace {
struct JoinAwaiter {
  std::size_t* running;
  std::coroutine_handle<>* joiner;
  bool await_ready() const noexcept { return *running == 0; }
  void await_suspend(std::coroutine_handle<> awaiting) const noexcept { *joiner = awaiting; }
  void await_resume() const noexcept {}
};
}  // namespace

Scope::~Scope() {
  if (running_ != 0 && !Core::current().stopping()) {
    detail::report_misuse("a Scope was destroyed while its tasks still run; co_await scope.join() first");
  }
}

void Scope::spawn(task<void> work) {
  ++running_;
  Core::current().spawn([this, work = std::move(work)]() mutable { run(std::move(work), this); });
}

detail::Detached Scope::run(task<void> work, Scope* scope) {
  {
    // The task's frame goes before the joiner may.
    task<void> running = std::move(work);
    try {
      co_await std::move(running);
    } catch (...) {
      if (!scope->first_error_) scope->first_error_ = std::current_exception();
    }
  }
  if (--scope->running_ == 0 && scope->joiner_) {
    Core::current().resume_soon(std::exchange(scope->joiner_, nullptr));
  }
}

task<void> Scope::join() {
  while (running_ != 0) co_await JoinAwaiter{&running_, &joiner_};
  if (first_error_) std::rethrow_exception(std::exchange(first_error_, nullptr));
}

}  // namespace ebb
