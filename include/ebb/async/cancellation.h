// Cancellation: one side asks that something end early, the other side looks, listens or waits for it.
#pragma once

#include <atomic>
#include <coroutine>
#include <cstdint>
#include <functional>
#include <utility>

#include "ebb/async/core.h"

namespace ebb {

namespace detail {

/// Something that hears of a cancellation. Runs once at most: with true when it was asked for, with false when nobody can
/// ask any more.
struct CancelHook {
  void (*run)(CancelHook& self, bool cancelled) = nullptr;
  CancelHook* previous = nullptr;
  CancelHook* next = nullptr;
  bool linked = false;
};

/// What a source and its tokens share. The count is atomic, since the last of them may be dropped on another core; all else
/// is used on one core only.
struct CancelState {
  std::atomic<std::uint32_t> references{1};
  bool cancelled = false;
  bool closed = false;  // the source is gone
  CancelHook* first = nullptr;

  void link(CancelHook& hook) noexcept {
    hook.previous = nullptr;
    hook.next = first;
    if (first != nullptr) first->previous = &hook;
    first = &hook;
    hook.linked = true;
  }
  void unlink(CancelHook& hook) noexcept {
    if (!std::exchange(hook.linked, false)) return;
    (hook.previous != nullptr ? hook.previous->next : first) = hook.next;
    if (hook.next != nullptr) hook.next->previous = hook.previous;
  }
  void run_hooks() {
    while (first != nullptr) {
      CancelHook& hook = *first;
      unlink(hook);
      hook.run(hook, cancelled);
    }
  }
};

/// A counted reference to one.
class CancelReference {
 public:
  constexpr CancelReference() noexcept = default;
  /// Takes over a reference that has been counted.
  explicit CancelReference(CancelState* counted) noexcept : state_(counted) {}
  CancelReference(const CancelReference& other) noexcept : state_(other.state_) {
    // Relaxed: whoever copies holds one already.
    if (state_ != nullptr) state_->references.fetch_add(1, std::memory_order_relaxed);
  }
  CancelReference(CancelReference&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  CancelReference& operator=(CancelReference other) noexcept {
    std::swap(state_, other.state_);
    return *this;
  }
  // Constant for a reference to nothing, so that constants may hold one.
  constexpr ~CancelReference() {
    // Release and acquire: the last one sees what all others did.
    if (state_ != nullptr && state_->references.fetch_sub(1, std::memory_order_acq_rel) == 1) delete state_;
  }
  CancelState* operator->() const noexcept { return state_; }
  CancelState* get() const noexcept { return state_; }
  explicit operator bool() const noexcept { return state_ != nullptr; }

 private:
  CancelState* state_ = nullptr;
};

}  // namespace detail

/// Tells whether something has been cancelled. Copied freely; used on the core of its source only. One made by default is
/// never cancelled.
class cancel_token {
 public:
  cancel_token() noexcept = default;

  /// Whether it may still happen.
  bool can_be_cancelled() const noexcept { return state_ && !state_->closed; }
  bool is_cancelled() const noexcept { return state_ && state_->cancelled; }  ///< whether it has happened

  /// `const bool fired = co_await token.cancelled();`: goes on once it is cancelled (true), or can be no more (false): its
  /// source is gone. A call's token comes to that when the call ends, so a task that waits for it does not outlive the call
  /// for long.
  auto cancelled() const noexcept { return Waiting(state_); }

 private:
  friend class cancel_source;
  friend class cancel_callback;
  class Waiting : detail::CancelHook {
   public:
    explicit Waiting(detail::CancelReference state) noexcept : state_(std::move(state)) {}
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;
    ~Waiting() {
      // Still linked only when the frame is destroyed while it waits: the loop has stopped.
      if (state_) state_->unlink(*this);
    }
    bool await_ready() noexcept {
      fired_ = state_ && state_->cancelled;
      return !state_ || state_->cancelled || state_->closed;
    }
    void await_suspend(std::coroutine_handle<> waiting) noexcept {
      waiting_ = waiting;
      run = [](detail::CancelHook& self, bool cancelled) {
        Waiting& mine = static_cast<Waiting&>(self);
        mine.fired_ = cancelled;
        Core::current().resume_soon(mine.waiting_);
      };
      state_->link(*this);
    }
    bool await_resume() const noexcept { return fired_; }

   private:
    detail::CancelReference state_;
    std::coroutine_handle<> waiting_ = nullptr;
    bool fired_ = false;
  };

  explicit cancel_token(detail::CancelReference state) noexcept : state_(std::move(state)) {}
  detail::CancelReference state_;
};

/// Cancels what holds its tokens. Belongs to one core, and must be used there; costs nothing until a token is taken.
class cancel_source {
 public:
  cancel_source() noexcept = default;
  cancel_source(const cancel_source&) = delete;
  cancel_source& operator=(const cancel_source&) = delete;
  /// Whoever waits goes on with false.
  ~cancel_source() {
    if (!state_) return;
    state_->closed = true;
    // When the loop has stopped, the frames of those who wait may be gone.
    const Core* core = Core::current_or_null();
    if (core != nullptr && !core->stopping()) state_->run_hooks();
  }

  /// One more token for this source.
  cancel_token token() {
    if (!state_) {
      state_ = detail::CancelReference(new detail::CancelState());
      state_->cancelled = cancelled_;
    }
    return cancel_token(state_);
  }
  bool is_cancelled() const noexcept { return cancelled_; }  ///< whether cancel() was called

  /// Callbacks run now, here; coroutines that wait are resumed by the loop. Once; later calls do nothing.
  void cancel() {
    if (std::exchange(cancelled_, true) || !state_) return;
    const detail::CancelReference kept = state_;  // a callback may end the source
    kept->cancelled = true;
    kept->run_hooks();
  }

 private:
  detail::CancelReference state_;
  bool cancelled_ = false;
};

/// Calls `action` inside cancel(), if that comes before the end of this object; at once if the token is cancelled already.
/// The action must not block, and may destroy this object.
class cancel_callback : detail::CancelHook {
 public:
  cancel_callback(const cancel_token& token, std::function<void()> action) : state_(token.state_), action_(std::move(action)) {
    if (!state_ || state_->closed) return;
    if (state_->cancelled) {
      const std::function<void()> now = std::move(action_);
      now();
      return;
    }
    run = [](detail::CancelHook& self, bool cancelled) {
      // Moved out: the action may destroy its home.
      const std::function<void()> now = std::move(static_cast<cancel_callback&>(self).action_);
      if (cancelled) now();
    };
    state_->link(*this);
  }
  cancel_callback(const cancel_callback&) = delete;
  cancel_callback& operator=(const cancel_callback&) = delete;
  ~cancel_callback() {
    if (state_) state_->unlink(*this);
  }

 private:
  detail::CancelReference state_;
  std::function<void()> action_;
};

}  // namespace ebb
