// The scenario "members": who counts as gone, and who does not. Connections are reset, cores and the front end compute for
// long; a node is lost only when it cannot be reached, or a core of it never comes back.
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "ebb/async.h"
#include "ebb/object.h"
#include "ebb/platform/translation_table.h"
#include "tests/sim/scenario.h"

namespace ebb::sim {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kFront = 1;

struct Plate {
  using policy = replicated;
  std::uint64_t value = 0;
  void set(std::uint64_t wanted) { value = wanted; }
  std::uint64_t get() const { return value; }
  std::uint64_t save() const { return value; }
  void restore(std::uint64_t state) { value = state; }
  using interface = ebb::interface<"sim.Plate/1", method<"set", &Plate::set>, method<"get", &Plate::get>>;
};

/// Only a node that has its lease lets somebody through.
struct Door {
  using policy = single_home;
  void pass() {}
  using interface = ebb::interface<"sim.Door/1", method<"pass", &Door::pass>>;
};

struct Stall {
  std::uint32_t node;
  CoreIndex core;
  Time begin;
  Time end;
};

struct Run {
  std::vector<Stall> stalls;
  std::vector<std::string> violations;
  ref<Plate> sign;
  bool made = false;
  std::size_t looked = 0;
  bool passed = false;

  void expect(bool kept, const std::string& what) {
    if (!kept) violations.push_back("at " + std::to_string(World::instance().now().count() / 1'000'000) + " ms: " + what);
  }
};

/// On core 0 of each node: has its cores compute when they are to.
task<void> compute(Run* run) {
  World& world = World::instance();
  const std::uint32_t node = world.core().node;
  for (const Stall& stall : run->stalls) {
    if (stall.node != node) continue;
    co_await sleep_for(std::chrono::duration_cast<platform::Duration>(stall.begin - world.now()));
    const Result<void> sent = Core::spawn_on(stall.core, [&world, until = stall.end] { world.compute_until(until); });
    run->expect(sent.code() == Errc::ok, "a core takes no event");
  }
}

/// A member that stands still holds up no other that joins.
task<void> pass_a_newcomer(Run* run, std::size_t members) {
  while (Node::current()->members().size() <= members) co_await sleep_for(1ms);
  const auto door = (co_await create_at<Door>(Node::current()->members().back().id)).value();
  const auto passed = co_await door.on_home().within(500ms).call<&Door::pass>();
  run->expect(passed.code() == Errc::ok, "a node that has just joined does not answer while another stands still");
  run->passed = true;
}

task<void> front_end(Cluster* cluster, Run* run) {
  const std::size_t members = cluster->backends.size() + 1;
  while (Node::current()->members().size() < members) co_await sleep_for(50ms);
  run->sign = (co_await create_at<Plate>(NodeId{1})).value();
  run->made = true;
  auto both = when_all(compute(run), pass_a_newcomer(run, members));
  co_await std::move(both);
}

/// On node 2, whose core 0 computes: what core 1 shows when the lease has ended.
void look_at_replica(Run* run) {
  ++run->looked;
  run->expect(platform::translate(run->sign.id()) == nullptr, "core 1 shows a replica without the lease, as core 0 is busy");
}

task<void> touch(Run* run) {
  const auto value = co_await run->sign.call<&Plate::get>();
  run->expect(value.code() == Errc::ok, "a replica cannot be read");
}

task<void> backend(Run* run, std::uint32_t number, Time look) {
  World& world = World::instance();
  while (!run->made) co_await sleep_for(50ms);
  if (world.core().node == number) {
    const Time wait = look - 6s - world.now();
    co_await sleep_for(std::chrono::duration_cast<platform::Duration>(wait));
    auto read = [run] { return touch(run); };
    co_await on_core(CoreIndex{1}, read);
    auto set = [run, look, &world] {
      const auto left = std::chrono::duration_cast<platform::Duration>(look - world.now());
      Core::current().call_after(left, [run] { look_at_replica(run); });
    };
    co_await on_core(CoreIndex{1}, set);
  }
  co_await compute(run);
}

}  // namespace

Outcome run_members(const Settings& settings) {
  World world(settings.seed);
  world.verbose = settings.verbose;
  Run run;
  // A core of a node other than the front end computes too long, or not; each of the front end's for very long.
  const std::uint32_t looked_at = 3;
  const std::uint32_t stuck = 4;
  const Time replica_lost = 36s;
  run.stalls = {{kFront, CoreIndex{0}, 8s, 8s + std::chrono::milliseconds(world.pick(5'200, 9'000))},
                {kFront, CoreIndex{1}, 17'100ms, 17'100ms + std::chrono::milliseconds(world.pick(5'200, 11'000))},
                {looked_at, CoreIndex{0}, replica_lost - 3'400ms, replica_lost + 100ms},
                {5, CoreIndex{1}, 36s, 37'800ms},
                {stuck, CoreIndex{1}, 42s, 102s}};
  Cluster cluster(
      world, 2, [&run](Cluster* self) { return front_end(self, &run); },
      [&run, looked_at, replica_lost](Cluster*) { return backend(&run, looked_at, replica_lost); });
  for (std::size_t at = 0; at < 5; ++at) cluster.add_backend();

  // Those that were made meanwhile break as well.
  for (const Time when : {Time(4s), Time(4'001ms), Time(4'002ms)}) {
    world.run_until(when);
    for (const std::uint32_t each : cluster.backends) world.reset_connections(kFront, each);
  }
  world.run_until(Time(29s));
  world.pause(6, 3s);
  cluster.add_backend();
  world.run_until(Time(41s));
  run.expect(run.passed, "a node that joins is no member 12 s later");
  run.expect(cluster.lost.empty(), "a node was lost that only had its connections reset, or computed for a while, or was not answered by "
                                   "a front end that did");
  for (const std::uint32_t each : cluster.backends) run.expect(world.alive(each), "a node has ended that was to live");
  run.expect(run.looked == 1, "nobody looked at the replica");

  world.run_until(Time(52s));
  run.expect(cluster.lost.size() == 1 && cluster.lost.contains(Cluster::id_of(stuck)), "a node with a core that does not come back was not lost");
  world.crash(6, true);
  world.run_until(Time(53s));
  run.expect(cluster.lost.contains(Cluster::id_of(6)), "a node that refuses connections was not lost at once");
  world.crash(kFront, true);
  world.run_until(Time(55s));
  for (const std::uint32_t each : cluster.backends) {
    run.expect(each == stuck || !world.alive(each), "a node lives on although the front end has ended");
  }

  Outcome outcome;
  outcome.trace = world.trace();
  outcome.steps = world.steps();
  outcome.operations = outcome.successes = 1;
  outcome.violations = run.violations;
  outcome.log = world.log;
  return outcome;
}

}  // namespace ebb::sim
