// Who belongs to the cluster: ids, stages, epoch. Pure bookkeeping, no driver, no messenger, no clock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "ebb/application.h"
#include "ebb/node.h"
#include "frontend/service/membership_feed.h"

namespace ebb::frontend::cluster {

/// Where a backend stands.
enum class Stage : std::uint8_t {
  launching,  ///< its driver starts it
  expected,   ///< it runs; its join is awaited
  joined,
  leaving,    ///< it was a member, and is being ended
};

/// The backends from their request to their end. Core 0 only.
class Membership {
 public:
  /// Ids for `count` new backends, in the stage launching. An id is never given out twice. resource_exhausted: more
  /// than kMaxNodes in all, the front end included.
  Result<std::vector<NodeId>> reserve(std::size_t count, const std::string& driver, platform::Instant now);

  /// The driver has started it. (It may have joined before the driver said so.)
  void launched(NodeId id, platform::Instant now);

  /// Whether a node may join now: it is one that was asked for, it has not joined before, and no other one joins under its
  /// id at this moment. permission_denied otherwise.
  Result<void> admit(const Member& candidate);

  /// An admitted node did not make it; it may try again.
  void revoke(NodeId id);

  /// An admitted node is a member from now on: what to tell the watchers.
  service::MembershipChange join(const Member& member, platform::Instant now);

  /// Marks a member as leaving; false if it is none, or leaves already: then somebody else ends it.
  bool leave(NodeId id);

  /// Forgets a node. What to tell the watchers, nullopt if it never was a member.
  std::optional<service::MembershipChange> end(NodeId id, std::string reason);

  std::optional<Stage> stage(NodeId id) const;
  std::optional<NodeStatus> status(NodeId id) const;
  /// The members among the backends, leaving ones excluded, by id.
  std::vector<NodeStatus> members() const;
  /// Advances with every join and every end of a member.
  std::uint64_t epoch() const noexcept { return epoch_; }

 private:
  struct Backend {
    Stage stage = Stage::launching;
    bool admitted = false;
    NodeStatus status;
    platform::Instant requested;
    std::optional<platform::Instant> launched;
  };

  std::map<NodeId, Backend> backends_;
  std::uint32_t next_id_ = 1;
  std::uint64_t epoch_ = 0;
};

/// A backend as the gRPC service shows it.
service::NodeInfo to_info(const NodeStatus& status);

}  // namespace ebb::frontend::cluster
