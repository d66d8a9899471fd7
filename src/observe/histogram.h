// Where a duration falls in a log-linear histogram, and what its buckets stand for. Pure: no clock, no memory.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace ebb::detail {

/// Each power of two is cut into kSteps equal buckets, so a bucket's ends differ by at most 1/kSteps (12.5 %) of the lower one.
/// Below kSteps ns each nanosecond has its own; the last bucket holds everything from 2^kTopBit ns (69 s) up.
struct HistogramBuckets {
  static constexpr unsigned kStepBits = 3;
  static constexpr unsigned kSteps = 1U << kStepBits;
  static constexpr unsigned kTopBit = 36;
  static constexpr std::size_t kCount = (kTopBit - kStepBits + 1) * kSteps + 1;

  static constexpr std::size_t index(std::uint64_t ns) noexcept {
    if (ns < kSteps) return static_cast<std::size_t>(ns);
    const unsigned top = static_cast<unsigned>(std::bit_width(ns)) - 1;
    if (top >= kTopBit) return kCount - 1;
    return (top - kStepBits + 1) * kSteps + ((ns >> (top - kStepBits)) & (kSteps - 1));
  }

  /// The least duration, in ns, that falls into bucket `at` (< kCount).
  static constexpr std::uint64_t lower(std::size_t at) noexcept {
    if (at < kSteps) return at;
    const std::size_t octave = at / kSteps - 1;
    return (kSteps + at % kSteps) << octave;
  }

  /// One more than the greatest; of the last bucket the greatest number there is.
  static constexpr std::uint64_t upper(std::size_t at) noexcept {
    return at + 1 >= kCount ? ~std::uint64_t{0} : lower(at + 1);
  }
};

static_assert(HistogramBuckets::index(HistogramBuckets::lower(9)) == 9);
static_assert(HistogramBuckets::index(HistogramBuckets::upper(100) - 1) == 100);
static_assert(HistogramBuckets::index(std::uint64_t{1} << HistogramBuckets::kTopBit) == HistogramBuckets::kCount - 1);
static_assert(HistogramBuckets::lower(HistogramBuckets::kCount - 1) == std::uint64_t{1} << HistogramBuckets::kTopBit);

}  // namespace ebb::detail
