// The scenario "everywhere": broadcasts, reductions and gathering from every node while nodes come, go, and are cut off. Each
// representative takes part at most once, and the answer accounts for every one that lives.
#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "ebb/async.h"
#include "ebb/object.h"
#include "tests/sim/rest.h"

namespace ebb::sim {
namespace {

using namespace std::chrono_literals;

struct Place {
  NodeId node = kNoNode;
  CoreIndex core{};
  friend auto operator<=>(const Place&, const Place&) = default;
};
Place here() { return {this_node(), Core::current().index()}; }
std::string describe(Place place) {
  return "node " + std::to_string(to_number(place.node)) + " core " + std::to_string(to_number(place.core));
}

/// What this run looks at; representatives of all nodes reach it directly.
struct Ledger {
  std::map<Place, Time> made;                                  // representatives, and since when they are there
  std::map<std::uint64_t, std::map<Place, std::uint32_t>> ran;  // by operation: who ran it, how often
  std::vector<std::string> violations;
  std::size_t operations = 0;
  std::size_t successes = 0;
};
Ledger* ledger = nullptr;

struct Voter {
  Alive alive{"Voter"};
  Voter() { ledger->made.emplace(here(), World::instance().now()); }
  std::uint64_t vote(std::uint64_t operation) {
    ++ledger->ran[operation][here()];
    return 1;
  }
  task<std::uint64_t> vote_slowly(std::uint64_t operation) {
    const std::uint64_t mine = vote(operation);
    co_await sleep_for(std::chrono::milliseconds(20));
    co_return mine;
  }
  using interface = ebb::interface<"sim.Voter/1", method<"vote", &Voter::vote>, method<"vote_slowly", &Voter::vote_slowly>>;
};

struct Run {
  ref<Voter> voter;
  bool made = false;
  Ledger ledger;
};

/// After an answer came: `members` and `made` as they were when the call began.
void account(std::uint64_t operation, const participation& who, const std::vector<Member>& members, const std::map<Place, Time>& made) {
  const auto& ran = ledger->ran[operation];
  const auto is_lost = [&who](NodeId node) { return std::binary_search(who.lost.begin(), who.lost.end(), node); };
  const std::string call = "operation " + std::to_string(operation);
  std::uint32_t marks = 0;
  for (const auto& [place, times] : ran) {
    if (times > 1) ledger->violations.push_back(call + " ran " + std::to_string(times) + " times on " + describe(place));
    if (!is_lost(place.node)) ++marks;
  }
  if (marks != who.representatives) {
    ledger->violations.push_back(call + " says that " + std::to_string(who.representatives) + " took part; " + std::to_string(marks) + " did");
  }
  for (const Member& member : members) {
    if (is_lost(member.id)) continue;
    for (const auto& [place, since] : made) {
      if (place.node == member.id && !ran.contains(place)) {
        ledger->violations.push_back(call + " left out " + describe(place));
      }
    }
  }
  if (who.nodes + who.lost.size() != members.size()) {
    ledger->violations.push_back(call + " went to " + std::to_string(who.nodes) + " nodes and lost " + std::to_string(who.lost.size()) +
                                 ", of " + std::to_string(members.size()));
  }
}

task<void> ask(Run* run) {
  World& world = World::instance();
  const std::uint64_t operation = ++run->ledger.operations;
  const std::vector<Member> members = Node::current()->members();
  const std::map<Place, Time> made = run->ledger.made;
  const auto all = run->voter.everywhere().within(8s);
  Errc code = Errc::ok;
  switch (world.pick(0, 3)) {
    case 0: {
      const auto answer = co_await all.call<&Voter::vote_slowly>(operation);
      code = answer.code();
      if (answer) account(operation, *answer, members, made);
      break;
    }
    case 1: {
      const auto answer = co_await all.gather<&Voter::vote>(operation);
      code = answer.code();
      if (!answer) break;
      account(operation, answer->who, members, made);
      if (answer->value.size() != answer->who.representatives) ledger->violations.push_back("a gathering lost a result");
      break;
    }
    case 2: {
      const auto answer = co_await all.every_core().reduce<&Voter::vote>(std::uint64_t{0}, sum(), operation);
      code = answer.code();
      if (!answer) break;
      account(operation, answer->who, members, made);
      if (answer->value != answer->who.representatives) ledger->violations.push_back("a sum is not that of who took part");
      break;
    }
    default: {
      const auto answer = co_await all.reduce<&Voter::vote_slowly>(std::uint64_t{0}, sum(), operation);
      code = answer.code();
      if (!answer) break;
      account(operation, answer->who, members, made);
      if (answer->value != answer->who.representatives) ledger->violations.push_back("a sum is not that of who took part");
      break;
    }
  }
  if (code == Errc::ok) ++run->ledger.successes;
  if (code != Errc::ok) world.say("operation " + std::to_string(operation) + " failed: " + std::string(name(code)));
}

task<void> client(Cluster* cluster, Run* run) {
  World& world = cluster->world();
  while (!cluster->ending) {
    co_await sleep_for(std::chrono::microseconds(world.pick(10'000, 2'000'000)));
    if (!run->made || cluster->ending) continue;
    if (world.pick(0, 4) == 0) {
      // One more representative, made at the first call.
      const CoreIndex core{static_cast<std::uint16_t>(world.pick(0, Core::count() - 1))};
      const auto touched = co_await run->voter.on(core).call<&Voter::vote>(0);
      static_cast<void>(touched);
    } else {
      co_await ask(run);
    }
  }
}

task<void> make_object(Cluster* cluster, Run* run) {
  while (Node::current()->members().size() < cluster->backends.size() + 1) co_await sleep_for(50ms);
  run->voter = (co_await create<Voter>()).value();
  run->made = true;
  co_await client(cluster, run);
}

}  // namespace

Outcome run_everywhere(const Settings& settings) {
  World world(settings.seed);
  world.verbose = settings.verbose;
  Run run;
  ledger = &run.ledger;
  Cluster cluster(
      world, settings.cores, [&run](Cluster* self) { return make_object(self, &run); },
      [&run](Cluster* self) { return client(self, &run); });
  cluster.drivers_report_ends = world.pick(0, 1) == 0;
  for (std::size_t at = 0; at < settings.nodes; ++at) cluster.add_backend();
  Nemesis nemesis(cluster);
  nemesis.trouble(Time(3s), Time(33s));
  world.run_until(Time(35s));
  world.mend_all();
  world.run_until(Time(55s));
  const std::size_t before = run.ledger.successes;
  world.run_until(Time(65s));

  Outcome outcome;
  outcome.trace = world.trace();
  outcome.steps = world.steps();
  outcome.operations = run.ledger.operations;
  outcome.successes = run.ledger.successes;
  outcome.violations = run.ledger.violations;
  for (const auto& [operation, ran] : run.ledger.ran) {
    for (const auto& [place, times] : ran) {
      if (operation != 0 && times > 1) {
        outcome.violations.push_back("operation " + std::to_string(operation) + " ran " + std::to_string(times) + " times on " + describe(place));
      }
    }
  }
  if (run.ledger.successes == before) outcome.violations.push_back("nothing is answered after all has been mended");
  come_to_rest(cluster, outcome);
  outcome.log = world.log;
  return outcome;
}

}  // namespace ebb::sim
