// A whole cluster in a simulated world: a front end, backends that join and end, and what all of them are asked to do.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "ebb/async/scope.h"
#include "ebb/node.h"
#include "tests/sim/world.h"

namespace ebb::sim {

/// Runs on core 0 of every node once it is a member; joined before the node ends.
using Work = std::function<task<void>(class Cluster*)>;

class Cluster final : private MembershipAuthority {
 public:
  Cluster(World& world, std::size_t cores, Work front_end, Work backend);

  /// One more backend, from now on. Its simulated node's number.
  std::uint32_t add_backend();
  World& world() noexcept { return world_; }
  /// Work ends soon after this is set.
  bool ending = false;
  /// Then the front end destroys all objects that the directory lists, and says when it has, or what it could not.
  bool destroying = false;
  bool destroyed = false;
  std::string not_destroyed;
  std::string being_destroyed;
  /// Nodes whose work has not returned, those that have ended among them.
  std::set<std::uint32_t> working;
  std::vector<ObjectId> ended_at_rest;
  /// Runs on the front end when it is set; then the cluster ends.
  Work at_rest;
  bool front_end_up = false;
  /// Backends by their simulated node's number.
  std::set<std::uint32_t> backends;
  std::map<NodeId, std::string> lost;  // members that the front end has declared gone
  /// Backends to which something was done that may cost them their membership.
  std::set<std::uint32_t> harmed;
  /// Those that were asked to leave.
  std::set<std::uint32_t> dismissed;

  /// How long a client thinks between two operations: longer the more clients there are, so that the whole of them asks as often.
  platform::Duration pause(platform::Duration least, platform::Duration most);
  platform::Duration among_all(platform::Duration pause) const;
  /// Core 0 of the front end. Asks a member to leave, and forgets it.
  static task<void> dismiss(Cluster* self, NodeId leaver);

  /// How many ids there are, and when they are used again.
  struct Ids {
    std::uint32_t count;
    platform::Duration grace;
    platform::Duration forget;  // NodeTable::set_forget_after
  };
  std::optional<Ids> ids;  // nullopt: as ever

  /// A front end that learns of ends as from a driver: true for those that the world has crashed.
  bool drivers_report_ends = false;

  static NodeId id_of(std::uint32_t number) noexcept { return NodeId{number - 1}; }
  static std::uint32_t number_of(NodeId id) noexcept { return to_number(id) + 1; }

 private:
  static constexpr std::uint16_t kPort = 7000;
  static constexpr std::uint32_t kFrontEndNumber = 1;

  Result<void> admit(const Member&) override { return {}; }
  void on_joined(const Member&) override {}
  void on_lost(NodeId member, const Error& reason) override;
  static task<int> run_front_end(Cluster* self);
  static task<void> destroy_all(Cluster* self);
  static task<void> work_on(Cluster* self, const Work* work, std::uint32_t number);
  static task<int> run_backend(Cluster* self, std::uint32_t number);

  World& world_;
  std::size_t cores_;
  Work front_end_;
  Work backend_;
  ClusterKey key_{};
};

}  // namespace ebb::sim
