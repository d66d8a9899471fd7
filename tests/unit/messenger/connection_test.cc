// One connection and the clock, without a network.
#include "src/messenger/connection.h"

#include <gtest/gtest.h>

#include <memory>
#include <new>
#include <optional>
#include <utility>
#include <vector>

#include "tests/unit/messenger/pair.h"
#include "tests/unit/messenger/wire.h"

namespace {

using namespace ebb;
using namespace ebb::messenger;
using namespace std::chrono_literals;

struct Owner final : ConnectionOwner {
  void on_established(Connection&) override { established = true; }
  void on_call(Connection&, std::uint32_t, IncomingCall) override {
    if (no_memory) throw std::bad_alloc();
  }
  void on_ended(Connection&, const Error& reason) override { ended = reason.code(); }
  void on_output(Connection&) override {}
  void on_awake(Connection&) noexcept override { awake = true; }
  bool established = false;
  bool awake = false;
  bool no_memory = false;
  std::optional<Errc> ended;
};

Bytes frame(FrameType type) {
  const auto bytes = encode(FrameHeader{.type = type});
  return {bytes.begin(), bytes.end()};
}

Hello hello(std::uint32_t node, NodeId wanted) { return {kProtocolVersion, 1, NodeId{node}, {}, wanted, {}}; }

struct Scene {
  ClusterKey key{};
  Owner owner;
  Bytes sent;
  std::size_t takes = 1 << 20;
  ServedCall served{7, false};
  std::shared_ptr<Connection> connection =
      std::make_shared<Connection>(owner, Handshake::Side::accepting, hello(1, kNoNode), key);
  platform::Instant start = platform::Clock::now();
  std::uint32_t peer = 2;

  Scene() { connection->adopt(std::make_unique<messenger_test::Wire>(sent, takes)); }

