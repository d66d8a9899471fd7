// The scenario "life": objects are created, moved and destroyed from everywhere, ids are given out again, nodes leave in order or
// without a word. A reference reaches its own object or none.
#include <algorithm>
#include <map>
#include <memory>
#include <optional>
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

/// So few ids that they are given out again, after a grace that the run sees the end of. It is longer than a state waits for its
/// home (a minute), as the real one is.
constexpr std::uint32_t kIds = 96;
constexpr platform::Duration kGrace = 70s;
constexpr platform::Duration kForget = 66s;

/// One creation of an object, and all that is known of its life.
struct Handle {
  std::uint64_t serial = 0;
  ref<struct Token> object;
  std::optional<Time> destroyed;  // destroy() has answered so
  std::optional<Time> ending;     // destroy() was called then
  std::map<std::uint64_t, std::uint32_t> ran;  // operations, and how often
  std::uint64_t newest = 0;       // of the instances that have run one
};

struct Ledger {
  std::vector<std::unique_ptr<Handle>> handles;
  std::vector<std::string> violations;
  std::size_t operations = 0;
  std::size_t successes = 0;
  std::size_t reused = 0;
};
Ledger* ledger = nullptr;

struct Token {
  Alive alive{"Token"};
  using policy = remade_home;
  std::uint64_t serial = 0;  // 0: nobody has said yet, or the state was lost
  std::uint64_t count = 0;
  std::uint64_t name(std::uint64_t own) { return std::exchange(serial, own); }
  /// `expected`: the object that the caller means.
  std::uint64_t use(std::uint64_t expected, std::uint64_t operation) {
    ++count;
    Handle& handle = *ledger->handles[expected - 1];
    ++handle.ran[operation];
    if (alive.number() < handle.newest) {
      ledger->violations.push_back("operation " + std::to_string(operation) + " ran on an instance that had a successor");
    }
    handle.newest = alive.number();
    return serial;
  }
  task<std::uint64_t> use_slowly(std::uint64_t expected, std::uint64_t operation) {
    const std::uint64_t own = use(expected, operation);
    const std::uint64_t instance = alive.number();
    co_await sleep_for(std::chrono::milliseconds(8));
    if (!Alive::lives(instance)) ledger->violations.push_back("an instance ended in the middle of operation " + std::to_string(operation));
    co_return own;
  }
  std::pair<std::uint64_t, std::uint64_t> save() const { return {serial, count}; }
  void restore(std::pair<std::uint64_t, std::uint64_t> state) { std::tie(serial, count) = state; }
  void on_lost(const home_lost&) {}
  using interface = ebb::interface<"sim.Token/1", method<"name", &Token::name>, method<"use", &Token::use>,
                                   method<"use_slowly", &Token::use_slowly>>;
};

std::string describe(const Handle& handle) {
  return "object " + std::to_string(handle.object.id().index()) + " (creation " + std::to_string(handle.serial) + ")";
}

void violated(const std::string& what) {
  ledger->violations.push_back("at " + std::to_string(World::instance().now().count() / 1000) + " us: " + what);
}

task<void> make(Cluster*) {
  World& world = World::instance();
  const auto members = Node::current()->members();
  const Member& home = members[world.pick(0, members.size() - 1)];
  const auto created = co_await create_at<Token>(home.id);
  if (!created) co_return;
  bool again = false;
  for (const auto& each : ledger->handles) {
    if (each->object.id() != created->id()) continue;
    again = true;
    // The one before must have ended everywhere, a grace ago: the answer of its destroy() may have been held up on its way, so what
    // counts is when it was called. Clocks run apart by up to 5 %.
    const bool early = !each->ending || world.now() < *each->ending + kGrace * 9 / 10;
    if (early) violated(describe(*each) + " gave its id away while somebody may mean it");
  }
  ledger->reused += again ? 1 : 0;
  auto fresh = std::make_unique<Handle>();
  fresh->serial = ledger->handles.size() + 1;
  fresh->object = *created;
  Handle* handle = fresh.get();
  ledger->handles.push_back(std::move(fresh));
  const auto before = co_await created->on_home().within(5s).call<&Token::name>(handle->serial);
  if (before && *before != 0 && *before != handle->serial) {
    violated(describe(*handle) + " was born as creation " + std::to_string(*before));
  }
}

task<void> use(Handle* handle) {
  World& world = World::instance();
  const Time begin = world.now();
  const bool dead = handle->destroyed && *handle->destroyed < begin;
  const std::uint64_t operation = ++ledger->operations;
  const auto target = handle->object.on_home().within(5s);
  task<Result<std::uint64_t>> call = world.pick(0, 1) == 0 ? target.call<&Token::use>(handle->serial, operation)
                                                          : target.call<&Token::use_slowly>(handle->serial, operation);
  const Result<std::uint64_t> answer = co_await std::move(call);
  if (!answer) co_return;
  ++ledger->successes;
  if (dead) violated(describe(*handle) + " answered after it was destroyed, as creation " + std::to_string(*answer));
  if (*answer != 0 && *answer != handle->serial) violated(describe(*handle) + " answered as creation " + std::to_string(*answer));
}

