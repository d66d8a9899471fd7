// The front end: node 0, the cluster behind it, the gRPC service before it, and the application between them.
#pragma once

#include "frontend/program/options.h"

namespace ebb::frontend {

/// Runs ebb_main() with all it needs and ends everything in order; returns the process's exit status. Once a process, on
/// its first thread, before any other runs. What goes wrong before ebb_main() is one line on stderr and status 1.
int run_front_end(const Options& options);

}  // namespace ebb::frontend
