// How a node closes. In whole clusters: tests/cluster and the simulator.
#include <gtest/gtest.h>

#include <exception>
#include <memory>
#include <tuple>
#include <utility>

#include "ebb/async.h"
#include "ebb/messenger/messenger.h"
#include "ebb/node.h"
#include "ebb/object/encoded_call.h"
#include "src/node/system_objects.h"
#include "tests/unit/node/short_memory.h"
#include "tests/unit/object/clean_end.h"

namespace ebb {
namespace {

using namespace std::chrono_literals;

constexpr platform::Endpoint kLoopback{0x7f00'0001, 0};

/// When it hears of a loss, there is no memory for what is to be done next.
struct Authority final : MembershipAuthority {
  Result<void> admit(const Member&) override { return {}; }
  void on_joined(const Member&) override {}
  void on_lost(NodeId, const Error&) override {
    ++lost;
    testing::until_no_memory = 1;
  }
  int lost = 0;
};

/// A member that takes every list.
struct Backend final : MessengerHandler {
  task<Result<Bytes>> on_call(IncomingCall) override { return taken(); }
  static task<Result<Bytes>> taken() { co_return Bytes(); }
  void on_connection_lost(NodeId, const Error&) override {}
};

task<Result<Bytes>> join(Messenger* backend) {
  CallTarget target;
  target.node = kFrontEndNode;
  target.object = detail::kCluster.id();
  target.method = detail::ClusterService::interface::method_id<&detail::ClusterService::join>();
  auto member = detail::encoded(std::tuple(Member{NodeId{1}, 1, backend->local()}));
  return backend->call(std::move(target), *std::move(member));
}

task<std::unique_ptr<Messenger>> start(Backend* handler, platform::Endpoint front_end) {
  const MessengerOptions options{NodeId{1}, {}, kLoopback};
  std::unique_ptr<Messenger> messenger = (co_await Messenger::start(options, *handler)).value();
  co_await messenger->set_peer(kFrontEndNode, front_end);
  co_return messenger;
}

task<int> after_a_failure() {
  Authority authority;
  const NodeOptions options{kFrontEndNode, {}, kLoopback, &authority};
  const std::unique_ptr<Node> node = (co_await Node::start(options)).value();
  const platform::Endpoint local = node->local();
  Backend handler;
  const std::unique_ptr<Messenger> backend = co_await start(&handler, local);
  EXPECT_TRUE(co_await join(backend.get()));
  co_await backend->close();
  for (const auto end = platform::Clock::now() + 10s; authority.lost == 0 && platform::Clock::now() < end;) co_await sleep_for(1ms);
  EXPECT_EQ(authority.lost, 1);
  bool closed = false;
  try {
    co_await node->close();
    closed = true;
  } catch (const std::exception&) {
    // Seen below.
  }
  EXPECT_TRUE(closed);
  EXPECT_EQ(Node::current(), nullptr);
  const std::unique_ptr<Messenger> again = co_await start(&handler, local);
  EXPECT_EQ((co_await join(again.get())).code(), Errc::node_gone) << "its messenger is still there";
  co_await again->close();
  co_return 0;
}

TEST(NodeCloses, AlsoWhenItsWorkInTheBackgroundHasFailed) {
  EXPECT_EQ(run_cores(1, [] { return testing::with_clean_end(after_a_failure()); }), 0);
}

}  // namespace
}  // namespace ebb
