// Nodes as plain Linux processes, for machines without virtualization.
#pragma once

#include <memory>

#include "frontend/nodes/driver.h"
#include "frontend/nodes/process/cpu_placement.h"

namespace ebb::frontend::nodes {

/// Each node is a child that runs NodeSpec::image with --ebb-role=node and dies with this process (PR_SET_PDEATHSIG).
/// Its key goes through a pipe named by EBB_SECRET_FD; `placement` says where its cores begin (EBB_FIRST_CPU). `observer` must outlive
/// the driver.
std::unique_ptr<Driver> make_process_driver(DriverObserver& observer, CpuPlacement placement);

}  // namespace ebb::frontend::nodes
