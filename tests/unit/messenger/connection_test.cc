// One connection and the clock, without a network.
#include "src/messenger/connection.h"

#include <gtest/gtest.h>

#include <memory>
#include <new>
#include <optional>
#include <utility>

namespace {

using namespace ebb;
using namespace ebb::messenger;
using namespace std::chrono_literals;

struct Wire final : platform::Stream {
  explicit Wire(Bytes& to) : sent(to) {}
  void set_handler(platform::StreamHandler&) noexcept override {}
  std::size_t send(std::span<const std::byte> bytes) override {
    sent.insert(sent.end(), bytes.begin(), bytes.end());
    return bytes.size();
  }
  void set_reading(bool) override {}
  void close() override {}
  platform::Endpoint local() const override { return {}; }
  platform::Endpoint remote() const override { return {}; }
  Bytes& sent;
};

struct Owner final : ConnectionOwner {
  void on_established(Connection&) override { established = true; }
  void on_call(Connection&, std::uint32_t, IncomingCall) override {
    if (no_memory) throw std::bad_alloc();
  }
  void on_ended(Connection&, const Error& reason) override { ended = reason.code(); }
  void on_output(Connection&) override {}
  bool established = false;
  bool no_memory = false;
  std::optional<Errc> ended;
};

Hello hello(std::uint32_t node, NodeId wanted) { return {kProtocolVersion, 1, NodeId{node}, {}, wanted, {}}; }

struct Scene {
  ClusterKey key{};
  Owner owner;
  Bytes sent;
  std::shared_ptr<Connection> connection =
      std::make_shared<Connection>(owner, Handshake::Side::accepting, hello(1, kNoNode), key);
  platform::Instant start = platform::Clock::now();
  std::uint32_t peer = 2;

  Scene() { connection->adopt(std::make_unique<Wire>(sent)); }

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
  void tick(platform::Duration at, platform::Duration missed = {}) {
    connection->tick(start + at, missed);
    connection->flush();
  }
};

TEST(ConnectionAndTime, EndsAHandshakeThatTakesTooLong) {
  Scene scene;
  scene.tick(4900ms);
  EXPECT_FALSE(scene.owner.ended);
  scene.tick(5100ms);
  EXPECT_EQ(scene.owner.ended, Errc::node_gone);
}

TEST(ConnectionAndTime, PingsWhenItHasSaidNothing) {
  Scene scene;
  scene.shake_hands();
  scene.tick(500ms);
  EXPECT_TRUE(scene.sent.empty());
  scene.tick(1100ms);
  const auto ping = encode(FrameHeader{});
  EXPECT_EQ(scene.sent, Bytes(ping.begin(), ping.end()));
}

TEST(ConnectionAndTime, EndsWithAPeerThatIsSilent) {
  Scene scene;
  scene.shake_hands();
  scene.tick(4900ms);
  EXPECT_FALSE(scene.owner.ended);
  scene.tick(5100ms);
  EXPECT_EQ(scene.owner.ended, Errc::node_gone);
}

TEST(ConnectionAndTime, WaitsLongerForTheFrontEnd) {
  Scene scene;
  scene.peer = 0;
  scene.shake_hands();
  scene.tick(59s);
  EXPECT_FALSE(scene.owner.ended);
  scene.tick(61s);
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

TEST(ConnectionAndTime, DoesNotBlameThePeerForItsOwnAbsence) {
  Scene scene;
  scene.shake_hands();
  scene.tick(500ms);
  scene.tick(20s, 19s);  // this core ran one long event
  EXPECT_FALSE(scene.owner.ended);
  scene.tick(24s);
  EXPECT_EQ(scene.owner.ended, Errc::node_gone);
}

}  // namespace
