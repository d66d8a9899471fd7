#include "frontend/observe/method_merge.h"

#include <algorithm>
#include <cmath>

#include "frontend/service/printable.h"
#include "src/observe/method_table.h"

namespace ebb::frontend::observe {

using detail::HistogramBuckets;

MethodMerge::Merged& MethodMerge::place_of(const detail::MethodRecord& record) {
  const std::pair names(service::printable(record.interface_name), service::printable(record.method));
  const bool room = methods_.size() < kMost || methods_.contains(names);
  return methods_[room ? names : std::pair(std::string(detail::kOtherMethods.interface_name), std::string(detail::kOtherMethods.name))];
}

void MethodMerge::add(const std::vector<detail::MethodRecord>& records) {
  for (const detail::MethodRecord& record : records) {
    Merged& merged = place_of(record);
    merged.calls += record.calls;
    merged.errors += record.errors;
    merged.total_ns += record.total_ns;
    merged.maximum_ns = std::max(merged.maximum_ns, record.maximum_ns);
    for (const auto& [bucket, calls] : record.buckets) {
      if (bucket < merged.buckets.size()) merged.buckets[bucket] += calls;
    }
  }
}

std::uint64_t MethodMerge::quantile(const Merged& merged, double share) {
  std::uint64_t all = 0;
  for (const std::uint64_t calls : merged.buckets) all += calls;
  const auto rank = static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(all)));
  std::uint64_t seen = 0;
  for (std::size_t at = 0; at < merged.buckets.size(); ++at) {
    seen += merged.buckets[at];
    if (seen >= rank && seen != 0) return std::min(HistogramBuckets::upper(at) - 1, merged.maximum_ns);
  }
  return merged.maximum_ns;
}

std::vector<service::MethodInfo> MethodMerge::result() const {
  std::vector<service::MethodInfo> methods;
  for (const auto& [names, merged] : methods_) {
    service::MethodInfo info;
    std::tie(info.interface, info.method) = names;
    info.calls = merged.calls;
    info.errors = merged.errors;
    info.mean_ns = merged.calls == 0 ? 0 : merged.total_ns / merged.calls;
    info.p50_ns = quantile(merged, 0.5);
    info.p90_ns = quantile(merged, 0.9);
    info.p99_ns = quantile(merged, 0.99);
    info.p999_ns = quantile(merged, 0.999);
    info.maximum_ns = merged.maximum_ns;
    methods.push_back(std::move(info));
  }
  return methods;
}

}  // namespace ebb::frontend::observe
