#include <algorithm>
#include <bit>
#include <map>

#include "frontend/otlp/encode.h"

namespace ebb::frontend::otlp {
namespace {

namespace proto = multilibos::otlp;

// One bucket for each power of two: of bounds that follow each other closer a collector makes too many series. The nodes' own
// bounds are among these, but for the ends: a call of exactly 2^n ns counts as a little more.
constexpr int kLeastBit = 10;  // 1 us
constexpr int kTopBit = 36;    // 69 s
constexpr int kBounds = kTopBit - kLeastBit + 1;

double seconds(std::uint64_t ns) { return static_cast<double>(ns) / 1e9; }

int bucket_of(std::uint64_t lower_ns) { return std::clamp(static_cast<int>(std::bit_width(lower_ns)) - kLeastBit, 0, kBounds); }

void encode(const service::MethodHistogram& method, const service::MethodSnapshot& snapshot, proto::HistogramDataPoint& point) {
  point.set_start_time_unix_nano(static_cast<std::uint64_t>(snapshot.start_unix_ns));
  point.set_time_unix_nano(static_cast<std::uint64_t>(snapshot.unix_ns));
  for (int bit = kLeastBit; bit <= kTopBit; ++bit) point.add_explicit_bounds(seconds(std::uint64_t{1} << bit));
  point.mutable_bucket_counts()->Resize(kBounds + 1, 0);
  std::uint64_t count = 0;
  for (const auto& [lower_ns, calls] : method.buckets) {
    const int bucket = bucket_of(lower_ns);
    point.set_bucket_counts(bucket, point.bucket_counts(bucket) + calls);
    count += calls;
  }
  point.set_count(count);  // the sum of the buckets, as the specification has it
  point.set_sum(seconds(method.total_ns));
  point.set_max(seconds(method.maximum_ns));
  set(*point.add_attributes(), "rpc.system", "ebb");
  if (!method.interface.empty()) set(*point.add_attributes(), "rpc.service", method.interface);
  set(*point.add_attributes(), "rpc.method", method.method);
}

}  // namespace

proto::ExportMetricsRequest encode(const service::MethodSnapshot& snapshot, const Source& source) {
  proto::ExportMetricsRequest request;
  std::map<NodeId, proto::Histogram*> nodes;
  for (const service::MethodHistogram& method : snapshot.methods) {
    proto::Histogram*& histogram = nodes[method.node];
    if (histogram == nullptr) {
      proto::ResourceMetrics& resource = *request.add_resource_metrics();
      set_resource(*resource.mutable_resource(), source, method.node);
      proto::ScopeMetrics& scope = *resource.add_scope_metrics();
      scope.mutable_scope()->set_name(kScope);
      proto::Metric& metric = *scope.add_metrics();
      // The semantic conventions' name for it.
      metric.set_name("rpc.server.call.duration");
      metric.set_description("How long methods take on the core that carries them out");
      metric.set_unit("s");
      histogram = metric.mutable_histogram();
      histogram->set_aggregation_temporality(proto::AGGREGATION_TEMPORALITY_CUMULATIVE);
    }
    encode(method, snapshot, *histogram->add_data_points());
  }
  return request;
}

}  // namespace ebb::frontend::otlp
