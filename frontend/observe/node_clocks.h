// The clocks of the cluster's nodes against the front end's.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>

#include "ebb/async/task.h"
#include "ebb/base/ids.h"
#include "ebb/base/result.h"
#include "ebb/platform/platform.h"
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

  /// Where answers are slow one will do: after so long no further request is made. They would tell little, half of their round
  /// trip being in doubt, and the time is needed for spans.
  static constexpr std::int64_t kEnoughNs = 500'000'000;

  using Ask = std::function<task<Result<std::int64_t>>(NodeId, platform::Instant until)>;
  /// `theirs`: asks a node what its clock shows, nanoseconds. `ours`: the clock that they are compared with.
  NodeClocks(Ask theirs, std::function<std::int64_t()> ours);

  /// Asks a node for its clock some times in a row; once for each node at a time. False: it did not answer by `until`, or tells
  /// what no clock shows, and was asked no further.
  task<bool> look(NodeId node, platform::Instant until);
  /// What to add to that node's time for ours, as known now; 0 of a node that never answered.
  std::int64_t offset_ns(NodeId node) const;
  /// Forgets all nodes but these.
  void keep(const std::set<NodeId>& nodes);

 private:
  const Ask theirs_;
  const std::function<std::int64_t()> ours_;
  std::map<NodeId, ClockEstimate> estimates_;
};

}  // namespace ebb::frontend::observe
