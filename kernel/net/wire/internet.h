// IPv4, ICMP and UDP [RFC 791, RFC 792, RFC 768]: bytes in, checked views out.
#pragma once

#include <optional>

#include "kernel/net/wire/bytes.h"
#include "kernel/net/wire/checksum.h"

namespace kernel::net::wire {

inline constexpr std::uint8_t kProtocolIcmp = 1;
inline constexpr std::uint8_t kProtocolTcp = 6;
inline constexpr std::uint8_t kProtocolUdp = 17;

struct Ipv4Header {
  U8 version_length;
  U8 service;
  U16 total_length;
  U16 identification;
  U16 fragment;
  U8 time_to_live;
  U8 protocol;
  U16 checksum;
  U32 source;
  U32 destination;
};
static_assert(sizeof(Ipv4Header) == 20);

struct UdpHeader {
  U16 source_port;
  U16 destination_port;
  U16 length;
  U16 checksum;
};
static_assert(sizeof(UdpHeader) == 8);

struct IcmpHeader {
  static constexpr std::uint8_t kEchoReply = 0;
  static constexpr std::uint8_t kEchoRequest = 8;
  U8 type;
  U8 code;
  U16 checksum;
  U32 rest;
};
static_assert(sizeof(IcmpHeader) == 8);

/// A packet whose lengths hold together; the header checksum is not looked at.
struct Ipv4Packet {
  std::uint32_t source;
  std::uint32_t destination;
  std::uint8_t protocol;
  bool fragment;
  Bytes header;   ///< with options
  Bytes payload;  ///< as long as total_length says; link padding is cut off
};

inline std::optional<Ipv4Packet> parse_ipv4(Bytes bytes) noexcept {
  const auto header = read<Ipv4Header>(bytes);
  if (!header || (header->version_length >> 4) != 4) return std::nullopt;
  const std::size_t header_bytes = std::size_t{header->version_length & 0xfu} * 4;
  const std::size_t total = header->total_length;
  if (header_bytes < sizeof(Ipv4Header) || total < header_bytes || total > bytes.size()) return std::nullopt;
  return Ipv4Packet{header->source, header->destination, header->protocol,
                    (header->fragment & 0x3fff) != 0,  // more fragments, or an offset
                    bytes.first(header_bytes), bytes.subspan(header_bytes, total - header_bytes)};
}

/// The sum of the pseudo-header of TCP and UDP [RFC 9293 3.1].
inline Checksum pseudo_header(std::uint32_t source, std::uint32_t destination, std::uint8_t protocol,
                              std::size_t length) noexcept {
  Checksum sum;
  sum.add_u32(source);
  sum.add_u32(destination);
  sum.add_u16(protocol);
  sum.add_u16(static_cast<std::uint16_t>(length));
  return sum;
}

/// Whether the checksum of a TCP or UDP segment holds.
inline bool transport_checksum_holds(const Ipv4Packet& packet, Bytes segment) noexcept {
  Checksum sum = pseudo_header(packet.source, packet.destination, packet.protocol, segment.size());
  sum.add(segment);
  return sum.sum() == 0xffff;
}

struct UdpDatagram {
  std::uint16_t source_port;
  std::uint16_t destination_port;
  bool has_checksum;
  Bytes whole;  ///< header and payload
  Bytes payload;
};

inline std::optional<UdpDatagram> parse_udp(Bytes bytes) noexcept {
  const auto header = read<UdpHeader>(bytes);
  if (!header || header->length < sizeof(UdpHeader) || header->length > bytes.size()) return std::nullopt;
  const Bytes whole = bytes.first(header->length);
  return UdpDatagram{header->source_port, header->destination_port, header->checksum != 0, whole,
                     whole.subspan(sizeof(UdpHeader))};
}

}  // namespace kernel::net::wire
