// Looking for a node whose connections break, and go on breaking for a moment. In whole clusters: the simulator.
#include "src/node/search.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <tuple>
#include <utility>

#include "ebb/async.h"
#include "ebb/messenger/messenger.h"
#include "ebb/node.h"
#include "ebb/object/encoded_call.h"
#include "ebb/platform/stream.h"
#include "src/node/system_objects.h"
#include "tests/unit/object/clean_end.h"

namespace ebb {
namespace {

using namespace std::chrono_literals;

constexpr platform::Endpoint kLoopback{0x7f00'0001, 0};
constexpr NodeId kBackend{1};
// As many as there may be between two nodes of one core each, and one more.
constexpr std::size_t kBreaks = 3;
// After which heartbeats would have told.
constexpr platform::Duration kLimit = 2s;

struct Authority final : MembershipAuthority {
  Result<void> admit(const Member&) override { return {}; }
  void on_joined(const Member&) override {}
  void on_lost(NodeId, const Error&) override { ++lost; }
  int lost = 0;
};

/// The other node: answers everything with nothing.
struct Other final : MessengerHandler {
  task<Result<Bytes>> on_call(IncomingCall) override { return count(this); }
  static task<Result<Bytes>> count(Other* self) {
    ++self->calls;
    co_return Bytes();
  }
  void on_connection_lost(NodeId, const Error&) override {}
  int calls = 0;
};

/// Where connections break as soon as they are made.
struct Breaking {
  std::size_t broken = 0;
  std::unique_ptr<platform::Listener> listener =
      platform::listen(kLoopback, [this](std::unique_ptr<platform::Stream>) { ++broken; }).value();
};

task<std::unique_ptr<Messenger>> start(Other* handler, NodeId self, platform::Endpoint local, Node* node) {
  const MessengerOptions options{self, {}, local};
  std::unique_ptr<Messenger> messenger = (co_await Messenger::start(options, *handler)).value();
  co_await messenger->set_peer(node->id(), node->local());
  co_return messenger;
}

template <auto kMethod, class Service, class Argument>
task<void> tell(Messenger* messenger, NodeId node, ref<Service> service, Argument argument) {
  CallTarget target;
  target.node = node;
  target.object = service.id();
  target.method = Service::interface::template method_id<kMethod>();
  auto encoded = detail::encoded(std::tuple(std::move(argument)));
  const auto told = co_await messenger->call(std::move(target), *std::move(encoded));
  EXPECT_TRUE(told) << told.error().to_string();
}

template <class Condition>
task<bool> comes(Condition condition) {
  const platform::Instant give_up = platform::Clock::now() + kLimit;
  while (!condition() && platform::Clock::now() < give_up) co_await sleep_for(100us);
  co_return condition();
}

/// Once some connections have broken, others hold. True if the other node was found.
task<bool> holds_again(Breaking* place, Other* handler, NodeId self, Node* node, std::unique_ptr<Messenger>* messenger) {
  const bool all_broken = co_await comes([place] { return place->broken >= kBreaks; });
  EXPECT_TRUE(all_broken) << place->broken << " attempts";
  const platform::Endpoint local = place->listener->local();
  place->listener.reset();
  const int before = handler->calls;
  *messenger = co_await start(handler, self, local, node);
  const bool found = co_await comes([handler, before] { return handler->calls != before; });
  co_return found;
}

task<int> member_is_found() {
  Authority authority;
  const NodeOptions options{kFrontEndNode, {}, kLoopback, &authority};
  const std::unique_ptr<Node> node = (co_await Node::start(options)).value();
  Breaking place;
  Other handler;
  std::unique_ptr<Messenger> member = co_await start(&handler, kBackend, kLoopback, node.get());
  const Member self{kBackend, 1, place.listener->local()};
  co_await tell<&detail::ClusterService::join>(member.get(), kFrontEndNode, detail::kCluster, self);
  co_await member->close();
  const bool found = co_await holds_again(&place, &handler, kBackend, node.get(), &member);
  EXPECT_TRUE(found);
  EXPECT_EQ(authority.lost, 0);
  EXPECT_TRUE(is_member(kBackend));
  // And when nobody is there any more it is lost before it would count as silent.
  co_await member->close();
  const bool lost = co_await comes([&authority] { return authority.lost == 1; });
  EXPECT_TRUE(lost);
  co_await node->close();
  co_return 0;
}

TEST(Search, FindsAMemberWhoseConnectionsGoOnBreakingForAMoment) {
  EXPECT_EQ(run_cores(1, [] { return testing::with_clean_end(member_is_found()); }), 0);
}

task<void> wait_for_end(Node* node, std::optional<Errc>* ended) {
  const Result<void> stopped = co_await node->stopped();
  *ended = stopped.code();
}

task<int> front_end_is_found() {
  const NodeOptions options{kBackend, {}, kLoopback, nullptr};
  const std::unique_ptr<Node> node = (co_await Node::start(options)).value();
  Breaking place;
  Other handler;
  std::unique_ptr<Messenger> front_end = co_await start(&handler, kFrontEndNode, kLoopback, node.get());
  detail::MemberList list{1, {{kFrontEndNode, 1, place.listener->local()}, {kBackend, 1, node->local()}}};
  co_await tell<&detail::NodeService::set_members>(front_end.get(), kBackend, detail::kNodeService, std::move(list));
  EXPECT_TRUE(co_await node->join(place.listener->local()));
  std::optional<Errc> ended;
  Scope scope;
  scope.spawn(wait_for_end(node.get(), &ended));
  co_await front_end->close();
  const bool found = co_await holds_again(&place, &handler, kFrontEndNode, node.get(), &front_end);
  EXPECT_TRUE(found);
  EXPECT_FALSE(ended);
  co_await front_end->close();
  const bool gone = co_await comes([&ended] { return ended.has_value(); });
  EXPECT_TRUE(gone);
  EXPECT_EQ(ended, Errc::node_gone);
  co_await node->close();
  co_await scope.join();
  co_return 0;
}

TEST(Search, FindsTheFrontEndWhoseConnectionsGoOnBreakingForAMoment) {
  EXPECT_EQ(run_cores(1, [] { return testing::with_clean_end(front_end_is_found()); }), 0);
}

task<int> pauses() {
  // Its length, in pauses and attempts, with few and with many connections.
  for (const auto& [least, most] : {std::pair<std::size_t, std::size_t>{1, 6}, {3, 6}, {9, 9}}) {
    const platform::Instant begin = platform::Clock::now();
    detail::Search search(least);
    std::size_t attempts = 1;
    for (bool again = true; again; attempts += again ? 1 : 0) again = co_await search.again();
    EXPECT_EQ(attempts, most);
    EXPECT_GE(platform::Clock::now() - begin, 31ms);
  }
  co_return 0;
}

TEST(Search, PausesBetweenTheFirstAttempts) { EXPECT_EQ(run_cores(1, pauses), 0); }

}  // namespace
}  // namespace ebb
