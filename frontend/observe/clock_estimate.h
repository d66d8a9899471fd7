// How far another clock is from ours, from what requests have told.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>

namespace ebb::frontend::observe {

/// Of the last kKept readings, believes the one that can be wrong by the least: by half of its round trip [RFC 5905 8], and by what
/// two clocks may drift apart since. Times in nanoseconds. One core.
class ClockEstimate {
 public:
  static constexpr std::size_t kKept = 8;
  /// Twice what a crystal is off at most; without it a quick answer of yesterday would outdo today's.
  static constexpr std::int64_t kDriftPerMillion = 100;

  /// The other clock showed `told` some time from `asked` to `answered`, on ours.
  void add(std::int64_t asked, std::int64_t answered, std::int64_t told);

  bool known() const noexcept { return !readings_.empty(); }
  /// What to add to the other clock's time for ours. `now`: on ours. 0 while nothing is known.
  std::int64_t offset(std::int64_t now) const;
  /// By how much offset(now) may be wrong; the most there is while nothing is known.
  std::int64_t uncertainty(std::int64_t now) const;

 private:
  struct Reading {
    std::int64_t answered;
    std::int64_t round_trip;
    std::int64_t offset;
    std::int64_t uncertainty(std::int64_t now) const noexcept;
  };
  const Reading& best(std::int64_t now) const;

  std::deque<Reading> readings_;  // the newest last
};

}  // namespace ebb::frontend::observe
