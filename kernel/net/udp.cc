// See udp.h.
#include "kernel/net/udp.h"

#include <algorithm>

namespace kernel::net {

using ebb::Errc;
using ebb::Error;

class Udp::Socket final : public UdpSocket {
 public:
  Socket(Udp& udp, std::shared_ptr<Port> port) : udp_(udp), port_(std::move(port)) {}
  ~Socket() override { std::erase(udp_.ports_, port_); }
  ebb::Result<void> send_to(ebb::platform::Endpoint to, std::span<const std::byte> bytes) override {
    const auto& address = udp_.internet_.address();
    if (!address) return Error(Errc::unavailable, "this node has no network address yet; wait for DHCP or set one");
    return udp_.send(address->address, port_->number, to, bytes);
  }
  std::uint16_t port() const noexcept override { return port_->number; }

 private:
  Udp& udp_;
  std::shared_ptr<Port> port_;
};

void Udp::receive(const wire::Ipv4Packet& packet, bool checksum_valid) {
  Statistics& statistics = internet_.statistics();
  const auto datagram = wire::parse_udp(packet.payload);
  if (!datagram) {
    ++statistics.dropped_malformed;
    return;
  }
  if (datagram->has_checksum && !checksum_valid && !wire::transport_checksum_holds(packet, datagram->whole)) {
    ++statistics.dropped_checksum;
    return;
  }
  const auto found = std::find_if(ports_.begin(), ports_.end(),
                                  [&](const auto& port) { return port->number == datagram->destination_port; });
  if (found == ports_.end()) {
    ++statistics.dropped_no_port;
    return;
  }
  const auto port = *found;
  port->handler({packet.source, datagram->source_port}, datagram->payload);
}

ebb::Result<std::unique_ptr<UdpSocket>> Udp::bind(std::uint16_t port, DatagramHandler handler) {
  if (internet_.config().core != CoreIndex{0})
    return Error(Errc::invalid_argument, "UDP ports are bound on core 0, where their datagrams arrive");
  if (ports_.size() >= internet_.config().max_udp_sockets)
    return Error(Errc::resource_exhausted, "this node has as many UDP ports as it may; close one first");
  const auto taken = [&](std::uint16_t number) {
    return std::any_of(ports_.begin(), ports_.end(), [&](const auto& p) { return p->number == number; });
  };
  if (port == 0) {
    port = kFirstEphemeralPort;
    while (taken(port)) ++port;  // ends: there are far fewer sockets than ports
  } else if (taken(port)) {
    return Error(Errc::address_in_use, "UDP port " + std::to_string(port) + " is bound already; choose another");
  }
  auto state = std::make_shared<Port>(Port{port, std::move(handler)});
  ports_.push_back(state);
  return std::unique_ptr<UdpSocket>(std::make_unique<Socket>(*this, std::move(state)));
}

ebb::Result<void> Udp::send(std::uint32_t source, std::uint16_t source_port, ebb::platform::Endpoint to,
                            wire::Bytes bytes) {
  const std::size_t length = sizeof(wire::UdpHeader) + bytes.size();
  if (length + sizeof(wire::Ipv4Header) > internet_.config().mtu)
    return Error(Errc::too_large, "a datagram must fit the network's MTU; send less at a time");
  std::array<std::byte, kFrameHeaderBytes + sizeof(wire::UdpHeader)> headers;
  const auto udp = std::span(headers).subspan(kFrameHeaderBytes);
  wire::UdpHeader header{source_port, to.port, static_cast<std::uint16_t>(length), std::uint16_t{0}};
  wire::write(udp, header);
  wire::Checksum sum = wire::pseudo_header(source, to.address, wire::kProtocolUdp, length);
  sum.add(udp);
  sum.add(bytes);
  header.checksum = sum.value() == 0 ? std::uint16_t{0xffff} : sum.value();  // 0 would say "none"
  wire::write(udp, header);
  OutgoingFrame frame;
  frame.headers = headers;
  frame.payload[0] = bytes;
  switch (internet_.send(headers, frame, wire::kProtocolUdp, source, to.address)) {
    case Internet::Sent::yes: return {};
    case Internet::Sent::ring_full: return Error(Errc::overloaded, "the network card's ring is full; try again");
    case Internet::Sent::no_route: break;
  }
  return Error(Errc::unavailable, "no route to " + ebb::platform::to_string(to) + "; check the gateway");
}

}  // namespace kernel::net
