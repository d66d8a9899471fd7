// The scenario "kinds": objects of the kinds that have one place, used from everywhere while nodes come, go, and are cut off.
#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "ebb/async.h"
#include "ebb/object.h"
#include "tests/sim/constructions.h"
#include "tests/sim/trial.h"

namespace ebb::sim {
namespace {

using namespace std::chrono_literals;

/// What this run looks at. Objects of all nodes reach it directly, which no message could do as well.
struct Ledger {
  History homes;
  History vaults;
  History boards;
  WriteOrder order{boards};
  History shelves;
  std::map<std::uint32_t, std::uint64_t> first_incarnations;  // that answered a call, by the shelf's partitions
  std::uint64_t next_incarnation = 0;
};
Ledger* ledger = nullptr;

std::string here() { return "node " + std::to_string(to_number(this_node())) + " core " + std::to_string(to_number(Core::current().index())); }

struct Answer {
  std::uint64_t epoch = 0;
  std::uint64_t count = 0;
};

/// One instance; each says which epoch it is of, and counts.
struct Cell {
  Alive alive{"Cell"};
  using policy = noted<remade_home>;
  std::uint64_t epoch = 1;
  std::uint64_t count = 0;
  void on_lost(const home_lost& lost) { epoch = lost.epoch; }
  Answer run(std::uint64_t operation) {
    ledger->homes.ran(operation, here());
    return {epoch, ++count};
  }
  /// The same, with a wait in the middle.
  task<Answer> run_slowly(std::uint64_t operation) {
    const Answer answer = run(operation);
    co_await sleep_for(std::chrono::milliseconds(5));
    co_return answer;
  }
  using interface = ebb::interface<"sim.Cell/1", method<"run", &Cell::run>, method<"run_slowly", &Cell::run_slowly>>;
};

/// One instance that ends with its node.
struct Vault {
  Alive alive{"Vault"};
  using policy = noted<single_home>;
  std::uint64_t count = 0;
  Answer run(std::uint64_t operation) {
    ledger->vaults.ran(operation, here());
    return {1, ++count};
  }
  using interface = ebb::interface<"sim.Vault/1", method<"run", &Vault::run>>;
};

/// Replicas; a state that nobody has any more begins with another incarnation.
struct Board {
  Alive alive{"Board"};
  using policy = replicated;
  Page page{++ledger->next_incarnation, 0, 0};
  Page write(std::uint64_t operation) { return page = ledger->order.carry_out(page, operation, here()); }
  Page read() const { return page; }
  Page save() const { return page; }
  void restore(Page state) { page = state; }
  using interface = ebb::interface<"sim.Board/1", method<"write", &Board::write>, method<"read", &Board::read>>;
};

/// A state begins anew only in place of a lost one, and says so; of each partition there is one that does not.
struct Shelf {
  Alive alive{"Shelf"};
  using policy = partitioned;
  static constexpr std::uint32_t kPartitions = 16;
  std::uint64_t incarnation = ++ledger->next_incarnation;
  bool replaces_lost = false;
  std::map<std::uint64_t, std::uint64_t> counts;
  void on_lost(const partition_lost&) { replaces_lost = true; }
  Answer add(std::uint64_t key, std::uint64_t operation) {
    ledger->shelves.ran(operation, here());
    const auto first = ledger->first_incarnations.emplace(policy::partition_of<Shelf>(key), incarnation).first;
    if (!replaces_lost && first->second != incarnation) {
      violated("partition " + std::to_string(first->first) + " of the shelf was made twice, and not in place of a lost one");
    }
    return {incarnation, ++counts[key]};
  }
  using Saved = std::tuple<std::uint64_t, bool, std::map<std::uint64_t, std::uint64_t>>;
  Saved save() const { return {incarnation, replaces_lost, counts}; }
  void restore(Saved state) { std::tie(incarnation, replaces_lost, counts) = std::move(state); }
  using interface = ebb::interface<"sim.Shelf/1", method<"add", &Shelf::add>>;
};

constexpr std::size_t kCells = 6;
constexpr std::size_t kVaults = 3;
constexpr std::uint64_t kKeys = 12;
constexpr Time kHealed = 75s;

struct Objects {
  std::vector<ref<Cell>> cells;
  std::vector<ref<Vault>> vaults;
  std::vector<NodeId> vault_homes;
  ref<Board> board;
  ref<Shelf> shelf;
  bool made = false;
};

struct Run {
  Objects objects;
  Ledger ledger;
  bool healed = false;     // everything has been mended, long enough ago
  bool asked_all = false;
};

void note(History& history, std::uint64_t id, const Result<Answer>& answer) {
  const Time now = World::instance().now();
  if (answer) {
    history.succeeded(id, now, {answer->epoch, answer->count});
  } else {
    history.failed(id, now);
    const bool asked_elsewhere = answer.code() == Errc::moved;
    if (!asked_elsewhere) World::instance().say("operation " + std::to_string(id) + " failed: " + answer.error().to_string());
  }
}

/// A call that names a place, which may be the home or not: only the home may answer.
task<void> ask_anybody(Run* run, std::uint64_t which) {
  World& world = World::instance();
  const auto members = Node::current()->members();
  const Member& anybody = members[world.pick(0, members.size() - 1)];
  const CoreIndex core{static_cast<std::uint16_t>(world.pick(0, anybody.cores - 1))};
  const std::uint64_t id = run->ledger.homes.begin(world.now(), which, true);
  const OpenCall open("operation " + std::to_string(id) + " of a cell");
  const auto target = run->objects.cells[which].on(anybody.id, core).within(2s);
  const Result<Answer> answer = co_await target.call<&Cell::run>(id);
  note(run->ledger.homes, id, answer);
}

task<void> use_cell(Run* run, std::uint64_t which, platform::Duration timeout) {
  World& world = World::instance();
  const std::uint64_t id = run->ledger.homes.begin(world.now(), which, true);
  const OpenCall open("operation " + std::to_string(id) + " of a cell");
  const auto target = run->objects.cells[which].on_home().within(timeout);
  task<Result<Answer>> call = world.pick(0, 1) == 0 ? target.call<&Cell::run>(id) : target.call<&Cell::run_slowly>(id);
  const Result<Answer> answer = co_await std::move(call);
  note(run->ledger.homes, id, answer);
}

/// A call that is given up after a moment, and one whose answer nobody waits for: they may run or not.
task<void> begin_with_cell(Run* run, std::uint64_t which, bool send) {
  World& world = World::instance();
  const std::uint64_t id = run->ledger.homes.begin(world.now(), which, true);
  const OpenCall open("operation " + std::to_string(id) + " of a cell");
  if (send) {
    const Result<void> sent = co_await run->objects.cells[which].on_home().within(10s).send<&Cell::run>(id);
    static_cast<void>(sent);
    co_return;
  }
  cancel_source source;
  const TimerId timer =
      Core::current().call_after(std::chrono::microseconds(world.pick(0, 8'000)), [&source] { source.cancel(); });
  const auto target = run->objects.cells[which].on_home().within(10s).cancelled_by(source.token());
  const Result<Answer> answer = co_await target.call<&Cell::run_slowly>(id);
  Core::current().cancel(timer);
  note(run->ledger.homes, id, answer);
}

/// What it says of one whose node was lost.
task<Errc> use_vault(Run* run, std::uint64_t which) {
  const std::uint64_t id = run->ledger.vaults.begin(World::instance().now(), which, true);
  const OpenCall open("operation " + std::to_string(id) + " of a vault");
  const Result<Answer> answer = co_await run->objects.vaults[which].on_home().within(10s).call<&Vault::run>(id);
  note(run->ledger.vaults, id, answer);
  co_return answer.code();
}

void note(Ledger& notes, std::uint64_t id, const Result<Page>& page) {
  if (page) notes.order.heard(id, *page);
  note(notes.boards, id, page ? Result<Answer>(Answer{page->life, page->count}) : Result<Answer>(page.error()));
}

task<void> use_board(Run* run, bool write) {
  World& world = World::instance();
  const std::uint64_t id = run->ledger.boards.begin(world.now(), 0, write);
  const OpenCall open("operation " + std::to_string(id) + " of the board");
  run->ledger.boards.note(id, here());
  if (write) {
    const Result<Page> page = co_await run->objects.board.call<&Board::write>(id);
    note(run->ledger, id, page);
    co_return;
  }
  // This core's replica, in an event that can wait for one.
  auto look = [board = run->objects.board]() -> Result<Page> {
    try {
      return board->read();
    } catch (const ErrorException& error) {
      return error.error();
    }
  };
  const Result<Page> page = co_await on_core(Core::current().index(), look);
  note(run->ledger, id, page);
}

task<void> use_shelf(Run* run, std::uint64_t key, platform::Duration timeout) {
  const std::uint64_t id = run->ledger.shelves.begin(World::instance().now(), key, true);
  const OpenCall open("operation " + std::to_string(id) + " of the shelf");
  const Result<Answer> answer = co_await run->objects.shelf.on_key(key).within(timeout).call<&Shelf::add>(key, id);
  note(run->ledger.shelves, id, answer);
}

/// Every object, once all is whole again.
task<void> ask_all(const Cluster* cluster, Run* run) {
  for (std::uint64_t vault = 0; vault < kVaults; ++vault) {
    const Errc code = co_await use_vault(run, vault);
    const bool lost = cluster->lost.contains(run->objects.vault_homes[vault]);
    if (code != (lost ? Errc::node_gone : Errc::ok)) {
      violated("vault " + std::to_string(vault) + (lost ? ", which was lost," : "") + " answers with " + std::string(name(code)));
    }
  }
  for (std::uint64_t cell = 0; cell < kCells; ++cell) co_await use_cell(run, cell, 10s);
  for (std::uint64_t key = 0; key < kKeys; ++key) co_await use_shelf(run, key, 10s);
  co_await use_board(run, true);
}

task<void> client(Cluster* cluster, Run* run) {
  World& world = cluster->world();
  while (!cluster->ending) {
    if (this_node() == kFrontEndNode && run->healed && !std::exchange(run->asked_all, true)) co_await ask_all(cluster, run);
    co_await sleep_for(cluster->pause(1ms, 150ms));
    if (!run->objects.made || cluster->ending) continue;
    switch (world.pick(0, 10)) {
      case 0:
      case 1: co_await use_cell(run, world.pick(0, kCells - 1), 10s); break;
      case 2:
      case 3: co_await use_board(run, true); break;
      case 4:
      case 5: co_await use_board(run, false); break;
      case 6:
      case 7: co_await ask_anybody(run, world.pick(0, kCells - 1)); break;
      case 8: co_await use_vault(run, world.pick(0, kVaults - 1)); break;
      case 9: co_await begin_with_cell(run, world.pick(0, kCells - 1), world.pick(0, 1) == 0); break;
      default: co_await use_shelf(run, world.pick(0, kKeys - 1), 10s); break;
    }
  }
}

task<void> make_objects(Cluster* cluster, Run* run) {
  World& world = cluster->world();
  while (Node::current()->members().size() < cluster->backends.size() + 1) co_await sleep_for(50ms);
  const auto members = Node::current()->members();
  for (std::size_t at = 0; at < kCells; ++at) {
    const Member& home = members[world.pick(0, members.size() - 1)];
    run->objects.cells.push_back((co_await create_at<Cell>(home.id)).value());
  }
  for (std::size_t at = 0; at < kVaults; ++at) {
    run->objects.vault_homes.push_back(members[world.pick(0, members.size() - 1)].id);
    run->objects.vaults.push_back((co_await create_at<Vault>(run->objects.vault_homes.back())).value());
  }
  run->objects.board = (co_await create_at<Board>(members[world.pick(1, members.size() - 1)].id)).value();
  run->objects.shelf = (co_await create_at<Shelf>(members[world.pick(0, members.size() - 1)].id)).value();
  run->objects.made = true;
  co_await client(cluster, run);
}

}  // namespace

Outcome run_kinds(const Settings& settings) {
  Run run;
  ledger = &run.ledger;
  Trial trial(
      settings, [&run](Cluster* self) { return make_objects(self, &run); }, [&run](Cluster* self) { return client(self, &run); });
  trial.trouble(43s);
  // Time for everything to heal; then every object must answer.
  trial.world.run_until(kHealed);
  run.healed = true;
  trial.world.run_until(90s);

  for (std::uint64_t cell = 0; cell < kCells; ++cell) {
    if (!run.ledger.homes.answers_after(cell, kHealed)) violated("cell " + std::to_string(cell) + " never answers again");
  }
  if (!run.ledger.boards.answers_after(0, kHealed)) violated("the board never answers again");
  for (std::uint64_t key = 0; key < kKeys; ++key) {
    if (!run.ledger.shelves.answers_after(key, kHealed)) violated("key " + std::to_string(key) + " never answers again");
  }
  run.ledger.homes.check(true);
  run.ledger.homes.check_as_counters(true);
  run.ledger.vaults.check(true);
  run.ledger.vaults.check_as_counters(true);
  run.ledger.boards.check(false);
  run.ledger.boards.check_reads();
  run.ledger.boards.check_as_counters(false);
  run.ledger.order.check();
  trial.add(run.ledger.order);
  run.ledger.shelves.check(false);
  run.ledger.shelves.check_as_counters(false);
  for (const History* history : {&run.ledger.homes, &run.ledger.vaults, &run.ledger.boards, &run.ledger.shelves}) trial.add(*history);
  return trial.finish();
}

}  // namespace ebb::sim
