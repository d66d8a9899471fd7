// Calls that surely never began, which can be made again, and those of which that is not known.
#include <gtest/gtest.h>

#include <algorithm>
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

/// Nobody was asked: so it does not mean that the other node is gone, which a call may be the one to find out.
TEST(NeverSent, IsOverloadedWhereThisNodeItselfCannotConnect) {
  run(1, []() -> task<int> {
    Pair pair;
    co_await pair.start();
    constexpr platform::Endpoint kBroadcast{0x7fff'ffff, 7001};  // refused by this machine
    co_await pair.a->set_peer(NodeId{3}, kBroadcast);
    const auto answer = co_await pair.a->call(to(3, echo), Bytes());
    EXPECT_TRUE(answer.code() == Errc::overloaded && answer.error().is_refusal()) << answer.error().to_string();
    const auto sent = co_await pair.a->send(to(3, echo), Bytes());
    EXPECT_TRUE(sent.code() == Errc::overloaded && sent.error().is_refusal()) << sent.error().to_string();
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
    // One has gone out, one in part, and the others not at all: in the queue, before it in that of the runtime, or waiting
    // for room.
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

TEST(NeverSent, IsWhatThePeerHasNotAnsweredWhenItSaysGoodbye) {
  run(1, []() -> task<int> {
    Scene scene;
    Scope scope;
    Outcomes outcomes(3);
    for (auto& outcome : outcomes) scope.spawn(call(scene.connection, to(2, echo), 10, &outcome));
    co_await yield();
    scene.connection->flush();
    EXPECT_EQ(scene.sent.size(), 3 * (FrameHeader::kBytes + 10)) << "all have gone out";
    scene.connection->on_data(encode(FrameHeader{.type = FrameType::goodbye}));
    co_await scope.join();
    for (const auto& outcome : outcomes) {
      EXPECT_EQ(outcome->code, Errc::node_gone);
      EXPECT_TRUE(outcome->refused);
      EXPECT_EQ(outcome->text, "node 2 closed its connection; nothing ran");
    }
    co_return 0;
  });
}

TEST(NeverSent, IsSaidByASideThatHasAnsweredEverything) {
  run(1, []() -> task<int> {
    const auto said = encode(FrameHeader{.type = FrameType::goodbye});
    const Bytes goodbye(said.begin(), said.end());
    for (const bool works : {false, true}) {
      Scene scene;
      if (works) scene.connection->count_incoming(true);
      scene.connection->end(Error(Errc::cancelled, "this node is closing"), true);
      EXPECT_EQ(scene.sent, works ? Bytes() : goodbye);
      if (works) scene.connection->count_incoming(false);
    }
    // Behind an answer that waits, of whatever kind; what does not fit goes later, or neither goes.
    for (const bool control : {false, true}) {
      for (const std::size_t room : {2 * FrameHeader::kBytes, FrameHeader::kBytes}) {
        Scene scene;
        scene.room = 0;
        scene.connection->answer_error(7, Error(Errc::internal, ""), control);
        scene.connection->flush();
        scene.room = room;
        scene.connection->end(Error(Errc::cancelled, "this node is closing"), true);
        EXPECT_EQ(scene.sent.size(), room);
        const bool last = scene.sent.size() == room && std::equal(goodbye.rbegin(), goodbye.rend(), scene.sent.rbegin());
        EXPECT_EQ(last, room > FrameHeader::kBytes) << "after " << room << " bytes";
      }
    }
    Scene cut;
    cut.connection->end(Error(Errc::node_gone, "it is forgotten"), false);
    EXPECT_TRUE(cut.sent.empty());
    co_return 0;
  });
}

/// Calls until the peer is gone; counts answers, refusals, and those of which it is not known.
struct Calls {
  int answered = 0;
  int refused = 0;
  int in_doubt = 0;
};
task<void> call_until_gone(Messenger* messenger, CoreIndex core, Calls* calls) {
  for (;;) {
    CallTarget target = to(2, echo);
    target.core = core;
    const auto answer = co_await messenger->call(std::move(target), bytes("x"));
    if (answer) {
      ++calls->answered;
      continue;
    }
    EXPECT_EQ(answer.code(), Errc::node_gone) << answer.error().to_string();
    ++(answer.error().is_refusal() ? calls->refused : calls->in_doubt);
    if (answer.error().text().find("cannot connect") != std::string::npos || calls->refused > 1000) co_return;
    co_await yield();
  }
}

task<int> close_under_many_calls() {
  for (int round = 0; round < 20; ++round) {
    Pair pair;
    co_await pair.start();
    Scope scope;
    Calls calls;
    for (int i = 0; i < 200; ++i) scope.spawn(call_until_gone(pair.a.get(), CoreIndex{0}, &calls));
    const auto runs = [&calls] { return calls.answered > 1000; };
    EXPECT_TRUE(co_await comes(runs));
    co_await pair.b->close();
    co_await scope.join();
    EXPECT_EQ(calls.in_doubt, 0) << "round " << round;
    EXPECT_EQ(pair.right.calls, calls.answered);
    co_await pair.a->close();
  }
  co_return 0;
}

TEST(NeverSent, LeavesNobodyInDoubtOfANodeThatCloses) { run(1, close_under_many_calls); }

TEST(NeverSent, LeavesNobodyInDoubtOfANodeOfManyCoresThatCloses) { run(2, close_under_many_calls); }

task<void> call_once(Messenger* messenger, Calls* calls) {
  const auto answer = co_await messenger->call(to(2, echo), bytes("x"));
  if (answer) {
    ++calls->answered;
  } else {
    EXPECT_EQ(answer.code(), Errc::node_gone) << answer.error().to_string();
    ++(answer.error().is_refusal() ? calls->refused : calls->in_doubt);
  }
}

task<void> close(Messenger* messenger) { co_await messenger->close(); }

/// However far the handshake has got, and also if it ends while the node still works.
TEST(NeverSent, LeavesNobodyInDoubtWhoConnectsToANodeThatCloses) {
  run(1, []() -> task<int> {
    constexpr int kCalls = 10;
    for (int turns = 0; turns < 40; ++turns) {
      for (const bool works : {false, true}) {
        Pair pair;
        co_await pair.start();
        if (works) {
          EXPECT_TRUE(co_await pair.b->send(to(2, hold), Bytes()));
        }
        Scope scope;
        Calls calls;
        for (int i = 0; i < kCalls; ++i) scope.spawn(call_once(pair.a.get(), &calls));
        for (int i = 0; i < turns; ++i) co_await sleep_for(1us);
        scope.spawn(close(pair.b.get()));
        const auto have_ended = [&calls] { return calls.answered + calls.refused + calls.in_doubt == kCalls; };
        EXPECT_TRUE(co_await comes(have_ended));
        EXPECT_EQ(calls.in_doubt, 0) << "after " << turns << " turns";
        if (works) pair.right.released.complete();
        co_await scope.join();
        co_await pair.a->close();
      }
    }
    co_return 0;
  });
}

/// What a node works on while it closes may call others, for a while.
struct Passing final : MessengerHandler {
  task<Result<Bytes>> on_call(IncomingCall call) override { return pass(this, std::move(call)); }
  static task<Result<Bytes>> pass(Passing* self, IncomingCall call) {
    const auto before = co_await self->messenger->call(to(1, hold), Bytes());
    if (!before) co_return before.error();
    co_return co_await self->messenger->call(to(1, echo), std::move(call.arguments));
  }
  void on_connection_lost(NodeId, const Error&) override {}
  Messenger* messenger = nullptr;
};

TEST(NeverSent, LetsWhatIsUnderWayCallOthersWhileItsNodeCloses) {
  run(1, []() -> task<int> {
    Peer left;
    Passing right;
    auto a = (co_await Messenger::start({NodeId{1}, key_of('k'), kLoopback}, left)).value();
    auto b = (co_await Messenger::start({NodeId{2}, key_of('k'), kLoopback}, right)).value();
    right.messenger = b.get();
    co_await a->set_peer(NodeId{2}, b->local());
    co_await b->set_peer(NodeId{1}, a->local());
    Scope scope;
    std::optional<Bytes> answer;
    struct Caller {
      static task<void> call(Messenger* messenger, std::optional<Bytes>* answer) {
        const auto got = co_await messenger->call(to(2, echo), bytes("passed on"));
        EXPECT_TRUE(got) << got.error().to_string();
        if (got) *answer = *got;
      }
    };
    scope.spawn(Caller::call(a.get(), &answer));
    const auto waits = [&left] { return left.calls != 0; };
    EXPECT_TRUE(co_await comes(waits));
    scope.spawn(close(b.get()));
    co_await yield();
    left.released.complete();
    co_await scope.join();
    EXPECT_EQ(answer, bytes("passed on"));
    co_await a->close();
    co_return 0;
  });
}

}  // namespace
