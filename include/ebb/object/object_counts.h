// How many objects a node has, and what its misses cost.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "ebb/platform/platform.h"

namespace ebb {

/// Of one node, or added up over some. Hits are not counted: they are one load.
struct ObjectCounts {
  std::uint64_t known = 0;            ///< objects that the node knows, touched or not
  std::uint64_t representatives = 0;  ///< that its cores have now
  std::uint64_t misses = 0;           ///< accesses that found no representative
  std::uint64_t found = 0;            ///< of them, those whose representative another event made while they waited
  std::uint64_t asked = 0;            ///< of them, those that asked the directory
  std::uint64_t failed = 0;           ///< of them, those that threw
  std::uint64_t timed = 0;            ///< of them, those whose time was taken: all of `waited`, of the rest one in 64
  std::uint64_t waited = 0;           ///< of these, those of objects that the node did not know, or whose shared part it had yet to make
  std::uint64_t waited_nanos = 0;     ///< that these took, constructors included
  std::uint64_t quick_nanos = 0;      ///< that the other timed ones took, constructors included
  std::uint64_t longest_nanos = 0;    ///< of all that were timed

  /// What a miss took on average, 0 without one: those that waited as they were, the rest as their sample was.
  double mean_nanos() const noexcept {
    if (misses == 0) return 0;
    const std::uint64_t sampled = timed - waited;
    const double quick = sampled == 0 ? 0 : static_cast<double>(quick_nanos) / static_cast<double>(sampled);
    return (static_cast<double>(waited_nanos) + quick * static_cast<double>(misses - waited)) / static_cast<double>(misses);
  }
};

namespace detail {

/// What ObjectCounts adds up, of one core, which alone writes it; relaxed, as readers want no more than a recent value.
class MissCounters {
 public:
  /// A miss begins. True: take its time.
  bool begin() noexcept { return add(misses_, 1) % kSample == 0; }
  void found() noexcept { add(found_, 1); }
  void asked() noexcept { add(asked_, 1); }
  void failed() noexcept { add(failed_, 1); }
  void representatives(std::int64_t more) noexcept { add(representatives_, static_cast<std::uint64_t>(more)); }
  void took(platform::Duration time, bool waited) noexcept {
    const auto nanos = static_cast<std::uint64_t>(std::max<std::int64_t>(time.count(), 0));
    add(timed_, 1);
    if (waited) add(waited_, 1);
    add(waited ? waited_nanos_ : quick_nanos_, nanos);
    if (nanos > longest_nanos_.load(std::memory_order_relaxed)) longest_nanos_.store(nanos, std::memory_order_relaxed);
  }
  /// Any core.
  void add_to(ObjectCounts& counts) const noexcept {
    counts.representatives += read(representatives_);
    counts.misses += read(misses_);
    counts.found += read(found_);
    counts.asked += read(asked_);
    counts.failed += read(failed_);
    counts.timed += read(timed_);
    counts.waited += read(waited_);
    counts.waited_nanos += read(waited_nanos_);
    counts.quick_nanos += read(quick_nanos_);
    counts.longest_nanos = std::max(counts.longest_nanos, read(longest_nanos_));
  }

 private:
  static constexpr std::uint64_t kSample = 64;
  using Counter = std::atomic<std::uint64_t>;
  static std::uint64_t read(const Counter& counter) noexcept { return counter.load(std::memory_order_relaxed); }
  static std::uint64_t add(Counter& counter, std::uint64_t more) noexcept {
    const std::uint64_t before = read(counter);
    counter.store(before + more, std::memory_order_relaxed);
    return before;
  }
  Counter representatives_{0}, misses_{0}, found_{0}, asked_{0}, failed_{0}, timed_{0}, waited_{0}, waited_nanos_{0}, quick_nanos_{0},
      longest_nanos_{0};
};

}  // namespace detail
}  // namespace ebb
