// See stack.h: sorts frames by protocol, answers pings, and joins the parts.
#include "kernel/net/stack.h"

#include <algorithm>
#include <vector>

#include "kernel/net/dhcp_client.h"
#include "kernel/net/flow.h"
#include "kernel/net/internet.h"
#include "kernel/net/tcp/engine.h"
#include "kernel/net/udp.h"

namespace kernel::net {

namespace {

Config checked(Config config) {
  config.mtu = std::clamp<std::uint16_t>(config.mtu, 576, 9000);
  config.core_count = std::clamp<std::size_t>(config.core_count, 1, ebb::kMaxCores);
  if (!config.link.transmit_checksum) config.link.tcp_segmentation = false;
  return config;
}

SipKey make_key(Environment& environment) {
  SipKey key;
  environment.fill_random(std::as_writable_bytes(std::span(key)));
  return key;
}

}  // namespace

class Stack::Impl {
 public:
  Impl(const Config& config, Environment& environment, Shared& shared)
      : config_(checked(config)),
        internet_(config_, environment, statistics_, [this](std::uint32_t neighbour) { tcp_.on_unreachable(neighbour); }),
        udp_(internet_), tcp_(internet_, shared, make_key(environment)) {}

  void receive(wire::Bytes frame, ReceiveFlags flags);
  void set_address(std::optional<Ipv4Config> address) {
    if (address == internet_.address()) return;
    internet_.set_address(address);
    tcp_.on_address_change();
  }

  Statistics statistics_;
  Config config_;
  Internet internet_;
  Udp udp_;
  tcp::Engine tcp_;
  std::unique_ptr<DhcpClient> dhcp_;

