#include "frontend/observe/clock_estimate.h"

#include <algorithm>
#include <limits>

namespace ebb::frontend::observe {

void ClockEstimate::add(std::int64_t asked, std::int64_t answered, std::int64_t told) {
  const std::int64_t round_trip = answered - asked;
  readings_.push_back({answered, round_trip, asked + round_trip / 2 - told});
  if (readings_.size() > kKept) readings_.pop_front();
}

std::int64_t ClockEstimate::Reading::uncertainty(std::int64_t now) const noexcept {
  return round_trip / 2 + std::max<std::int64_t>(0, now - answered) / (1'000'000 / kDriftPerMillion);
}

const ClockEstimate::Reading& ClockEstimate::best(std::int64_t now) const {
  return *std::min_element(readings_.begin(), readings_.end(), [now](const Reading& a, const Reading& b) {
    return a.uncertainty(now) < b.uncertainty(now);
  });
}

std::int64_t ClockEstimate::offset(std::int64_t now) const { return known() ? best(now).offset : 0; }

std::int64_t ClockEstimate::uncertainty(std::int64_t now) const { return known() ? best(now).uncertainty(now) : std::numeric_limits<std::int64_t>::max(); }

}  // namespace ebb::frontend::observe
