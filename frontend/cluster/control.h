// Carries what the gRPC service asks over to core 0.
#pragma once

#include <atomic>
#include <cstdint>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "ebb/async/scope.h"
#include "ebb/node.h"
#include "frontend/cluster/cluster.h"
#include "frontend/cluster/core_asker.h"
#include "frontend/service/cluster_control.h"

namespace ebb::frontend::cluster {

/// Made on core 0. The members of ClusterControl come on threads of gRPC and wait there, each with a limit.
class Control final : public service::ClusterControl {
 public:
  /// `cluster` and `node` outlive the last call: first the gRPC server ends, then join(), then they may.
  Control(Cluster& cluster, Node& node) noexcept : cluster_(cluster), node_(node) {}

  Result<service::Membership> membership() override;
  Result<std::vector<service::NodeInfo>> add_nodes(std::uint32_t count) override;
  Result<void> remove_node(NodeId node) override;
  Result<std::vector<service::ObjectInfo>> objects(ObjectId after, std::uint32_t limit) override;
  Result<service::NodeObjectsList> object_counts() override;

  /// Calls that wait return (unavailable) within a moment, later ones at once. Any thread.
  void close() noexcept { asker_.close(); }

  /// Core 0: waits until what was asked for has ended here too.
  task<void> join() { return asker_.join(); }

 private:
  task<void> list(Answer<service::Membership> answer);
  task<void> add(Answer<std::vector<service::NodeInfo>> answer, std::uint32_t count);
  task<void> remove(Answer<void> answer, NodeId id);
  static task<void> list_objects(Answer<std::vector<service::ObjectInfo>> answer, ObjectId after, std::uint32_t limit);
  task<void> count_objects(Answer<service::NodeObjectsList> answer);

  Cluster& cluster_;
  Node& node_;
  CoreAsker asker_;
};

}  // namespace ebb::frontend::cluster
