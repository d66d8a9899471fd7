// What a node has all others do: end an object, replace its implementation; and whom that must reach.

// gcc 12 takes a vector inside a coroutine's frame for something that was never allocated. Before the headers, since it is
// in one of them that it says so.
#pragma GCC diagnostic ignored "-Wfree-nonheap-object"

#include <utility>
#include <vector>

#include "ebb/async/sleep.h"
#include "ebb/async/when_all.h"
#include "ebb/object/lease.h"
#include "ebb/object/type.h"
#include "src/node/ask_surely.h"
#include "src/node/node.h"
#include "src/node/system_objects.h"
#include "src/object/fence.h"

namespace ebb::detail {
namespace {

// The front end's word is worth waiting for as long as a lease may run anyway.
constexpr platform::Duration kFenceTimeout = kLease;

task<Result<void>> outlast(platform::Duration leases) {
  co_await sleep_for(leases);
  co_return Result<void>();
}

}  // namespace

task<ClusterNode::Lost> ClusterNode::after_loss(NodeId node, std::uint64_t version, int attempt, platform::Instant give_up) {
  // A connection may be lost and its node live: then it still has the object.
  if (!is_member(node) && view_version() >= version) co_return Lost::gone;
  const bool again = co_await pause_before_retry(attempt, give_up);
  co_return again ? Lost::connection : Lost::unknown;
}

task<Result<void>> ClusterNode::end_on(NodeId node, ObjectId object, std::uint64_t interface_id, std::uint64_t version) {
  const platform::Instant give_up = platform::Clock::now() + kDefaultTimeout;
  for (int attempt = 0;; ++attempt) {
    Result<void> ended = co_await kNodeService.on(node).call<&NodeService::end_object>(object, interface_id);
    if (ended || (ended.code() != Errc::node_gone && ended.code() != Errc::unavailable)) co_return ended;
    const Lost lost = co_await after_loss(node, version, attempt, give_up);
    if (lost == Lost::gone) {
      co_await outlast_lost(node);
      co_return Result<void>();
    }
    if (lost == Lost::unknown) co_return ended;
  }
}

task<Result<void>> ClusterNode::end_elsewhere(ObjectId object, std::uint64_t interface_id) {
  const auto fence = co_await this->fence();
  // Without it the end may miss somebody, which the caller hears; those who are known here need not go on answering for that.
  const Fence whom = fence ? *fence : Fence{view_version(), others(), {}};
  std::vector<task<Result<void>>> works;
  for (const NodeId node : whom.others) works.push_back(end_on(node, object, interface_id, whom.version));
  // One that was declared gone a moment ago may still answer for an object that has its one place there.
  const TypeDescriptor* type = TypeRegistration::find(interface_id);
  const bool waits = type == nullptr || type->exclusive;
  if (waits && whom.leases_end > platform::Duration::zero()) works.push_back(outlast(whom.leases_end));
  Result<void> outcome;
  if (!fence) outcome = fence.error();
  for (Result<void>& ended : co_await when_all(std::move(works))) {
    if (outcome) outcome = std::move(ended);
  }
  co_return outcome;
}

task<Result<Fence>> ClusterNode::fence() {
  const auto ask = [](platform::Duration left) { return kCluster.on(kFrontEndNode).within(left).call<&ClusterService::fence>(); };
  auto fence = co_await ask_surely(kFrontEndNode, platform::Clock::now() + kFenceTimeout, ask);
  if (!fence) co_return fence;
  std::erase(fence->others, options_.self);
  // Measured by another clock, which may be slower than this one.
  fence->leases_end += fence->leases_end / kClockDriftPart;
  co_return fence;
}

task<Result<std::uint32_t>> ClusterNode::swap_on(NodeId node, ObjectId object, std::uint64_t interface_id, Swap swap,
                                                 std::uint64_t version) {
  const platform::Instant give_up = platform::Clock::now() + kDefaultTimeout;
  for (int attempt = 0;; ++attempt) {
    // What was replaced by an attempt whose answer was lost stays as it is.
    auto swapped = co_await kNodeService.on(node).call<&NodeService::swap_object>(object, interface_id, swap.implementation->id,
                                                                                  swap.number);
    if (swapped || (swapped.code() != Errc::node_gone && swapped.code() != Errc::unavailable)) co_return swapped;
    const Lost lost = co_await after_loss(node, version, attempt, give_up);
    if (lost == Lost::gone) co_return std::uint32_t{0};
    if (lost == Lost::unknown) co_return swapped;
  }
}

task<Result<std::uint32_t>> ClusterNode::swap_elsewhere(ObjectId object, std::uint64_t interface_id, Swap swap) {
  // Also those who have joined and are not known here yet: they may have made the old one.
  const auto fence = co_await this->fence();
  if (!fence) co_return fence.error();
  std::vector<task<Result<std::uint32_t>>> works;
  for (const NodeId node : fence->others) works.push_back(swap_on(node, object, interface_id, swap, fence->version));
  Result<std::uint32_t> replaced(0U);
  for (const Result<std::uint32_t>& swapped : co_await when_all(std::move(works))) {
    if (!swapped) replaced = swapped.error();
    if (replaced && swapped) *replaced += *swapped;
  }
  co_return replaced;
}

}  // namespace ebb::detail
