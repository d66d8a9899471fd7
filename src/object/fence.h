// Who may still answer for an object, when members have just been lost.
#pragma once

#include "ebb/async/task.h"
#include "ebb/base/ids.h"
#include "ebb/object/node_link.h"

namespace ebb::detail {

/// Whom an object's new home, or its end, must reach. Members that were declared gone a moment ago are asked no more, and may
/// answer until their leases end. Without the front end's word everything is assumed. Any core; waits for the front end.
task<Fence> find_fence();

/// Waits until `node`, which is known here to be no member any more, surely answers no more for what needs a lease: as the
/// front end says when it was last heard of, or, without its word, as if that had been now. Any core.
task<void> outlast_lost(NodeId node);

}  // namespace ebb::detail
