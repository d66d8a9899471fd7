// Partitioned objects on the cores of one node; across nodes: tests/cluster/kinds.
#include "ebb/object/partitioned.h"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <map>
#include <numeric>
#include <set>
#include <string>
#include <string_view>

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
  std::size_t size() const { return values.size(); }
  std::uint16_t core() const { return ebb::to_number(ebb::Core::current().index()); }
  ebb::task<std::int64_t> slow(const std::string&) {
    co_await ebb::sleep_for(std::chrono::milliseconds(20));
    co_return static_cast<std::int64_t>(values.size());
  }
  std::map<std::string, std::int64_t> save() const { return values; }
  void restore(std::map<std::string, std::int64_t> state) { values = std::move(state); }
  using interface = ebb::interface<"test.Store/1", ebb::method<"put", &Store::put>, ebb::method<"get", &Store::get>,
                                   ebb::method<"core", &Store::core>, ebb::method<"slow", &Store::slow>,
                                   ebb::method<"size", &Store::size>>;
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

TEST(Partitioned, TakesAllThatIsAStringForTheSameKey) {
  const ebb::ref<Store> store;
  const std::string key = "some key";
  const char* const pointer = key.c_str();
  EXPECT_EQ(store.on_key("some key").partition(), store.on_key(key).partition());
  EXPECT_EQ(store.on_key(std::string_view(key)).partition(), store.on_key(key).partition());
  EXPECT_EQ(store.on_key(pointer).partition(), store.on_key(key).partition());
  EXPECT_NE(store.on_key("some key").partition(), store.on_key("another key").partition());
}

ebb::task<int> visit_all() {
  const auto store = (co_await ebb::create<Store>()).value();
  const auto all = store.every_partition();
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(co_await store.on_key(key_of(i)).call<&Store::put>(key_of(i), i));
  EXPECT_EQ((co_await all.reduce<&Store::size>(std::size_t{1}, std::plus<>())).value(), 101u);
  EXPECT_TRUE(co_await all.call<&Store::put>("everywhere", 7));
  const auto sizes = (co_await all.gather<&Store::size>()).value();
  EXPECT_EQ(sizes.size(), Store::kPartitions);
  for (std::uint32_t partition = 0; partition < sizes.size(); ++partition) {
    const ebb::partition_target<Store> one(store.id(), partition);
    EXPECT_EQ(sizes[partition], (co_await one.call<&Store::size>()).value()) << partition;
    EXPECT_EQ((co_await one.call<&Store::get>("everywhere")).value(), 7) << partition;
  }
  EXPECT_EQ(std::accumulate(sizes.begin(), sizes.end(), std::size_t{0}), 100 + Store::kPartitions);
  const auto in_order = [](std::string text, std::size_t size) { return text + std::to_string(size) + " "; };
  std::string expected;
  for (const std::size_t size : sizes) expected += std::to_string(size) + " ";
  EXPECT_EQ((co_await all.reduce<&Store::size>(std::string(), in_order)).value(), expected);

  const std::string rare = key_of(5);
  const auto missing = co_await all.gather<&Store::get>(rare);
  EXPECT_EQ(missing.code(), Errc::not_found);
  const std::uint32_t lowest = store.on_key(rare).partition() == 0 ? 1 : 0;
  EXPECT_EQ(missing.error().text(), "partition " + std::to_string(lowest) + ": no such key");
  EXPECT_EQ((co_await all.within(std::chrono::seconds(0)).call<&Store::put>("late", 1)).code(), Errc::deadline_exceeded);
  EXPECT_EQ((co_await all.reduce<&Store::size>(std::size_t{0}, std::plus<>())).value(), 100 + Store::kPartitions);
  EXPECT_TRUE(co_await ebb::destroy(store));
  EXPECT_EQ((co_await all.call<&Store::put>("late", 1)).code(), Errc::no_such_object);
  EXPECT_EQ(alive, 0);
  co_return 0;
}

TEST(Partitioned, IsCalledAtAllKeysAtOnce) { EXPECT_EQ(run(visit_all), 0); }

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
