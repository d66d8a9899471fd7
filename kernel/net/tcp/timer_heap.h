// Deadlines of many connections: the earliest at hand, changed in O(log n), no allocation once grown.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "kernel/net/environment.h"

namespace kernel::net::tcp {

/// What a TimerHeap orders. Removed from the heap before it is destroyed.
struct TimerEntry {
  static constexpr std::size_t kNotInHeap = static_cast<std::size_t>(-1);
  Instant heap_deadline = ebb::platform::kNever;
  std::size_t heap_index = kNotInHeap;
};

/// A binary heap that knows where each of its entries stands.
template <class Entry>
class TimerHeap {
 public:
  /// Makes `entry` due at `deadline`, or earlier if it already was: moving a deadline back is left to the moment it
  /// comes up, so that a timer re-armed by every packet costs nothing.
  void due_by(Entry& entry, Instant deadline) {
    if (entry.heap_index == TimerEntry::kNotInHeap) {
      if (deadline == ebb::platform::kNever) return;
      entry.heap_index = heap_.size();
      heap_.push_back(&entry);
    } else if (deadline >= entry.heap_deadline) {
      return;
    }
    entry.heap_deadline = deadline;
    rise(entry.heap_index);
  }
  void remove(Entry& entry) noexcept {
    const std::size_t at = entry.heap_index;
    if (at == TimerEntry::kNotInHeap) return;
    entry.heap_index = TimerEntry::kNotInHeap;
    Entry* last = heap_.back();
    heap_.pop_back();
    if (last == &entry) return;
    place(last, at);
    rise(at);
    sink(last->heap_index);
  }
  Instant earliest() const noexcept { return heap_.empty() ? ebb::platform::kNever : heap_.front()->heap_deadline; }
  /// The earliest entry; only when there is one.
  Entry& front() noexcept { return *heap_.front(); }

 private:
  void place(Entry* entry, std::size_t at) noexcept {
    heap_[at] = entry;
    entry->heap_index = at;
  }
  void rise(std::size_t at) noexcept {
    for (; at != 0 && heap_[at]->heap_deadline < heap_[(at - 1) / 2]->heap_deadline; at = (at - 1) / 2) exchange(at, (at - 1) / 2);
  }
  void sink(std::size_t at) noexcept {
    for (;;) {
      std::size_t least = at;
      for (std::size_t child = 2 * at + 1; child <= 2 * at + 2 && child < heap_.size(); ++child)
        if (heap_[child]->heap_deadline < heap_[least]->heap_deadline) least = child;
      if (least == at) return;
      exchange(at, least);
      at = least;
    }
  }
  void exchange(std::size_t a, std::size_t b) noexcept {
    Entry* first = heap_[a];
    place(heap_[b], a);
    place(first, b);
  }
  std::vector<Entry*> heap_;
};

}  // namespace kernel::net::tcp
