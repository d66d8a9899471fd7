// Back-pressure: how many bytes a sender may still queue, and who waits until there is room again.
#pragma once

#include <coroutine>
#include <cstddef>

#include "ebb/async/core.h"

namespace ebb::messenger {

/// Lets a message of any size in while fewer than `limit` bytes are taken, so at most `limit` and one message are; first
/// come, first served. One core only.
class Room {
 public:
  explicit Room(std::size_t limit) noexcept : limit_(limit) {}
  Room(const Room&) = delete;
  Room& operator=(const Room&) = delete;

  /// `if (co_await waiter)`: its bytes are taken; false if give_up() or dismiss() came first. Stays where it is until then.
  class Waiter {
   public:
    Waiter(Room& room, std::size_t bytes) noexcept : room_(room), bytes_(bytes) {}
    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;
    bool await_ready() noexcept {
      granted_ = room_.try_take(bytes_);
      return granted_ || room_.dismissed_;
    }
    void await_suspend(std::coroutine_handle<> waiting) noexcept {
      waiting_ = waiting;
      waited_ = true;
      previous_ = room_.last_;
      (room_.last_ != nullptr ? room_.last_->next_ : room_.first_) = this;
      room_.last_ = this;
    }
    bool await_resume() {
      if (granted_ && waited_) room_.went_on();
      return granted_;
    }

    /// Ends the wait without room; nothing if it does not wait.
    void give_up() {
      if (waiting_) room_.resume(*this, false);
    }

   private:
    friend Room;
    Room& room_;
    std::size_t bytes_;
    bool granted_ = false;
    bool waited_ = false;
    std::coroutine_handle<> waiting_ = nullptr;
    Waiter* previous_ = nullptr;
    Waiter* next_ = nullptr;
  };

  std::size_t taken() const noexcept { return taken_; }

  bool try_take(std::size_t bytes) noexcept {
    if (first_ != nullptr || going_on_ != 0 || taken_ >= limit_ || dismissed_) return false;
    taken_ += bytes;
    return true;
  }
  /// Without asking: for what must go out whatever the room.
  void take(std::size_t bytes) noexcept { taken_ += bytes; }
  /// Bytes that were taken are free again.
  void give_back(std::size_t bytes) {
    taken_ -= bytes;
    admit();
  }
  /// There will be no more room: nobody waits any longer.
  void dismiss() {
    dismissed_ = true;
    while (first_ != nullptr) resume(*first_, false);
  }

 private:
  void admit() {
    while (first_ != nullptr && taken_ < limit_) {
      taken_ += first_->bytes_;
      ++going_on_;
      resume(*first_, true);
    }
  }
  /// One who waited has come to its turn, and with it whoever came since: they were not to overtake it.
  void went_on() {
    --going_on_;
    if (!dismissed_) admit();
  }
  void resume(Waiter& waiter, bool granted) {
    (waiter.previous_ != nullptr ? waiter.previous_->next_ : first_) = waiter.next_;
    (waiter.next_ != nullptr ? waiter.next_->previous_ : last_) = waiter.previous_;
    waiter.granted_ = granted;
    Core::current().resume_soon(waiter.waiting_);
    waiter.waiting_ = nullptr;
  }

  const std::size_t limit_;
  std::size_t taken_ = 0;
  std::size_t going_on_ = 0;  // waiters that have room and have not run since
  bool dismissed_ = false;
  Waiter* first_ = nullptr;
  Waiter* last_ = nullptr;
};

}  // namespace ebb::messenger
