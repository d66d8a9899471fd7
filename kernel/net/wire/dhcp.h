// DHCP messages [RFC 2131 2, RFC 2132]: parsing of what a server sends, and the client's messages.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "kernel/net/config.h"
#include "kernel/net/wire/bytes.h"

namespace kernel::net::wire {

inline constexpr std::uint16_t kDhcpServerPort = 67;
inline constexpr std::uint16_t kDhcpClientPort = 68;

enum class DhcpType : std::uint8_t { discover = 1, offer = 2, request = 3, decline = 4, ack = 5, nak = 6 };

/// The fixed part, up to and including the magic cookie.
struct DhcpHeader {
  U8 operation;  ///< 1 request, 2 reply
  U8 hardware_type;
  U8 hardware_length;
  U8 hops;
  U32 transaction;
  U16 seconds;
  U16 flags;
  U32 client_address;
  U32 your_address;
  U32 server_address;
  U32 relay_address;
  std::array<U8, 16> client_hardware;
  std::array<U8, 192> names;  ///< sname and file
  U32 magic;
};
static_assert(sizeof(DhcpHeader) == 240);

/// A reply of a server. Times in seconds, 0 where the server does not say.
struct DhcpReply {
  DhcpType type;
  std::uint32_t transaction;
  std::uint32_t your_address;
  MacAddress client;
  std::uint32_t server = 0;
  std::uint32_t subnet_mask = 0;
  std::uint32_t router = 0;
  std::uint32_t lease_seconds = 0;
  std::uint32_t renew_seconds = 0;
  std::uint32_t rebind_seconds = 0;
};

/// nullopt for anything but a well-formed OFFER, ACK or NAK.
std::optional<DhcpReply> parse_dhcp_reply(Bytes bytes) noexcept;

/// A client's message; an address of 0 leaves its option out.
struct DhcpRequest {
  DhcpType type;
  std::uint32_t transaction;
  std::uint16_t seconds;           ///< since the client began
  MacAddress client;
  std::uint32_t client_address;    ///< only while the client holds it
  std::uint32_t requested_address;
  std::uint32_t server;
  std::string_view host_name;      ///< at most 63 bytes are sent
};
std::vector<std::byte> make_dhcp_request(const DhcpRequest& request);

}  // namespace kernel::net::wire
