// Calls that surely never began, which can be made again, and those of which that is not known.
#include <gtest/gtest.h>

#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "src/messenger/connection.h"
#include "tests/unit/messenger/pair.h"
#include "tests/unit/messenger/wire.h"

namespace {

using namespace ebb;
using namespace ebb::messenger;
using namespace ebb::messenger_test;

struct Outcome {
  Errc code;
  bool refused;
  std::string text;
};
using Outcomes = std::vector<std::optional<Outcome>>;

task<void> expect_nothing_ran(task<Result<Bytes>> call, std::string what) {
  const auto answer = co_await std::move(call);
  EXPECT_EQ(answer.code(), Errc::node_gone) << what;
  if (answer) co_return;
  EXPECT_TRUE(answer.error().is_refusal()) << what;
  EXPECT_NE(answer.error().text().find("; nothing ran"), std::string::npos) << what << ": " << answer.error().text();
}

/// A one-way call says the same before it is queued.
task<void> expect_nobody(Messenger* messenger, std::uint32_t node, std::string what) {
  co_await expect_nothing_ran(messenger->call(to(node, echo), Bytes()), what);
  const auto sent = co_await messenger->send(to(node, echo), Bytes());
  EXPECT_TRUE(sent.code() == Errc::node_gone && sent.error().is_refusal()) << what;
}

platform::Endpoint where_nobody_listens() {
  const auto former = platform::listen(kLoopback, [](std::unique_ptr<platform::Stream>) {});
  return former.value()->local();
}

TEST(NeverSent, IsWhatFindsNoConnection) {
  run(1, []() -> task<int> {
    Pair pair;
    co_await pair.start();
    co_await expect_nobody(pair.a.get(), 9, "an unknown node");
    co_await pair.a->set_peer(NodeId{3}, where_nobody_listens());
    co_await expect_nobody(pair.a.get(), 3, "a place where nobody listens");
    co_await pair.a->set_peer(NodeId{4}, pair.b->local());
    co_await expect_nobody(pair.a.get(), 4, "a place where somebody else listens");
    co_await pair.a->set_peer(NodeId{5}, {});
    co_await expect_nobody(pair.a.get(), 5, "no place at all");
    co_await pair.a->forget_peer(NodeId{2}, "node 2 has left");
    co_await expect_nobody(pair.a.get(), 2, "a node that is forgotten");
    EXPECT_EQ(pair.right.calls, 0);
    co_await pair.close();
    co_return 0;
  });
}

TEST(NeverSent, IsWhatWaitsForAConnectionToANodeThatIsForgotten) {
  run(1, []() -> task<int> {
    Pair pair;
    co_await pair.start();
    // Somebody who takes connections and says nothing.
    std::vector<std::unique_ptr<platform::Stream>> taken;
    auto mute = platform::listen(kLoopback, [&taken](std::unique_ptr<platform::Stream> stream) { taken.push_back(std::move(stream)); });
    co_await pair.a->set_peer(NodeId{3}, mute.value()->local());
    Scope scope;
    scope.spawn(expect_nothing_ran(pair.a->call(to(3, echo), Bytes()), "one that waits for a handshake"));
    const auto has_come = [&taken] { return !taken.empty(); };
    EXPECT_TRUE(co_await comes(has_come)) << "nobody connected";
    co_await pair.a->forget_peer(NodeId{3}, "node 3 has left");
    co_await scope.join();
    co_await pair.close();
    taken.clear();
    co_return 0;
  });
}

TEST(NeverSent, IsNotWhatThePeerHasBegun) {
  run(1, []() -> task<int> {
    Pair pair;
    co_await pair.start();
    Scope scope;
    Outcomes outcomes(1);
    struct Held {
      static task<void> call(Messenger* messenger, std::optional<Outcome>* outcome) {
        const auto answer = co_await messenger->call(to(2, hold), Bytes());
        EXPECT_FALSE(answer);
        if (!answer) *outcome = {answer.code(), answer.error().is_refusal(), answer.error().text()};
      }
    };
    scope.spawn(Held::call(pair.a.get(), &outcomes[0]));
    const auto has_begun = [&pair] { return pair.right.calls != 0; };
    EXPECT_TRUE(co_await comes(has_begun)) << "the call did not come";
    co_await pair.a->forget_peer(NodeId{2}, "node 2 has left");
    co_await scope.join();
    EXPECT_EQ(outcomes[0]->code, Errc::node_gone);
    EXPECT_FALSE(outcomes[0]->refused) << "it may have run";
    pair.right.released.complete();
    co_await pair.close();
    co_return 0;
  });
}

// --- in one connection, without a network ---

struct Owner final : ConnectionOwner {
  void on_established(Connection&) override {}
  void on_call(Connection&, std::uint32_t, IncomingCall) override {}
  void on_ended(Connection&, const Error&) override {}
  void on_output(Connection&) override {}
  void on_awake(Connection&) noexcept override {}
};

Hello hello(std::uint32_t node, NodeId wanted) { return {kProtocolVersion, 1, NodeId{node}, {}, wanted, {}}; }

struct Scene {
  ClusterKey key{};
  Owner owner;
  Bytes sent;
  std::size_t room = std::numeric_limits<std::size_t>::max();
  std::shared_ptr<Connection> connection =
      std::make_shared<Connection>(owner, Handshake::Side::accepting, hello(1, kNoNode), key);

