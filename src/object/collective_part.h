// One node's part of a collective call: its cores.
#pragma once

#include "ebb/async/cancellation.h"
#include "ebb/async/task.h"
#include "ebb/object/collective.h"
#include "ebb/platform/platform.h"

namespace ebb::detail {

/// Has this node's representatives do it for `caller`: kFanOut cores are asked by this one, and each asks as many. On a core,
/// that of `token`, by which they hear that nobody waits for them; the answer's `who` has this one node. Errors:
/// interface_mismatch (the object is of another type here, or not known), the first of a representative by core.
task<Result<CollectiveAnswer>> own_part_here(Collective collective, NodeId caller, platform::Instant deadline, TraceContext trace,
                                             cancel_token token);

}  // namespace ebb::detail
