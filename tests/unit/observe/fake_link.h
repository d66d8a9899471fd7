// A cluster's other nodes, played: who is there, and what they answer, is the test's to say.
#pragma once

#include <utility>

#include "ebb/object/node_link.h"
#include "ebb/object/type.h"

namespace ebb {

/// Joins the object model to it from its making to its end, in which no call is under way.
struct FakeLink : detail::NodeLink {
  detail::ClusterView members{1, {}};
  bool lease = true;

  FakeLink() { detail::set_node_link(this); }
  virtual ~FakeLink() { detail::set_node_link(nullptr); }
  FakeLink(const FakeLink&) = delete;
  FakeLink& operator=(const FakeLink&) = delete;

  NodeId self() const noexcept override { return kFrontEndNode; }
  std::uint64_t view_version() const noexcept override { return members.version; }
  detail::ClusterView view() const override { return members; }
  std::vector<NodeId> others() const override { return {}; }
  bool is_member(NodeId) const override { return true; }
  bool has_lease() const noexcept override { return lease; }
  task<Result<Bytes>> call(detail::RemoteCall, Bytes) override { co_return nobody(); }
  task<Result<void>> send(detail::RemoteCall, Bytes) override { co_return nobody(); }
  task<Result<detail::Fence>> fence() override { co_return detail::Fence(); }
  task<Result<void>> end_elsewhere(ObjectId, std::uint64_t) override { co_return Result<void>(); }
  task<Result<std::uint32_t>> swap_elsewhere(ObjectId, std::uint64_t, ebb::detail::Swap) override { co_return 0u; }

 private:
  static Error nobody() { return Error(Errc::node_gone, "nobody is there"); }
};

}  // namespace ebb
