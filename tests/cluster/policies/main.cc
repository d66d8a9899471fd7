// What an application may expect of policies of its own across nodes: written from nothing, and derived from each of the
// kinds. With at least two backends.
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "ebb/application.h"
#include "ebb/async.h"
#include "ebb/object.h"
#include "tests/cluster/check.h"
#include "tests/cluster/policies/policies.h"

namespace {

using namespace ebb;
using namespace ebb::test;
using namespace std::chrono_literals;

/// Uses objects where it is called.
struct Agent {
  std::int64_t read(ref<Gauge> gauge) { return gauge->read(); }
  std::string what(ref<Gauge> gauge) { return gauge->what(); }
  task<Result<void>> set(ref<Gauge> gauge, std::int64_t value) { return gauge.call<&Gauge::set>(value); }
  task<Result<std::int64_t>> place(ref<Desk> desk) { return desk.call<&Desk::place>(); }
  /// The same by all ways that lead to this core's representative.
  std::int64_t look(ref<Dice> dice) { return dice->look() == dice->look() ? dice->look() : -1; }
  task<Result<std::int64_t>> look_by_call(ref<Dice> dice) { return dice.on(Core::current().index()).call<&Dice::look>(); }
  std::int64_t stoke(ref<Stove> stove) { return stove->stoke(); }
  task<Result<std::int64_t>> enter(ref<Study> study, std::int64_t count) { return study.within(20s).call<&Study::enter>(count); }
  task<Result<std::int64_t>> enter_hall(ref<Hall> hall, std::int64_t count) { return hall.within(20s).call<&Hall::enter>(count); }
  std::vector<std::int64_t> lines(ref<Board> board) { return board->lines; }
  std::int64_t core_of(ref<Board> board) { return board->core; }
  task<Result<void>> write(ref<Board> board, std::int64_t line) { return board.call<&Board::write>(line); }
  task<Result<std::int64_t>> add(ref<Shelf> shelf, std::uint32_t key, std::int64_t amount) {
    return shelf.on_key(key).within(20s).call<&Shelf::add>(amount);
  }
  task<Result<std::uint32_t>> drop_dice(ref<Dice> dice) { return drop(dice); }
  task<Result<std::uint32_t>> drop_board(ref<Board> board) { return drop(board); }
  task<Result<std::uint32_t>> drop_study(ref<Study> study) { return drop(study); }

  Tally tally(std::uint32_t policy) {
    const Tallied& of = tallies[policy];
    return {of.roots, of.made, of.ended, of.roots_ended};
  }
  std::int64_t served(std::uint32_t policy) { return tallies[policy].served; }
  std::int64_t homes(std::uint32_t policy) { return tallies[policy].homes; }
  /// The handler refuses so often on this node.
  void refuse(std::uint32_t policy, std::int64_t times) { tallies[policy].refusals = times; }
  void die() { platform::exit_node(3); }

