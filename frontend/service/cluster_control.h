// What the gRPC service asks of the cluster, in plain types: the adapter that keeps gRPC out of everything else.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ebb/base/ids.h"
#include "ebb/base/result.h"

namespace ebb::frontend::service {

struct NodeInfo {
  NodeId id = kNoNode;
  std::string driver;
  std::uint32_t cores = 0;
  std::string endpoint;
  double launch_seconds = 0;
  double join_seconds = 0;
};

struct Membership {
  std::vector<NodeInfo> nodes;
  std::uint64_t epoch = 0;
};

struct ObjectInfo {
  enum class State : std::uint8_t { live, moving, lost };
  ObjectId id;
  std::string interface;
  std::string name;
  NodeId home = kFrontEndNode;
  std::string kind;
  CoreIndex home_core{};
  std::uint32_t epoch = 1;
  State state = State::live;
};

/// What one node has of objects; see ebb::ObjectCounts.
struct NodeObjects {
  NodeId node = kNoNode;
  std::uint64_t known = 0, representatives = 0, misses = 0, found = 0, asked = 0, failed = 0;
  double mean_nanos = 0;
  std::uint64_t longest_nanos = 0;
};

struct NodeObjectsList {
  std::vector<NodeObjects> nodes;  ///< that answered, in the order of the members
  std::vector<NodeId> silent;      ///< that did not
};

/// The cluster as the service sees it. Every call comes on a thread of gRPC's and may block it; an implementation sends
/// the work to its core (Core::post) and waits, with a bound.
class ClusterControl {
 public:
  virtual ~ClusterControl() = default;
  virtual Result<Membership> membership() = 0;
  virtual Result<std::vector<NodeInfo>> add_nodes(std::uint32_t count) = 0;
  virtual Result<void> remove_node(NodeId node) = 0;
  /// At most `limit` objects with ids above `after`, in the order of ids.
  virtual Result<std::vector<ObjectInfo>> objects(ObjectId after, std::uint32_t limit) = 0;
  virtual Result<NodeObjectsList> object_counts() = 0;
};

}  // namespace ebb::frontend::service