  void shake_hands() {
    Handshake other(Handshake::Side::connecting, hello(peer, NodeId{1}), key);
    Bytes said = other.begin();
    connection->on_data(said);
    said.clear();
    ASSERT_TRUE(other.feed(std::span(sent).first(Hello::kBytes), said));
    ASSERT_TRUE(other.feed(std::span(sent).subspan(Hello::kBytes), said));
    connection->on_data(said);
    ASSERT_TRUE(owner.established);
    sent.clear();
    start = platform::Clock::now();
  }
  /// As its owner does: only while it is awake.
  void tick(platform::Duration at, platform::Duration missed = {}) {
    if (!owner.awake) return;
    owner.awake = connection->tick(start + at, missed);
    connection->flush();
  }
  void begin_serving() {
    connection->served.add(served);
    connection->count_incoming(true);
  }
  Bytes take_sent() { return std::exchange(sent, {}); }
};

TEST(ConnectionAndTime, EndsAHandshakeThatTakesTooLong) {
  Scene scene;
  scene.tick(4900ms);
  EXPECT_FALSE(scene.owner.ended);
  scene.tick(5100ms);
  EXPECT_EQ(scene.owner.ended, Errc::node_gone);
}

TEST(ConnectionAndTime, SaysAndExpectsNothingWhenNothingIsAtStake) {
  Scene scene;
  scene.shake_hands();
  scene.tick(500ms);
  EXPECT_FALSE(scene.owner.awake) << "it is looked at for nothing";
  for (auto at = 1s; at < 20s; at += 1s) scene.tick(at);
  scene.tick(1h);
  EXPECT_TRUE(scene.sent.empty());
  EXPECT_FALSE(scene.owner.ended);
}

TEST(ConnectionAndTime, PingsEachSecondWhileItServesACall) {
  Scene scene;
  scene.shake_hands();
  scene.begin_serving();
  scene.tick(500ms);
  EXPECT_TRUE(scene.sent.empty());
  scene.tick(1100ms);
  EXPECT_EQ(scene.take_sent(), frame(FrameType::ping));
  scene.connection->count_incoming(false);
  scene.tick(2300ms);
  scene.tick(3400ms);
  EXPECT_TRUE(scene.sent.empty()) << "the call has ended";
  EXPECT_FALSE(scene.owner.awake);
}

TEST(ConnectionAndTime, CancelsTheCallsOfAPeerThatIsSilent) {
  Scene scene;
  scene.shake_hands();
  scene.begin_serving();
  scene.tick(4900ms);
  EXPECT_FALSE(scene.owner.ended);
  EXPECT_FALSE(scene.served.cancellation.is_cancelled());
  scene.tick(5100ms);
  EXPECT_EQ(scene.owner.ended, Errc::node_gone);
  EXPECT_TRUE(scene.served.cancellation.is_cancelled());
}

TEST(ConnectionAndTime, WaitsLongerForTheFrontEnd) {
  Scene scene;
  scene.peer = 0;
  scene.shake_hands();
  scene.begin_serving();
  scene.tick(59s);
  EXPECT_FALSE(scene.owner.ended);
  scene.tick(61s);
  EXPECT_EQ(scene.owner.ended, Errc::node_gone);
}

TEST(ConnectionAndTime, EndsWithAStrangerThatIsSilent) {
  Scene scene;
  scene.shake_hands();
  scene.connection->of_stranger = true;
  scene.tick(4900ms);
  EXPECT_EQ(scene.take_sent(), frame(FrameType::ping));
  scene.tick(5100ms);
  EXPECT_EQ(scene.owner.ended, Errc::node_gone);
}

TEST(ConnectionAndTime, AnswersPingsAndNoPongs) {
  Scene scene;
  scene.shake_hands();
  scene.tick(500ms);
  scene.connection->on_data(frame(FrameType::pong));
  EXPECT_FALSE(scene.owner.awake);
  for (int i = 0; i < 3; ++i) scene.connection->on_data(frame(FrameType::ping));
  EXPECT_TRUE(scene.sent.empty()) << "a peer cannot make it talk faster than it looks";
  scene.tick(1s);
  EXPECT_EQ(scene.take_sent(), frame(FrameType::pong));
  for (auto at = 1500ms; at < 20s; at += 500ms) scene.tick(at);
  EXPECT_TRUE(scene.sent.empty());
  EXPECT_FALSE(scene.owner.awake);
}

TEST(ConnectionAndTime, TellsThatAOneWayCallHasCome) {
  Scene scene;
  scene.shake_hands();
  scene.tick(500ms);
  FrameHeader call;
  call.type = FrameType::call;
  call.flags = kOneWay;
  call.object = 2000;
  call.timeout_ms = 1000;
  const auto bytes = encode(call);
  scene.connection->on_data(bytes);
  scene.tick(1s);
  EXPECT_EQ(scene.take_sent(), frame(FrameType::pong));
}

TEST(ConnectionAndTime, WaitsForTheRestOfAMessageAndPingsMeanwhile) {
  Scene scene;
  scene.shake_hands();
  scene.tick(500ms);
  const Bytes begun = frame(FrameType::ping);
  scene.connection->on_data(std::span(begun).first(7));
  scene.tick(2s);
  EXPECT_EQ(scene.take_sent(), frame(FrameType::ping)) << "who sends a long message for long hears nothing else";
  scene.tick(4900ms);
  EXPECT_FALSE(scene.owner.ended);
  scene.tick(5100ms);
  EXPECT_EQ(scene.owner.ended, Errc::node_gone);
}

TEST(ConnectionAndTime, EndsWithAPeerThatTakesNothingAndSaysNothing) {
  Scene scene;
  scene.shake_hands();
  scene.tick(500ms);
  scene.takes = 10;
  scene.connection->answer_error(3, Error(Errc::no_such_object, "none"), false);
  scene.connection->flush();
  ASSERT_TRUE(scene.connection->has_output());
  scene.tick(4900ms);
  EXPECT_FALSE(scene.owner.ended);
  scene.tick(5100ms);
  EXPECT_EQ(scene.owner.ended, Errc::node_gone);
}

task<void> call_peer(std::shared_ptr<Connection> connection, platform::Duration timeout, std::vector<Errc>* ended) {
  const CallTarget target = messenger_test::to(2, messenger_test::echo);
  const Result<Bytes> answer = co_await connection->call(target, platform::Clock::now() + timeout, Bytes());
  ended->push_back(answer.code());
}

TEST(ConnectionAndTime, EndsWithASilentPeerThatOwesAnAnswer) {
  messenger_test::run(1, []() -> task<int> {
    Scene scene;
    scene.shake_hands();
    scene.tick(500ms);
    Scope scope;
    std::vector<Errc> ended;
    scope.spawn(call_peer(scene.connection, 10s, &ended));
    co_await yield();
    scene.connection->flush();
    EXPECT_EQ(scene.take_sent().size(), FrameHeader::kBytes);
    scene.tick(2s);
    EXPECT_EQ(scene.take_sent(), frame(FrameType::ping));
    scene.tick(4900ms);
    EXPECT_TRUE(ended.empty());
    scene.tick(5500ms);
    co_await scope.join();
    EXPECT_EQ(ended, std::vector{Errc::node_gone});
    co_return 0;
  });
}

TEST(ConnectionAndTime, IsQuietAgainWhenTheAnswerHasCome) {
  messenger_test::run(1, []() -> task<int> {
    Scene scene;
    scene.shake_hands();
    scene.tick(500ms);
    Scope scope;
    std::vector<Errc> ended;
    scope.spawn(call_peer(scene.connection, 10s, &ended));
    co_await yield();
    scene.connection->flush();
    const Bytes call = scene.take_sent();
    FrameHeader reply;
    reply.type = FrameType::reply;
    reply.call_id = parse_header(std::span(call).first<FrameHeader::kBytes>())->call_id;
    scene.connection->on_data(encode(reply));
    co_await scope.join();
    for (auto at = 1s; at < 20s; at += 1s) scene.tick(at);
    EXPECT_TRUE(scene.sent.empty());
    EXPECT_FALSE(scene.owner.awake || scene.owner.ended);
    EXPECT_EQ(ended, std::vector{Errc::ok});
    co_return 0;
  });
}

TEST(ConnectionAndTime, EndsWithASilentPeerWhoseAnswerNobodyWaitsForAnyMore) {
  messenger_test::run(1, []() -> task<int> {
    Scene scene;
    scene.shake_hands();
    scene.tick(500ms);
    Scope scope;
    std::vector<Errc> ended;
    scope.spawn(call_peer(scene.connection, 1ms, &ended));
    co_await scope.join();
    EXPECT_EQ(ended, std::vector{Errc::deadline_exceeded});
    scene.tick(1s);
    scene.tick(5500ms);
    EXPECT_EQ(scene.owner.ended, Errc::node_gone) << "its place would be taken for ever";
    co_return 0;
  });
}

TEST(ConnectionAndTime, EndsWithASilentPeerThatGetsOneWayCalls) {
  messenger_test::run(1, []() -> task<int> {
    for (const bool is_heard : {false, true}) {
      Scene scene;
      scene.shake_hands();
      scene.tick(500ms);
      const CallTarget target = messenger_test::to(2, messenger_test::echo);
      EXPECT_TRUE(co_await scene.connection->send(target, platform::Clock::now() + 1s, Bytes()));
      scene.connection->flush();
      if (is_heard) scene.connection->on_data(frame(FrameType::pong));
      for (auto at = 1s; at < 5s; at += 1s) scene.tick(at);
      scene.tick(5500ms);
      EXPECT_EQ(scene.owner.ended.has_value(), !is_heard);
    }
    co_return 0;
  });
}

TEST(ConnectionAndTime, AsksAPeerThatMayHaveLostIt) {
  Scene scene;
  scene.shake_hands();
  scene.tick(500ms);
  scene.connection->probe();
  scene.tick(1500ms);
  EXPECT_EQ(scene.take_sent(), frame(FrameType::ping));
  scene.tick(5500ms);
  EXPECT_EQ(scene.owner.ended, Errc::node_gone);
}

TEST(ConnectionAndMemory, RefusesACallForWhichThereIsNone) {
  Scene scene;
  scene.shake_hands();
  scene.owner.no_memory = true;
  FrameHeader call;
  call.type = FrameType::call;
  call.call_id = 7;
  call.object = 2000;
  call.timeout_ms = 1000;
  const auto bytes = encode(call);
  scene.connection->on_data(bytes);
  scene.connection->flush();
  EXPECT_FALSE(scene.owner.ended);
  ASSERT_GE(scene.sent.size(), FrameHeader::kBytes);
  const auto answer = parse_header(std::span(scene.sent).first<FrameHeader::kBytes>());
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->type, FrameType::error);
  EXPECT_EQ(answer->call_id, 7u);
  EXPECT_EQ(to_code(answer->core_or_code), Errc::overloaded);
}

