// What a node tells of spans, read as the front end keeps them.
#pragma once

#include <cstdint>
#include <vector>

#include "frontend/service/observation.h"
#include "src/observe/observer_service.h"

namespace ebb::frontend::observe {

/// The spans of a batch from `node`, whose clock and `to_unix_ns` add up to nanoseconds since 1970. A batch is whatever a node may
/// send: spans that name nothing, without an id or a trace, or with times that no clock shows (NodeClocks::kMostNs), are left out.
/// Any thread.
std::vector<service::SpanInfo> read_spans(NodeId node, const detail::SpanBatch& batch, std::int64_t to_unix_ns);

}  // namespace ebb::frontend::observe
