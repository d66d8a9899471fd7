// Spans and histograms as the OpenTelemetry protocol writes them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "frontend/service/observation.h"
#include "multilibos/otlp/metrics.pb.h"
#include "multilibos/otlp/trace.pb.h"

namespace ebb::frontend::otlp {

/// Whose spans and histograms they are.
struct Source {
  std::string service;
  std::string run;  ///< that no other run of any program has
};

/// One request: a resource a node, with the attributes "service.name", "service.instance.id" ("run/node") and "ebb.node".
multilibos::otlp::ExportTraceRequest encode(const std::vector<service::SpanInfo>& spans, const Source& source);
/// The same of histograms: one metric, "rpc.server.call.duration", with a point a method, cumulative.
multilibos::otlp::ExportMetricsRequest encode(const service::MethodSnapshot& snapshot, const Source& source);

/// Who records all of it.
inline constexpr const char* kScope = "multilibos";
void set(multilibos::otlp::KeyValue& attribute, const char* key, std::int64_t value);
void set(multilibos::otlp::KeyValue& attribute, const char* key, const std::string& value);
void set_resource(multilibos::otlp::Resource& resource, const Source& source, NodeId node);

}  // namespace ebb::frontend::otlp
