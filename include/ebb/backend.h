// What a node other than the front end runs.
#pragma once

namespace ebb {

/// Runs this process (or machine) as a backend until the front end asks it to stop; a bare-metal image's main() does
/// only this, and a Linux program started with --ebb-role=node does the same. Arguments:
///   --ebb-node=N                this node's id, from 1
///   --ebb-frontend=A.B.C.D:P    where the front end's messenger listens
///   --ebb-cores=M               event loops (default: all cores of the machine)
///   --ebb-listen=A.B.C.D:P      where to listen (default: own address, a free port)
/// and, as the launch secret (platform.h), the 32 bytes of the cluster key. Returns the exit status: 0 after an orderly
/// stop, kBackendFailedStatus with one line on the log for everything else. Call it before any core runs.
int run_backend(int argc, char** argv);

inline constexpr int kBackendFailedStatus = 72;  ///< the exit status of a backend that did not join, or lost its front end

}  // namespace ebb