TEST(ConnectionAndHandshake, SaysGoodbyeToWhoeverMayHaveBegunToCall) {
  const Error closing(Errc::cancelled, "this node is closing");
  Scene nobody;
  nobody.connection->end(closing, true);
  EXPECT_TRUE(nobody.sent.empty()) << "who has not said who it is has sent no calls";
  Scene begun;
  begun.connection->on_data(encode(hello(2, NodeId{1})));
  EXPECT_EQ(begun.take_sent().size(), Hello::kBytes + Verdict::kBytes);
  begun.connection->end(closing, true);
  EXPECT_EQ(begun.sent, frame(FrameType::goodbye)) << "calls may follow the peer's verdict at once";
  Scene refused;
  refused.connection->on_data(encode(hello(2, NodeId{3})));
  refused.connection->end(closing, true);
  EXPECT_EQ(refused.sent.size(), Hello::kBytes + Verdict::kBytes);
  Scene cut;
  cut.connection->on_data(encode(hello(2, NodeId{1})));
  cut.take_sent();
  cut.connection->end(closing, false);
  EXPECT_TRUE(cut.sent.empty());
}

TEST(ConnectionAndMemory, DoesNotBlameThePeerForWhatThisNodeLacksToConnect) {
  const ClusterKey key{};
  for (const Errc why : {Errc::resource_exhausted, Errc::unavailable}) {
    Owner owner;
    const auto connecting = std::make_shared<Connection>(owner, Handshake::Side::connecting, hello(1, NodeId{2}), key);
    connecting->on_closed(Error(why, "it does not connect"));
    EXPECT_EQ(owner.ended, why == Errc::resource_exhausted ? why : Errc::node_gone);
  }
  Scene accepted;
  accepted.connection->on_closed(Error(Errc::resource_exhausted, "no memory"));
  EXPECT_EQ(accepted.owner.ended, Errc::node_gone);
}

TEST(ConnectionAndTime, DoesNotBlameThePeerForItsOwnAbsence) {
  Scene scene;
  scene.shake_hands();
  scene.begin_serving();
  scene.tick(500ms);
  scene.tick(20s, 19s);  // this core ran one long event
  EXPECT_FALSE(scene.owner.ended);
  scene.tick(24s);
  EXPECT_EQ(scene.owner.ended, Errc::node_gone);
}

}  // namespace
