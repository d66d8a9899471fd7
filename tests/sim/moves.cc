// The scenario "moves": everybody moves a few objects about, at the same time and through connections that break in the middle.
// No node is lost, so nothing of an object's state may be.
#include <memory>
#include <string>
#include <vector>

#include "ebb/async.h"
#include "ebb/object.h"
#include "tests/sim/rest.h"

namespace ebb::sim {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kObjects = 4;
// The first is used and moved for the first part of each period only: a state must wait for its home as long as nobody calls.
constexpr std::size_t kIdle = 0;
constexpr Time kPeriod = 75s;
constexpr Time kBusy = 10s;
constexpr Time kBegin = 3s;
constexpr Time kTroubleEnds = 150s;
constexpr Time kClientsEnd = 190s;

/// What one object has answered.
struct Answers {
  ref<struct Till> object;
  std::uint64_t highest = 0;  // of all answers that have come
  std::size_t count = 0;
};

struct Ledger {
  std::vector<Answers> objects;
  std::vector<std::string> violations;
  std::size_t operations = 0;
  std::size_t successes = 0;
  std::size_t moves = 0;
};
Ledger* ledger = nullptr;

void violated(const std::string& what) {
  ledger->violations.push_back("at " + std::to_string(World::instance().now().count() / 1000) + " us: " + what);
}

struct Till {
  using policy = remade_home;
  Alive alive{"Till"};
  std::uint64_t sum = 0;
  std::uint64_t add() { return ++sum; }
  task<std::uint64_t> add_slowly() {
    const std::uint64_t instance = alive.number();
    const std::uint64_t own = ++sum;
    co_await sleep_for(std::chrono::milliseconds(20));
    if (!Alive::lives(instance)) violated("an instance ended in the middle of a call");
    co_return own;
  }
  std::uint64_t save() const { return sum; }
  void restore(std::uint64_t saved) { sum = saved; }
  void on_lost(const home_lost&) { violated("an object was lost, but no node was"); }
  using interface = ebb::interface<"sim.Till/1", method<"add", &Till::add>, method<"add_slowly", &Till::add_slowly>>;
};

task<void> add(std::size_t which) {
  const std::uint64_t before = ledger->objects[which].highest;
  ++ledger->operations;
  const auto target = ledger->objects[which].object.on_home().within(8s);
  task<Result<std::uint64_t>> call =
      World::instance().pick(0, 1) == 0 ? target.call<&Till::add>() : target.call<&Till::add_slowly>();
  const Result<std::uint64_t> sum = co_await std::move(call);
  if (!sum) co_return;
  ++ledger->successes;
  Answers& answers = ledger->objects[which];
  if (*sum <= before) {
    violated("object " + std::to_string(which) + " counted to " + std::to_string(*sum) + " after it had answered " + std::to_string(before));
  }
  answers.highest = std::max(answers.highest, *sum);
  ++answers.count;
}

task<void> move(std::size_t which) {
  World& world = World::instance();
  const auto members = Node::current()->members();
  const Member& target = members[world.pick(0, members.size() - 1)];
  const CoreIndex core{static_cast<std::uint16_t>(world.pick(0, target.cores - 1))};
  const Result<void> moved = co_await migrate(ledger->objects[which].object, target.id, core);
  if (moved) ++ledger->moves;
}

task<void> client(Cluster* cluster, bool* begun) {
  World& world = cluster->world();
  while (!cluster->ending && world.now() < kClientsEnd) {
    co_await sleep_for(std::chrono::microseconds(world.pick(1'000, 900'000)));
    if (!*begun || cluster->ending) continue;
    const bool idle = world.now() % kPeriod > kBusy;
    const std::size_t which = world.pick(idle ? kIdle + 1 : 0, kObjects - 1);
    const std::uint64_t what = world.pick(0, 2);
    if (what == 0) co_await move(which);
    else co_await add(which);
  }
}

task<void> begin(Cluster* cluster, bool* begun) {
  while (Node::current()->members().size() < cluster->backends.size() + 1) co_await sleep_for(50ms);
  for (std::size_t at = 0; at < kObjects; ++at) ledger->objects.push_back({(co_await create<Till>()).value()});
  *begun = true;
  co_await client(cluster, begun);
}

/// Connections between backends break and are cut, in one direction mostly, for less than what makes a member count as gone.
void trouble(World& world, const Cluster& cluster) {
  const std::vector<std::uint32_t> nodes(cluster.backends.begin(), cluster.backends.end());
  for (Time when = kBegin; when < kTroubleEnds; when += std::chrono::milliseconds(world.pick(100, 3'000))) {
    const std::uint32_t from = nodes[world.pick(0, nodes.size() - 1)];
    const std::uint32_t to = nodes[world.pick(0, nodes.size() - 1)];
    if (from == to) continue;
    const Time length = std::chrono::milliseconds(world.pick(10, 9'000));
    world.at(when, [&world, from, to] { world.cut(from, to); });
    world.at(when + length, [&world, from, to] { world.mend(from, to); });
  }
}

}  // namespace

Outcome run_moves(const Settings& settings) {
  World world(settings.seed);
  world.verbose = settings.verbose;
  Ledger own;
  ledger = &own;
  bool begun = false;
  Cluster cluster(
      world, settings.cores, [&begun](Cluster* self) { return begin(self, &begun); },
      [&begun](Cluster* self) { return client(self, &begun); });
  for (std::size_t at = 0; at < settings.nodes; ++at) cluster.add_backend();
  trouble(world, cluster);
  world.run_until(kTroubleEnds + 5s);
  world.mend_all();
  world.run_until(kClientsEnd + 30s);

  Outcome outcome;
  outcome.trace = world.trace();
  outcome.steps = world.steps();
  outcome.operations = own.operations;
  outcome.successes = own.successes;
  outcome.violations = own.violations;
  for (std::size_t at = 0; at < own.objects.size(); ++at) {
    if (own.objects[at].highest < own.objects[at].count) {
      outcome.violations.push_back("object " + std::to_string(at) + " gave " + std::to_string(own.objects[at].count) +
                                   " answers, the highest of them " + std::to_string(own.objects[at].highest));
    }
  }
  if (own.successes == 0 || own.moves == 0) outcome.violations.push_back("nothing was answered, or nothing moved");
  outcome.report = std::to_string(own.moves) + " moves";
  come_to_rest(cluster, outcome);
  outcome.log = world.log;
  return outcome;
}

}  // namespace ebb::sim
