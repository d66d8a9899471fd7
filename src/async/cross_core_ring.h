// The way of events from one core to another.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstring>
#include <utility>

#include "ebb/async/core.h"
#include "ebb/async/event.h"

namespace ebb::detail {

/// Events on their way from one core to another: single producer, single consumer, no lock, first in first out.
///
/// A slot itself says whether it is full (as in FastForward: Giacomoni, Moseley and Vachharajani, PPoPP 2008), so an event
/// takes one cache line to the other core, the one that its consumer looks at, and no index goes with it.
class CrossCoreRing {
 public:
  CrossCoreRing() = default;
  ~CrossCoreRing() {
    for (Event event; pop(event);) event.reset();
  }
  CrossCoreRing(const CrossCoreRing&) = delete;
  CrossCoreRing& operator=(const CrossCoreRing&) = delete;

  /// Producer; `event` is not empty. False, and `event` untouched, when full.
  bool push(Event& event) noexcept {
    if (tail_ == free_until_ && !find_free()) return false;
    Slot& slot = slots_[tail_++ % kSlots];
    slot.move = event.move_;
    if (event.move_ != nullptr) {
      event.move_(event.storage_, slot.storage);
    } else {
      std::memcpy(slot.storage, event.storage_, sizeof slot.storage);
    }
    // seq_cst: in one order with CoreState::sleeping_; see wake_if_asleep().
    slot.act.store(std::exchange(event.act_, nullptr), std::memory_order_seq_cst);
    return true;
  }

  /// Consumer; `event` is empty. False when nothing has come.
  bool pop(Event& event) noexcept {
    // Here and not when it was taken: what its event sent, such as an answer, need not wait behind this write.
    if (cleared_ != head_) slots_[cleared_++ % kSlots].act.store(nullptr, std::memory_order_release);
    Slot& slot = slots_[head_ % kSlots];
    const Event::Act act = slot.act.load(std::memory_order_acquire);
    if (act == nullptr) return false;
    event.move_ = slot.move;
    if (slot.move != nullptr) {
      slot.move(slot.storage, event.storage_);
    } else {
      std::memcpy(event.storage_, slot.storage, sizeof slot.storage);
    }
    event.act_ = act;
    ++head_;
    return true;
  }

  /// Consumer, also on its way to sleep: whether pop() would find nothing.
  bool empty_in_order() const noexcept {
    return slots_[head_ % kSlots].act.load(std::memory_order_seq_cst) == nullptr;
  }

 private:
  static constexpr std::size_t kSlots = Core::kMaxCrossCoreEvents;
  static constexpr std::size_t kFreeAtOnce = 64;

  struct alignas(64) Slot {
    std::atomic<Event::Act> act{nullptr};  // nullptr: free
    Event::Move move;
    std::byte storage[Event::kInlineBytes];
  };
  static_assert(sizeof(Slot) == 64 && std::atomic<Event::Act>::is_always_lock_free);

  // Slots become free in order: of many in a row only the last is looked at, which is no line of this core any more.
  bool find_free() noexcept {
    for (const std::size_t count : {kFreeAtOnce, std::size_t{1}}) {
      if (slots_[(tail_ + count - 1) % kSlots].act.load(std::memory_order_acquire) != nullptr) continue;
      free_until_ = tail_ + count;
      return true;
    }
    return false;
  }

  // The producer's.
  alignas(64) std::size_t tail_ = 0;
  std::size_t free_until_ = 0;
  // The consumer's: next to be taken, and next to be given back, which is the same or the one before.
  alignas(64) std::size_t head_ = 0;
  std::size_t cleared_ = 0;
  Slot slots_[kSlots];
};

}  // namespace ebb::detail
