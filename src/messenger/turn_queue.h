// Incoming calls of one core that have not begun, when it is behind: the objects take turns.
#pragma once

#include <coroutine>
#include <cstddef>
#include <deque>
#include <unordered_map>

#include "ebb/async/core.h"
#include "ebb/base/ids.h"
#include "ebb/base/queue_depth.h"

namespace ebb::messenger {

/// One core only. Up to kStartsPerRound calls of a round of the event loop begin at once, in the order in which they came; what
/// is beyond waits, and begins in later rounds, one call of each object after the other: so many calls of one object do not
/// keep those of others waiting. Control calls begin at once, whatever waits. How many wait is the owner's to bound.
class TurnQueue {
 public:
  /// As many as the loop takes from one source before it looks at the others, so a core that keeps up never waits here.
  static constexpr std::size_t kStartsPerRound = Core::kBatch;

  /// kMaxIncomingCalls of each connection, of which there is one with each core of each node at most.
  static constexpr std::size_t kMaxWaiting = std::size_t{4096} * 1024 * kMaxCores;

  TurnQueue() = default;
  TurnQueue(const TurnQueue&) = delete;
  TurnQueue& operator=(const TurnQueue&) = delete;

  /// `co_await turn`: goes on as an event when it is this call's turn. Stays where it is until then.
  class Turn {
   public:
    Turn(TurnQueue& queue, ObjectId object, bool control) noexcept : queue_(queue), object_(object), control_(control) {}
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> call) {
      call_ = call;
      queue_.enter(*this);
    }
    void await_resume() const noexcept {}

   private:
    friend TurnQueue;
    TurnQueue& queue_;
    const ObjectId object_;
    const bool control_;
    std::coroutine_handle<> call_ = nullptr;
    Turn* next_ = nullptr;
  };

  std::size_t waiting() const noexcept { return waiting_; }

  /// At the end of each round of the loop.
  void next_round() {
    started_ = 0;
    while (waiting_ != 0 && started_ < kStartsPerRound) start(take());
  }

 private:
  struct Line {
    Turn* first = nullptr;
    Turn* last = nullptr;
  };

  void start(Turn& turn) {
    ++started_;
    Core::current().resume_soon(turn.call_);
  }
  void enter(Turn& turn) {
    if (turn.control_) return Core::current().resume_soon(turn.call_);
    if (waiting_ == 0 && started_ < kStartsPerRound) return start(turn);
    Line& line = lines_[turn.object_];
    if (line.first == nullptr) {
      order_.push_back(turn.object_);  // first, since it may throw
      line.first = &turn;
    } else {
      line.last->next_ = &turn;
    }
    line.last = &turn;
    depth_.set(++waiting_);
  }
  Turn& take() {
    const ObjectId object = order_.front();
    order_.pop_front();
    const auto line = lines_.find(object);
    Turn& turn = *line->second.first;
    line->second.first = turn.next_;
    if (turn.next_ != nullptr) {
      order_.push_back(object);
    } else {
      lines_.erase(line);
    }
    depth_.set(--waiting_);
    return turn;
  }

  std::unordered_map<ObjectId, Line> lines_;  // of the objects that wait
  std::deque<ObjectId> order_;                // each of them once
  std::size_t waiting_ = 0;
  detail::QueueDepth depth_{detail::Bounded::waiting_turns, Core::current().index(), kMaxWaiting};
  std::size_t started_ = 0;  // in this round
};

}  // namespace ebb::messenger
