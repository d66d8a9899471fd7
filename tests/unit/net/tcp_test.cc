// TCP between two stacks: data arrives whole under any trouble, and every end of a connection is the right one.
#include <gtest/gtest.h>

#include "tests/unit/net/world.h"

namespace net_test {
namespace {

using namespace std::chrono_literals;
namespace wire = kernel::net::wire;
constexpr std::uint16_t kPort = 7001;

struct Pair {
  explicit Pair(std::uint64_t seed = 1, Config config = {}) : world(seed), a(world.add(config)), b(world.add(config)), server(b, kPort) {}
  void establish() {
    connect(a, client, {b.address(), kPort});
    ASSERT_TRUE(world.run([&] { return client.connected && !server.peers.empty(); }));
  }
  Peer& accepted() { return *server.peers.at(0); }
  /// All of it is over on both sides, buffers and TIME-WAIT included.
  void expect_nothing_left() {
    client.stream.reset();
    for (auto& peer : server.peers) peer->stream.reset();
    world.run_for(200s);
    EXPECT_EQ(a.stack().connection_count(), 0u);
    EXPECT_EQ(b.stack().connection_count(), 0u);
  }
  World world;
  Node& a;
  Node& b;
  Server server;
  Peer client;
};

TEST(Tcp, ConnectsAndCarriesDataBothWays) {
  Pair pair;
  pair.establish();
  pair.client.send("ping");
  ASSERT_TRUE(pair.world.run([&] { return pair.accepted().received == "ping"; }, 5s));
  pair.accepted().send("pong");
  ASSERT_TRUE(pair.world.run([&] { return pair.client.received == "pong"; }, 5s));
  EXPECT_EQ(pair.client.stream->remote(), (Endpoint{pair.b.address(), kPort}));
  EXPECT_EQ(pair.accepted().stream->remote(), pair.client.stream->local());
}

// The heart of it: hundreds of seeds, each with its own troubles, sizes and offloads.
TEST(Tcp, DeliversEverythingInOrderUnderLossReorderingDuplicationAndCorruption) {
  for (std::uint64_t seed = 1; seed <= 600; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 choose(seed);
    Config config;
    config.link.transmit_checksum = choose() % 2 == 0;
    config.link.tcp_segmentation = choose() % 2 == 0;
    if (choose() % 3 == 0) config.tcp.send_buffer_bytes = 8192;
    if (choose() % 3 == 0) config.tcp.receive_buffer_bytes = 4096 << choose() % 4;
    if (choose() % 4 == 0) config.tcp.max_gaps = 1;
    Pair pair(seed, config);
    pair.world.trouble = {static_cast<unsigned>(choose() % 80), static_cast<unsigned>(choose() % 80),
                          static_cast<unsigned>(choose() % 30), static_cast<unsigned>(choose() % 300), 50us, 5ms};
    const std::string up = pattern(1 + choose() % 120'000, seed);
    const std::string down = pattern(1 + choose() % 120'000, seed + 1'000'000);
    connect(pair.a, pair.client, {pair.b.address(), kPort});
    pair.server.on_accept = [&](Peer& peer) { peer.send(down); };
    ASSERT_TRUE(pair.world.run([&] { return pair.client.connected || pair.client.closed; }));
    ASSERT_FALSE(pair.client.closed);
    pair.client.send(up);
    ASSERT_TRUE(pair.world.run([&] {
      return !pair.server.peers.empty() && pair.accepted().received.size() >= up.size() && pair.client.received.size() >= down.size();
    }, 3000s)) << "stalled: up " << (pair.server.peers.empty() ? 0 : pair.accepted().received.size()) << " of " << up.size()
               << ", down " << pair.client.received.size() << " of " << down.size() << ", client closed " << pair.client.closed;
    ASSERT_TRUE(pair.accepted().received == up);
    ASSERT_TRUE(pair.client.received == down);
    switch (seed % 3) {
      case 0: pair.client.stream->close(); break;
      case 1: pair.accepted().stream->close(); break;
      default: pair.client.stream->close(); pair.accepted().stream->close();
    }
    ASSERT_TRUE(pair.world.run([&] { return pair.client.closed && pair.accepted().closed; }, 3000s));
    ASSERT_FALSE(pair.client.error);
    ASSERT_FALSE(pair.accepted().error);
    pair.expect_nothing_left();
  }
}

TEST(Tcp, DeliversQueuedDataBeforeTheEndWhenTheSenderCloses) {
  Pair pair;
  pair.establish();
  const std::string bytes = pattern(200'000, 5);
  pair.client.send(bytes, true);
  ASSERT_TRUE(pair.world.run([&] { return pair.accepted().closed != 0; }, 60s));
  EXPECT_TRUE(pair.accepted().received == bytes);
  EXPECT_FALSE(pair.accepted().error);
  EXPECT_EQ(pair.accepted().stream->send(std::as_bytes(std::span("x"))), 0u);
  ASSERT_TRUE(pair.world.run([&] { return pair.client.closed != 0; }, 60s));
  EXPECT_FALSE(pair.client.error);
  pair.expect_nothing_left();
}

TEST(Tcp, AStreamDestroyedAfterCloseStillDeliversWhatItQueued) {
  Pair pair;
  pair.establish();
  const std::string bytes = pattern(100'000, 6);
  pair.client.send(bytes, true);
  pair.client.stream.reset();
  ASSERT_TRUE(pair.world.run([&] { return pair.accepted().closed != 0; }, 60s));
  EXPECT_TRUE(pair.accepted().received == bytes);
  EXPECT_FALSE(pair.accepted().error);
  EXPECT_EQ(pair.client.closed, 0u);
  pair.expect_nothing_left();
}

TEST(Tcp, SimultaneousCloseEndsInOrderOnBothSides) {
  Pair pair;
  pair.establish();
  pair.client.stream->close();
  pair.accepted().stream->close();
  ASSERT_TRUE(pair.world.run([&] { return pair.client.closed && pair.accepted().closed; }, 5s));
  EXPECT_FALSE(pair.client.error);
  EXPECT_FALSE(pair.accepted().error);
  pair.expect_nothing_left();
}

TEST(Tcp, DestroyingAnOpenStreamResetsThePeer) {
  Pair pair;
  pair.establish();
  pair.client.stream.reset();
  ASSERT_TRUE(pair.world.run([&] { return pair.accepted().closed != 0; }, 5s));
  EXPECT_EQ(pair.accepted().error, ebb::Errc::node_gone);
  EXPECT_EQ(pair.client.closed, 0u);
  pair.expect_nothing_left();
}

TEST(Tcp, AStreamMayBeDestroyedInItsOwnCallbacks) {
  Pair pair;
  pair.establish();
  pair.accepted().data_hook = [](Peer& peer) { peer.stream.reset(); };
  pair.client.close_hook = [](Peer& peer) { peer.stream.reset(); };
  pair.client.send("end");
  ASSERT_TRUE(pair.world.run([&] { return pair.client.closed != 0; }, 5s));
  EXPECT_EQ(pair.client.error, ebb::Errc::node_gone);
  pair.expect_nothing_left();
}

TEST(Tcp, ConnectingToAClosedPortIsRefusedAtOnce) {
  Pair pair;
  connect(pair.a, pair.client, {pair.b.address(), 9});
  ASSERT_TRUE(pair.world.run([&] { return pair.client.closed != 0; }, 1s));
  EXPECT_EQ(pair.client.error, ebb::Errc::unavailable);
  EXPECT_FALSE(pair.client.connected);
  pair.expect_nothing_left();
}

TEST(Tcp, ConnectingToAnAbsentMachineFailsWithinSeconds) {
  Pair pair;
  connect(pair.a, pair.client, {0x0a0000c8, kPort});
  ASSERT_TRUE(pair.world.run([&] { return pair.client.closed != 0; }, 5s));
  EXPECT_EQ(pair.client.error, ebb::Errc::unavailable);
}

TEST(Tcp, ConnectingWithoutAddressOrRouteFailsAtOnce) {
  World world;
  Node& node = world.add({}, false);
  Peer peer;
  EXPECT_EQ(node.stack().connect({0x0a000002, 1}, peer).code(), ebb::Errc::unavailable);
  node.set_address(Ipv4Config{0x0a000001, 24, 0});
  EXPECT_EQ(node.stack().connect({0x0b000002, 1}, peer).code(), ebb::Errc::unavailable);
  EXPECT_EQ(node.stack().connect({0x0a000002, 0}, peer).code(), ebb::Errc::invalid_argument);
}

TEST(Tcp, LostSynsAreRepeatedAndThenGivenUp) {
  Pair pair;
  unsigned syns = 0;
  pair.world.filter = [&](const Frame& frame) {
    const auto segment = tcp_of(frame);
    return !segment || ++syns > 3;
  };
  connect(pair.a, pair.client, {pair.b.address(), kPort});
  EXPECT_TRUE(pair.world.run([&] { return pair.client.connected; }, 10s));
  pair.world.filter = [&](const Frame& frame) { return !tcp_of(frame); };
  Peer second;
  connect(pair.a, second, {pair.b.address(), kPort});
  ASSERT_TRUE(pair.world.run([&] { return second.closed != 0; }, 100s));
  EXPECT_EQ(second.error, ebb::Errc::unavailable);
}

TEST(Tcp, APeerThatVanishesEndsTheStreamWithNodeGone) {
  Pair pair;
  pair.establish();
  pair.world.filter = [](const Frame& frame) { return !tcp_of(frame); };
  pair.client.send("anybody?");
  ASSERT_TRUE(pair.world.run([&] { return pair.client.closed != 0; }, 600s));
  EXPECT_EQ(pair.client.error, ebb::Errc::node_gone);
}

TEST(Tcp, AReaderThatStopsHoldsItsPeerBackAndLosesNothing) {
  for (const bool lossy : {false, true}) {
    Pair pair(7);
    pair.establish();
    pair.accepted().stream->set_reading(false);
    const std::string bytes = pattern(2'000'000, 8);
    if (lossy) pair.world.trouble.lose = 100;
    pair.client.send(bytes, true);
    pair.world.run_for(400s);  // longer than retransmissions are tried: probes are answered, so nothing is given up
    EXPECT_TRUE(pair.accepted().received.empty());
    EXPECT_EQ(pair.client.closed, 0u);
    pair.accepted().stream->set_reading(true);
    ASSERT_TRUE(pair.world.run([&] { return pair.accepted().closed != 0; }, 600s));
    EXPECT_TRUE(pair.accepted().received == bytes);
  }
}

TEST(Tcp, AReaderThatStopsHearsOfTheEndWhenItGoesOn) {
  Pair pair;
  pair.establish();
  pair.accepted().stream->set_reading(false);
  pair.client.stream->close();
  pair.world.run_for(2s);
  EXPECT_EQ(pair.accepted().closed, 0u);
  EXPECT_EQ(pair.accepted().stream->send(std::as_bytes(std::span("still open", 10))), 10u);
  pair.accepted().stream->set_reading(true);
  ASSERT_TRUE(pair.world.run([&] { return pair.accepted().closed != 0 && pair.client.closed != 0; }));
  EXPECT_EQ(pair.client.received, "still open");
}

TEST(Tcp, AConnectionThatFindsNoMemoryToSendIsResetAndOthersGoOn) {
  Config config;
  config.tcp.buffer_bytes = config.tcp.send_buffer_bytes;  // one buffer
  Pair pair(1, config);
  pair.establish();
  pair.accepted().stream->set_reading(false);
  const std::string bytes = pattern(config.tcp.send_buffer_bytes, 3);
  pair.client.send(bytes);
  Peer second;
  connect(pair.a, second, {pair.b.address(), kPort});
  ASSERT_TRUE(pair.world.run([&] { return second.connected; }));
  EXPECT_EQ(second.stream->send(std::as_bytes(std::span("x", 1))), 0u);
  EXPECT_EQ(second.closed, 0u) << "a callback came from inside send()";
  ASSERT_TRUE(pair.world.run([&] { return second.closed != 0; }));
  EXPECT_EQ(second.error, ebb::Errc::resource_exhausted);
  pair.accepted().stream->set_reading(true);
  ASSERT_TRUE(pair.world.run([&] { return pair.accepted().received == bytes; }));
  // The first connection has nothing to send once all is acknowledged, so its memory is another's.
  pair.world.run_for(1s);
  Peer third;
  connect(pair.a, third, {pair.b.address(), kPort});
  ASSERT_TRUE(pair.world.run([&] { return third.connected; }));
  third.send("works");
  ASSERT_TRUE(pair.world.run([&] { return pair.server.peers.back()->received == "works"; }));
}

TEST(Tcp, SendTakesNoMoreThanItsBufferAndAnnouncesRoom) {
  Pair pair;
  pair.establish();
  pair.accepted().stream->set_reading(false);
  const std::string bytes(1'000'000, 'x');
  const std::size_t taken = pair.client.stream->send(std::as_bytes(std::span(bytes)));
  EXPECT_EQ(taken, Config{}.tcp.send_buffer_bytes);
  pair.world.run_for(2s);
  EXPECT_LE(pair.client.stream->send(std::as_bytes(std::span(bytes))), Config{}.tcp.receive_buffer_bytes);
}

TEST(Tcp, AFullTransmitRingDelaysButDoesNotLose) {
  Pair pair;
  pair.establish();
  pair.a.full_ring = 200;
  const std::string bytes = pattern(100'000, 9);
  pair.client.send(bytes);
  ASSERT_TRUE(pair.world.run([&] { return pair.accepted().received.size() == bytes.size(); }, 1s));
  EXPECT_TRUE(pair.accepted().received == bytes);
  EXPECT_EQ(pair.a.stack().statistics().retransmissions, 0u);
}

TEST(Tcp, HalfOpenConnectionsAreBoundedAndForgotten) {
  Pair pair;
  for (std::uint32_t i = 0; i < 500; ++i)
    pair.world.inject(tcp_frame(pair.b, 0x0a000000 + 100 + i % 100, static_cast<std::uint16_t>(1000 + i), kPort, i, 0, wire::kTcpSyn));
  pair.world.run_for(100ms);
  EXPECT_EQ(pair.b.stack().connection_count(), Config{}.tcp.max_half_open);
  EXPECT_EQ(pair.b.stack().statistics().dropped_backlog, 500 - Config{}.tcp.max_half_open);
  pair.world.run_for(20s);
  EXPECT_EQ(pair.b.stack().connection_count(), 0u);
  pair.establish();
}

TEST(Tcp, TimeWaitIsBounded) {
  Config config;
  config.tcp.max_time_wait = 4;
  Pair pair(1, config);
  for (int i = 0; i < 20; ++i) {
    Peer peer;
    connect(pair.a, peer, {pair.b.address(), kPort});
    ASSERT_TRUE(pair.world.run([&] { return peer.connected; }, 5s));
    peer.stream->close();
    ASSERT_TRUE(pair.world.run([&] { return peer.closed != 0; }, 5s));
  }
  EXPECT_LE(pair.a.stack().connection_count(), 4u);
}

TEST(Tcp, ForgedResetsAndSynsInsideTheWindowOnlyDrawChallenges) {
  Pair pair;
  std::uint32_t next = 0;
  pair.world.filter = [&](const Frame& frame) {
    if (const auto s = tcp_of(frame); s && s->destination_port == kPort) next = s->sequence.value() + s->length();
    return true;
  };
  pair.establish();
  pair.world.run_for(1s);
  const std::uint16_t port = pair.client.stream->local().port;
  for (std::uint32_t i = 1; i <= 1000; ++i) {
    pair.world.inject(tcp_frame(pair.b, pair.a.address(), port, kPort, next + i, 0, wire::kTcpRst));
    pair.world.inject(tcp_frame(pair.b, pair.a.address(), port, kPort, next + i, 0, wire::kTcpSyn));
  }
  pair.world.run_for(100ms);
  EXPECT_EQ(pair.accepted().closed, 0u);
  EXPECT_GT(pair.b.stack().statistics().challenge_acks, 0u);
  EXPECT_LE(pair.b.stack().statistics().challenge_acks, Config{}.tcp.max_challenge_acks_per_second);
  pair.client.send("still here");
  EXPECT_TRUE(pair.world.run([&] { return pair.accepted().received == "still here"; }, 5s));
  pair.world.inject(tcp_frame(pair.b, pair.a.address(), port, kPort, next, 0, wire::kTcpRst));
  pair.world.run_for(1s);
  EXPECT_EQ(pair.accepted().error, ebb::Errc::node_gone);
}

TEST(Tcp, AcknowledgesWithinItsDelayAndAtLeastEverySecondSegment) {
  Pair pair;
  pair.establish();
  pair.world.run_for(1s);
  unsigned pure = 0, data = 0;
  pair.world.filter = [&](const Frame& frame) {
    if (const auto s = tcp_of(frame)) ++(s->payload.empty() ? pure : data);
    return true;
  };
  pair.client.send("x");
  pair.world.run_for(Config{}.tcp.delayed_ack / 2);
  EXPECT_EQ(pure, 0u);
  pair.world.run_for(Config{}.tcp.delayed_ack);
  EXPECT_EQ(pure, 1u);
  pure = data = 0;
  pair.client.send(std::string(100'000, 'y'));
  pair.world.run_for(1s);
  EXPECT_GE(2 * pure + 2, data);
  EXPECT_LE(pure, data / 2 + 2);
}

TEST(Tcp, OneLostSegmentIsRepairedWithoutATimeout) {
  Pair pair;
  pair.establish();
  unsigned data = 0;
  pair.world.filter = [&](const Frame& frame) {
    const auto s = tcp_of(frame);
    return !s || s->payload.empty() || ++data != 20;
  };
  pair.client.send(std::string(150'000, 'z'));
  ASSERT_TRUE(pair.world.run([&] { return pair.accepted().received.size() == 150'000; }, 150ms));
  EXPECT_EQ(pair.a.stack().statistics().retransmissions, 0u);
  EXPECT_EQ(pair.a.stack().statistics().fast_retransmissions, 1u);
}

TEST(Tcp, EveryCoreConnectsAndAcceptsAndFramesFindTheirOwner) {
  Config config;
  config.core_count = 4;
  World world(3);
  Node& a = world.add(config);
  Node& b = world.add(config);
  std::vector<std::unique_ptr<Server>> servers;
  for (std::size_t core = 0; core < 4; ++core) servers.push_back(std::make_unique<Server>(b, kPort, core));
  std::vector<std::unique_ptr<Peer>> clients;
  for (std::size_t i = 0; i < 64; ++i) {
    clients.push_back(std::make_unique<Peer>());
    connect(a, *clients.back(), {b.address(), kPort}, i % 4);
  }
  for (auto& server : servers) server->on_accept = [](Peer& peer) { peer.data_hook = [](Peer& p) { p.send(std::exchange(p.received, {})); }; };
  ASSERT_TRUE(world.run([&] { return std::all_of(clients.begin(), clients.end(), [](auto& c) { return c->connected; }); }, 10s));
  for (auto& client : clients) client->send(pattern(20'000, 4));
  ASSERT_TRUE(world.run([&] { return std::all_of(clients.begin(), clients.end(), [](auto& c) { return c->received.size() == 20'000; }); }, 60s));
  for (auto& client : clients) EXPECT_TRUE(client->received == pattern(20'000, 4));
  for (auto& server : servers) EXPECT_GT(server->peers.size(), 4u);
}

TEST(Tcp, AListenerOnOneCoreGetsEveryConnectionOfItsPort) {
  Config config;
  config.core_count = 4;
  World world(4);
  Node& a = world.add(config);
  Node& b = world.add(config);
  Server server(b, kPort, 2);
  std::vector<std::unique_ptr<Peer>> clients;
  for (std::size_t i = 0; i < 32; ++i) {
    clients.push_back(std::make_unique<Peer>());
    connect(a, *clients.back(), {b.address(), kPort}, i % 4);
  }
  ASSERT_TRUE(world.run([&] { return server.peers.size() == 32; }, 10s));
  for (auto& client : clients) client->send("hello", true);
  ASSERT_TRUE(world.run([&] { return std::all_of(clients.begin(), clients.end(), [](auto& c) { return c->closed != 0; }); }, 10s));
  for (auto& peer : server.peers) EXPECT_EQ(peer->received, "hello");
}

TEST(Tcp, ListeningTwiceOnAPortIsRefusedAndPortZeroPicksAFreeOne) {
  Pair pair;
  EXPECT_EQ(pair.b.stack().listen({0, kPort}, [](auto) {}).code(), ebb::Errc::address_in_use);
  auto picked = pair.b.stack().listen({0, 0}, [](auto) {});
  ASSERT_TRUE(picked);
  EXPECT_NE((*picked)->local().port, 0);
}

TEST(Tcp, AnAddressThatGoesEndsItsConnections) {
  Pair pair;
  pair.establish();
  pair.a.set_address(std::nullopt);
  EXPECT_EQ(pair.client.error, ebb::Errc::node_gone);
}

}  // namespace
}  // namespace net_test