task<void> end(Handle* handle) {
  handle->ending = World::instance().now();
  const Result<void> ended = co_await destroy(handle->object);
  if (ended) handle->destroyed = World::instance().now();
}

task<void> move(Handle* handle) {
  World& world = World::instance();
  const auto members = Node::current()->members();
  const Member& target = members[world.pick(0, members.size() - 1)];
  const CoreIndex core{static_cast<std::uint16_t>(world.pick(0, target.cores - 1))};
  const Result<void> moved = co_await migrate(handle->object, target.id, core);
  static_cast<void>(moved);
}

/// One whose references may still be used: it lives, or it ended less than the grace ago.
Handle* any_handle() {
  World& world = World::instance();
  std::vector<Handle*> all;
  for (const auto& each : ledger->handles) {
    const bool past = each->ending && (!each->destroyed || world.now() > *each->destroyed + kGrace / 2);
    if (!past) all.push_back(each.get());
  }
  return all.empty() ? nullptr : all[world.pick(0, all.size() - 1)];
}

task<void> client(Cluster* cluster, bool* begun) {
  World& world = cluster->world();
  while (!cluster->ending) {
    co_await sleep_for(std::chrono::microseconds(world.pick(2'000, 300'000)));
    if (!*begun || cluster->ending) continue;
    Handle* handle = any_handle();
    const std::uint64_t what = world.pick(0, 9);
    if (handle == nullptr || what == 0) {
      co_await make(cluster);
    } else if (what == 1 && !handle->ending) {
      co_await end(handle);
    } else if (what == 2) {
      co_await move(handle);
    } else {
      co_await use(handle);
    }
  }
}

/// On the front end: asks a backend to leave, now and then.
task<void> dismiss(Cluster* cluster) {
  World& world = cluster->world();
  while (!cluster->ending && world.now() < Time(140s)) {
    co_await sleep_for(std::chrono::milliseconds(world.pick(3'000, 12'000)));
    const auto members = Node::current()->members();
    if (members.size() < 4 || cluster->ending) continue;
    const NodeId leaver = members[world.pick(1, members.size() - 1)].id;
    world.say("node " + std::to_string(to_number(leaver)) + " is asked to leave");
    const Result<void> left = co_await Node::current()->ask_to_stop(leaver);
    co_await Node::current()->remove_member(leaver, "it was asked to leave");
    if (!left) world.crash(Cluster::number_of(leaver), true);
    cluster->add_backend();
  }
}

task<void> begin(Cluster* cluster, bool* begun) {
  while (Node::current()->members().size() < cluster->backends.size() + 1) co_await sleep_for(50ms);
  *begun = true;
  auto both = when_all(client(cluster, begun), dismiss(cluster));
  co_await std::move(both);
}

}  // namespace

Outcome run_life(const Settings& settings) {
  World world(settings.seed);
  world.verbose = settings.verbose;
  Ledger own;
  ledger = &own;
  bool begun = false;
  Cluster cluster(
      world, settings.cores, [&begun](Cluster* self) { return begin(self, &begun); },
      [&begun](Cluster* self) { return client(self, &begun); });
  cluster.drivers_report_ends = world.pick(0, 1) == 0;
  cluster.ids = Cluster::Ids{kIds, kGrace, kForget};
  for (std::size_t at = 0; at < settings.nodes; ++at) cluster.add_backend();
  Nemesis nemesis(cluster);
  if (world.pick(0, 2) != 0) nemesis.trouble(Time(3s), Time(150s));
  world.run_until(Time(152s));
  world.mend_all();
  world.run_until(Time(175s));
  const std::size_t before = own.successes;
  world.run_until(Time(190s));

  Outcome outcome;
  outcome.trace = world.trace();
  outcome.steps = world.steps();
  outcome.operations = own.operations;
  outcome.successes = own.successes;
  outcome.violations = own.violations;
  for (const auto& handle : own.handles) {
    for (const auto& [operation, times] : handle->ran) {
      if (times > 1) outcome.violations.push_back("operation " + std::to_string(operation) + " ran " + std::to_string(times) + " times");
    }
  }
  if (own.successes == before) outcome.violations.push_back("nothing is answered after all has been mended");
  outcome.report = std::to_string(own.handles.size()) + " creations, of which " + std::to_string(own.reused) + " had an id again";
  std::set<ObjectId> not_ended;
  for (const auto& handle : own.handles) {
    if (handle->ending && !handle->destroyed) not_ended.insert(handle->object.id());
  }
  come_to_rest(cluster, outcome, not_ended);
  outcome.log = world.log;
  return outcome;
}

}  // namespace ebb::sim
