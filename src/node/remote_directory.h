// The directory as nodes other than the front end see it.
#pragma once

#include <memory>

#include "ebb/object/directory.h"

namespace ebb {

/// Answers what the front end's directory answers; errors of the call (node_gone, deadline_exceeded) come besides, and cancelled once
/// the node has left its cluster.
std::unique_ptr<Directory> make_remote_directory();

}  // namespace ebb
