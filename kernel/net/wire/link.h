// Ethernet II and ARP for IPv4 over it [RFC 894, RFC 826].
#pragma once

#include <optional>

#include "kernel/net/config.h"
#include "kernel/net/wire/bytes.h"

namespace kernel::net::wire {

inline constexpr std::uint16_t kEtherTypeIpv4 = 0x0800;
inline constexpr std::uint16_t kEtherTypeArp = 0x0806;

struct EthernetHeader {
  std::array<U8, 6> destination;
  std::array<U8, 6> source;
  U16 type;
};
static_assert(sizeof(EthernetHeader) == 14);

struct ArpPacket {
  static constexpr std::uint16_t kRequest = 1;
  static constexpr std::uint16_t kReply = 2;
  U16 hardware_type;
  U16 protocol_type;
  U8 hardware_length;
  U8 protocol_length;
  U16 operation;
  std::array<U8, 6> sender_mac;
  U32 sender_address;
  std::array<U8, 6> target_mac;
  U32 target_address;
};
static_assert(sizeof(ArpPacket) == 28);

/// An ARP packet of Ethernet and IPv4 whose sender is a single station; nullopt for anything else.
inline std::optional<ArpPacket> parse_arp(Bytes bytes) noexcept {
  const auto packet = read<ArpPacket>(bytes);
  if (!packet || packet->hardware_type != 1 || packet->protocol_type != kEtherTypeIpv4 ||
      packet->hardware_length != 6 || packet->protocol_length != 4)
    return std::nullopt;
  if (packet->operation != ArpPacket::kRequest && packet->operation != ArpPacket::kReply) return std::nullopt;
  if (packet->sender_mac[0] & 1) return std::nullopt;  // a group address is nobody's
  return packet;
}

}  // namespace kernel::net::wire
