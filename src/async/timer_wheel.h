// The timers of one core: a hierarchical wheel, so that setting and cancelling cost the same with one timer or a million.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "ebb/async/core.h"

namespace ebb::detail {

/// Eight levels of 64 slots; a slot of level n spans 64^n ticks of 1,024 ns. A timer stands in the level where its
/// tick first differs from the present one and moves down as that time comes near. Time is a parameter throughout.
/// One core only.
class TimerWheel {
 public:
  explicit TimerWheel(platform::Instant now) noexcept;
  ~TimerWheel();
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;

  /// Throws ErrorException(overloaded) at Core::kMaxTimers.
  TimerId add(platform::Instant when, Event event);
  bool cancel(TimerId timer) noexcept;
  std::size_t size() const noexcept { return size_; }

  /// Moves the wheel to `now`; timers that are due become available to pop_due().
  void advance(platform::Instant now) noexcept;
  /// The next due timer's event, in order; empty if none is due.
  Event pop_due() noexcept;
  bool any_due() const noexcept { return due_.first != kNone; }
  std::size_t due() const noexcept { return due_count_; }
  /// Destroys the events of all timers, also of those that this sets.
  void drop_all() noexcept;
  /// When advance() next has something to do; kNever without timers. May lie before the first timer's instant.
  platform::Instant next_instant() const noexcept;

 private:
  static constexpr unsigned kTickShift = 10;
  static constexpr unsigned kLevelBits = 6;
  static constexpr unsigned kLevels = 8;
  static constexpr std::size_t kSlots = std::size_t{1} << kLevelBits;
  static constexpr std::uint32_t kNone = 0xffff'ffff;
  static constexpr std::uint16_t kDueList = 0xfffe;  // Node::list of a due timer; otherwise level * 64 + slot
  static constexpr std::uint64_t kLastTick = (std::uint64_t{1} << (kLevelBits * kLevels)) - 1;
  static constexpr std::size_t kChunkNodes = 512;

  struct Node {
    Event event;
    std::uint64_t tick = 0;
    std::uint32_t next = kNone;
    std::uint32_t previous = kNone;
    std::uint32_t generation = 1;
    std::uint16_t list = 0;
    bool set = false;
  };
  struct List {
    std::uint32_t first = kNone;
    std::uint32_t last = kNone;
  };

  Node& node(std::uint32_t index) noexcept { return chunks_[index / kChunkNodes][index % kChunkNodes]; }
  std::uint32_t take_node();
  void free_node(std::uint32_t index) noexcept;
  List& list_of(std::uint16_t list) noexcept { return list == kDueList ? due_ : slots_[list]; }
  void append(std::uint32_t index, std::uint16_t list) noexcept;
  void unlink(std::uint32_t index) noexcept;
  void place(std::uint32_t index) noexcept;

  std::uint64_t now_tick_;
  std::size_t size_ = 0;
  List due_;
  std::size_t due_count_ = 0;
  std::array<std::uint64_t, kLevels> occupied_{};  // bit per slot
  std::array<List, kLevels * kSlots> slots_{};
  std::vector<std::unique_ptr<Node[]>> chunks_;
  std::uint32_t first_free_ = kNone;
};

}  // namespace ebb::detail
