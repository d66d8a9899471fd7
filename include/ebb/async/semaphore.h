// Semaphore: a window of bounded outstanding work on one core.
#pragma once

#include <coroutine>
#include <cstddef>
#include <optional>
#include <utility>

#include "ebb/async/core.h"

namespace ebb {

/// `auto permit = co_await window.acquire();` waits until fewer than `limit` permits are out; first come, first served.
/// One core only. Must outlive its permits and its waiters.
class Semaphore {
 public:
  /// Returns its place in the window when destroyed.
  class [[nodiscard]] Permit {
   public:
    Permit() noexcept = default;
    Permit(Permit&& other) noexcept : owner_(std::exchange(other.owner_, nullptr)) {}
    Permit& operator=(Permit&& other) noexcept {
      if (this != &other) {
        release();
        owner_ = std::exchange(other.owner_, nullptr);
      }
      return *this;
    }
    ~Permit() { release(); }
    /// Gives it back; the next who waits goes on. Once; later calls do nothing.
    void release() noexcept {
      if (owner_ != nullptr) std::exchange(owner_, nullptr)->put_back();
    }

   private:
    friend Semaphore;
    explicit Permit(Semaphore* owner) noexcept : owner_(owner) {}
    Semaphore* owner_ = nullptr;
  };

  explicit Semaphore(std::size_t limit) noexcept : available_(limit) {}
  Semaphore(const Semaphore&) = delete;
  Semaphore& operator=(const Semaphore&) = delete;

  /// Permits that nobody has.
  std::size_t available() const noexcept { return available_; }

  /// What acquire() gives to co_await.
  class Acquire {
   public:
    explicit Acquire(Semaphore& owner) noexcept : owner_(owner) {}
    bool await_ready() noexcept { return owner_.first_ == nullptr && owner_.take_one(); }
    void await_suspend(std::coroutine_handle<> awaiting) noexcept {
      awaiting_ = awaiting;
      (owner_.first_ == nullptr ? owner_.first_ : owner_.last_->next_) = this;
      owner_.last_ = this;
    }
    Permit await_resume() noexcept { return Permit(&owner_); }

   private:
    friend Semaphore;
    Semaphore& owner_;
    std::coroutine_handle<> awaiting_ = nullptr;
    Acquire* next_ = nullptr;
  };

  /// `const Permit permit = co_await semaphore.acquire();`: goes on when there is a permit, first come, first served.
  Acquire acquire() noexcept { return Acquire(*this); }
  /// A permit if there is one and nobody waits.
  std::optional<Permit> try_acquire() noexcept {
    if (first_ != nullptr || !take_one()) return std::nullopt;
    return Permit(this);
  }

 private:
  bool take_one() noexcept {
    if (available_ == 0) return false;
    --available_;
    return true;
  }
  // The freed place goes straight to the longest waiter, so nobody can overtake it.
  void put_back() noexcept {
    if (first_ == nullptr) {
      ++available_;
      return;
    }
    Acquire* next = std::exchange(first_, first_->next_);
    Core::current().resume_soon(next->awaiting_);
  }

  std::size_t available_;
  Acquire* first_ = nullptr;
  Acquire* last_ = nullptr;
};

}  // namespace ebb
