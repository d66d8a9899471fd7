// Objects with a single home, on one node: calls find it, and it is made once. Across nodes: tests/cluster/kinds.
#include "ebb/object/home.h"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>

#include "ebb/async.h"
#include "ebb/object.h"
#include "tests/unit/object/clean_end.h"

namespace {

using ebb::CoreIndex;
using ebb::Errc;
using ebb::Home;
using ebb::NodeId;
using ebb::ObjectId;

int run(std::function<ebb::task<int>()> body) {
  return ebb::run_cores(2, [&body]() -> ebb::task<int> { return ebb::testing::with_clean_end(body()); });
}

std::atomic<int> alive{0};
std::atomic<int> made{0};

struct Account {
  using policy = ebb::single_home;
  Account() { ++alive, ++made; }
  ~Account() { --alive; }
  std::int64_t balance = 0;
  std::int64_t add(std::int64_t amount) { return balance += amount; }
  std::uint16_t core() const { return ebb::to_number(ebb::Core::current().index()); }
  using interface = ebb::interface<"test.Account/1", ebb::method<"add", &Account::add>, ebb::method<"core", &Account::core>>;
};

ebb::task<int> forward() {
  const auto account = (co_await ebb::create_at<Account>(ebb::kFrontEndNode, CoreIndex{1})).value();
  EXPECT_EQ(made, 0) << "made before its first use";
  EXPECT_EQ((co_await account.call<&Account::add>(40)).value(), 40);
  EXPECT_EQ((co_await account.on_home().call<&Account::add>(2)).value(), 42);
  EXPECT_EQ((co_await account.call<&Account::core>()).value(), 1);
  EXPECT_EQ(made, 1);
  EXPECT_EQ((co_await account.on(CoreIndex{0}).call<&Account::add>(1)).code(), Errc::moved) << "a second instance";
  EXPECT_TRUE(co_await ebb::destroy(account));
  EXPECT_EQ(alive, 0);
  EXPECT_EQ((co_await account.call<&Account::add>(1)).code(), Errc::no_such_object);
  EXPECT_EQ((co_await ebb::create_at<Account>(NodeId{5})).code(), Errc::invalid_argument);
  co_return 0;
}

TEST(SingleHome, IsOneInstanceThatAllCallsReach) { run(forward); }

ebb::task<int> learn() {
  auto& table = ebb::NodeTable::instance();
  const auto account = (co_await ebb::create<Account>()).value();
  EXPECT_EQ(table.home_of(account.id()), (Home{ebb::kFrontEndNode, CoreIndex{0}, 1}));
  table.learn_home(account.id(), {NodeId{7}, CoreIndex{3}, 9});
  table.learn_home(account.id(), {NodeId{8}, CoreIndex{1}, 8});
  EXPECT_EQ(table.home_of(account.id()), (Home{NodeId{7}, CoreIndex{3}, 9})) << "went back to an older home";
  // The node is no member, the directory knows no newer home, and the kind is not made anew.
  EXPECT_EQ((co_await account.call<&Account::add>(1)).code(), Errc::node_gone);
  EXPECT_TRUE(co_await ebb::destroy(account));
  co_return 0;
}

TEST(SingleHome, IsKnownByItsEpoch) { run(learn); }

}  // namespace
