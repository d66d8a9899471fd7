#include "ebb/async/scope.h"

#include <string>

#include "ebb/async/context.h"
#include "ebb/platform/platform.h"
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

std::string describe(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& thrown) {
    return detail::text_of(thrown);
  } catch (...) {
    return "it is no std::exception";
  }
}
}  // namespace

Scope::~Scope() {
  if ((running_ == 0 && !first_error_) || Core::current().stopping()) return;
  if (running_ != 0) {
    if (!Core::current().state().can_block_to_end()) {
      detail::report_misuse("a Scope was destroyed while its tasks still run, where nothing may wait; co_await scope.join() first");
    }
    cancellation_.cancel();
    ender_ = &Context::current();
    while (running_ != 0) Context::block();
  }
  if (first_error_) platform::write_log("ebb: a task failed, and its scope ended without join(): " + describe(first_error_));
}

void Scope::spawn(task<void> work) {
  Core::current().spawn([this, work = std::move(work)]() mutable { run(std::move(work), this); });
  ++running_;  // it has not begun; and if it could not be spawned, nobody waits for it
}

detail::Detached Scope::run(task<void> work, Scope* scope) {
  {
    // The task's frame goes before the joiner may.
    task<void> running = std::move(work);
    try {
      co_await std::move(running);
    } catch (...) {
      if (!scope->first_error_) {
        scope->first_error_ = std::current_exception();
        scope->cancellation_.cancel();
      }
    }
  }
  scope->ended();
}

void Scope::ended() {
  if (--running_ != 0) return;
  if (joiner_) Core::current().resume_soon(std::exchange(joiner_, nullptr));
  if (ender_ != nullptr) ender_->resume();
}

task<void> Scope::join() {
  while (running_ != 0) co_await JoinAwaiter{&running_, &joiner_};
  if (first_error_) std::rethrow_exception(std::exchange(first_error_, nullptr));
}

}  // namespace ebb
