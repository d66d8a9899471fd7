// The orderly end of all objects, before the nodes that hold them end. Front end.
#pragma once

#include <vector>

#include "ebb/async/task.h"
#include "ebb/base/ids.h"
#include "ebb/platform/platform.h"

namespace ebb::detail {

/// See Node::end_objects. `nodes` are those that may hold objects, this one among them. Any core.
task<void> end_in_reverse(std::vector<NodeId> nodes, platform::Duration limit);

}  // namespace ebb::detail
