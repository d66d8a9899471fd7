#include "src/object/fence.h"

#include <algorithm>

#include "ebb/async/sleep.h"
#include "ebb/object/lease.h"

namespace ebb::detail {

task<Fence> find_fence() {
  NodeLink* link = node_link();
  if (link == nullptr) co_return Fence();
  auto fence = co_await link->fence();
  if (fence) co_return *std::move(fence);
  co_return Fence{link->view_version(), link->others(), kLeaseEnds};
}

task<void> outlast_lost(NodeId node) {
  // It was declared gone before this, and has had no lease extended since.
  const platform::Instant latest = platform::Clock::now() + kLeaseEnds;
  const Fence fence = co_await find_fence();
  const bool counts = std::find(fence.others.begin(), fence.others.end(), node) == fence.others.end();
  co_await sleep_until(counts ? std::min(latest, platform::Clock::now() + fence.leases_end) : latest);
}

}  // namespace ebb::detail
