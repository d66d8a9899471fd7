// The scenario "collectives": broadcasts, reductions and gathering from every node while nodes come, go, and are cut off. Each
// representative takes part at most once, and the answer accounts for every one that lives.
#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "ebb/async.h"
#include "ebb/object.h"
#include "tests/sim/trial.h"

namespace ebb::sim {
namespace {

using namespace std::chrono_literals;

constexpr Time kTroubleEnd = 33s;

struct Place {
  NodeId node = kNoNode;
  CoreIndex core{};
  friend auto operator<=>(const Place&, const Place&) = default;
};
Place here() { return {this_node(), Core::current().index()}; }
std::string describe(Place place) {
  return "node " + std::to_string(to_number(place.node)) + " core " + std::to_string(to_number(place.core));
}

/// A call under way at a representative.
struct UnderWay {
  Place place;
  Time begin;
};

/// What this run looks at; representatives of all nodes reach it directly.
struct Ledger {
  std::map<Place, Time> made;                                  // representatives, and since when they are there
  std::set<NodeId> roots;                                       // nodes that have one
  std::map<std::uint64_t, std::map<Place, std::uint32_t>> ran;  // by operation: who ran it, how often
  std::map<std::uint64_t, UnderWay> under_way;                  // by a number of their own
  std::uint64_t next_under_way = 0;
  std::size_t operations = 0;
  std::size_t successes = 0;
};
Ledger* ledger = nullptr;

struct Voter {
  /// What its cores share on a node; it makes no difference.
  struct root {
    Alive alive{"Voter::root"};
    root() {
      if (!ledger->roots.insert(this_node()).second) violated("a second root on node " + std::to_string(to_number(this_node())));
    }
  };
  Alive alive{"Voter"};
  Voter() {
    // No object is destroyed and no representative dropped before everything comes to rest.
    if (!ledger->made.emplace(here(), World::instance().now()).second) violated("a second representative on " + describe(here()));
  }
  std::uint64_t vote(std::uint64_t operation) {
    if (++ledger->ran[operation][here()] > 1) violated("operation " + std::to_string(operation) + " ran twice on " + describe(here()));
    return 1;
  }
  task<std::uint64_t> vote_slowly(std::uint64_t operation) {
    const std::uint64_t mine = vote(operation);
    const std::uint64_t number = ++ledger->next_under_way;
    ledger->under_way[number] = {here(), World::instance().now()};
    co_await sleep_for(std::chrono::milliseconds(20));
    ledger->under_way.erase(number);
    co_return mine;
  }
  using interface = ebb::interface<"sim.Voter/1", method<"vote", &Voter::vote>, method<"vote_slowly", &Voter::vote_slowly>>;
};

/// What a call was made among.
struct Question {
  std::uint64_t operation = 0;
  Time begin{};
  std::vector<Member> members;
  std::map<Place, Time> made;
  bool healed = false;
};

struct Run {
  Trial* trial = nullptr;
  ref<Voter> voter;
  bool made = false;
  std::vector<Question> sent;  // to all, when nothing is wrong any more
  Ledger ledger;
};

bool is_lost(const participation& who, NodeId node) { return std::binary_search(who.lost.begin(), who.lost.end(), node); }

/// A member when the call was made, and not lost.
bool was_asked(const Question& asked, const participation& who, NodeId node) {
  const auto is_it = [node](const Member& member) { return member.id == node; };
  return std::any_of(asked.members.begin(), asked.members.end(), is_it) && !is_lost(who, node);
}

/// Who is said to be lost: nobody to whom nothing was done, nor who was not asked to leave, and nobody at all once all is whole again.
void account_for_the_lost(const Cluster& cluster, const Question& asked, const participation& who) {
  const std::string call = "operation " + std::to_string(asked.operation);
  for (const NodeId each : who.lost) {
    const std::uint32_t number = Cluster::number_of(each);
    const bool may_be_gone = cluster.harmed.contains(number) || cluster.dismissed.contains(number);
    if (!may_be_gone || asked.healed) {
      violated(call + " says that node " + std::to_string(to_number(each)) + " was lost, which lives");
    }
  }
  if (who.nodes + who.lost.size() != asked.members.size()) {
    violated(call + " went to " + std::to_string(who.nodes) + " nodes and lost " + std::to_string(who.lost.size()) + ", of " +
             std::to_string(asked.members.size()));
  }
}

/// After an answer came.
void account(const Cluster& cluster, const Question& asked, const participation& who) {
  const auto& ran = ledger->ran[asked.operation];
  const std::string call = "operation " + std::to_string(asked.operation);
  const auto marks = std::count_if(ran.begin(), ran.end(), [&who](const auto& each) { return !is_lost(who, each.first.node); });
  if (marks != who.representatives) {
    violated(call + " says that " + std::to_string(who.representatives) + " took part; " + std::to_string(marks) + " did");
  }
  for (const auto& [place, since] : asked.made) {
    if (was_asked(asked, who, place.node) && !ran.contains(place)) violated(call + " left out " + describe(place));
  }
  account_for_the_lost(cluster, asked, who);
}

/// After a barrier: no call is under way that was when it began.
void account_for_barrier(const Cluster& cluster, const Question& asked, const participation& who) {
  for (const auto& [number, call] : ledger->under_way) {
    const bool lives = World::instance().alive(Cluster::number_of(call.place.node));
    if (call.begin >= asked.begin || !lives || !was_asked(asked, who, call.place.node)) continue;
    violated("a barrier did not wait for a call on " + describe(call.place));
  }
  account_for_the_lost(cluster, asked, who);
}

/// Makes one call of them all.
task<Errc> ask(const Cluster* cluster, Run* run, const Question* asked) {
  const OpenCall open("operation " + std::to_string(asked->operation));
  const auto all = run->voter.everywhere().within(8s);
  const std::uint64_t operation = asked->operation;
  switch (World::instance().pick(0, 5)) {
    case 0: {
      const auto answer = co_await all.call<&Voter::vote_slowly>(operation);
      if (answer) account(*cluster, *asked, *answer);
      co_return answer.code();
    }
    case 1: {
      const auto answer = co_await all.gather<&Voter::vote>(operation);
      if (!answer) co_return answer.code();
      account(*cluster, *asked, answer->who);
      if (answer->value.size() != answer->who.representatives) violated("a gathering lost a result");
      co_return Errc::ok;
    }
    case 2: {
      const auto answer = co_await all.every_core().reduce<&Voter::vote>(std::uint64_t{0}, sum(), operation);
      if (!answer) co_return answer.code();
      account(*cluster, *asked, answer->who);
      if (answer->value != answer->who.representatives) violated("a sum is not that of who took part");
      co_return Errc::ok;
    }
    case 3: {
      const auto answer = co_await all.barrier();
      if (answer) account_for_barrier(*cluster, *asked, *answer);
      co_return answer.code();
    }
    case 4: {
      const auto sent = co_await all.send<&Voter::vote>(operation);
      if (sent && asked->healed) run->sent.push_back(*asked);
      co_return sent.code();
    }
    default: {
      const auto answer = co_await all.reduce<&Voter::vote_slowly>(std::uint64_t{0}, sum(), operation);
      if (!answer) co_return answer.code();
      account(*cluster, *asked, answer->who);
      if (answer->value != answer->who.representatives) violated("a sum is not that of who took part");
      co_return Errc::ok;
    }
  }
}

task<void> client(Cluster* cluster, Run* run) {
  World& world = cluster->world();
  while (!cluster->ending) {
    co_await sleep_for(cluster->pause(10ms, 2s));
    if (!run->made || cluster->ending) continue;
    if (world.pick(0, 4) == 0) {
      // One more representative, made at the first call.
      const CoreIndex core{static_cast<std::uint16_t>(world.pick(0, Core::count() - 1))};
      const auto touched = co_await run->voter.on(core).call<&Voter::vote_slowly>(++run->ledger.operations);
      static_cast<void>(touched);
      continue;
    }
    const Question asked{++run->ledger.operations, world.now(), Node::current()->members(), run->ledger.made, run->trial->healed()};
    const Errc code = co_await ask(cluster, run, &asked);
    if (code == Errc::ok) ++run->ledger.successes;
    if (code != Errc::ok) world.say("operation " + std::to_string(asked.operation) + " failed: " + std::string(name(code)));
  }
}

/// On the front end: asks a backend to leave, now and then, and has another one come.
task<void> dismiss(Cluster* cluster) {
  World& world = cluster->world();
  while (!cluster->ending && world.now() < kTroubleEnd) {
    co_await sleep_for(std::chrono::milliseconds(world.pick(500, 6'000)));
    const auto members = Node::current()->members();
    if (members.size() < 4 || cluster->ending) continue;
    co_await Cluster::dismiss(cluster, members[world.pick(1, members.size() - 1)].id);
    cluster->add_backend();
  }
}

task<void> make_object(Cluster* cluster, Run* run) {
  while (Node::current()->members().size() < cluster->backends.size() + 1) co_await sleep_for(50ms);
  run->voter = (co_await create<Voter>()).value();
  run->made = true;
  auto both = when_all(client(cluster, run), dismiss(cluster));
  co_await std::move(both);
}

}  // namespace

Outcome run_collectives(const Settings& settings) {
  Run run;
  ledger = &run.ledger;
  Trial trial(
      settings, [&run](Cluster* self) { return make_object(self, &run); }, [&run](Cluster* self) { return client(self, &run); });
  run.trial = &trial;
  trial.trouble(kTroubleEnd);
  trial.must_answer(55s, 65s, run.ledger.successes);
  trial.outcome.operations = run.ledger.operations;
  trial.outcome.successes = run.ledger.successes;
  // Nobody hears of what was told to all, but when nothing is wrong it comes to all, within a second.
  constexpr Time kLook = 70s;
  trial.world.run_until(kLook);
  for (const Question& each : run.sent) {
    if (each.begin > kLook - Time(1s)) continue;
    for (const auto& [place, since] : each.made) {
      const bool lives = trial.world.alive(Cluster::number_of(place.node));
      if (lives && !run.ledger.ran[each.operation].contains(place)) violated("what was told to all did not come to " + describe(place));
    }
  }
  return trial.finish();
}

}  // namespace ebb::sim
