#include "tests/sim/rest.h"

#include <algorithm>
#include <vector>

#include "ebb/base/queue_depth.h"
#include "ebb/object/node_link.h"
#include "ebb/object/node_table.h"

namespace ebb::sim {
namespace {

using namespace std::chrono_literals;

// Longer than a call of a scenario, and than what an event waits for that is in the middle of something else.
constexpr Time kLastCalls = 25s;
// After that, the longest that a client of a thousand nodes sleeps between two calls, and more than any call may take.
constexpr Time kLastClients = 100s;
// All objects are destroyed one after the other; each is tried again until then.
constexpr Time kDestroyLimit = 120s;
// More ids than a scenario uses.
constexpr std::uint32_t kIdsLookedAt = 4096;
// A heartbeat is under way now and then: what is left is what is there every time.
constexpr std::size_t kLooks = 20;
constexpr Time kLookAgain = 100ms;
// How long the front end may take to end.
constexpr Time kClose = 10s;
constexpr std::uint32_t kFrontEnd = 1;
// The status of a backend that has lost its front end, or was declared gone.
constexpr int kCutOff = 72;

std::string on_node(const SimNode& node) { return " on " + node.name; }

void look_at_queues(const SimNode& node, std::vector<std::string>& violations) {
  for (const auto& core : node.cores) {
    for (std::size_t at = 0; at < detail::kBoundedKinds; ++at) {
      const auto what = static_cast<detail::Bounded>(at);
      const detail::DepthCell& cell = detail::depth_of(what, core->index);
      const std::string place = on_node(node) + " core " + std::to_string(to_number(core->index));
      const std::size_t bound = what == detail::Bounded::calls_of_object ? detail::kMaxCallsPerObject : cell.bound.load();
      if (cell.most > bound) {
        violations.push_back(std::to_string(cell.most) + " " + detail::name_of(what) + " at a time" + place + ", more than " +
                             std::to_string(bound));
      }
      // Those that have ended are remembered on purpose.
      if (what != detail::Bounded::remembered_collectives && cell.now != 0) {
        violations.push_back(std::to_string(cell.now) + " " + detail::name_of(what) + " are left" + place);
      }
    }
  }
}

void look_at_objects(const SimNode& node, std::uint32_t ids, const std::set<ObjectId>& not_ended, std::vector<std::string>& violations) {
  const NodeTable& table = NodeTable::instance();
  for (std::uint32_t at = 0; at < ids; ++at) {
    const ObjectId id(kFirstDynamicObject.index() + at);
    if (not_ended.contains(id) || (table.living_type_of(id) == nullptr && table.cores_of(id) == 0)) continue;
    violations.push_back("object " + std::to_string(id.index()) + " is left" + on_node(node));
  }
}

/// Clients that have not returned on nodes that live, and what they wait for.
std::vector<std::string> look_at_clients(Cluster& cluster) {
  World& world = cluster.world();
  std::vector<std::string> open;
  for (const auto& [number, call] : OpenCall::all()) {
    if (world.alive(call.first)) open.push_back(call.second + " has not ended" + on_node(world.node(call.first)));
  }
  for (const std::uint32_t each : cluster.working) {
    if (world.alive(each)) open.push_back("a client has not returned" + on_node(world.node(each)));
  }
  return open;
}

/// Waits for the clients; complains of those that do not return.
void await_clients(Cluster& cluster, std::vector<std::string>& violations) {
  World& world = cluster.world();
  world.run_until(world.now() + kLastCalls);
  const Time limit = world.now() + kLastClients;
  std::vector<std::string> open = look_at_clients(cluster);
  while (!open.empty() && world.now() < limit) {
    world.run_until(world.now() + 1s);
    open = look_at_clients(cluster);
  }
  violations.insert(violations.end(), open.begin(), open.end());
}

/// Why not all objects have ended.
std::string why_not_destroyed(const Cluster& cluster) {
  if (!cluster.not_destroyed.empty()) return cluster.not_destroyed;
  if (!cluster.being_destroyed.empty()) return "it takes too long, the last was " + cluster.being_destroyed;
  if (cluster.working.contains(kFrontEnd)) return "a client of the front end has not returned";
  return "the front end does not begin";
}

/// How nodes ended, and whom the front end has declared gone: nobody without a reason.
void look_at_ends(Cluster& cluster, std::vector<std::string>& violations) {
  World& world = cluster.world();
  for (const std::uint32_t number : cluster.backends) {
    const std::optional<int> status = world.status(number);
    const bool left = status == 0 && cluster.dismissed.contains(number);
    const bool cut_off = status == kCutOff && cluster.harmed.contains(number);
    if (!status || left || cut_off) continue;
    violations.push_back(world.node(number).name + " ended with " + std::to_string(*status) + " without a reason");
  }
  for (const auto& [member, reason] : cluster.lost) {
    if (cluster.harmed.contains(Cluster::number_of(member))) continue;
    violations.push_back("node " + std::to_string(to_number(member)) + " was lost, and nothing had been done to it: " + reason);
  }
}

/// Whether the ids come back that were destroyed at rest. One whose object ended while the members changed is used up.
task<void> count_ids(Cluster* cluster, std::vector<std::string>* violations) {
  if (!cluster->ids) co_return;
  Directory& directory = NodeTable::instance().directory();
  std::set<ObjectId> free;
  for (;;) {
    NewObject wanted;
    wanted.interface_name = "sim.Nothing/1";
    wanted.policy = "per_core";
    wanted.home = kFrontEndNode;
    const auto created = co_await directory.create(wanted);
    if (!created) break;
    free.insert(created->id);
  }
  for (const ObjectId id : cluster->ended_at_rest) {
    if (!free.contains(id)) violations->push_back("id " + std::to_string(id.index()) + " has not come back");
  }
}

/// Of a partitioned object whose end is looked at here: a node may have all of them.
constexpr std::size_t kMostPartitions = 8;

/// All that is left at this moment.
std::vector<std::string> look(Cluster& cluster, const std::set<ObjectId>& not_ended) {
  World& world = cluster.world();
  std::vector<std::string> left;
  for (const auto& [key, count] : Alive::counts()) {
    const std::size_t most_parts = std::max(world.node(key.second).cores.size(), kMostPartitions);
    const auto most_excused = static_cast<std::int64_t>(not_ended.size() * most_parts);
    const bool excused = count > 0 && count <= most_excused;
    if (count != 0 && !excused && world.alive(key.second)) {
      left.push_back(std::to_string(count) + " instances of " + key.first + " are left" + on_node(world.node(key.second)));
    }
  }
  for (std::uint32_t number = 1; number <= world.nodes(); ++number) {
    if (!world.alive(number)) continue;
    const SimNode& node = world.node(number);
    world.inside(number, [&] {
      look_at_queues(node, left);
      look_at_objects(node, cluster.ids ? cluster.ids->count : kIdsLookedAt, not_ended, left);
    });
  }
  return left;
}

}  // namespace

std::map<Alive::Key, std::int64_t>& Alive::counts() {
  static std::map<Key, std::int64_t> all;
  return all;
}

std::set<std::uint64_t>& Alive::numbers() {
  static std::set<std::uint64_t> all;
  return all;
}

std::map<std::uint64_t, std::pair<std::uint32_t, std::string>>& OpenCall::all() {
  static std::map<std::uint64_t, std::pair<std::uint32_t, std::string>> calls;
  return calls;
}

static std::uint64_t next_call() {
  static std::uint64_t last = 0;
  return ++last;
}

OpenCall::OpenCall(std::string what) : number_(next_call()) {
  all().emplace(number_, std::pair(World::instance().core().node, std::move(what)));
}

OpenCall::~OpenCall() { all().erase(number_); }

void come_to_rest(Cluster& cluster, Outcome& outcome, const std::set<ObjectId>& not_ended, Time drain) {
  World& world = cluster.world();
  std::vector<std::string>& violations = outcome.violations;
  world.mend_all();
  cluster.ending = true;
  await_clients(cluster, violations);
  look_at_ends(cluster, violations);
  cluster.destroying = true;
  for (const Time limit = world.now() + kDestroyLimit; !cluster.destroyed && world.now() < limit;) {
    world.run_until(world.now() + 1s);
  }
  if (!cluster.destroyed) {
    violations.push_back("not all objects can be destroyed: " + why_not_destroyed(cluster));
    return;
  }
  world.run_until(world.now() + drain);
  std::vector<std::string> left = look(cluster, not_ended);
  for (std::size_t looks = 1; !left.empty() && looks < kLooks; ++looks) {
    world.run_until(world.now() + kLookAgain);
    left = look(cluster, not_ended);
  }
  violations.insert(violations.end(), left.begin(), left.end());
  // By the front end's clock, which may run slower than the world's.
  if (cluster.ids) world.run_until(world.now() + std::chrono::duration_cast<Time>(cluster.ids->grace * 11 / 10));
  cluster.at_rest = [&violations](Cluster* self) { return count_ids(self, &violations); };
  world.run_until(world.now() + kClose);
  if (world.status(kFrontEnd) != 0) violations.push_back("the front end does not end in order");
}

}  // namespace ebb::sim