  Scene() {
    connection->adopt(std::make_unique<Wire>(sent, room));
    Handshake other(Handshake::Side::connecting, hello(2, NodeId{1}), key);
    Bytes said = other.begin();
    connection->on_data(said);
    said.clear();
    EXPECT_TRUE(other.feed(std::span(sent).first(Hello::kBytes), said));
    EXPECT_TRUE(other.feed(std::span(sent).subspan(Hello::kBytes), said));
    connection->on_data(said);
    EXPECT_TRUE(connection->established());
    sent.clear();
  }
};

task<void> call(std::shared_ptr<Connection> connection, CallTarget target, std::size_t bytes, std::optional<Outcome>* outcome) {
  const platform::Instant deadline = platform::Clock::now() + target.timeout;
  const auto answer = co_await connection->call(std::move(target), deadline, Bytes(bytes));
  EXPECT_FALSE(answer);
  if (!answer) *outcome = {answer.code(), answer.error().is_refusal(), answer.error().text()};
}

TEST(NeverSent, IsWhatWasQueuedWhenTheConnectionWasLost) {
  run(1, []() -> task<int> {
    constexpr std::size_t kArguments = Messenger::kMaxPayloadBytes;
    constexpr std::size_t kFrame = FrameHeader::kBytes + kArguments;
    Scene scene;
    Scope scope;
    Outcomes outcomes(6);
    // One has gone out, one in part, and the others not at all: in the queue, before it in that of the runtime, or waiting for room.
    scene.room = kFrame + 1;
    for (std::size_t i = 0; i < 5; ++i) scope.spawn(call(scene.connection, to(2, echo), kArguments, &outcomes[i]));
    co_await yield();
    scene.connection->flush();
    scope.spawn(call(scene.connection, control_to(2, echo), 10, &outcomes[5]));
    co_await yield();
    scene.connection->flush();
    EXPECT_EQ(scene.sent.size(), kFrame + 1);
    scene.connection->on_closed(Error(Errc::node_gone, "reset"));
    co_await scope.join();
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
      EXPECT_EQ(outcomes[i]->code, Errc::node_gone) << i;
      EXPECT_EQ(outcomes[i]->refused, i >= 2) << i;
      EXPECT_EQ(outcomes[i]->text.find("; nothing ran") != std::string::npos, i >= 2) << outcomes[i]->text;
    }
    co_return 0;
  });
}

}  // namespace
