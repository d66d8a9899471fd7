// The clocks of the cluster's nodes against the front end's.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>

#include "ebb/async/task.h"
#include "ebb/base/ids.h"
#include "ebb/base/result.h"
#include "frontend/observe/clock_estimate.h"

namespace ebb::frontend::observe {

/// One core.
class NodeClocks {
 public:
  /// Of a node that is new: the first one makes the connection, and any may be held up.
  static constexpr int kFirstRequests = 8;
  static constexpr int kLaterRequests = 2;

  /// Times of nodes beyond (36 years since a start) are no times: sums of a few of them and a time of day do not overflow.
  static constexpr std::int64_t kMostNs = std::int64_t{1} << 60;

  /// `theirs`: asks a node what its clock shows, nanoseconds; with a limit of its own. `ours`: the clock that they are compared with.
  NodeClocks(std::function<task<Result<std::int64_t>>(NodeId)> theirs, std::function<std::int64_t()> ours);

  /// Asks a node for its clock some times in a row; once for each node at a time. False: it did not answer, or tells what no
  /// clock shows, and was asked no further.
  task<bool> look(NodeId node);
  /// What to add to that node's time for ours, as known now; 0 of a node that never answered.
  std::int64_t offset_ns(NodeId node) const;
  /// Forgets all nodes but these.
  void keep(const std::set<NodeId>& nodes);

 private:
  const std::function<task<Result<std::int64_t>>(NodeId)> theirs_;
  const std::function<std::int64_t()> ours_;
  std::map<NodeId, ClockEstimate> estimates_;
};

}  // namespace ebb::frontend::observe
