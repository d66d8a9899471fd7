// Everything below and beside TCP: neighbours, pings, UDP, DHCP, hostile frames, and the arithmetic of checksums,
// timers and buffers.
#include <gtest/gtest.h>

#include <cstring>

#include "kernel/net/arp_cache.h"
#include "kernel/net/siphash.h"
#include "kernel/net/tcp/buffers.h"
#include "kernel/net/tcp/timing.h"
#include "kernel/net/wire/dhcp.h"
#include "tests/unit/net/world.h"

namespace net_test {
namespace {

using namespace std::chrono_literals;
namespace wire = kernel::net::wire;
namespace tcp = kernel::net::tcp;

TEST(Checksum, MatchesTheExampleOfRfc1071AndIgnoresHowPiecesAreCut) {
  const std::array<std::uint8_t, 8> bytes{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
  const auto whole = std::as_bytes(std::span(bytes));
  for (std::size_t cut = 0; cut <= 8; ++cut) {
    wire::Checksum sum;
    sum.add(whole.first(cut));
    sum.add(whole.subspan(cut));
    EXPECT_EQ(sum.sum(), 0xddf2) << cut;
  }
}

TEST(SipHash, MatchesThePublishedVector) {
  // The paper's appendix: key 00..0f, input 00..0e; our words are whole, so the 8-byte vector of its reference list.
  const kernel::net::SipKey key{0x0706050403020100, 0x0f0e0d0c0b0a0908};
  const std::array<std::uint64_t, 1> words{0x0706050403020100};
  EXPECT_EQ(kernel::net::siphash(key, words), 0x93f5f5799a932462u);
}

TEST(RetransmissionTimeout, FollowsTheArithmeticOfRfc6298) {
  kernel::net::TcpConfig config;
  config.min_retransmission_timeout = 1ms;
  tcp::RetransmissionTimeout timeout(config);
  EXPECT_EQ(timeout.value(), 1s);
  timeout.sample(100ms);  // SRTT 100, RTTVAR 50
  EXPECT_EQ(timeout.value(), 300ms);
  timeout.sample(200ms);  // RTTVAR 3/4*50 + 1/4*100 = 62.5, SRTT 7/8*100 + 1/8*200 = 112.5
  EXPECT_EQ(timeout.value(), 362'500us);
  timeout.back_off();
  EXPECT_EQ(timeout.value(), 725ms);
  for (int i = 0; i < 20; ++i) timeout.back_off();
  EXPECT_EQ(timeout.value(), 60s);
  timeout.sample(112'500us);  // RTTVAR 46.875
  EXPECT_EQ(timeout.value(), 300ms);
  kernel::net::TcpConfig usual;
  tcp::RetransmissionTimeout bounded(usual);
  bounded.sample(1ms);
  EXPECT_EQ(bounded.value(), 200ms);
}

TEST(ReceiveBuffer, PutsAnyOrderOfPiecesTogether) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    std::mt19937_64 random(seed);
    tcp::ReceiveBuffer buffer(1024, 8);
    const std::string all = pattern(5000, seed);
    std::string got;
    std::size_t next = 0;
    while (got.size() < all.size()) {
      const std::size_t offset = random() % 3 == 0 ? 0 : random() % buffer.window();
      std::size_t size = 1 + random() % 300;
      size = std::min({size, buffer.window() - offset, all.size() - std::min(all.size(), next + offset)});
      bool kept = false;
      next += buffer.insert(offset, std::as_bytes(std::span(all)).subspan(std::min(all.size(), next + offset), size), kept);
      for (const auto& piece : buffer.view_ready()) got.append(reinterpret_cast<const char*>(piece.data()), piece.size());
      buffer.take(buffer.ready());
    }
    ASSERT_TRUE(got == all) << "seed " << seed;
  }
}

TEST(ReceiveBuffer, RefusesOneGapTooManyButNeverTheNextByte) {
  tcp::ReceiveBuffer buffer(1024, 2);
  const std::array<std::byte, 10> bytes{};
  bool kept = false;
  buffer.insert(100, bytes, kept);
  buffer.insert(200, bytes, kept);
  EXPECT_TRUE(kept);
  buffer.insert(300, bytes, kept);
  EXPECT_FALSE(kept);
  EXPECT_EQ(buffer.insert(0, bytes, kept), 10u);
  EXPECT_TRUE(kept);
}

TEST(ArpCache, StaysWithinItsBoundsAndGivesUpAfterThreeRequests) {
  kernel::net::ArpCache cache(4, 2);
  Instant now{1s};
  for (std::uint32_t i = 1; i <= 100; ++i) EXPECT_TRUE(cache.find(i, now += 1ms).ask);
  EXPECT_EQ(cache.size(), 4u);
  const Frame bytes(60);
  kernel::net::OutgoingFrame frame;
  frame.headers = bytes;
  EXPECT_TRUE(cache.hold(100, frame));
  EXPECT_TRUE(cache.hold(100, frame));
  EXPECT_FALSE(cache.hold(100, frame));
  EXPECT_EQ(cache.learn(100, {}, false, now).size(), 2u);
  unsigned failed = 0;
  for (int i = 0; i < 10; ++i) failed += static_cast<unsigned>(cache.advance(now += 1s).failed.size());
  EXPECT_EQ(failed, 3u);
  EXPECT_EQ(cache.size(), 1u);
  EXPECT_TRUE(cache.learn(7, {}, false, now).empty());
  EXPECT_EQ(cache.size(), 1u);
}

/// A UDP or ICMP packet from `source` to a node.
Frame ip_frame(const Node& to, std::uint32_t source, std::uint32_t destination, std::uint8_t protocol, std::span<const std::byte> payload) {
  Frame frame = tcp_frame(to, source, 1, 1, 0, 0, 0, std::string(payload.size(), '\0'));
  frame.resize(34 + payload.size());
  auto ip = *wire::read<wire::Ipv4Header>(std::span(frame).subspan(14));
  ip.protocol = protocol;
  ip.destination = destination;
  ip.total_length = static_cast<std::uint16_t>(frame.size() - 14);
  ip.checksum = std::uint16_t{0};
  wire::write(std::span(frame).subspan(14), ip);
  wire::Checksum sum;
  sum.add(std::span(frame).subspan(14, 20));
  ip.checksum = sum.value();
  wire::write(std::span(frame).subspan(14), ip);
  std::memcpy(frame.data() + 34, payload.data(), payload.size());
  return frame;
}

TEST(Icmp, AnswersAPingWithItsData) {
  World world;
  Node& node = world.add();
  Node& other = world.add();
  std::vector<std::byte> ping(64, std::byte{0x5a});
  wire::write(std::span(ping), wire::IcmpHeader{8, 0, std::uint16_t{0}, 0x12340001u});
  wire::Checksum sum;
  sum.add(ping);
  wire::write(std::span(ping), wire::IcmpHeader{8, 0, sum.value(), 0x12340001u});
  Frame reply;
  world.filter = [&](const Frame& frame) {
    if (frame.size() == 34 + 64 && frame[34] == std::byte{0}) reply = frame;
    return true;
  };
  world.inject(ip_frame(node, other.address(), node.address(), 1, ping));
  world.run_for(1s);
  ASSERT_FALSE(reply.empty());
  wire::Checksum check;
  check.add(std::span(reply).subspan(34));
  EXPECT_EQ(check.sum(), 0xffff);
  EXPECT_EQ(0, std::memcmp(reply.data() + 38, ping.data() + 4, 60));
}

TEST(Udp, CarriesDatagramsBothWaysAndKeepsToCoreZero) {
  kernel::net::Config config;
  config.core_count = 2;
  World world;
  Node& a = world.add(config);
  Node& b = world.add(config);
  std::string got, answer;
  std::unique_ptr<kernel::net::UdpSocket> server, client;
  server = std::move(*b.stack().bind_udp(9000, [&](Endpoint from, std::span<const std::byte> bytes) {
    got.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    EXPECT_TRUE(server->send_to(from, bytes));
  }));
  client = std::move(*a.stack().bind_udp(0, [&](Endpoint, std::span<const std::byte> bytes) { answer.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size()); }));
  const std::string text = "hello";
  ASSERT_TRUE(client->send_to({b.address(), 9000}, std::as_bytes(std::span(text))));
  EXPECT_TRUE(world.run([&] { return answer == text; }, 5s));
  EXPECT_EQ(got, text);
  EXPECT_EQ(client->send_to({b.address(), 9000}, Frame(3000)).code(), ebb::Errc::too_large);
  EXPECT_EQ(b.stack().bind_udp(9000, {}).code(), ebb::Errc::address_in_use);
  EXPECT_EQ(b.stack(1).bind_udp(9001, {}).code(), ebb::Errc::invalid_argument);
}

/// A DHCP server of the test: replies straight from the frames it sees.
struct DhcpServer {
  explicit DhcpServer(World& w, Node& node) : world(w) {
    world.filter = [this, &node](const Frame& frame) {
      const auto packet = wire::parse_ipv4(std::span<const std::byte>(frame).subspan(14));
      if (!packet || packet->protocol != 17) return true;
      const auto udp = wire::parse_udp(packet->payload);
      if (!udp || udp->destination_port != 67) return true;
      ++messages;
      EXPECT_TRUE(wire::transport_checksum_holds(*packet, udp->whole));
      const auto type = static_cast<std::uint8_t>(udp->payload[242]);
      if (silent != 0) { --silent; return false; }
      Frame reply(udp->payload.begin(), udp->payload.begin() + 240);
      auto header = *wire::read<wire::DhcpHeader>(reply);
      header.operation = 2;
      header.your_address = node.address() + 100;
      wire::write(std::span(reply), header);
      const auto put = [&](std::initializer_list<unsigned> bytes) { for (unsigned b : bytes) reply.push_back(static_cast<std::byte>(b)); };
      put({53, 1, type == 1 ? 2u : refuse ? 6u : 5u, 1, 4, 255, 255, 255, 0, 3, 4, 10, 0, 0, 254, 54, 4, 10, 0, 0, 2, 51, 4, 0, 0, 0, lease, 255});
      Frame udp_bytes(8);
      udp_bytes.insert(udp_bytes.end(), reply.begin(), reply.end());
      wire::write(std::span(udp_bytes), wire::UdpHeader{67, 68, static_cast<std::uint16_t>(udp_bytes.size()), std::uint16_t{0}});
      world.inject(ip_frame(node, 0x0a000002, 0xffffffff, 17, udp_bytes));
      return false;
    };
  }
  World& world;
  unsigned messages = 0, silent = 0, lease = 200;
  bool refuse = false;
};

TEST(Dhcp, GetsALeaseKeepsItAndGivesItUpWhenTheServerStaysSilent) {
  World world;
  Node& node = world.add({}, false);
  world.add();  // the server's machine, which answers ARP
  DhcpServer server(world, node);
  server.silent = 2;  // lost requests are repeated
  std::vector<std::optional<Ipv4Config>> changes;
  node.stack().start_dhcp("node", [&](std::optional<Ipv4Config> address) { changes.push_back(address); });
  ASSERT_TRUE(world.run([&] { return !changes.empty(); }, 10s));
  EXPECT_EQ(changes[0], (Ipv4Config{node.address() + 100, 24, 0x0a0000fe}));
  EXPECT_EQ(node.stack().address(), changes[0]);
  const unsigned before = server.messages;
  world.run_for(1000s);  // several renewals at half the lease
  EXPECT_EQ(changes.size(), 1u);
  EXPECT_GE(server.messages, before + 8);
  EXPECT_LE(server.messages, before + 12);
  server.silent = 1'000'000;
  world.run_for(300s);
  ASSERT_EQ(changes.size(), 2u);
  EXPECT_FALSE(changes[1]);
  EXPECT_FALSE(node.stack().address());
  server.silent = 0;
  EXPECT_TRUE(world.run([&] { return changes.size() == 3; }, 60s));
  server.refuse = true;  // a NAK at renewal: the address is given up at once
  EXPECT_TRUE(world.run([&] { return changes.size() == 4; }, 300s));
  const unsigned asked = server.messages;
  world.run_for(60s);
  EXPECT_LT(server.messages - asked, 30u);
}

TEST(Stack, ForeignFragmentedAndGarbledFramesAreDroppedAndCounted) {
  World world;
  Node& node = world.add();
  auto& stack = node.stack();
  Frame frame = tcp_frame(node, 0x0a000009, 1, 2, 3, 0, wire::kTcpSyn);
  frame[20] = std::byte{0x20};  // the header checksum no longer holds
  stack.receive(frame, {});
  EXPECT_EQ(stack.statistics().dropped_checksum, 1u);
  stack.receive(Frame(5), {});
  EXPECT_EQ(stack.statistics().dropped_malformed, 1u);
  frame = tcp_frame(node, node.address(), 1, 2, 3, 0, wire::kTcpSyn);  // "from ourselves"
  stack.receive(frame, {});
  EXPECT_EQ(stack.statistics().dropped_not_ours, 1u);
  frame = tcp_frame(node, 0x0a000009, 1, 2, 3, 0, wire::kTcpSyn);
  frame[50] ^= std::byte{1};
  stack.receive(frame, {});
  EXPECT_EQ(stack.statistics().dropped_checksum, 2u);
  auto ip = *wire::read<wire::Ipv4Header>(std::span(frame).subspan(14));
  ip.fragment = 0x2000;
  ip.checksum = std::uint16_t{0};
  wire::write(std::span(frame).subspan(14), ip);
  wire::Checksum sum;
  sum.add(std::span(frame).subspan(14, 20));
  ip.checksum = sum.value();
  wire::write(std::span(frame).subspan(14), ip);
  stack.receive(frame, {});
  EXPECT_EQ(stack.statistics().dropped_fragment, 1u);
}

TEST(Stack, AnotherMachineWithOurAddressIsCountedAndAnsweredRarely) {
  World world;
  Node& node = world.add();
  unsigned sent = 0;
  Frame conflict(14 + 28);
  wire::write(std::span(conflict), wire::EthernetHeader{kernel::net::kBroadcastMac.bytes, {2, 8, 8, 8, 8, 8}, wire::kEtherTypeArp});
  wire::write(std::span(conflict).subspan(14), wire::ArpPacket{1, 0x0800, 6, 4, 2, {2, 8, 8, 8, 8, 8}, node.address(), {}, node.address()});
  world.filter = [&](const Frame&) { ++sent; return true; };
  for (int i = 0; i < 100; ++i) node.stack().receive(conflict, {});
  EXPECT_EQ(node.stack().statistics().address_conflicts, 100u);
  EXPECT_EQ(sent, 1u);
}

}  // namespace
}  // namespace net_test
