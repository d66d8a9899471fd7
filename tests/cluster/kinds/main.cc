// What an application may expect of the kinds of objects, when nodes come and go, and of hot swapping. With at least two
// backends.
#include <cstdint>
#include <cstdio>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "ebb/application.h"
#include "ebb/async.h"
#include "ebb/object.h"
#include "tests/cluster/check.h"

namespace {

using namespace ebb;
using namespace std::chrono_literals;

struct Place {
  NodeId node = kNoNode;
  CoreIndex core{};
  friend bool operator==(const Place&, const Place&) = default;
};

/// What both kinds of account do.
struct Account {
  std::int64_t balance = 0;
  std::uint32_t epoch = 1;
  std::int64_t add(std::int64_t amount) { return balance += amount; }
  Place place() const { return {this_node(), Core::current().index()}; }
  std::uint32_t epoch_of_home() const { return epoch; }
};

struct Mortal : Account {
  using policy = single_home;
  using interface = ebb::interface<"test.Mortal/1", method<"add", &Mortal::add>, method<"place", &Mortal::place>>;
};

struct Nomad : Account {
  using policy = single_home;
  task<std::int64_t> add_slowly(std::int64_t amount) {
    co_await sleep_for(20ms);
    co_return add(amount);
  }
  std::int64_t save() const { return balance; }
  void restore(std::int64_t state) { balance = state; }
  using interface = ebb::interface<"test.Nomad/1", method<"add", &Nomad::add>, method<"place", &Nomad::place>,
                                   method<"add_slowly", &Nomad::add_slowly>>;
};

struct Phoenix : Account {
  using policy = remade_home;
  void on_lost(const home_lost& lost) {
    epoch = lost.epoch;
    balance = 1000;
  }
  using interface = ebb::interface<"test.Phoenix/1", method<"add", &Phoenix::add>, method<"place", &Phoenix::place>,
                                   method<"epoch", &Phoenix::epoch_of_home>>;
};

struct Log {
  using policy = replicated;
  std::vector<std::int64_t> lines;
  std::int64_t append(std::int64_t line) {
    lines.push_back(line);
    return static_cast<std::int64_t>(lines.size());
  }
  std::vector<std::int64_t> read() const { return lines; }
  std::vector<std::int64_t> save() const { return lines; }
  void restore(std::vector<std::int64_t> state) { lines = std::move(state); }
  using interface = ebb::interface<"test.Log/1", method<"append", &Log::append>, method<"read", &Log::read>>;
};

struct Store {
  using policy = partitioned;
  static constexpr std::uint32_t kPartitions = 64;
  std::map<std::uint32_t, std::int64_t> values;
  std::int64_t lost = 0;
  std::int64_t add(std::uint32_t key, std::int64_t amount) { return values[key] += amount; }
  std::int64_t count_lost() const { return lost; }
  Place place() const { return {this_node(), Core::current().index()}; }
  void on_lost(const partition_lost&) { lost = 1; }
  std::map<std::uint32_t, std::int64_t> save() const { return values; }
  void restore(std::map<std::uint32_t, std::int64_t> state) { values = std::move(state); }
  using interface = ebb::interface<"test.Store/1", method<"add", &Store::add>, method<"count_lost", &Store::count_lost>,
                                   method<"place", &Store::place>>;
};

struct Scale {
  virtual ~Scale() = default;
  virtual std::int64_t weigh(std::int64_t grams) const { return grams; }
  using interface = ebb::interface<"test.Scale/1", method<"weigh", &Scale::weigh>>;
};
struct HeavyScale : Scale {
  static constexpr std::string_view implementation = "test.Scale/heavy";
  std::int64_t weigh(std::int64_t grams) const override { return grams * 1000; }
};

/// On every node: what it sees of an account, and its sudden end.
struct Agent {
  task<Result<std::int64_t>> add(ref<Phoenix> account, std::int64_t amount) {
    return account.on_home().within(20s).call<&Phoenix::add>(amount);
  }
  task<Result<std::int64_t>> add_mortal(ref<Mortal> account, std::int64_t amount) {
    return account.on_home().within(20s).call<&Mortal::add>(amount);
  }
  /// A read of this core's replica.
  std::vector<std::int64_t> read(ref<Log> log) { return log->lines; }
  task<Result<std::int64_t>> append(ref<Log> log, std::int64_t line) {
    auto written = co_await log.call<&Log::append>(line);
    // What was answered is seen here at once.
    if (written && log->lines.size() < static_cast<std::size_t>(*written)) co_return Error(Errc::internal, "an old replica");
    co_return written;
  }
  task<Result<std::int64_t>> store(ref<Store> store, std::uint32_t key, std::int64_t amount) {
    return store.on_key(key).within(20s).call<&Store::add>(key, amount);
  }
  bool knows(NodeId node) { return is_member(node); }
  void die() { platform::exit_node(3); }
  using interface = ebb::interface<"test.Agent/1", method<"add", &Agent::add>, method<"add_mortal", &Agent::add_mortal>,
                                   method<"read", &Agent::read>, method<"append", &Agent::append>, method<"die", &Agent::die>, method<"store", &Agent::store>,
                                   method<"knows", &Agent::knows>>;
};

task<void> check_calls(ref<Agent> agent, std::vector<NodeStatus> nodes) {
  const NodeId home = nodes.front().id;
  const CoreIndex last{static_cast<std::uint16_t>(nodes.front().cores - 1)};
  const auto account = (co_await create_at<Mortal>(home, last)).value();
  const auto place = co_await account.call<&Mortal::place>();
  CHECK(place && *place == (Place{home, last}));
  std::int64_t expected = 0;
  for (const NodeStatus& node : nodes) {
    const auto sum = co_await agent.on(node.id).call<&Agent::add_mortal>(account, 5);
    CHECK(sum && *sum == (expected += 5));
  }
  CHECK((co_await account.call<&Mortal::add>(1)).value() == expected + 1);
  // Asked for where it is not, it is not made a second time.
  CHECK((co_await account.on(nodes.back().id).call<&Mortal::place>()).code() == Errc::moved);
  CHECK((co_await destroy(account)).has_value());
  CHECK((co_await account.call<&Mortal::place>()).code() == Errc::no_such_object);
}

/// Every core of every node sees what was written.
task<void> check_log(ref<Log> log, ref<Agent> agent, std::vector<NodeStatus> nodes, std::vector<std::int64_t> lines) {
  CHECK(log->lines == lines);
  for (const NodeStatus& node : nodes) {
    for (std::uint16_t core = 0; core < node.cores; ++core) {
      const auto seen = co_await agent.on(node.id, CoreIndex{core}).call<&Agent::read>(log);
      CHECK(seen && *seen == lines);
    }
  }
}

task<void> check_replicas(ref<Log> log, ref<Agent> agent, std::vector<NodeStatus> nodes, std::vector<std::int64_t>* lines) {
  for (int round = 0; round < 20; ++round) {
    for (const NodeStatus& node : nodes) {
      const auto length = co_await agent.on(node.id).call<&Agent::append>(log, round);
      lines->push_back(round);
      CHECK(length && *length == static_cast<std::int64_t>(lines->size()));
    }
    co_await check_log(log, agent, nodes, *lines);
  }
}

task<void> check_swap(application* app, std::vector<NodeStatus> nodes) {
  const auto scale = (co_await create<Scale>()).value();
  CHECK(scale->weigh(2) == 2);
  CHECK((co_await scale.on(nodes.front().id).call<&Scale::weigh>(2)).value() == 2);
  CHECK((co_await swap<HeavyScale>(scale)).value() == 2);
  CHECK(scale->weigh(2) == 2000);
  for (const NodeStatus& node : nodes) CHECK((co_await scale.on(node.id).call<&Scale::weigh>(2)).value() == 2000);
  // A node that joins afterwards makes the new one.
  const NodeId late = (co_await app->nodes().add(1)).value().front();
  CHECK((co_await scale.on(late).call<&Scale::weigh>(2)).value() == 2000);
  CHECK((co_await destroy(scale)).has_value());
  CHECK((co_await app->nodes().remove(late)).has_value());
}

/// Homes move with their state, while calls go on, and away from a node that is asked to leave.
task<void> check_moves(application* app, std::vector<NodeStatus> nodes) {
  const NodeId first = nodes.front().id;
  const auto nomad = (co_await create_at<Nomad>(first)).value();
  std::int64_t expected = 0;
  for (int round = 0; round < 10; ++round) {
    const NodeStatus& target = nodes[static_cast<std::size_t>(round + 1) % nodes.size()];
    const CoreIndex core{static_cast<std::uint16_t>(round % target.cores)};
    auto under_way = nomad.call<&Nomad::add_slowly>(1);
    auto meanwhile = when_all(std::move(under_way), migrate(nomad, target.id, core), nomad.call<&Nomad::add>(1));
    const auto [slow, moved, quick] = co_await std::move(meanwhile);
    expected += 2;
    CHECK(slow.has_value());
    CHECK(moved.has_value());
    CHECK(quick.has_value());
    if (!moved) std::fprintf(stderr, "%s\n", moved.error().to_string().c_str());
    CHECK((co_await nomad.call<&Nomad::add>(0)).value() == expected);
    CHECK((co_await nomad.call<&Nomad::place>()).value() == (Place{target.id, core}));
  }
  const NodeId guest = (co_await app->nodes().add(1)).value().front();
  CHECK((co_await migrate(nomad, guest)).has_value());
  CHECK((co_await migrate(nomad, NodeId{999})).code() == Errc::invalid_argument);
  const auto log = (co_await create_at<Log>(guest)).value();
  CHECK((co_await log.call<&Log::append>(7)).value() == 1);
  CHECK((co_await app->nodes().remove(guest)).has_value());
  CHECK((co_await nomad.call<&Nomad::add>(1)).value() == expected + 1);
  CHECK((co_await log.call<&Log::append>(8)).value() == 2);
  CHECK((co_await destroy(nomad)).has_value());
  CHECK((co_await destroy(log)).has_value());
}

task<void> check_loss(ref<Agent> agent, std::vector<NodeStatus> nodes) {
  const NodeId doomed = nodes.front().id;
  const auto mortal = (co_await create_at<Mortal>(doomed)).value();
  const auto log = (co_await create_at<Log>(doomed)).value();
  std::vector<std::int64_t> lines;
  co_await check_replicas(log, agent, nodes, &lines);
  std::vector<ref<Phoenix>> phoenixes;
  for (int i = 0; i < 20; ++i) {
    phoenixes.push_back((co_await create_at<Phoenix>(doomed, CoreIndex{0})).value());
    CHECK((co_await phoenixes.back().call<&Phoenix::add>(7)).value() == 7);
  }
  CHECK((co_await mortal.call<&Mortal::add>(1)).value() == 1);
  const auto died = co_await agent.on(doomed).call<&Agent::die>();
  CHECK(died.code() == Errc::node_gone);
  const NodeId survivor = nodes.back().id;
  // A call that meets the node while it goes ends with node_gone, since it may have run. That is over once its end is known.
  for (int look = 0; look < 100 && (co_await agent.on(survivor).call<&Agent::knows>(doomed)).value(); ++look) {
    co_await sleep_for(10ms);
  }
  // Calls wait for the new homes, wherever they come from, and find what on_lost brought back.
  for (const ref<Phoenix> phoenix : phoenixes) {
    const auto from_there = co_await agent.on(survivor).within(25s).call<&Agent::add>(phoenix, 1);
    CHECK(from_there && *from_there == 1001);
    const auto from_here = co_await phoenix.on_home().within(20s).call<&Phoenix::add>(1);
    CHECK(from_here && *from_here == 1002);
    const auto place = co_await phoenix.call<&Phoenix::place>();
    CHECK(place && place->node != doomed);
    CHECK((co_await phoenix.call<&Phoenix::epoch_of_home>()).value() == 2);
  }
  CHECK((co_await mortal.call<&Mortal::add>(1)).code() == Errc::node_gone);
  const auto from_there = co_await agent.on(survivor).call<&Agent::add_mortal>(mortal, 1);
  CHECK(from_there.code() == Errc::node_gone);
  // The log lives on, whole, with another home.
  const std::vector<NodeStatus> left(nodes.begin() + 1, nodes.end());
  co_await check_replicas(log, agent, left, &lines);
  CHECK((co_await destroy(log)).has_value());
}

constexpr std::uint32_t kKeys = 300;

/// Adds one to every key, from all nodes in turn, and says how many keys did not have what was expected.
task<int> add_everywhere(ref<Store> store, ref<Agent> agent, std::vector<NodeStatus> nodes, std::int64_t expected) {
  int wrong = 0;
  for (std::uint32_t key = 0; key < kKeys; ++key) {
    const NodeId from = nodes[key % nodes.size()].id;
    const auto sum = co_await agent.on(from).call<&Agent::store>(store, key, 1);
    if (!sum || *sum != expected) ++wrong;
  }
  co_return wrong;
}

task<std::map<NodeId, int>> shares(ref<Store> store) {
  std::map<NodeId, int> result;
  for (std::uint32_t key = 0; key < kKeys; ++key) {
    const auto place = co_await store.on_key(key).call<&Store::place>();
    if (place) ++result[place->node];
  }
  co_return result;
}

/// Partitions move when a node comes and when one goes in order, and lose nothing; what a dead node had begins anew.
task<void> check_partitions(application* app, ref<Agent> agent) {
  const auto store = (co_await create<Store>()).value();
  CHECK(co_await add_everywhere(store, agent, app->nodes().list(), 1) == 0);
  const auto before = co_await shares(store);
  CHECK(before.size() == app->nodes().list().size());
  const NodeId fresh = (co_await app->nodes().add(1)).value().front();
  CHECK(co_await add_everywhere(store, agent, app->nodes().list(), 2) == 0);
  for (int look = 0; look < 200 && !(co_await shares(store)).contains(fresh); ++look) co_await sleep_for(10ms);
  const auto after = co_await shares(store);
  CHECK(after.contains(fresh));
  for (const auto& [node, count] : before) CHECK(after.contains(node) && after.at(node) <= count);
  CHECK(co_await add_everywhere(store, agent, app->nodes().list(), 3) == 0);
  // One that is asked to leave hands over what it has.
  const NodeId guest = (co_await app->nodes().add(1)).value().front();
  for (int look = 0; look < 200 && !(co_await shares(store)).contains(guest); ++look) co_await sleep_for(10ms);
  CHECK((co_await app->nodes().remove(guest)).has_value());
  CHECK(co_await add_everywhere(store, agent, app->nodes().list(), 4) == 0);
  CHECK(co_await shares(store) == after);
  static_cast<void>(co_await agent.on(fresh).call<&Agent::die>());
  // Until its end is known, calls that meet it end with node_gone.
  for (int look = 0; look < 100 && is_member(fresh); ++look) co_await sleep_for(10ms);
  int anew = 0;
  int kept = 0;
  for (std::uint32_t key = 0; key < kKeys; ++key) {
    const auto sum = co_await store.on_key(key).within(20s).call<&Store::add>(key, 1);
    const auto lost = co_await store.on_key(key).call<&Store::count_lost>();
    if (!sum) std::printf("key %u: %s\n", key, std::string(sum.error().text()).c_str());
    if (!lost) std::printf("key %u, how often lost: %s\n", key, std::string(lost.error().text()).c_str());
    if (sum && lost && *lost == 1) ++anew;
    if (sum && *sum == 5) ++kept;
  }
  CHECK(anew == after.at(fresh));
  CHECK(kept == static_cast<int>(kKeys) - after.at(fresh));
  CHECK((co_await destroy(store)).has_value());
}

/// A front end that has been busy for longer than a lease: its nodes answer for nothing, and then again.
task<void> check_busy_front_end(ref<Agent> agent, std::vector<NodeStatus> nodes) {
  const auto account = (co_await create_at<Mortal>(nodes.front().id)).value();
  CHECK((co_await account.call<&Mortal::add>(1)).value() == 1);
  const auto log = (co_await create_at<Log>(nodes.front().id)).value();
  std::vector<std::int64_t> lines;
  co_await check_replicas(log, agent, nodes, &lines);
  std::this_thread::sleep_for(kLease + 1s);
  CHECK((co_await account.call<&Mortal::add>(1)).value() == 2);
  // The home took its replica out of sight with its lease, and must have it back.
  co_await check_replicas(log, agent, nodes, &lines);
  CHECK((co_await destroy(log)).has_value());
  for (const NodeStatus& node : nodes) CHECK((co_await agent.on(node.id).call<&Agent::knows>(node.id)).value());
  CHECK((co_await destroy(account)).has_value());
}

}  // namespace

task<int> ebb_main(application& app) {
  (co_await app.nodes().add(app.options().backends)).value();
  const std::vector<NodeStatus> nodes = app.nodes().list();
  const auto agent = (co_await create<Agent>()).value();
  co_await check_calls(agent, nodes);
  co_await check_swap(&app, nodes);
  co_await check_moves(&app, nodes);
  co_await check_busy_front_end(agent, nodes);
  co_await check_partitions(&app, agent);
  co_await check_loss(agent, nodes);
  co_return ebb::test::conclude();
}
