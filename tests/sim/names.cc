// The scenario "directory": objects are created under names, found and destroyed from everywhere, by all at the same few names, while
// connections break. What clients are told must be what one directory could have said that does one thing at a time.
#include <map>
#include <set>
#include <string>
#include <vector>

#include "ebb/async.h"
#include "ebb/object.h"
#include "tests/sim/linearizability.h"
#include "tests/sim/rest.h"
#include "tests/sim/specifications.h"

namespace ebb::sim {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kNames = 8;

using Action = NameSpecification::Action;
using History = std::vector<Attempt<NameSpecification>>;

struct Sign {
  Alive alive{"Sign"};
  std::uint64_t read() const { return 1; }
  using interface = ebb::interface<"sim.Sign/1", method<"read", &Sign::read>>;
};

struct Run {
  std::map<std::uint64_t, History> histories;     // by name
  std::map<std::uint64_t, ref<Sign>> known;       // by name, the last that was found or made
  std::size_t successes = 0;
};

/// An operation begins; its place in the name's history. What a client that crashes has begun may happen as well.
std::size_t begin(Run* run, std::uint64_t name, Action action, std::uint32_t id) {
  Attempt<NameSpecification> attempt;
  attempt.input = {action, id};
  attempt.begin = World::instance().now().count();
  run->histories[name].push_back(attempt);
  return run->histories[name].size() - 1;
}

/// It has ended, and its client knows what it did.
void note(Run* run, std::uint64_t name, std::size_t at, NameSpecification::Output output) {
  run->histories[name][at].end = World::instance().now().count();
  run->histories[name][at].output = output;
  ++run->successes;
}

task<void> make(Run* run, std::uint64_t name) {
  const std::size_t at = begin(run, name, Action::create, 0);
  const auto made = co_await create<Sign>("sign " + std::to_string(name));
  if (made) run->known[name] = *made;
  if (made) note(run, name, at, {made->id().index(), true});
  if (made.code() == Errc::already_exists) note(run, name, at, {0, false});
}

task<void> look(Run* run, std::uint64_t name) {
  const std::size_t at = begin(run, name, Action::find, 0);
  const auto found = co_await find<Sign>("sign " + std::to_string(name));
  if (found) run->known[name] = *found;
  if (found) note(run, name, at, {found->id().index(), true});
  if (found.code() == Errc::no_such_object) note(run, name, at, {0, false});
}

task<void> end(Run* run, std::uint64_t name) {
  const auto known = run->known.find(name);
  if (known == run->known.end()) co_return;
  const ref<Sign> sign = known->second;
  const std::uint32_t id = sign.id().index();
  const std::size_t at = begin(run, name, Action::destroy, id);
  const Result<void> ended = co_await destroy(sign);
  if (ended) note(run, name, at, {id, true});
  if (ended.code() == Errc::no_such_object) note(run, name, at, {id, false});
}

task<void> use(Run* run, std::uint64_t name) {
  const auto known = run->known.find(name);
  if (known == run->known.end()) co_return;
  const auto members = Node::current()->members();
  const Member& anybody = members[World::instance().pick(0, members.size() - 1)];
  const auto answer = co_await known->second.on(anybody.id).within(3s).call<&Sign::read>();
  static_cast<void>(answer);
}

task<void> client(Cluster* cluster, Run* run) {
  World& world = cluster->world();
  while (!cluster->ending) {
    co_await sleep_for(std::chrono::microseconds(world.pick(5'000, 500'000)));
    if (cluster->ending) continue;
    const std::uint64_t name = world.pick(0, kNames - 1);
    switch (world.pick(0, 6)) {
      case 0:
      case 1: co_await make(run, name); break;
      case 2: co_await end(run, name); break;
      case 3: co_await use(run, name); break;
      default: co_await look(run, name); break;
    }
  }
}

/// Objects of which nobody knows whether they have ended everywhere: destroy() failed, or its client crashed.
std::set<ObjectId> not_ended(const Run& run) {
  std::set<ObjectId> all;
  for (const auto& [name, history] : run.histories) {
    for (const auto& each : history) {
      if (each.input.action == Action::destroy && !each.output) all.insert(ObjectId(each.input.id));
    }
  }
  return all;
}

void check(const Run& run, std::vector<std::string>& violations) {
  for (auto [name, history] : run.histories) {
    // A look that failed says nothing.
    std::erase_if(history, [](const auto& each) { return each.input.action == Action::find && !each.output; });
    NameSpecification specification;
    for (const auto& each : history) {
      if (each.output && each.output->id != 0) specification.ids.insert(each.output->id);
    }
    const Verdict verdict = check_linearizable(specification, history);
    if (verdict == Verdict::linearizable) continue;
    violations.push_back("name " + std::to_string(name) + ": no directory could have said what it did of its " +
                         std::to_string(history.size()) + " operations" + (verdict == Verdict::undecided ? " (undecided)" : ""));
  }
}

}  // namespace

Outcome run_directory(const Settings& settings) {
  World world(settings.seed);
  world.verbose = settings.verbose;
  Run run;
  const Work work = [&run](Cluster* self) { return client(self, &run); };
  Cluster cluster(world, settings.cores, work, work);
  cluster.drivers_report_ends = world.pick(0, 1) == 0;
  for (std::size_t at = 0; at < settings.nodes; ++at) cluster.add_backend();
  Nemesis nemesis(cluster);
  nemesis.trouble(Time(3s), Time(43s));
  world.run_until(Time(45s));
  world.mend_all();
  world.run_until(Time(60s));
  const std::size_t before = run.successes;
  world.run_until(Time(66s));

  Outcome outcome;
  outcome.trace = world.trace();
  outcome.steps = world.steps();
  outcome.successes = run.successes;
  if (run.successes == before) outcome.violations.push_back("nothing is answered after all has been mended");
  come_to_rest(cluster, outcome, not_ended(run));
  check(run, outcome.violations);
  for (const auto& [name, history] : run.histories) outcome.operations += history.size();
  outcome.log = world.log;
  return outcome;
}

}  // namespace ebb::sim
