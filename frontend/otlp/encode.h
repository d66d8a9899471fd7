// Spans as the OpenTelemetry protocol writes them.
#pragma once

#include <string>
#include <vector>

#include "frontend/service/observation.h"
#include "multilibos/otlp/trace.pb.h"

namespace ebb::frontend::otlp {

/// One request: a resource a node, with the attributes "service.name" and "ebb.node".
multilibos::otlp::ExportTraceRequest encode(const std::vector<service::SpanInfo>& spans, const std::string& service_name);

}  // namespace ebb::frontend::otlp
