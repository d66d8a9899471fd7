// One method's histograms from all nodes, and what is read off them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "frontend/service/observation.h"
#include "src/observe/histogram.h"
#include "src/observe/observer_service.h"

namespace ebb::frontend::observe {

/// Adds up what nodes tell. What they tell is believed no more than it must be: buckets that do not exist are left out, and of
/// methods beyond kMost the calls are counted together. One core.
class MethodMerge {
 public:
  static constexpr std::size_t kMost = 4096;

  void add(const std::vector<detail::MethodRecord>& records);
  /// Ordered by interface and method.
  std::vector<service::MethodInfo> result() const;

 private:
  struct Merged {
    std::uint64_t calls = 0;
    std::uint64_t errors = 0;
    std::uint64_t total_ns = 0;
    std::uint64_t maximum_ns = 0;
    std::array<std::uint64_t, detail::HistogramBuckets::kCount> buckets{};
  };
  /// The upper end of the bucket that the call at `share` (of 1) falls into, in the order of durations; at most the maximum.
  static std::uint64_t quantile(const Merged& merged, double share);

  Merged& place_of(const detail::MethodRecord& record);

  std::map<std::pair<std::string, std::string>, Merged> methods_;
};

}  // namespace ebb::frontend::observe
