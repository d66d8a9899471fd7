// Nanoseconds for durations, from the counter that is cheapest to read.
#pragma once

#include <cstdint>

#include "ebb/platform/platform.h"
#include "ebb/platform/ticks.h"

namespace ebb::detail {

/// One a core. Reads platform::ticks(), once it has learnt their rate, and platform::Clock before that or where there are none:
/// a reading then costs half (9 ns instead of 22 where it was measured). Good for durations of one core; its readings drift from
/// Clock's by up to one part in a thousand, so points in time are Clock's to tell.
class Stopwatch {
 public:
  std::int64_t now_ns() noexcept {
    if (ns_per_tick_ == 0) [[unlikely]] return learn();
    return base_ns_ + static_cast<std::int64_t>(static_cast<double>(platform::ticks() - base_ticks_) * ns_per_tick_);
  }

 private:
  // Long enough that two readings of both counters give the rate to one part in a thousand.
  static constexpr std::int64_t kLearnFor = 1'000'000;
  // Rates that no machine has: the counter is no counter.
  static constexpr double kLeastNsPerTick = 0.05;
  static constexpr double kMostNsPerTick = 1000;

  static std::int64_t clock_ns() noexcept { return platform::Clock::now().time_since_epoch().count(); }

  [[gnu::noinline, gnu::cold]] std::int64_t learn() noexcept {
    const std::int64_t now = clock_ns();
    if (useless_) return now;
    if (base_ns_ != 0 && now - base_ns_ < kLearnFor) return now;
    // Of three pairs the one whose readings were closest: between the two the core may have been taken away.
    std::uint64_t ticks = 0;
    std::uint64_t least = ~std::uint64_t{0};
    std::int64_t ns = 0;
    for (int i = 0; i < 3; ++i) {
      const std::uint64_t before = platform::ticks();
      const std::int64_t between = clock_ns();
      const std::uint64_t after = platform::ticks();
      if (after - before >= least) continue;
      least = after - before;
      ticks = before + least / 2;
      ns = between;
    }
    if (base_ns_ != 0) {
      const double rate = static_cast<double>(ns - base_ns_) / static_cast<double>(ticks - base_ticks_);
      useless_ = !(rate > kLeastNsPerTick && rate < kMostNsPerTick);
      if (!useless_) ns_per_tick_ = rate;
    }
    base_ns_ = ns;
    base_ticks_ = ticks;
    return ns;
  }

  double ns_per_tick_ = 0;
  std::int64_t base_ns_ = 0;
  std::uint64_t base_ticks_ = 0;
  bool useless_ = false;
};

}  // namespace ebb::detail
