// See frames.h. An input is a list of steps: a byte that says what, then what that needs.
#include "tests/fuzz/net/frames.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "tests/unit/net/world.h"

namespace net_fuzz {

namespace {

using namespace std::chrono_literals;
using namespace net_test;
namespace wire = kernel::net::wire;

class Input {
 public:
  explicit Input(std::span<const std::byte> bytes) : rest_(bytes) {}
  bool empty() const { return rest_.empty(); }
  std::uint8_t u8() {
    if (rest_.empty()) return 0;
    const auto value = static_cast<std::uint8_t>(rest_.front());
    rest_ = rest_.subspan(1);
    return value;
  }
  std::uint32_t u32() { return std::uint32_t{u8()} << 24 | std::uint32_t{u8()} << 16 | std::uint32_t{u8()} << 8 | u8(); }
  std::span<const std::byte> take(std::size_t size) {
    const auto taken = rest_.first(std::min(size, rest_.size()));
    rest_ = rest_.subspan(taken.size());
    return taken;
  }

 private:
  std::span<const std::byte> rest_;
};

}  // namespace

void play(std::span<const std::byte> bytes) {
  Input input(bytes);
  kernel::net::Config config;
  config.core_count = 2;
  config.tcp.send_buffer_bytes = config.tcp.receive_buffer_bytes = 4096;
  config.tcp.max_connections = 16;
  config.tcp.max_half_open = 4;
  config.tcp.max_time_wait = 2;
  World world(7);
  Node& a = world.add(config);
  Node& b = world.add(config);
  std::uint32_t client_next = 0, server_next = 0;
  world.filter = [&](const Frame& frame) {
    if (const auto s = tcp_of(frame)) (s->destination_port == 7001 ? client_next : server_next) = s->sequence.value() + s->length();
    return true;
  };
  Server server(b, 7001);
  server.on_accept = [](Peer& peer) {
    peer.data_hook = [](Peer& p) { p.send(std::exchange(p.received, {}).substr(0, 64)); };
    peer.close_hook = [](Peer& p) { p.stream.reset(); };
  };
  auto udp = b.stack().bind_udp(9000, [](Endpoint, std::span<const std::byte>) {});
  b.stack().start_dhcp("fuzz", [](std::optional<Ipv4Config>) {});
  Peer client;
  auto stream = a.stack().connect({b.address(), 7001}, client);
  if (!stream) std::abort();
  client.stream = std::move(*stream);
  world.run([&] { return client.connected; }, 1s);
  const std::uint16_t port = client.stream->local().port;

  for (unsigned step = 0; step < 200 && !input.empty(); ++step) {
    const std::uint8_t what = input.u8();
    switch (what % 8) {
      case 0: {  // raw bytes
        const auto piece = input.take(input.u8());
        Frame frame(piece.begin(), piece.end());
        if (frame.size() >= 6 && (what & 8)) std::memcpy(frame.data(), b.mac().bytes.data(), 6);
        b.stack(what >> 4 & 1).receive(frame, {(what & 32) != 0, false, false});
        break;
      }
      case 1: case 2: {  // a segment near the live connection
        const std::uint8_t flags = input.u8();
        const auto sequence = client_next + static_cast<std::uint32_t>(static_cast<std::int8_t>(input.u8())) * (what & 8 ? 1u : 97u);
        const auto acknowledgement = server_next + static_cast<std::uint32_t>(static_cast<std::int8_t>(input.u8())) * (what & 16 ? 1u : 97u);
        const auto payload = input.take(input.u8() * (what & 32 ? 6u : 1u));
        Frame frame = tcp_frame(b, a.address(), port, 7001, sequence, acknowledgement, flags,
                                {reinterpret_cast<const char*>(payload.data()), payload.size()});
        b.stack(what >> 6 & 1).receive(frame, {});
        break;
      }
      case 3: {  // a segment of any flow
        Frame frame = tcp_frame(b, input.u32(), static_cast<std::uint16_t>(input.u32()), what & 8 ? 7001 : input.u8(), input.u32(),
                                input.u32(), input.u8());
        b.stack().receive(frame, {});
        break;
      }
      case 4: {  // a valid IP header around any protocol, options or DHCP included
        const auto payload = input.take(input.u8() * 2u);
        Frame frame = tcp_frame(b, input.u32(), 1, 1, 0, 0, 0, {reinterpret_cast<const char*>(payload.data()), payload.size()});
        const std::uint8_t protocol = std::array<std::uint8_t, 4>{1, 6, 17, 99}[what >> 3 & 3];
        if (protocol == 17 && payload.size() > 20) std::memcpy(frame.data() + 34, payload.data(), 20);
        frame[23] = static_cast<std::byte>(protocol);
        frame[24] = frame[25] = std::byte{0};
        wire::Checksum sum;
        sum.add(std::span(frame).subspan(14, 20));
        wire::write(std::span(frame).subspan(24), wire::U16(sum.value()));
        b.stack().receive(frame, {true, false, false});
        break;
      }
      case 5: world.run_for(std::chrono::milliseconds(input.u8() * (what & 8 ? 100 : 1))); break;
      case 6:
        if (client.stream) {
          if (what & 8) client.send(std::string(input.u8(), 'f'), (what & 64) != 0);
          else client.stream->set_reading((what & 16) != 0);
        }
        break;
      default:
        for (auto& peer : server.peers) {
          if (!peer->stream) continue;
          if (what & 8) peer->stream->set_reading((what & 16) != 0);
          else if (what & 16) peer->stream->close();
        }
    }
    for (std::size_t core = 0; core < 2; ++core) b.stack(core).advance();
    if (b.stack().connection_count() > config.tcp.max_connections) std::abort();
    if (client.closed > 1) std::abort();
    for (auto& peer : server.peers)
      if (peer->closed > 1) std::abort();
  }
  world.filter = nullptr;
  server.listener.reset();  // or a connection still half open would come up when nobody is left to close it
  client.stream.reset();
  for (auto& peer : server.peers) peer->stream.reset();
  world.run_for(400s);
  if (b.stack().connection_count() != 0 || a.stack().connection_count() != 0) std::abort();  // a leak
}

}  // namespace net_fuzz
