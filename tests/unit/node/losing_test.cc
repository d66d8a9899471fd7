// A member is lost while memory, or whatever else is needed for what follows from that, is short for a moment. In whole clusters:
// tests/cluster and the simulator.
#include <gtest/gtest.h>

#include <exception>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "ebb/async.h"
#include "ebb/messenger/messenger.h"
#include "ebb/node.h"
#include "ebb/object/encoded_call.h"
#include "src/node/forwarding_directory.h"
#include "src/node/system_objects.h"
#include "tests/unit/node/short_memory.h"

namespace ebb {
namespace {

using namespace std::chrono_literals;

constexpr platform::Endpoint kLoopback{0x7f00'0001, 0};
constexpr NodeId kStays{1};
// Less than the second look at what a lost node had, which hides what the first one has missed.
constexpr platform::Duration kSoon = 5s;

struct Box {
  using policy = remade_home;
  int nothing() { return 0; }
  using interface = ebb::interface<"test.Box/1", method<"nothing", &Box::nothing>>;
};

/// Throws the first `throws` times that it is asked `what` of a member.
class ShortOfMemory final : public ForwardingDirectory {
 public:
  enum class What { nothing, end_leases, list_at, re_home };
  using ForwardingDirectory::ForwardingDirectory;
  What what = What::nothing;
  int throws = 0;

  task<Result<void>> end_leases(NodeId holder) override {
    if (holder != kNoNode) may_throw(What::end_leases);
    return ForwardingDirectory::end_leases(holder);
  }
  task<Result<std::vector<ObjectRecord>>> list_at(NodeId home, ObjectId after, std::uint32_t limit) override {
    if (home != kNoNode) may_throw(What::list_at);
    return ForwardingDirectory::list_at(home, after, limit);
  }
  task<Result<ObjectRecord>> re_home(ObjectId id, std::uint32_t epoch, NodeId home, CoreIndex home_core) override {
    may_throw(What::re_home);
    return ForwardingDirectory::re_home(id, epoch, home, home_core);
  }

 private:
  void may_throw(What asked) {
    if (asked != what || throws == 0) return;
    --throws;
    throw std::bad_alloc();
  }
};

struct Authority final : MembershipAuthority {
  Result<void> admit(const Member&) override { return {}; }
  void on_joined(const Member&) override {}
  void on_lost(NodeId, const Error&) override {
    ++lost;
    if (throws) throw std::runtime_error("no way to take it down");
  }
  int lost = 0;
  bool throws = false;
};

/// A member that takes every list, and sends no heartbeats.
struct Backend final : MessengerHandler {
  task<Result<Bytes>> on_call(IncomingCall call) override { return taken(this, std::move(call)); }
  static task<Result<Bytes>> taken(Backend* self, IncomingCall call) {
    using Service = detail::NodeService::interface;
    if (call.method == Service::method_id<&detail::NodeService::change_members>()) ++self->differences;
    if (call.method == Service::method_id<&detail::NodeService::set_members>()) ++self->lists;
    co_return Bytes();
  }
  void on_connection_lost(NodeId, const Error&) override {}
  int lists = 0;
  int differences = 0;
};

struct Fixture {
  Authority authority;
  ShortOfMemory* directory = nullptr;
  std::unique_ptr<Node> node;
};

task<void> start(Fixture* f) {
  auto directory = std::make_unique<ShortOfMemory>(make_memory_directory());
  f->directory = directory.get();
  NodeTable::instance().set_directory(make_front_end_directory(std::move(directory)));
  const NodeOptions options{kFrontEndNode, {}, kLoopback, &f->authority};
  f->node = (co_await Node::start(options)).value();
}

task<void> end(Fixture* f) {
  co_await f->node->close();
  co_await NodeTable::instance().clear();
  NodeTable::instance().set_directory(make_memory_directory());
}

task<std::unique_ptr<Messenger>> join(Fixture* f, Backend* handler, NodeId id) {
  const MessengerOptions options{id, {}, kLoopback};
  std::unique_ptr<Messenger> backend = (co_await Messenger::start(options, *handler)).value();
  co_await backend->set_peer(kFrontEndNode, f->node->local());
  CallTarget target;
  target.node = kFrontEndNode;
  target.object = detail::kCluster.id();
  target.method = detail::ClusterService::interface::method_id<&detail::ClusterService::join>();
  auto member = detail::encoded(std::tuple(Member{id, 1, backend->local()}));
  const auto joined = co_await backend->call(std::move(target), *std::move(member));
  EXPECT_TRUE(joined);
  co_return backend;
}

/// Of remade_home, as if it had been made on `home`.
task<ObjectRecord> create_at(NodeId home) {
  static_cast<void>(&detail::Registered<Box>::entry);
  NewObject wanted{std::string(Box::interface::name), Box::interface::id, std::string(policy_of<Box>::name), home, {}, {}};
  co_return (co_await NodeTable::instance().directory().create(std::move(wanted))).value();
}

task<NodeId> home_soon(ObjectId object, NodeId before) {
  const platform::Instant give_up = platform::Clock::now() + kSoon;
  for (;;) {
    const auto record = co_await NodeTable::instance().directory().lookup(object);
    const NodeId home = record ? record->home : kNoNode;
    if (home != before || platform::Clock::now() > give_up) co_return home;
    co_await sleep_for(1ms);
  }
}

task<int> others_are_told() {
  Fixture f;
  co_await start(&f);
  f.authority.throws = true;
  Backend stays, goes;
  const auto here = co_await join(&f, &stays, kStays);
  const auto lost = co_await join(&f, &goes, NodeId{2});
  const int before = stays.lists + stays.differences;
  co_await lost->close();
  const platform::Instant give_up = platform::Clock::now() + kSoon / 2;  // before it counts as silent
  while (stays.lists + stays.differences == before && platform::Clock::now() < give_up) co_await sleep_for(1ms);
  EXPECT_EQ(f.authority.lost, 1);
  EXPECT_GT(stays.lists + stays.differences, before) << "nobody has told the other member";
  EXPECT_FALSE(is_member(NodeId{2}));
  co_await here->close();
  co_await end(&f);
  co_return 0;
}

TEST(LostMember, IsGoneForTheOthersAlsoWhenNobodyCanTakeItDown) {
  EXPECT_EQ(run_cores(1, [] { return others_are_told(); }), 0);
}

/// With no memory for the allocation of that number.
task<void> remove(Node* node, NodeId member, int number, bool* thrown) {
  std::string reason = "it was removed by a test, which says so at length";
  testing::until_no_memory = number;
  try {
    co_await node->remove_member(member, std::move(reason));
  } catch (const std::bad_alloc&) {
    *thrown = true;
  }
}

/// Whatever has no memory: the member is one as before, or all that follows from its end is done.
task<int> without_memory() {
  Fixture f;
  co_await start(&f);
  Backend stays;
  const auto here = co_await join(&f, &stays, kStays);
  bool all_had_memory = false;
  for (std::uint32_t number = 1; !all_had_memory && number < 100 && !::testing::Test::HasFailure(); ++number) {
    const NodeId member{number + 1};
    SCOPED_TRACE("the allocation with number " + std::to_string(number) + " fails");
    Backend goes;
    const auto there = co_await join(&f, &goes, member);
    const ObjectRecord object = co_await create_at(member);
    const int before = stays.lists + stays.differences;
    bool thrown = false;
    Scope scope;
    scope.spawn(remove(f.node.get(), member, static_cast<int>(number), &thrown));
    // At its first wait: others need memory for what is their own.
    Core::current().spawn([&all_had_memory] { all_had_memory = std::exchange(testing::until_no_memory, 0) != 0; });
    co_await scope.join();
    if (thrown) {
      EXPECT_TRUE(is_member(member)) << "it is none any more, and the rest was not done";
      co_await f.node->remove_member(member, "it was removed");
    }
    EXPECT_FALSE(is_member(member));
    EXPECT_GT(stays.lists + stays.differences, before) << "nobody has told the other member";
    f.node->member_ended(member);
    EXPECT_NE(co_await home_soon(object.id, member), member) << "its homes are not made anew";
    co_await there->close();
  }
  EXPECT_TRUE(all_had_memory);
  co_await here->close();
  co_await end(&f);
  co_return 0;
}

TEST(LostMember, IsForgottenAsAWholeOrNotAtAllWithoutMemory) {
  EXPECT_EQ(run_cores(1, [] { return without_memory(); }), 0);
}

task<int> homes_when(ShortOfMemory::What what) {
  Fixture f;
  co_await start(&f);
  Backend goes;
  const auto lost = co_await join(&f, &goes, NodeId{2});
  std::vector<ObjectId> objects;
  for (int i = 0; i < 3; ++i) {
    const ObjectRecord made = co_await create_at(NodeId{2});
    objects.push_back(made.id);
  }
  f.directory->what = what;
  f.directory->throws = 2;
  co_await f.node->remove_member(NodeId{2}, "it was removed");
  f.node->member_ended(NodeId{2});
  for (const ObjectId object : objects) EXPECT_EQ(co_await home_soon(object, NodeId{2}), kFrontEndNode);
  EXPECT_EQ(f.directory->throws, 0);
  co_await lost->close();
  co_await end(&f);
  co_return 0;
}

class HomesOfALostMember : public ::testing::TestWithParam<ShortOfMemory::What> {};

TEST_P(HomesOfALostMember, AreMadeAnewAfterExceptions) {
  EXPECT_EQ(run_cores(1, [] { return homes_when(GetParam()); }), 0);
}

INSTANTIATE_TEST_SUITE_P(Asking, HomesOfALostMember,
                         ::testing::Values(ShortOfMemory::What::end_leases, ShortOfMemory::What::list_at, ShortOfMemory::What::re_home));

}  // namespace
}  // namespace ebb
