// A cluster that is none: one node, which a test has believe what it likes of its membership and its lease.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <utility>
#include <vector>

#include "ebb/object/node_link.h"
#include "ebb/object/type.h"

namespace ebb::testing {

/// In place while it lives. Calls to other nodes than `self` find nobody.
class LoneLink final : public detail::NodeLink {
 public:
  explicit LoneLink(std::uint16_t cores, NodeId self = kFrontEndNode) : self_(self) {
    view_ = {1, {{self, cores, false}}};
    detail::set_node_link(this);
  }
  ~LoneLink() { detail::set_node_link(nullptr); }

  /// As if the node had so many cores from now on.
  void show(std::uint16_t cores) {
    {
      const std::lock_guard guard(mutex_);
      view_.nodes.front().cores = cores;
      ++view_.version;
    }
    detail::notify_view_changed();
  }
  /// As if the node, which is not the front end, were about to leave.
  void leave() {
    const std::lock_guard guard(mutex_);
    view_.nodes.front().leaving = true;
  }
  std::atomic<bool> lease{true};
  /// When the front end is asked who may still answer. On whatever core asks.
  std::function<void()> when_asked;

  NodeId self() const noexcept override { return self_; }
  std::uint64_t view_version() const noexcept override {
    const std::lock_guard guard(mutex_);
    return view_.version;
  }
  detail::ClusterView view() const override {
    const std::lock_guard guard(mutex_);
    return view_;
  }
  std::vector<NodeId> others() const override { return {}; }
  bool is_member(NodeId node) const override { return node == self_; }
  bool has_lease() const noexcept override { return lease; }
  task<Result<Bytes>> call(detail::RemoteCall, Bytes) override { co_return nobody(); }
  task<Result<void>> send(detail::RemoteCall, Bytes) override { co_return nobody(); }
  task<Result<detail::Fence>> fence() override {
    if (when_asked) when_asked();
    co_return detail::Fence();
  }
  task<Result<void>> end_elsewhere(ObjectId, std::uint64_t) override { co_return Result<void>(); }
  task<Result<std::uint32_t>> swap_elsewhere(ObjectId, std::uint64_t, detail::Swap) override { co_return std::uint32_t{0}; }

 private:
  static Error nobody() { return Error(Errc::node_gone, "there is no other node"); }
  const NodeId self_;
  mutable std::mutex mutex_;
  detail::ClusterView view_;
};

}  // namespace ebb::testing
