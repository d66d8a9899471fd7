// See world.h.
#include "tests/unit/net/world.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

namespace net_test {

namespace wire = kernel::net::wire;

struct Node::Core final : kernel::net::Environment {
  Core(Node& owner, const Config& config) : node(owner) { stack = std::make_unique<Stack>(config, *this, owner.shared_); }

  bool transmit(const kernel::net::OutgoingFrame& out) override {
    if (node.full_ring != 0) {
      --node.full_ring;
      return false;
    }
    Frame whole(out.headers.begin(), out.headers.end());
    for (const auto& piece : out.payload) whole.insert(whole.end(), piece.begin(), piece.end());
    if (out.segment_bytes != 0 && whole.size() > out.headers.size() + out.segment_bytes) {
      cut(whole, out);
    } else {
      if (out.partial_checksum) complete(whole, out);
      node.world_.inject(std::move(whole), &node);
    }
    return true;
  }
  static void complete(Frame& frame, const kernel::net::OutgoingFrame& out) {
    wire::Checksum sum;
    sum.add(std::span(frame).subspan(out.checksum_start));
    wire::write(std::span(frame).subspan(std::size_t{out.checksum_start} + out.checksum_offset), wire::U16(sum.value()));
  }
  /// What a card does with a super-segment.
  void cut(const Frame& whole, const kernel::net::OutgoingFrame& out) {
    const std::size_t header = out.headers.size();
    const std::size_t payload = whole.size() - header;
    for (std::size_t at = 0; at < payload; at += out.segment_bytes) {
      const std::size_t size = std::min<std::size_t>(out.segment_bytes, payload - at);
      Frame part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(header));
      part.insert(part.end(), whole.begin() + static_cast<std::ptrdiff_t>(header + at),
                  whole.begin() + static_cast<std::ptrdiff_t>(header + at + size));
      const auto ip_bytes = std::span(part).subspan(14);
      auto ip = *wire::read<wire::Ipv4Header>(ip_bytes);
      ip.total_length = static_cast<std::uint16_t>(part.size() - 14);
      ip.checksum = std::uint16_t{0};
      wire::write(ip_bytes, ip);
      wire::Checksum ip_sum;
      ip_sum.add(ip_bytes.first(20));
      ip.checksum = ip_sum.value();
      wire::write(ip_bytes, ip);
      auto tcp = *wire::read<wire::TcpHeader>(ip_bytes.subspan(20));
      tcp.sequence = tcp.sequence + static_cast<std::uint32_t>(at);
      if (at + size < payload) tcp.flags &= static_cast<std::uint8_t>(~(wire::kTcpFin | wire::kTcpPush));
      tcp.checksum = wire::pseudo_header(ip.source, ip.destination, 6, part.size() - 34).sum();
      wire::write(ip_bytes.subspan(20), tcp);
      complete(part, out);
      node.world_.inject(std::move(part), &node);
    }
  }
  void pass(ebb::CoreIndex core, std::span<const std::byte> frame, ReceiveFlags flags) override {
    node.world_.schedule(Duration(1), node, to_number(core), Frame(frame.begin(), frame.end()), flags);
  }
  void fill_random(std::span<std::byte> bytes) override {
    for (auto& byte : bytes) byte = static_cast<std::byte>(node.world_.random());
  }
  Instant now() override { return node.world_.now; }

  Node& node;
  std::unique_ptr<Stack> stack;
};

Node::Node(World& world, std::uint8_t number, Config config)
    : world_(world), number_(number), mac_{{2, 0, 0, 0, 0, number}} {
  config.mac = mac_;
  for (std::size_t core = 0; core < config.core_count; ++core) {
    config.core = static_cast<ebb::CoreIndex>(core);
    cores_.push_back(std::make_unique<Core>(*this, config));
  }
}
Node::~Node() = default;

Stack& Node::stack(std::size_t core) { return *cores_[core]->stack; }

void Node::set_address(std::optional<Ipv4Config> address) {
  for (auto& core : cores_) core->stack->set_address(address);
}

Node& World::add(Config config, bool with_address) {
  nodes_.push_back(std::make_unique<Node>(*this, static_cast<std::uint8_t>(nodes_.size() + 1), config));
  if (with_address) nodes_.back()->set_address(Ipv4Config{nodes_.back()->address(), 24, 0});
  return *nodes_.back();
}

void World::schedule(Duration after, Node& node, std::size_t core, Frame frame, ReceiveFlags flags) {
  events_.push({now + after, order_++, &node, core, std::move(frame), flags});
}

void World::inject(Frame frame, const Node* sender) {
  if (filter && !filter(frame)) return;
  if (sender != nullptr && chance(trouble.lose)) return;
  const unsigned copies = sender != nullptr && chance(trouble.duplicate) ? 2 : 1;
  for (unsigned copy = 0; copy < copies; ++copy) {
    Frame one = frame;
    // ARP has no checksum: that a link's own check keeps it whole is taken for granted, as everywhere.
    const bool ip = one.size() > 34 && one[12] == std::byte{8} && one[13] == std::byte{0};
    if (sender != nullptr && ip && chance(trouble.corrupt))
      one[14 + random() % (one.size() - 14)] ^= static_cast<std::byte>(1 + random() % 255);
    Duration delay = trouble.delay;
    if (chance(trouble.reorder)) delay += Duration(random() % static_cast<std::uint64_t>(trouble.max_delay.count()));
    for (auto& node : nodes_) {
      if (node.get() == sender) continue;
      if ((static_cast<unsigned>(one[0]) & 1) == 0 && std::memcmp(one.data(), node->mac_.bytes.data(), 6) != 0) continue;
      schedule(delay, *node, random() % node->core_count(), one, {});  // the card knows nothing of owners
    }
  }
}