 private:
  void pass_to_first(wire::Bytes frame, ReceiveFlags flags);
  void pass_to_all(wire::Bytes frame, ReceiveFlags flags);
  void receive_ipv4(wire::Bytes bytes, wire::Bytes frame, ReceiveFlags flags);
  void receive_icmp(const wire::Ipv4Packet& packet);
};

std::optional<CoreIndex> owner_of(std::span<const std::byte> frame, std::size_t core_count) noexcept {
  const auto ethernet = wire::read<wire::EthernetHeader>(frame);
  if (!ethernet) return CoreIndex{0};
  if (ethernet->type == wire::kEtherTypeArp) return std::nullopt;
  if (ethernet->type != wire::kEtherTypeIpv4) return CoreIndex{0};
  const auto packet = wire::parse_ipv4(frame.subspan(sizeof(wire::EthernetHeader)));
  if (!packet || packet->fragment || packet->protocol != wire::kProtocolTcp) return CoreIndex{0};
  const auto tcp = wire::read<wire::TcpHeader>(packet->payload);
  if (!tcp) return CoreIndex{0};
  return core_of({packet->destination, packet->source, tcp->destination_port, tcp->source_port},
                 std::max<std::size_t>(core_count, 1));
}

void Stack::Impl::pass_to_all(wire::Bytes frame, ReceiveFlags flags) {
  if (flags.passed) return;
  flags.passed = true;
  for (std::size_t core = 0; core < config_.core_count; ++core) {
    if (core == to_number(config_.core)) continue;
    ++statistics_.frames_passed;
    internet_.environment().pass(static_cast<CoreIndex>(core), frame, flags);
  }
}

void Stack::Impl::pass_to_first(wire::Bytes frame, ReceiveFlags flags) {
  if (flags.passed) {
    ++statistics_.dropped_not_ours;
    return;
  }
  flags.passed = true;
  ++statistics_.frames_passed;
  internet_.environment().pass(CoreIndex{0}, frame, flags);
}

void Stack::Impl::receive(wire::Bytes frame, ReceiveFlags flags) {
  ++statistics_.frames_received;
  const auto ethernet = wire::read<wire::EthernetHeader>(frame);
  if (!ethernet) {
    ++statistics_.dropped_malformed;
    return;
  }
  if ((ethernet->destination[0] & 1) == 0 && ethernet->destination != config_.mac.bytes) {
    ++statistics_.dropped_not_ours;  // a promiscuous link
    return;
  }
  const wire::Bytes payload = frame.subspan(sizeof(wire::EthernetHeader));
  if (ethernet->type == wire::kEtherTypeArp) {
    pass_to_all(frame, flags);
    internet_.receive_arp(payload);
  } else if (ethernet->type == wire::kEtherTypeIpv4) {
    receive_ipv4(payload, frame, flags);
  } else {
    ++statistics_.dropped_not_ours;
  }
}

void Stack::Impl::receive_ipv4(wire::Bytes bytes, wire::Bytes frame, ReceiveFlags flags) {
  const auto packet = wire::parse_ipv4(bytes);
  if (!packet) {
    ++statistics_.dropped_malformed;
    return;
  }
  wire::Checksum sum;
  sum.add(packet->header);
  if (sum.sum() != 0xffff) {
    ++statistics_.dropped_checksum;
    return;
  }
  if (packet->fragment) {
    ++statistics_.dropped_fragment;
    return;
  }
  const auto& address = internet_.address();
  const bool to_us = address && packet->destination == address->address;
  const bool to_all = internet_.is_broadcast(packet->destination);
  // While there is no address a DHCP server may answer to the one it offers [RFC 2131 4.1].
  const bool maybe_dhcp = packet->protocol == wire::kProtocolUdp && !address;
  // No packet comes from a group, from a loopback, or from ourselves.
  const bool possible = (packet->source >> 28) < 14 && (packet->source >> 24) != 127 &&
                        !(address && packet->source == address->address);
  if (!possible || !(to_us || to_all || maybe_dhcp)) {
    ++statistics_.dropped_not_ours;
    return;
  }
  if (packet->protocol == wire::kProtocolTcp && to_us && packet->source != 0 && !internet_.is_broadcast(packet->source)) {
    tcp_.receive(*packet, frame, flags);
    return;
  }
  if (config_.core != CoreIndex{0}) {
    pass_to_first(frame, flags);
  } else if (packet->protocol == wire::kProtocolUdp) {
    udp_.receive(*packet, flags.checksum_valid);
  } else if (packet->protocol == wire::kProtocolIcmp && to_us) {
    receive_icmp(*packet);
  } else {
    ++statistics_.dropped_not_ours;
  }
}

void Stack::Impl::receive_icmp(const wire::Ipv4Packet& packet) {
  const auto icmp = wire::read<wire::IcmpHeader>(packet.payload);
  if (!icmp) {
    ++statistics_.dropped_malformed;
    return;
  }
  wire::Checksum sum;
  sum.add(packet.payload);
  if (sum.sum() != 0xffff) {
    ++statistics_.dropped_checksum;
    return;
  }
  if (icmp->type != wire::IcmpHeader::kEchoRequest || icmp->code != 0 ||
      packet.payload.size() + sizeof(wire::Ipv4Header) > config_.mtu) {
    ++statistics_.dropped_not_ours;
    return;
  }
  std::array<std::byte, kFrameHeaderBytes + sizeof(wire::IcmpHeader)> headers;
  const wire::Bytes data = packet.payload.subspan(sizeof(wire::IcmpHeader));
  wire::IcmpHeader reply{wire::IcmpHeader::kEchoReply, 0, std::uint16_t{0}, icmp->rest};  // [RFC 792]
  const auto target = std::span(headers).subspan(kFrameHeaderBytes);
  wire::write(target, reply);
  wire::Checksum reply_sum;
  reply_sum.add(target);
  reply_sum.add(data);
  reply.checksum = reply_sum.value();
  wire::write(target, reply);
  OutgoingFrame frame;
  frame.headers = headers;
  frame.payload[0] = data;
  internet_.send(headers, frame, wire::kProtocolIcmp, packet.destination, packet.source);
}

Stack::Stack(const Config& config, Environment& environment, Shared& shared)
    : impl_(std::make_unique<Impl>(config, environment, shared)) {}
Stack::~Stack() = default;

void Stack::receive(std::span<const std::byte> frame, ReceiveFlags flags) { impl_->receive(frame, flags); }

void Stack::advance() {
  impl_->internet_.advance();
  if (impl_->dhcp_) impl_->dhcp_->advance();
  impl_->tcp_.advance();
}

Instant Stack::next_deadline() const noexcept {
  const Instant first = std::min(impl_->internet_.next_deadline(), impl_->tcp_.next_deadline());
  return impl_->dhcp_ ? std::min(first, impl_->dhcp_->next_deadline()) : first;
}

void Stack::set_address(std::optional<Ipv4Config> address) { impl_->set_address(address); }
std::optional<Ipv4Config> Stack::address() const noexcept { return impl_->internet_.address(); }

void Stack::start_dhcp(std::string_view host_name, std::function<void(std::optional<Ipv4Config>)> on_change) {
  Impl& impl = *impl_;
  if (impl.config_.core != CoreIndex{0} || impl.dhcp_) return;
  impl.dhcp_ = std::make_unique<DhcpClient>(
      impl.internet_, impl.udp_, std::string(host_name),
      [&impl, on_change = std::move(on_change)](std::optional<Ipv4Config> address) {
        impl.set_address(address);
        on_change(address);
      });
  impl.dhcp_->start();
}

ebb::Result<std::unique_ptr<ebb::platform::Stream>> Stack::connect(ebb::platform::Endpoint remote,
                                                                  ebb::platform::StreamHandler& handler) {
  return impl_->tcp_.connect(remote, handler);
}
ebb::Result<std::unique_ptr<ebb::platform::Listener>> Stack::listen(ebb::platform::Endpoint local,
                                                                   ebb::platform::AcceptHandler accept) {
  return impl_->tcp_.listen(local, std::move(accept));
}
ebb::Result<std::unique_ptr<UdpSocket>> Stack::bind_udp(std::uint16_t port, DatagramHandler handler) {
  return impl_->udp_.bind(port, std::move(handler));
}
const Statistics& Stack::statistics() const noexcept { return impl_->statistics_; }
std::size_t Stack::connection_count() const noexcept { return impl_->tcp_.connection_count(); }

}  // namespace kernel::net
