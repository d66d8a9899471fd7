// Partitioned objects on the cores of one node; across nodes: tests/cluster/kinds.
#include "ebb/object/partitioned.h"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <map>
#include <set>
#include <string>

#include "ebb/async.h"
#include "ebb/object.h"
#include "src/object/partition.h"
#include "tests/unit/object/clean_end.h"

namespace {

using ebb::CoreIndex;
using ebb::Errc;
using ebb::NodeId;
using ebb::ObjectId;
using ebb::detail::ClusterView;

constexpr std::size_t kCores = 3;

int run(std::function<ebb::task<int>()> body) {
  return ebb::run_cores(kCores, [&body]() -> ebb::task<int> { return ebb::testing::with_clean_end(body()); });
}

std::atomic<int> alive{0};

struct Store {
  using policy = ebb::partitioned;
  static constexpr std::uint32_t kPartitions = 32;
  Store() { ++alive; }
  ~Store() { --alive; }
  std::map<std::string, std::int64_t> values;

  void put(const std::string& key, std::int64_t value) { values[key] = value; }
  ebb::Result<std::int64_t> get(const std::string& key) const {
    const auto found = values.find(key);
    if (found == values.end()) return ebb::Error(Errc::not_found, "no such key");
    return found->second;
  }
  std::uint16_t core() const { return ebb::to_number(ebb::Core::current().index()); }
  ebb::task<std::int64_t> slow(const std::string&) {
    co_await ebb::sleep_for(std::chrono::milliseconds(20));
    co_return static_cast<std::int64_t>(values.size());
  }
  std::map<std::string, std::int64_t> save() const { return values; }
  void restore(std::map<std::string, std::int64_t> state) { values = std::move(state); }
  using interface = ebb::interface<"test.Store/1", ebb::method<"put", &Store::put>, ebb::method<"get", &Store::get>,
                                   ebb::method<"core", &Store::core>, ebb::method<"slow", &Store::slow>>;
};

std::string key_of(int i) { return "key " + std::to_string(i); }

ebb::task<int> spread() {
  const auto store = (co_await ebb::create<Store>()).value();
  std::set<std::uint16_t> cores;
  for (int i = 0; i < 200; ++i) {
    const std::string key = key_of(i);
    EXPECT_TRUE(co_await store.on_key(key).call<&Store::put>(key, i));
    cores.insert((co_await store.on_key(key).call<&Store::core>()).value());
  }
  EXPECT_EQ(cores.size(), kCores) << "not spread over the cores";
  EXPECT_EQ(alive, 32) << "one instance a partition";
  for (int i = 0; i < 200; ++i) {
    const std::string key = key_of(i);
    EXPECT_EQ((co_await store.on_key(key).call<&Store::get>(key)).value(), i);
  }
  const std::string missing = "missing";
  EXPECT_EQ((co_await store.on_key(missing).call<&Store::get>(missing)).code(), Errc::not_found);
  EXPECT_GE((co_await store.on_key(missing).call<&Store::slow>(missing)).value(), 0);
  EXPECT_TRUE(co_await ebb::destroy(store));
  EXPECT_EQ(alive, 0);
  EXPECT_EQ((co_await store.on_key(missing).within(std::chrono::seconds(1)).call<&Store::get>(missing)).code(),
            Errc::no_such_object);
  co_return 0;
}

TEST(Partitioned, SpreadsItsKeysOverTheCores) { EXPECT_EQ(run(spread), 0); }

/// Who decides about the partitions waits for members to come and go; with the object that waiting is over.
ebb::task<int> end_while_nothing_changes() {
  constexpr std::chrono::milliseconds kLook(1);  // far less often than that waiting would end by itself
  const std::size_t waiting_before = ebb::Core::current().pending_timers();
  const auto store = (co_await ebb::create<Store>()).value();
  EXPECT_TRUE(co_await store.on_key(1).call<&Store::put>("one", 1));
  for (int i = 0; i < 2000 && ebb::Core::current().pending_timers() == waiting_before; ++i) co_await ebb::sleep_for(kLook);
  EXPECT_GT(ebb::Core::current().pending_timers(), waiting_before) << "nobody follows the members";
  EXPECT_TRUE(co_await ebb::destroy(store));
  for (int i = 0; i < 2000 && ebb::Core::current().pending_timers() != waiting_before; ++i) co_await ebb::sleep_for(kLook);
  EXPECT_EQ(ebb::Core::current().pending_timers(), waiting_before);
  co_return 0;
}

TEST(Partitioned, LeavesNobodyWaitingForMembersWhenItEnds) { EXPECT_EQ(run(end_while_nothing_changes), 0); }

ClusterView nodes(std::uint32_t first, std::uint32_t last, std::uint16_t cores) {
  ClusterView view{1, {{ebb::kFrontEndNode, 2, false}}};
  for (std::uint32_t node = first; node <= last; ++node) view.nodes.push_back({NodeId{node}, cores, false});
  return view;
}

TEST(ChooseOwner, MovesNoMoreThanTheShareOfTheNodeThatComesOrGoes) {
  const ClusterView ten = nodes(1, 10, 2);
  const ClusterView eleven = nodes(1, 11, 2);
  constexpr std::uint32_t kMany = 10'000;
  std::map<ebb::NodeId, int> share;
  int moved = 0;
  for (std::uint32_t partition = 0; partition < kMany; ++partition) {
    const auto before = ebb::detail::choose_owner(ObjectId{2000}, partition, ten);
    const auto after = ebb::detail::choose_owner(ObjectId{2000}, partition, eleven);
    ++share[before.node];
    if (before == after) continue;
    ++moved;
    EXPECT_EQ(after.node, NodeId{11}) << "moved between nodes that stay";
  }
  EXPECT_EQ(share.size(), 10u) << "the front end has none, every backend some";
  for (const auto& [node, count] : share) EXPECT_NEAR(count, kMany / 10, kMany / 50);
  EXPECT_NEAR(moved, kMany / 11, kMany / 50);
}

TEST(ChooseOwner, PlacesNothingOnANodeThatLeaves) {
  ClusterView view = nodes(1, 3, 2);
  view.nodes[2].leaving = true;
  for (std::uint32_t partition = 0; partition < 200; ++partition) {
    const ebb::NodeId owner = ebb::detail::choose_owner(ObjectId{2000}, partition, view).node;
    EXPECT_TRUE(owner == NodeId{1} || owner == NodeId{3});
  }
}

TEST(ChooseOwner, TakesTheFrontEndWhereThereIsNoOther) {
  const ClusterView alone{1, {{ebb::kFrontEndNode, 2, false}}};
  EXPECT_EQ(ebb::detail::choose_owner(ObjectId{2000}, 7, alone).node, ebb::kFrontEndNode);
  const ClusterView last_leaves{1, {{ebb::kFrontEndNode, 2, false}, {NodeId{1}, 2, true}}};
  EXPECT_EQ(ebb::detail::choose_owner(ObjectId{2000}, 7, last_leaves).node, ebb::kFrontEndNode);
}

TEST(Partitioned, TakesEqualIntegersOfAllWidthsForOneKey) {
  const ebb::ref<Store> store;
  for (const int key : {0, 5, 70, -1, -300}) {
    EXPECT_EQ(store.on_key(key).partition(), store.on_key(std::int64_t{key}).partition());
    EXPECT_EQ(store.on_key(key).partition(), store.on_key(static_cast<std::uint64_t>(std::int64_t{key})).partition());
    EXPECT_EQ(store.on_key(static_cast<std::int16_t>(key)).partition(), store.on_key(key).partition());
  }
  EXPECT_EQ(store.on_key(std::uint8_t{200}).partition(), store.on_key(200).partition());
  EXPECT_EQ(store.on_key(std::uint32_t{4'000'000'000}).partition(), store.on_key(std::int64_t{4'000'000'000}).partition());
}

}  // namespace
