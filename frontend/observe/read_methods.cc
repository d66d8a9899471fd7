#include "frontend/observe/read_methods.h"

#include <utility>

#include "frontend/observe/method_merge.h"
#include "frontend/service/printable.h"
#include "src/observe/histogram.h"

namespace ebb::frontend::observe {

std::vector<service::MethodHistogram> read_methods(NodeId node, const std::vector<detail::MethodRecord>& records) {
  std::vector<service::MethodHistogram> methods;
  for (const detail::MethodRecord& record : records) {
    if (methods.size() == MethodMerge::kMost) break;
    service::MethodHistogram method{node, service::printable(record.interface_name), service::printable(record.method),
                                    record.total_ns, record.maximum_ns, {}};
    for (const auto& [bucket, calls] : record.buckets) {
      if (bucket < detail::HistogramBuckets::kCount) method.buckets.emplace_back(detail::HistogramBuckets::lower(bucket), calls);
    }
    if (!method.buckets.empty()) methods.push_back(std::move(method));
  }
  return methods;
}

}  // namespace ebb::frontend::observe
