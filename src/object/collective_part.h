// One node's part of a collective call: its cores.
#pragma once

#include "ebb/async/task.h"
#include "ebb/object/collective.h"
#include "ebb/platform/platform.h"

namespace ebb::detail {

/// Has this node's representatives do it: kFanOut cores are asked by this one, and each asks as many. On a core; the answer's
/// `who` has this one node. Errors: interface_mismatch (the object is of another type here, or not known), the first of a
/// representative by core.
task<Result<CollectiveAnswer>> own_part_here(Collective collective, platform::Instant deadline, TraceContext trace);

}  // namespace ebb::detail
