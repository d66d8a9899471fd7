// What a node that leaves knows of replicated objects whose homes are elsewhere.
#pragma once

#include <cstddef>

#include "ebb/async/task.h"
#include "ebb/platform/platform.h"

namespace ebb::detail {

/// Sees to it that every home that is elsewhere has a replica of its own: one that was made anew and has lost its own, or was never
/// called, begins with what the others have, and this node may be the last of them. Asks again until `give_up`; how many homes have
/// not said so by then.
task<std::size_t> bring_replicas_home(platform::Instant give_up);

}  // namespace ebb::detail
