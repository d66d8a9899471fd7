#include "frontend/observe/node_clocks.h"

#include <utility>

namespace ebb::frontend::observe {

NodeClocks::NodeClocks(Ask theirs, std::function<std::int64_t()> ours) : theirs_(std::move(theirs)), ours_(std::move(ours)) {}

task<bool> NodeClocks::look(NodeId node, platform::Instant until) {
  const int requests = estimates_[node].known() ? kLaterRequests : kFirstRequests;
  const std::int64_t begun = ours_();
  for (int request = 0; request < requests; ++request) {
    const std::int64_t asked = ours_();
    if (asked - begun > kEnoughNs) break;
    const Result<std::int64_t> told = co_await theirs_(node, until);
    const std::int64_t answered = ours_();
    if (!told || *told < 0 || *told > kMostNs) co_return false;
    estimates_[node].add(asked, answered, *told);
  }
  co_return true;
}

std::int64_t NodeClocks::offset_ns(NodeId node) const {
  const auto estimate = estimates_.find(node);
  return estimate == estimates_.end() ? 0 : estimate->second.offset(ours_());
}

void NodeClocks::keep(const std::set<NodeId>& nodes) {
  std::erase_if(estimates_, [&nodes](const auto& known) { return !nodes.contains(known.first); });
}

}  // namespace ebb::frontend::observe
