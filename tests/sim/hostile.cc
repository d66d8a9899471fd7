// The scenario "hostile": nodes of the cluster that call any method of each other's runtime, with any arguments, as one would that
// is broken or was taken over. It may stop other nodes, take their objects away and give them wrong lists of members: of that there
// is no defence. But no node may crash, and the front end goes on.
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "ebb/async.h"
#include "ebb/object.h"
#include "ebb/object/node_link.h"
#include "src/node/system_objects.h"
#include "tests/fuzz/object/calls.h"
#include "tests/sim/trial.h"

namespace ebb::sim {
namespace {

using namespace std::chrono_literals;
using namespace detail::fuzz;

constexpr Time kHostility(30s);
constexpr Time kEnd(60s);

constexpr std::uint64_t kStop = detail::NodeService::interface::method_id<&detail::NodeService::stop>();
constexpr std::uint64_t kSetMembers = detail::NodeService::interface::method_id<&detail::NodeService::set_members>();
constexpr std::uint64_t kChangeMembers = detail::NodeService::interface::method_id<&detail::NodeService::change_members>();

struct Run {
  std::vector<ObjectId> objects;
  std::size_t calls = 0;
  std::size_t answers = 0;
  bool front_end_answers = false;
};

task<void> call(Run* run, NodeId node, CoreIndex core, AnyCall what) {
  ++run->calls;
  detail::RemoteCall remote{node, core, what.object, what.method, 2s, {}, {}};
  const auto answer = co_await detail::call_elsewhere(std::move(remote), std::move(what.arguments));
  if (answer) ++run->answers;
}

task<void> bother(Cluster* cluster, Run* run) {
  World& world = cluster->world();
  Scope scope;
  while (!cluster->ending && world.now() < kHostility) {
    co_await sleep_for(std::chrono::microseconds(world.pick(100, 100'000)));
    if (run->objects.empty()) continue;
    std::array<std::byte, 400> bytes;
    for (std::byte& each : bytes) each = static_cast<std::byte>(world.pick(0, 255));
    Input input(bytes, run->objects);
    for (std::uint64_t calls = world.pick(1, 8); calls != 0; --calls) {
      // Numbers of nodes that never were, too, and cores that no node has.
      const NodeId node = Cluster::id_of(static_cast<std::uint32_t>(world.pick(1, world.nodes() + 1)));
      if (node == this_node()) continue;
      const CoreIndex core = world.pick(0, 3) == 0 ? kAnyCore : CoreIndex{static_cast<std::uint16_t>(world.pick(0, 2))};
      AnyCall what = any_call(input);
      // A node that is stopped, or that takes a wrong list of members for true, asks and answers no more.
      const bool ends = what.object == detail::kNodeService.id() && world.pick(0, 29) != 0;
      if (ends && (what.method == kStop || what.method == kSetMembers || what.method == kChangeMembers)) continue;
      scope.spawn(call(run, node, core, std::move(what)));
    }
  }
  co_await scope.join();
}

task<void> front_end(Cluster* cluster, Run* run) {
  while (Node::current()->members().size() < cluster->backends.size() + 1) co_await sleep_for(50ms);
  run->objects.push_back((co_await create<Plain>()).value().id());
  run->objects.push_back((co_await create<Account>()).value().id());
  run->objects.push_back((co_await create<Log>()).value().id());
  run->objects.push_back((co_await create<Store>()).value().id());
  while (cluster->world().now() < kHostility + Time(10s)) co_await sleep_for(100ms);
  const auto plain = co_await create<Plain>();
  if (!plain) cluster->world().say("the front end makes no object: " + plain.error().to_string());
  if (!plain) co_return;
  const auto sum = co_await plain->on(kFrontEndNode, CoreIndex{1}).call<&Plain::add>(7);
  run->front_end_answers = sum.has_value() && *sum == 7;
}

}  // namespace

Outcome run_hostile(const Settings& settings) {
  Run run;
  Trial trial(
      settings, [&run](Cluster* self) { return front_end(self, &run); }, [&run](Cluster* self) { return bother(self, &run); });
  World& world = trial.world;
  // Those that were stopped are missed.
  for (Time when(5s); when < kHostility; when += Time(1s)) world.at(when, [&trial] { trial.cluster.add_backend(); });
  world.run_until(kEnd);
  for (std::uint32_t number = 1; number <= world.nodes(); ++number) {
    // Asked to stop; told that it is no member any more.
    const int status = world.status(number).value_or(0);
    if (status != 0 && status != 72) violated("a node ended with " + std::to_string(status));
  }
  if (run.answers == 0) violated("nobody answered anything");
  if (!run.front_end_answers) violated("the front end does not go on");
  trial.outcome.operations = run.calls;
  trial.outcome.successes = run.answers;
  return trial.finish_as_it_is();
}

}  // namespace ebb::sim
