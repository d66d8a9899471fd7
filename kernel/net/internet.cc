// See internet.h.
#include "kernel/net/internet.h"

#include <algorithm>

namespace kernel::net {

namespace {
constexpr Duration kDefendEvery = std::chrono::seconds(10);  // DEFEND_INTERVAL [RFC 5227 1.1]
constexpr std::uint8_t kTimeToLive = 64;
}  // namespace

std::optional<std::uint32_t> Internet::next_hop(std::uint32_t destination) const noexcept {
  if (destination == kBroadcastAddress) return destination;
  if (!address_ || destination == 0 || destination == address_->address || (destination >> 28) >= 14 ||
      (destination >> 24) == 127)
    return std::nullopt;
  if (((destination ^ address_->address) & mask_of(address_->prefix_length)) == 0) return destination;
  if (address_->gateway != 0) return address_->gateway;
  return std::nullopt;
}

bool Internet::is_broadcast(std::uint32_t address) const noexcept {
  if (address == kBroadcastAddress) return true;
  if (!address_ || address_->prefix_length >= 31) return false;
  const std::uint32_t host = ~mask_of(address_->prefix_length);
  return (address | host) == address && (address & ~host) == (address_->address & ~host);
}

bool Internet::transmit(const OutgoingFrame& frame) {
  if (!environment_.transmit(frame)) {
    ++statistics_.dropped_ring_full;
    return false;
  }
  ++statistics_.frames_sent;
  return true;
}

Internet::Sent Internet::send(std::span<std::byte> headers, OutgoingFrame& frame, std::uint8_t protocol,
                              std::uint32_t source, std::uint32_t destination) {
  const auto hop = next_hop(destination);
  if (!hop) {
    ++statistics_.dropped_unresolved;
    return Sent::no_route;
  }
  wire::Ipv4Header ip{};
  ip.version_length = 0x45;
  ip.total_length = static_cast<std::uint16_t>(frame.size_bytes() - sizeof(wire::EthernetHeader));
  ip.identification = ++identification_;
  ip.fragment = 0x4000;  // do not fragment: nobody on this network may need to
  ip.time_to_live = kTimeToLive;
  ip.protocol = protocol;
  ip.source = source;
  ip.destination = destination;
  wire::write(headers.subspan(sizeof(wire::EthernetHeader)), ip);
  wire::Checksum sum;
  sum.add(headers.subspan(sizeof(wire::EthernetHeader), sizeof(wire::Ipv4Header)));
  ip.checksum = sum.value();
  wire::write(headers.subspan(sizeof(wire::EthernetHeader)), ip);

  wire::EthernetHeader ethernet{kBroadcastMac.bytes, config_.mac.bytes, wire::kEtherTypeIpv4};
  if (is_broadcast(*hop)) {
    wire::write(headers, ethernet);
    return transmit(frame) ? Sent::yes : Sent::ring_full;
  }
  const ArpCache::Lookup found = neighbours_.find(*hop, now());
  if (found.mac != nullptr) ethernet.destination = found.mac->bytes;
  wire::write(headers, ethernet);
  Sent sent = Sent::yes;
  if (found.mac != nullptr) {
    sent = transmit(frame) ? Sent::yes : Sent::ring_full;
  } else if (frame.segment_bytes != 0) {
    ++statistics_.dropped_unresolved;  // too large to keep; TCP sends it again
  } else if (!neighbours_.hold(*hop, frame)) {
    ++statistics_.dropped_unresolved;
  }
  if (found.ask) send_arp(wire::ArpPacket::kRequest, kBroadcastMac, MacAddress{}, *hop);
  return sent;
}

void Internet::send_arp(std::uint16_t operation, const MacAddress& to, const MacAddress& target_mac,
                        std::uint32_t target) {
  std::array<std::byte, sizeof(wire::EthernetHeader) + sizeof(wire::ArpPacket)> bytes;
  wire::write(std::span(bytes), wire::EthernetHeader{to.bytes, config_.mac.bytes, wire::kEtherTypeArp});
  const std::uint32_t sender = address_ ? address_->address : 0;
  wire::write(std::span(bytes).subspan(sizeof(wire::EthernetHeader)),
              wire::ArpPacket{1, wire::kEtherTypeIpv4, 6, 4, operation, config_.mac.bytes, sender, target_mac.bytes,
                              target});
  OutgoingFrame frame;
  frame.headers = bytes;
  transmit(frame);
}

void Internet::receive_arp(wire::Bytes bytes) {
  const auto packet = wire::parse_arp(bytes);
  if (!packet) {
    ++statistics_.dropped_malformed;
    return;
  }
  if (!address_) return;
  const MacAddress sender{packet->sender_mac};
  const std::uint32_t address = packet->sender_address;
  if (sender == config_.mac) return;  // our own, come back
  const bool first_core = config_.core == CoreIndex{0};
  if (address == address_->address) {
    ++statistics_.address_conflicts;
    if (first_core && (defended_ == Instant{} || now() - defended_ >= kDefendEvery)) {
      defended_ = now();
      send_arp(wire::ArpPacket::kRequest, kBroadcastMac, MacAddress{}, address_->address);
    }
    return;
  }
  const bool for_us = packet->target_address == address_->address;
  if (address != 0 && next_hop(address) == address && !is_broadcast(address)) {
    for (auto& held : neighbours_.learn(address, sender, for_us, now())) {
      std::copy_n(std::as_bytes(std::span(sender.bytes)).begin(), 6, held.begin());
      OutgoingFrame frame;
      frame.headers = held;
      transmit(frame);
    }
  }
  if (for_us && first_core && packet->operation == wire::ArpPacket::kRequest)
    send_arp(wire::ArpPacket::kReply, sender, sender, address);
}

void Internet::advance() {
  const ArpCache::Due due = neighbours_.advance(now());
  for (std::uint32_t address : due.ask) send_arp(wire::ArpPacket::kRequest, kBroadcastMac, MacAddress{}, address);
  statistics_.dropped_unresolved += due.dropped_frames;
  for (std::uint32_t address : due.failed) {
    unreachable_(address);
  }
}

void Internet::set_address(std::optional<Ipv4Config> address) {
  if (address == address_) return;
  neighbours_.clear();
  address_ = address;
  if (address_ && config_.core == CoreIndex{0})  // an announcement [RFC 5227 2.3]
    send_arp(wire::ArpPacket::kRequest, kBroadcastMac, MacAddress{}, address_->address);
}

}  // namespace kernel::net