  using interface =
      ebb::interface<"test.Agent/1", method<"read", &Agent::read>, method<"what", &Agent::what>, method<"set", &Agent::set>,
                     method<"place", &Agent::place>, method<"look", &Agent::look>, method<"look_by_call", &Agent::look_by_call>,
                     method<"stoke", &Agent::stoke>, method<"enter", &Agent::enter>, method<"enter_hall", &Agent::enter_hall>,
                     method<"lines", &Agent::lines>, method<"core_of", &Agent::core_of>, method<"write", &Agent::write>,
                     method<"add", &Agent::add>, method<"drop_dice", &Agent::drop_dice>, method<"drop_board", &Agent::drop_board>,
                     method<"drop_study", &Agent::drop_study>, method<"tally", &Agent::tally>, method<"served", &Agent::served>,
                     method<"homes", &Agent::homes>, method<"refuse", &Agent::refuse>, method<"die", &Agent::die>>;
};

/// All cores of all nodes, the front end's too.
struct Where {
  NodeId node;
  std::uint16_t core;
};
std::vector<Where> everywhere_of(const std::vector<NodeStatus>& nodes) {
  std::vector<Where> all;
  for (std::uint16_t core = 0; core < Core::count(); ++core) all.push_back({kFrontEndNode, core});
  for (const NodeStatus& node : nodes) {
    for (std::uint16_t core = 0; core < node.cores; ++core) all.push_back({node.id, core});
  }
  return all;
}

std::int64_t cores_of(const std::vector<NodeStatus>& nodes, NodeId id) {
  for (const NodeStatus& node : nodes) {
    if (node.id == id) return node.cores;
  }
  return static_cast<std::int64_t>(Core::count());
}

std::vector<NodeId> nodes_of(const std::vector<NodeStatus>& nodes) {
  std::vector<NodeId> all{kFrontEndNode};
  for (const NodeStatus& node : nodes) all.push_back(node.id);
  return all;
}

task<Tally> tally_on(ref<Agent> agent, NodeId node, Policy policy) {
  co_return (co_await agent.on(node).call<&Agent::tally>(static_cast<std::uint32_t>(policy))).value();
}

/// What the handlers of all nodes did.
task<Tally> tally_of(ref<Agent> agent, std::vector<NodeStatus> nodes, Policy policy) {
  Tally sum;
  for (const NodeId node : nodes_of(nodes)) {
    const Tally here = co_await tally_on(agent, node, policy);
    sum.roots += here.roots, sum.made += here.made, sum.ended += here.ended, sum.roots_ended += here.roots_ended;
  }
  co_return sum;
}

/// A policy from nothing: the original on one node, proxies on the others, each made by a handler that asks other nodes.
task<void> check_mirrors(ref<Agent> agent, std::vector<NodeStatus> nodes) {
  const auto gauge = (co_await create<Gauge>("gauge")).value();
  const NodeId owner = nodes.front().id;
  // What the handler throws reaches whoever touched the object, on its node as elsewhere, and the next access tries again.
  for (const NodeId node : nodes_of(nodes)) CHECK((co_await agent.on(node).call<&Agent::read>(gauge)).code() == Errc::not_found);
  CHECK((co_await gauge.on(owner).call<&Gauge::read>()).code() == Errc::not_found);
  CHECK(co_await tally_of(agent, nodes, kMirrored) == Tally());
  CHECK((co_await kRegistry.call<&Registry::enter>(gauge.id().index(), owner)).has_value());
  std::int64_t value = 0;
  for (int round = 0; round < 3; ++round) {
    for (const Where& from : everywhere_of(nodes)) {
      const auto there = agent.on(from.node, CoreIndex{from.core});
      CHECK((co_await there.call<&Agent::set>(gauge, ++value)).has_value());
      for (const Where& at : everywhere_of(nodes)) {
        const auto seen = co_await agent.on(at.node, CoreIndex{at.core}).call<&Agent::read>(gauge);
        CHECK(seen && *seen == value);
      }
      const auto kind = co_await there.call<&Agent::what>(gauge);
      CHECK(kind && *kind == (from.node == owner ? "original" : "proxy"));
    }
  }
  // A hit calls no handler: one root a node, one representative a core.
  for (const NodeId node : nodes_of(nodes)) {
    const Tally done = co_await tally_on(agent, node, kMirrored);
    CHECK(done == (Tally{1, cores_of(nodes, node), 0, 0}));
  }
  const auto all = co_await gauge.everywhere().gather<&Gauge::read>();
  CHECK(all && all->value.size() == everywhere_of(nodes).size());
  CHECK((co_await destroy(gauge)).has_value());
  for (const NodeId node : nodes_of(nodes)) {
    const std::int64_t cores = cores_of(nodes, node);
    const Tally done = co_await tally_on(agent, node, kMirrored);
    CHECK(done == (Tally{1, cores, cores, 1}));
    CHECK((co_await agent.on(node).call<&Agent::read>(gauge)).code() == Errc::no_such_object);
  }
}

/// A policy from nothing that says where calls go, and has no representative on other cores.
task<void> check_routes(ref<Agent> agent, std::vector<NodeStatus> nodes) {
  const auto desk = (co_await create<Desk>()).value();
  for (const Where& from : everywhere_of(nodes)) {
    const auto place = co_await agent.on(from.node, CoreIndex{from.core}).call<&Agent::place>(desk);
    CHECK(place && *place == to_number(from.node) * 100);
    const auto there = co_await desk.on(from.node, CoreIndex{from.core}).call<&Desk::place>();
    CHECK(from.core == 0 ? there.has_value() : there.code() == Errc::invalid_argument);
  }
  // Its home is the core that created it.
  const auto home = co_await desk.on_home().call<&Desk::place>();
  CHECK(home && *home == to_number(kFrontEndNode) * 100);
  // Calls from elsewhere come by the policy's own way.
  for (const NodeStatus& node : nodes) {
    CHECK((co_await agent.on(node.id).call<&Agent::served>(std::uint32_t{kAtCoreZero})).value() == 1);
  }
  const auto total = static_cast<std::int64_t>(nodes.size()) + 1;
  CHECK(co_await tally_of(agent, nodes, kAtCoreZero) == (Tally{0, total, 0, 0}));
  CHECK((co_await destroy(desk)).has_value());
  CHECK(co_await tally_of(agent, nodes, kAtCoreZero) == (Tally{0, total, total, 0}));
}

/// Each core's representative is the one that the handler made there, and hits make no other.
task<void> check_dice(ref<Agent> agent, std::vector<NodeStatus> nodes, ref<Dice> dice, std::int64_t before) {
  for (int round = 0; round < 2; ++round) {
    for (const Where& at : everywhere_of(nodes)) {
      const std::int64_t expected = Dice::expected(dice.id(), at.node, at.core);
      const auto there = agent.on(at.node, CoreIndex{at.core});
      const auto seen = co_await there.call<&Agent::look>(dice);
      CHECK(seen && *seen == expected);
      const auto called = co_await there.call<&Agent::look_by_call>(dice);
      CHECK(called && *called == expected);
      const auto from_here = co_await dice.on(at.node, CoreIndex{at.core}).call<&Dice::look>();
      CHECK(from_here && *from_here == expected);
    }
  }
  const Tally done = co_await tally_of(agent, nodes, kSeeded);
  CHECK(done.made == before + static_cast<std::int64_t>(everywhere_of(nodes).size()));
}

task<void> check_per_core(ref<Agent> agent, std::vector<NodeStatus> nodes) {
  const auto cores = static_cast<std::int64_t>(everywhere_of(nodes).size());
  co_await check_dice(agent, nodes, kDice, 0);
  const auto dice = (co_await create<Dice>("dice")).value();
  co_await check_dice(agent, nodes, dice, cores);
  // What was dropped is made again, by the handler.
  const NodeStatus first = nodes.front();
  CHECK((co_await agent.on(first.id).call<&Agent::drop_dice>(dice)).value() == first.cores);
  CHECK((co_await tally_on(agent, first.id, kSeeded)).ended == first.cores);
  co_await check_dice(agent, nodes, dice, cores + first.cores);
  CHECK((co_await destroy(dice)).has_value());
  CHECK((co_await tally_of(agent, nodes, kSeeded)).ended == cores + first.cores);
  // A call of all makes those that are missing.
  const auto others = (co_await create<Dice>()).value();
  const auto all = co_await others.everywhere().every_core().gather<&Dice::look>();
  CHECK(all && all->value.size() == everywhere_of(nodes).size());
  if (all) {
    for (const auto& each : all->value) CHECK(each.value == Dice::expected(others.id(), each.node, to_number(each.core)));
  }
  CHECK((co_await destroy(others)).has_value());
  CHECK((co_await tally_of(agent, nodes, kSeeded)).ended == 2 * cores + first.cores);
}

/// The part that the cores of a node share is the policy's own.
task<void> check_per_node(ref<Agent> agent, std::vector<NodeStatus> nodes) {
  const auto stove = (co_await create<Stove>()).value();
  for (const NodeId node : nodes_of(nodes)) {
    std::int64_t heat = to_number(node);
    for (std::uint16_t core = 0; core < cores_of(nodes, node); ++core) {
      const auto now = co_await agent.on(node, CoreIndex{core}).call<&Agent::stoke>(stove);
      CHECK(now && *now == (heat += 1000));
    }
    const Tally done = co_await tally_on(agent, node, kWarmed);
    CHECK(done == (Tally{1, cores_of(nodes, node), 0, 0}));
  }
  CHECK((co_await destroy(stove)).has_value());
  for (const NodeId node : nodes_of(nodes)) CHECK((co_await tally_on(agent, node, kWarmed)).roots_ended == 1);
}

/// One instance, wherever it is called, that the handler made; and so it is again where it moves to.
task<void> check_single_home(application* app, ref<Agent> agent, std::vector<NodeStatus> nodes) {
  const NodeStatus first = nodes.front();
  const CoreIndex last{static_cast<std::uint16_t>(first.cores - 1)};
  const auto dice = (co_await create<Dice>("dice")).value();
  const std::int64_t seed = Dice::expected(dice.id(), kFrontEndNode, 0);
  const auto study = (co_await create_at<Study>(first.id, last)).value();
  // The handler refuses on the home only; it has made nothing, and makes it at the next call.
  CHECK((co_await agent.on(first.id).call<&Agent::refuse>(std::uint32_t{kFurnished}, 1)).has_value());
  CHECK((co_await study.call<&Study::look>()).code() == Errc::permission_denied);
  std::int64_t guests = 0;
  for (const Where& from : everywhere_of(nodes)) {
    const auto entered = co_await agent.on(from.node, CoreIndex{from.core}).call<&Agent::enter>(study, 1);
    CHECK(entered && *entered == ++guests);
  }
  CHECK((co_await study.call<&Study::look>()).value() == seed);
  CHECK((co_await study.call<&Study::place>()).value() == to_number(first.id) * 100 + to_number(last));
  // Asked for where it is not, it is not made a second time.
  CHECK((co_await study.on(nodes.back().id).call<&Study::place>()).code() == Errc::moved);
  CHECK((co_await study.on(first.id, CoreIndex{0}).call<&Study::place>()).code() == Errc::moved);
  CHECK((co_await tally_of(agent, nodes, kFurnished)).made == 1);
  CHECK((co_await agent.on(first.id).call<&Agent::served>(std::uint32_t{kFurnished})).value() > 0);
  // It moves with its state, while calls go on.
  std::int64_t made = 1;
  for (int round = 0; round < 6; ++round) {
    const NodeStatus& target = nodes[static_cast<std::size_t>(round + 1) % nodes.size()];
    const CoreIndex core{static_cast<std::uint16_t>(round % target.cores)};
    auto under_way = study.call<&Study::enter_slowly>(1);
    auto meanwhile = when_all(std::move(under_way), migrate(study, target.id, core), study.call<&Study::enter>(1));
    const auto [slow, moved, quick] = co_await std::move(meanwhile);
    CHECK(slow.has_value());
    CHECK(moved.has_value());
    CHECK(quick.has_value());
    guests += 2;
    CHECK((co_await study.call<&Study::enter>(0)).value() == guests);
    CHECK((co_await study.call<&Study::look>()).value() == seed);
    CHECK((co_await study.call<&Study::place>()).value() == to_number(target.id) * 100 + to_number(core));
    ++made;
  }
  const Tally moves = co_await tally_of(agent, nodes, kFurnished);
  CHECK(moves.made == made && moves.ended == made - 1);
  // A handler that refuses at the new home has not cost the state: the next call finds it.
  const NodeId last_node = nodes.back().id;
  CHECK((co_await migrate(study, first.id)).has_value());
  CHECK((co_await agent.on(last_node).call<&Agent::refuse>(std::uint32_t{kFurnished}, 1)).has_value());
  CHECK((co_await migrate(study, last_node)).code() == Errc::permission_denied);
  CHECK((co_await study.call<&Study::enter>(1)).value() == ++guests);
  CHECK((co_await study.call<&Study::place>()).value() == to_number(last_node) * 100);
  // So it is when the home was dropped.
  CHECK((co_await agent.on(last_node).call<&Agent::drop_study>(study)).value() == 1);
  CHECK((co_await study.call<&Study::enter>(1)).value() == ++guests);
  CHECK((co_await study.call<&Study::look>()).value() == seed);
  // And when its node leaves.
  const NodeId guest = (co_await app->nodes().add(1)).value().front();
  CHECK((co_await migrate(study, guest)).has_value());
  CHECK((co_await app->nodes().remove(guest)).has_value());
  CHECK((co_await study.call<&Study::enter>(1)).value() == ++guests);
  CHECK((co_await study.call<&Study::look>()).value() == seed);
  const Tally before = co_await tally_of(agent, nodes, kFurnished);
  CHECK((co_await destroy(study)).has_value());
  const Tally after = co_await tally_of(agent, nodes, kFurnished);
  CHECK(after.ended == before.ended + 1);
  CHECK(after.roots == before.roots && after.roots_ended == after.roots);
  CHECK((co_await destroy(dice)).has_value());
}

/// Replicas come from the handler, and have all writes nevertheless.
task<void> check_replicas(ref<Agent> agent, std::vector<NodeStatus> nodes) {
  const auto board = (co_await create_at<Board>(nodes.front().id)).value();
  const NodeStatus last = nodes.back();
  std::vector<std::int64_t> lines;
  for (int round = 0; round < 3; ++round) {
    for (const Where& from : everywhere_of(nodes)) {
      lines.push_back(to_number(from.node) * 100 + from.core);
      CHECK((co_await agent.on(from.node, CoreIndex{from.core}).call<&Agent::write>(board, lines.back())).has_value());
      for (const Where& at : everywhere_of(nodes)) {
        const auto there = agent.on(at.node, CoreIndex{at.core});
        const auto seen = co_await there.call<&Agent::lines>(board);
        CHECK(seen && *seen == lines);
        CHECK((co_await there.call<&Agent::core_of>(board)).value() == to_number(at.node) * 100 + at.core);
      }
    }
  }
  const auto cores = static_cast<std::int64_t>(everywhere_of(nodes).size());
  CHECK(co_await tally_of(agent, nodes, kCopied) == (Tally{0, cores, 0, 0}));
  // One whose handler refuses has none, holds up no write, and has one at the next access.
  CHECK((co_await agent.on(last.id).call<&Agent::drop_board>(board)).value() == last.cores);
  CHECK((co_await agent.on(last.id).call<&Agent::refuse>(std::uint32_t{kCopied}, 1)).has_value());
  const auto there = agent.on(last.id, CoreIndex{0});
  CHECK((co_await there.call<&Agent::lines>(board)).code() == Errc::permission_denied);
  lines.push_back(7);
  CHECK((co_await board.call<&Board::write>(7)).has_value());
  CHECK((co_await there.call<&Agent::lines>(board)).value() == lines);
  CHECK(co_await tally_of(agent, nodes, kCopied) == (Tally{0, cores + 1, last.cores, 0}));
  CHECK((co_await destroy(board)).has_value());
  CHECK((co_await tally_of(agent, nodes, kCopied)).ended == cores + 1);
}

constexpr std::uint32_t kKeys = 200;

/// Partitions are where the handler let a core have them: it runs once on each core that has some.
task<void> check_partitions(ref<Agent> agent, std::vector<NodeStatus> nodes) {
  const auto shelf = (co_await create<Shelf>()).value();
  std::int64_t sum = 0;
  int refused = 0;
  CHECK((co_await agent.on(nodes.back().id).call<&Agent::refuse>(std::uint32_t{kSpread}, 1)).has_value());
  const std::vector<Where> all = everywhere_of(nodes);
  std::map<std::int64_t, int> places;
  for (std::uint32_t key = 0; key < kKeys; ++key) {
    const Where& from = all[key % all.size()];
    auto added = co_await agent.on(from.node, CoreIndex{from.core}).call<&Agent::add>(shelf, key, std::int64_t{key});
    if (added.code() == Errc::permission_denied) {
      ++refused;
      added = co_await shelf.on_key(key).call<&Shelf::add>(std::int64_t{key});
    }
    CHECK(added.has_value());
    sum += key;
    const auto place = co_await shelf.on_key(key).call<&Shelf::place>();
    CHECK(place.has_value());
    if (place) ++places[*place];
  }
  CHECK(refused <= 1);  // it may as well have met whoever hands out partitions, who tries again
  CHECK(static_cast<std::int64_t>(places.size()) == static_cast<std::int64_t>(all.size()) - cores_of(nodes, kFrontEndNode));
  const auto total = co_await shelf.every_partition().reduce<&Shelf::total>(std::int64_t{0}, std::plus<>{});
  CHECK(total && *total == sum);
  for (const NodeStatus& node : nodes) CHECK((co_await tally_on(agent, node.id, kSpread)).made == node.cores);
  CHECK((co_await destroy(shelf)).has_value());
  for (const NodeStatus& node : nodes) CHECK((co_await tally_on(agent, node.id, kSpread)).ended == node.cores);
}

/// A derived kind that is made anew is, by its own handler.
task<void> check_remade_home(ref<Agent> agent, std::vector<NodeStatus> nodes) {
  const auto dice = (co_await create<Dice>("dice")).value();
  const std::int64_t seed = Dice::expected(dice.id(), kFrontEndNode, 0);
  const NodeId doomed = nodes.front().id;
  const NodeId survivor = nodes.back().id;
  const auto hall = (co_await create_at<Hall>(survivor)).value();
  CHECK((co_await hall.call<&Hall::enter>(5)).value() == 5);
  CHECK((co_await migrate(hall, doomed)).has_value());
  CHECK((co_await agent.on(survivor).call<&Agent::enter_hall>(hall, 1)).value() == 6);
  CHECK(!(co_await hall.call<&Hall::was_lost>()).value());
  CHECK((co_await agent.on(doomed).call<&Agent::die>()).code() == Errc::node_gone);
  // A call that meets the node while it goes ends with node_gone, since it may have run. That is over once its end is known.
  for (int look = 0; look < 100 && is_member(doomed); ++look) co_await sleep_for(10ms);
  const auto entered = co_await hall.within(20s).call<&Hall::enter>(1);
  CHECK(entered && *entered == 1);
  CHECK((co_await hall.call<&Hall::was_lost>()).value());
  CHECK((co_await hall.call<&Hall::look>()).value() == seed);
  CHECK((co_await hall.call<&Hall::place>()).value() / 100 != to_number(doomed));
  const std::vector<NodeStatus> left(nodes.begin() + 1, nodes.end());
  CHECK((co_await tally_of(agent, left, kRefurnished)).made == 2);
  std::int64_t homes = 0;
  for (const NodeId node : nodes_of(left)) homes += (co_await agent.on(node).call<&Agent::homes>(std::uint32_t{kRefurnished})).value();
  CHECK(homes == 1);
  CHECK((co_await destroy(hall)).has_value());
  CHECK((co_await tally_of(agent, left, kRefurnished)).ended == 2);
}

}  // namespace

task<int> ebb_main(application& app) {
  (co_await app.nodes().add(app.options().backends)).value();
  const std::vector<NodeStatus> nodes = app.nodes().list();
  const auto agent = (co_await create<Agent>()).value();
  co_await check_mirrors(agent, nodes);
  co_await check_routes(agent, nodes);
  co_await check_per_core(agent, nodes);
  co_await check_per_node(agent, nodes);
  co_await check_single_home(&app, agent, nodes);
  co_await check_replicas(agent, nodes);
  co_await check_partitions(agent, nodes);
  co_await check_remade_home(agent, nodes);
  co_return ebb::test::conclude();
}