bool World::run(const std::function<bool()>& done, Duration limit) {
  const Instant end = now + limit;
  for (;;) {
    if (done()) return true;
    Instant next = events_.empty() ? ebb::platform::kNever : events_.top().at;
    for (auto& node : nodes_)
      for (auto& core : node->cores_) next = std::min(next, core->stack->next_deadline());
    if (next > end) {
      now = end;
      return false;
    }
    now = std::max(now, next);
    if (!events_.empty() && events_.top().at <= now) {
      const Event event = events_.top();
      events_.pop();
      event.node->cores_[event.core]->stack->receive(event.frame, event.flags);
    }
    for (auto& node : nodes_)
      for (auto& core : node->cores_)
        if (core->stack->next_deadline() <= now) core->stack->advance();
  }
}

void Peer::on_data(std::span<const std::byte> bytes) {
  received.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (data_hook) data_hook(*this);
}

void Peer::on_closed(ebb::Result<void> reason) {
  ++closed;
  if (!reason) error = reason.error().code();
  if (close_hook) close_hook(*this);
}

void Peer::send(std::string bytes, bool then_close) {
  to_send_ += bytes;
  close_when_sent_ = then_close;
  pump();
}

void Peer::pump() {
  if (!stream) return;
  while (sent_ < to_send_.size()) {
    const std::size_t taken = stream->send(std::as_bytes(std::span(to_send_)).subspan(sent_));
    if (taken == 0) break;
    sent_ += taken;
  }
  if (close_when_sent_ && sent_ == to_send_.size()) {
    close_when_sent_ = false;
    stream->close();
  }
}

Server::Server(Node& node, std::uint16_t port, std::size_t core) {
  auto made = node.stack(core).listen({0, port}, [this](std::unique_ptr<ebb::platform::Stream> stream) {
    peers.push_back(std::make_unique<Peer>());
    stream->set_handler(*peers.back());
    peers.back()->stream = std::move(stream);
    if (on_accept) on_accept(*peers.back());
  });
  EXPECT_TRUE(made) << made.error().to_string();
  listener = std::move(*made);
}

void connect(Node& from, Peer& peer, Endpoint to, std::size_t core) {
  auto stream = from.stack(core).connect(to, peer);
  ASSERT_TRUE(stream) << stream.error().to_string();
  peer.stream = std::move(*stream);
}

std::string pattern(std::size_t size, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::string bytes(size, '\0');
  for (auto& c : bytes) c = static_cast<char>(random());
  return bytes;
}

Frame tcp_frame(const Node& to, std::uint32_t source, std::uint16_t source_port, std::uint16_t destination_port,
                std::uint32_t sequence, std::uint32_t acknowledgement, std::uint8_t flags, std::string_view payload) {
  Frame frame(14 + 20 + 20 + payload.size());
  const auto bytes = std::span(frame);
  wire::write(bytes, wire::EthernetHeader{to.mac().bytes, {2, 9, 9, 9, 9, 9}, wire::kEtherTypeIpv4});
  wire::Ipv4Header ip{};
  ip.version_length = 0x45;
  ip.total_length = static_cast<std::uint16_t>(frame.size() - 14);
  ip.time_to_live = 64;
  ip.protocol = 6;
  ip.source = source;
  ip.destination = to.address();
  wire::write(bytes.subspan(14), ip);
  wire::Checksum ip_sum;
  ip_sum.add(bytes.subspan(14, 20));
  ip.checksum = ip_sum.value();
  wire::write(bytes.subspan(14), ip);
  wire::TcpHeader tcp{source_port, destination_port, sequence, acknowledgement, 0x50, flags, std::uint16_t{0xffff},
                      std::uint16_t{0}, std::uint16_t{0}};
  wire::write(bytes.subspan(34), tcp);
  std::copy_n(std::as_bytes(std::span(payload)).begin(), payload.size(), frame.begin() + 54);
  wire::Checksum sum = wire::pseudo_header(source, to.address(), 6, frame.size() - 34);
  sum.add(bytes.subspan(34));
  tcp.checksum = sum.value();
  wire::write(bytes.subspan(34), tcp);
  return frame;
}

std::optional<wire::TcpSegment> tcp_of(const Frame& frame) {
  const auto ethernet = wire::read<wire::EthernetHeader>(frame);
  if (!ethernet || ethernet->type != wire::kEtherTypeIpv4) return std::nullopt;
  const auto packet = wire::parse_ipv4(std::span<const std::byte>(frame).subspan(14));
  if (!packet || packet->protocol != 6) return std::nullopt;
  return wire::parse_tcp(packet->payload);
}

}  // namespace net_test
