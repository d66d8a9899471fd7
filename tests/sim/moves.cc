// The scenario "moves": everybody moves a few objects about, at the same time and through connections that break in the middle,
// while backends come and are asked to leave. No node is lost, so nothing of an object's state may be.
#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "ebb/async.h"
#include "ebb/object.h"
#include "src/node/system_objects.h"
#include "tests/sim/constructions.h"
#include "tests/sim/trial.h"

namespace ebb::sim {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kTills = 4;
// The first is used and moved for the first part of each period only: a state must wait for its home as long as nobody calls.
constexpr std::size_t kIdle = 0;
constexpr Time kPeriod = 75s;
constexpr Time kBusy = 10s;
constexpr Time kBegin = 3s;
constexpr Time kTroubleEnds = 150s;
constexpr Time kHealed = 180s;
constexpr Time kClientsEnd = 190s;
constexpr std::uint64_t kKeys = 6;
// With more of them there is as much more trouble.
constexpr std::uint64_t kUsualBackends = 5;
// The partition of this one is more than what goes along with the answer that it may be fetched (src/object/parcel.h).
constexpr std::uint64_t kHeavyKey = 0;
constexpr std::size_t kWeight = (std::size_t{1} << 20) + 100'000;
// As long as a backend that comes takes to get what it is to have, about.
constexpr std::uint64_t kTakesOverUs = 3'000;
// Of the replicated ones.
constexpr std::uint64_t kTicker = 0;
constexpr std::uint64_t kVault = 1;
// Nothing is lost, so every object has one life.
constexpr std::uint64_t kLife = 1;

/// What this run looks at; objects of all nodes reach it directly.
struct Ledger {
  History tills;
  History boards;
  WriteOrder order{boards};
  std::uint64_t lives = 0;
  History shelves;
  std::size_t moves = 0;
  bool somebody_leaves = false;
  std::map<std::uint32_t, Time> resets;  // when the connections of each node with the front end broke last
};
Ledger* ledger = nullptr;

std::string here() { return "node " + std::to_string(to_number(this_node())) + " core " + std::to_string(to_number(Core::current().index())); }

struct Till {
  using policy = noted<remade_home>;
  Alive alive{"Till"};
  std::uint64_t sum = 0;
  std::uint64_t add(std::uint64_t operation) {
    ledger->tills.ran(operation, here());
    return ++sum;
  }
  task<std::uint64_t> add_slowly(std::uint64_t operation) {
    const std::uint64_t instance = alive.number();
    const std::uint64_t own = add(operation);
    co_await sleep_for(std::chrono::milliseconds(20));
    if (!Alive::lives(instance)) violated("an instance ended in the middle of a call");
    co_return own;
  }
  std::uint64_t save() const { return sum; }
  void restore(std::uint64_t saved) { sum = saved; }
  void on_lost(const home_lost&) { violated("an object was lost, but no node was"); }
  using interface = ebb::interface<"sim.Till/1", method<"add", &Till::add>, method<"add_slowly", &Till::add_slowly>>;
};

/// Its home and its replicas move with the nodes that leave.
struct Ticker {
  using policy = replicated;
  Alive alive{"Ticker"};
  Page page{++ledger->lives, 0, 0};
  Page write(std::uint64_t operation) { return page = ledger->order.carry_out(page, operation, here()); }
  Page read() const { return page; }
  Page save() const { return page; }
  void restore(Page saved) { page = saved; }
  using interface = ebb::interface<"sim.Ticker/1", method<"write", &Ticker::write>, method<"read", &Ticker::read>>;
};

struct Rack {
  using policy = partitioned;
  static constexpr std::uint32_t kPartitions = 8;
  Alive alive{"Rack"};
  std::array<std::uint64_t, kKeys> counts{};
  std::vector<std::byte> weight;
  std::uint64_t add(std::uint64_t key, std::uint64_t operation) {
    ledger->shelves.ran(operation, here());
    if (key == kHeavyKey) weight.resize(kWeight);
    return ++counts[key];
  }
  std::pair<std::array<std::uint64_t, kKeys>, std::vector<std::byte>> save() const { return {counts, weight}; }
  void restore(std::pair<std::array<std::uint64_t, kKeys>, std::vector<std::byte>> state) { std::tie(counts, weight) = std::move(state); }
  void on_lost(const partition_lost&) { violated("a partition was lost, but no node was"); }
  using interface = ebb::interface<"sim.Rack/1", method<"add", &Rack::add>>;
};

struct Run {
  std::vector<ref<Till>> tills;
  ref<Ticker> ticker;
  ref<Ticker> vault;
  std::uint64_t kept = 0;   // answered writes of the vault
  std::size_t left_to = 0;  // leavers that had all that there was of it
  ref<Rack> rack;
  bool made = false;
  Ledger ledger;
};

void note(History& history, std::uint64_t operation, const Result<std::uint64_t>& count) {
  const Time now = World::instance().now();
  if (count) history.succeeded(operation, now, {kLife, *count});
  if (!count) history.failed(operation, now);
  if (count.code() == Errc::no_such_object) violated("an object that lives is said not to exist: " + count.error().text());
}

task<void> use_till(Run* run, std::size_t which) {
  World& world = World::instance();
  const std::uint64_t operation = ledger->tills.begin(world.now(), which, true);
  const OpenCall open("operation " + std::to_string(operation) + " of a till");
  const auto target = run->tills[which].on_home().within(8s);
  task<Result<std::uint64_t>> call =
      world.pick(0, 1) == 0 ? target.call<&Till::add>(operation) : target.call<&Till::add_slowly>(operation);
  const Result<std::uint64_t> sum = co_await std::move(call);
  note(ledger->tills, operation, sum);
}

/// A call of the ticker or of the vault; how many writes it had seen.
task<Result<std::uint64_t>> use_board(std::uint64_t which, ref<Ticker> board, bool write, bool at_home) {
  const std::uint64_t operation = ledger->boards.begin(World::instance().now(), which, write);
  const OpenCall open("operation " + std::to_string(operation) + " of a board");
  ledger->boards.note(operation, here());
  task<Result<Page>> call = write ? board.call<&Ticker::write>(operation)
                            : at_home ? board.on_home().call<&Ticker::read>() : board.call<&Ticker::read>();
  const Result<Page> page = co_await std::move(call);
  if (page) ledger->order.heard(operation, *page);
  const Result<std::uint64_t> count = page ? Result<std::uint64_t>(page->count) : Result<std::uint64_t>(page.error());
  note(ledger->boards, operation, count);
  co_return count;
}

task<void> use_ticker(Run* run, bool write) {
  const auto count = co_await use_board(kTicker, run->ticker, write, false);
  static_cast<void>(count);
}

task<void> use_rack(Run* run, std::uint64_t key) {
  const std::uint64_t operation = ledger->shelves.begin(World::instance().now(), key, true);
  const OpenCall open("operation " + std::to_string(operation) + " of the rack");
  const auto count = co_await run->rack.on_key(key).within(8s).call<&Rack::add>(key, operation);
  note(ledger->shelves, operation, count);
}

task<void> move(Run* run, std::size_t which) {
  World& world = World::instance();
  const std::vector<Member> members = Node::current()->members();
  const Member& target = members[world.pick(0, members.size() - 1)];
  const CoreIndex core{static_cast<std::uint16_t>(world.pick(0, target.cores - 1))};
  const OpenCall open("a move of till " + std::to_string(which));
  const Result<void> moved = co_await migrate(run->tills[which], target.id, core);
  if (moved) ++ledger->moves;
}

/// Every till and key, once all is whole again. Clients of many nodes pause for longer than is left then.
task<void> ask_all(Cluster* cluster, Run* run) {
  while (cluster->world().now() < kHealed) co_await sleep_for(100ms);
  for (std::size_t till = 0; till < kTills; ++till) co_await use_till(run, till);
  for (std::uint64_t key = 0; key < kKeys; ++key) co_await use_rack(run, key);
  co_await use_ticker(run, true);
}

task<void> client(Cluster* cluster, Run* run) {
  World& world = cluster->world();
  while (!cluster->ending && world.now() < kClientsEnd) {
    co_await sleep_for(cluster->among_all(std::chrono::microseconds(world.pick(1'000, 900'000))));
    if (!run->made || cluster->ending) continue;
    const bool idle = world.now() % kPeriod > kBusy;
    const std::size_t which = world.pick(idle ? kIdle + 1 : 0, kTills - 1);
    switch (world.pick(0, 7)) {
      case 0:
      case 1: co_await move(run, which); break;
      case 2:
      case 3:
      case 4: co_await use_till(run, which); break;
      case 5: co_await use_ticker(run, true); break;
      case 6: co_await use_ticker(run, false); break;
      default: co_await use_rack(run, world.pick(0, kKeys - 1)); break;
    }
  }
}

void cut_for(Time length, std::uint32_t from, std::uint32_t to) {
  World& world = World::instance();
  world.cut(from, to);
  world.at(world.now() + length, [&world, from, to] { world.mend(from, to); });
}

/// Cuts a link for a while, from both sides or from one, and has `to` lose its connections with `from`: what it asked through
/// them has failed, was carried out or not, and nobody can be asked which.
void cut_in_the_middle(Time length, std::uint32_t from, std::uint32_t to) {
  World& world = World::instance();
  cut_for(length, from, to);
  if (world.pick(0, 1) == 0) cut_for(length, to, from);
  world.at(world.now() + std::chrono::milliseconds(world.pick(0, 100)), [&world, from, to] { world.lose_connections(to, from); });
}

/// On the front end: a backend comes, and is cut off from the others when it has begun to take over its part, or not.
task<void> add_one(Cluster* cluster) {
  World& world = cluster->world();
  const std::set<std::uint32_t> others = cluster->backends;
  const std::uint32_t number = cluster->add_backend();
  while (!cluster->ending && !is_member(Cluster::id_of(number))) co_await sleep_for(std::chrono::milliseconds(1));
  co_await sleep_for(std::chrono::microseconds(world.pick(0, kTakesOverUs)));
  if (world.pick(0, 3) == 0) co_return;
  const Time length = std::chrono::milliseconds(world.pick(1'000, 9'000));
  for (const std::uint32_t each : others) {
    if (world.alive(each)) cut_in_the_middle(length, number, each);
  }
}

/// Makes `member`, which need not have met it, the vault's home, with the only replica that there is.
task<bool> make_only_home(Run* run, NodeId member) {
  const ObjectId id = run->vault.id();
  Directory& directory = NodeTable::instance().directory();
  auto record = co_await directory.lookup(id);
  if (!record) co_return false;
  if (record->home != member) {
    const Result<void> touched = co_await detail::kNodeService.on(member).call<&detail::NodeService::touch>(id, CoreIndex{0});
    if (!touched) co_return false;
    record = co_await directory.re_home(id, record->epoch, member, CoreIndex{0});
    if (!record) co_return false;
  }
  const Result<void> made = co_await detail::kNodeService.on(member).call<&detail::NodeService::make_home>(id, record->home_core);
  co_return made.has_value();
}

/// On the front end, before `leaver` is asked to leave: what that has of the vault is all that there is, and the home is another
/// node, which nobody has called yet. So it is when a home was made anew and has lost its replica before it heard that it is
/// the home.
task<void> leave_all_to(Run* run, NodeId leaver) {
  const auto written = co_await use_board(kVault, run->vault, true, false);
  if (written) run->kept = *written;
  const bool only = co_await make_only_home(run, leaver);
  if (!only) co_return;
  std::vector<NodeId> others;
  for (const Member& member : Node::current()->members()) {
    if (member.id != leaver) others.push_back(member.id);
  }
  Directory& directory = NodeTable::instance().directory();
  const auto record = co_await directory.lookup(run->vault.id());
  if (!record || record->home != leaver) co_return;
  const NodeId next = others[World::instance().pick(0, others.size() - 1)];
  const auto moved = co_await directory.re_home(run->vault.id(), record->epoch, next, CoreIndex{0});
  if (moved) ++run->left_to;
}

/// What was answered is kept, whoever has left in order.
task<void> look_into_vault(Run* run) {
  const auto count = co_await use_board(kVault, run->vault, false, true);
  if (count && *count < run->kept) {
    violated("of " + std::to_string(run->kept) + " answered writes " + std::to_string(*count) +
             " are left, though every node left in order");
  }
}

/// On the front end: one backend or two come, now and then, the second while the first may not have heard what it is to have,
/// and as many are asked to leave.
task<void> exchange_backends(Cluster* cluster, Run* run) {
  World& world = cluster->world();
  const std::size_t backends = cluster->backends.size();
  while (!cluster->ending && world.now() < kTroubleEnds - 40s) {
    co_await sleep_for(std::chrono::milliseconds(world.pick(5'000, 40'000)));
    for (std::uint64_t coming = world.pick(1, 2); coming > 0; --coming) {
      co_await add_one(cluster);
      co_await sleep_for(std::chrono::milliseconds(world.pick(500, 3'000)));
    }
    while (!cluster->ending && Node::current()->members().size() > backends + 1) {
      const auto members = Node::current()->members();
      // Cuts end within the time that a leaver waits for what it has to move away.
      ledger->somebody_leaves = true;
      const NodeId leaver = members[world.pick(1, members.size() - 1)].id;
      co_await leave_all_to(run, leaver);
      co_await Cluster::dismiss(cluster, leaver);
      co_await look_into_vault(run);
      ledger->somebody_leaves = false;
    }
  }
}

task<void> begin(Cluster* cluster, Run* run) {
  while (Node::current()->members().size() < cluster->backends.size() + 1) co_await sleep_for(50ms);
  for (std::size_t at = 0; at < kTills; ++at) run->tills.push_back((co_await create<Till>()).value());
  run->ticker = (co_await create_at<Ticker>(Node::current()->members().back().id)).value();
  run->vault = (co_await create_at<Ticker>(Node::current()->members().back().id)).value();
  run->rack = (co_await create_at<Rack>(Node::current()->members().back().id)).value();
  run->made = true;
  auto all = when_all(client(cluster, run), exchange_backends(cluster, run), ask_all(cluster, run));
  co_await std::move(all);
}

/// Connections with the front end break, whatever they carry at that moment, and up to twice more a moment later, those included that
/// were made meanwhile. Not again within half a second: whose new connections go on breaking counts as gone.
void reset_somewhere(Cluster& cluster) {
  World& world = cluster.world();
  const std::vector<std::uint32_t> nodes(cluster.backends.begin(), cluster.backends.end());
  const std::uint32_t node = nodes[world.pick(0, nodes.size() - 1)];
  const auto last = ledger->resets.find(node);
  if (last != ledger->resets.end() && world.now() - last->second < Time(500ms)) return;
  if (!world.alive(node)) return;
  ledger->resets[node] = world.now();
  Time when = world.now();
  for (std::uint64_t breaks = world.pick(1, 3); breaks > 0; --breaks) {
    world.at(when, [&world, node] { world.reset_connections(Cluster::number_of(kFrontEndNode), node); });
    when += std::chrono::microseconds(world.pick(200, 2'000));
  }
}

/// Connections between backends break and are cut, in one direction mostly, for less than what makes a member count as gone.
void cut_somewhere(Cluster& cluster) {
  World& world = cluster.world();
  std::vector<std::uint32_t> nodes(cluster.backends.begin(), cluster.backends.end());
  std::erase_if(nodes, [&world](std::uint32_t each) { return !world.alive(each); });
  const std::uint32_t from = nodes[world.pick(0, nodes.size() - 1)];
  const std::uint32_t to = nodes[world.pick(0, nodes.size() - 1)];
  const Time length = std::chrono::milliseconds(world.pick(10, 9'000));
  if (from == to || ledger->somebody_leaves) return;
  world.pick(0, 1) == 0 ? cut_for(length, from, to) : cut_in_the_middle(length, from, to);
}

}  // namespace

Outcome run_moves(const Settings& settings) {
  Run run;
  ledger = &run.ledger;
  Trial trial(
      settings, [&run](Cluster* self) { return begin(self, &run); }, [&run](Cluster* self) { return client(self, &run); });
  World& world = trial.world;
  const std::uint64_t often = std::max<std::uint64_t>(kUsualBackends, settings.nodes);
  for (Time when = kBegin; when < kTroubleEnds; when += std::chrono::microseconds(world.pick(100, 3'000) * 1'000 * kUsualBackends / often)) {
    const bool resets = world.pick(0, 3) == 0;
    world.at(when, [&trial, resets] { resets ? reset_somewhere(trial.cluster) : cut_somewhere(trial.cluster); });
  }
  world.run_until(kTroubleEnds + 5s);
  world.mend_all();
  world.run_until(kClientsEnd + 30s);

  for (std::uint64_t till = 0; till < kTills; ++till) {
    if (!run.ledger.tills.answers_after(till, kHealed)) violated("till " + std::to_string(till) + " never answers again");
  }
  for (std::uint64_t key = 0; key < kKeys; ++key) {
    if (!run.ledger.shelves.answers_after(key, kHealed)) violated("key " + std::to_string(key) + " never answers again");
  }
  if (!run.ledger.boards.answers_after(kTicker, kHealed)) violated("the board never answers again");
  run.ledger.tills.check_as_counters(true);
  run.ledger.shelves.check_as_counters(true);
  run.ledger.boards.check_as_counters(true);
  run.ledger.boards.check_reads();
  run.ledger.order.check();
  trial.add(run.ledger.order);
  for (History* history : {&run.ledger.tills, &run.ledger.boards, &run.ledger.shelves}) {
    history->check(true);
    trial.add(*history);
  }
  if (!trial.cluster.lost.empty()) violated("a node was lost");
  if (trial.outcome.successes == 0 || run.ledger.moves == 0) violated("nothing was answered, or nothing moved");
  trial.outcome.report = std::to_string(run.ledger.moves) + " moves, " + std::to_string(trial.cluster.dismissed.size()) +
                         " leavers, " + std::to_string(run.left_to) + " with all that there was";
  return trial.finish();
}

}  // namespace ebb::sim
