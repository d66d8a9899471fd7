#include "src/async/timer_wheel.h"

#include <algorithm>

namespace ebb::detail {

namespace {

// Rounded up, so that a timer never fires early.
std::uint64_t tick_at_or_after(platform::Instant when, unsigned shift) noexcept {
  const auto nanoseconds = static_cast<std::uint64_t>(std::max<std::int64_t>(0, when.time_since_epoch().count()));
  return (nanoseconds >> shift) + ((nanoseconds & ((std::uint64_t{1} << shift) - 1)) != 0 ? 1 : 0);
}
std::uint64_t tick_of(platform::Instant when, unsigned shift) noexcept {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(0, when.time_since_epoch().count())) >> shift;
}

}  // namespace

TimerWheel::TimerWheel(platform::Instant now) noexcept : now_tick_(tick_of(now, kTickShift)) {}
TimerWheel::~TimerWheel() = default;

TimerId TimerWheel::add(platform::Instant when, Event event) {
  if (size_ == Core::kMaxTimers) {
    throw ErrorException(Error(Errc::overloaded, "this core has 4,194,304 timers pending already; cancel those no longer needed"));
  }
  const std::uint32_t index = take_node();
  Node& timer = node(index);
  timer.event = std::move(event);
  timer.tick = std::min(tick_at_or_after(when, kTickShift), kLastTick);
  timer.set = true;
  place(index);
  ++size_;
  return TimerId{index, timer.generation};
}

bool TimerWheel::cancel(TimerId timer) noexcept {
  if (timer.generation == 0 || timer.index >= chunks_.size() * kChunkNodes) return false;
  Node& found = node(timer.index);
  if (!found.set || found.generation != timer.generation) return false;
  unlink(timer.index);
  // The callable's destructor may set or cancel timers: run it when the wheel is whole again.
  const Event dropped = std::move(found.event);
  free_node(timer.index);
  return true;
}

void TimerWheel::advance(platform::Instant now) noexcept {
  const std::uint64_t target = std::min(tick_of(now, kTickShift), kLastTick);
  while (now_tick_ < target) {
    // The earliest occupied slot after now_tick_, lowest level first: a lower level's slots all come sooner.
    unsigned level = 0;
    std::uint64_t slot_start = 0;
    for (; level < kLevels; ++level) {
      const unsigned shift = level * kLevelBits;
      const unsigned current = static_cast<unsigned>(now_tick_ >> shift) & (kSlots - 1);
      const std::uint64_t later = current == kSlots - 1 ? 0 : occupied_[level] & (~std::uint64_t{0} << (current + 1));
      if (later == 0) continue;
      const auto slot = static_cast<std::uint64_t>(std::countr_zero(later));
      slot_start = ((now_tick_ >> (shift + kLevelBits)) << (shift + kLevelBits)) | (slot << shift);
      break;
    }
    if (level == kLevels || slot_start > target) {
      now_tick_ = target;
      return;
    }
    now_tick_ = slot_start;
    const auto list = static_cast<std::uint16_t>(level * kSlots + ((slot_start >> (level * kLevelBits)) & (kSlots - 1)));
    // Down the levels, or due: place() never puts a timer back into this slot, whose span has begun.
    while (slots_[list].first != kNone) {
      const std::uint32_t index = slots_[list].first;
      unlink(index);
      place(index);
    }
  }
}

Event TimerWheel::pop_due() noexcept {
  if (due_.first == kNone) return {};
  const std::uint32_t index = due_.first;
  unlink(index);
  Event event = std::move(node(index).event);
  free_node(index);
  return event;
}

void TimerWheel::drop_all() noexcept {
  while (size_ != 0) {
    for (std::uint32_t index = 0; index < chunks_.size() * kChunkNodes; ++index) {
      if (node(index).set) cancel({index, node(index).generation});
    }
  }
}

platform::Instant TimerWheel::next_instant() const noexcept {
  if (due_.first != kNone) return platform::Instant(platform::Duration(static_cast<std::int64_t>(now_tick_ << kTickShift)));
  for (unsigned level = 0; level < kLevels; ++level) {
    const unsigned shift = level * kLevelBits;
    const unsigned current = static_cast<unsigned>(now_tick_ >> shift) & (kSlots - 1);
    const std::uint64_t later = current == kSlots - 1 ? 0 : occupied_[level] & (~std::uint64_t{0} << (current + 1));
    if (later == 0) continue;
    const auto slot = static_cast<std::uint64_t>(std::countr_zero(later));
    const std::uint64_t start = ((now_tick_ >> (shift + kLevelBits)) << (shift + kLevelBits)) | (slot << shift);
    return platform::Instant(platform::Duration(static_cast<std::int64_t>(start << kTickShift)));
  }
  return platform::kNever;
}

std::uint32_t TimerWheel::take_node() {
  if (first_free_ == kNone) {
    const auto base = static_cast<std::uint32_t>(chunks_.size() * kChunkNodes);
    chunks_.push_back(std::make_unique<Node[]>(kChunkNodes));
    for (std::uint32_t i = kChunkNodes; i-- > 0;) {
      node(base + i).next = first_free_;
      first_free_ = base + i;
    }
  }
  const std::uint32_t index = first_free_;
  first_free_ = node(index).next;
  return index;
}

void TimerWheel::free_node(std::uint32_t index) noexcept {
  Node& freed = node(index);
  freed.set = false;
  if (++freed.generation == 0) freed.generation = 1;
  freed.next = first_free_;
  first_free_ = index;
  --size_;
}

void TimerWheel::append(std::uint32_t index, std::uint16_t list) noexcept {
  List& target = list_of(list);
  Node& timer = node(index);
  timer.list = list;
  timer.next = kNone;
  timer.previous = target.last;
  (target.last == kNone ? target.first : node(target.last).next) = index;
  target.last = index;
  if (list == kDueList) {
    ++due_count_;
    return;
  }
  occupied_[list / kSlots] |= std::uint64_t{1} << (list % kSlots);
}

void TimerWheel::unlink(std::uint32_t index) noexcept {
  const Node& timer = node(index);
  List& from = list_of(timer.list);
  (timer.previous == kNone ? from.first : node(timer.previous).next) = timer.next;
  (timer.next == kNone ? from.last : node(timer.next).previous) = timer.previous;
  if (timer.list == kDueList) {
    --due_count_;
  } else if (from.first == kNone) {
    occupied_[timer.list / kSlots] &= ~(std::uint64_t{1} << (timer.list % kSlots));
  }
}

void TimerWheel::place(std::uint32_t index) noexcept {
  const std::uint64_t tick = node(index).tick;
  if (tick <= now_tick_) return append(index, kDueList);
  const auto level = static_cast<unsigned>(63 - std::countl_zero(tick ^ now_tick_)) / kLevelBits;
  const auto slot = static_cast<unsigned>(tick >> (level * kLevelBits)) & (kSlots - 1);
  append(index, static_cast<std::uint16_t>(level * kSlots + slot));
}

}  // namespace ebb::detail
