// What a node tells of its methods, read as it leaves the cluster.
#pragma once

#include <vector>

#include "frontend/service/observation.h"
#include "src/observe/observer_service.h"

namespace ebb::frontend::observe {

/// A node tells whatever it likes: buckets that do not exist are left out, and so are methods without calls, and those
/// beyond MethodMerge::kMost. Any thread.
std::vector<service::MethodHistogram> read_methods(NodeId node, const std::vector<detail::MethodRecord>& records);

}  // namespace ebb::frontend::observe
