// See dhcp.h.
#include "kernel/net/wire/dhcp.h"

#include <algorithm>
#include <cstring>

namespace kernel::net::wire {

namespace {

constexpr std::uint32_t kMagic = 0x63825363;
constexpr std::size_t kMinMessageBytes = 300;  // BOOTP relays drop shorter ones [RFC 1542 2.1]
constexpr std::size_t kMaxHostNameBytes = 63;

enum Option : std::uint8_t {
  kPad = 0, kSubnetMask = 1, kRouter = 3, kHostName = 12, kRequestedAddress = 50, kLeaseTime = 51, kMessageType = 53,
  kServer = 54, kParameters = 55, kMaxMessage = 57, kRenewTime = 58, kRebindTime = 59, kEnd = 255,
};

void put_u8(std::vector<std::byte>& out, std::uint8_t value) { out.push_back(static_cast<std::byte>(value)); }
void put_u32_option(std::vector<std::byte>& out, Option option, std::uint32_t value) {
  put_u8(out, option);
  put_u8(out, 4);
  for (int shift = 24; shift >= 0; shift -= 8) put_u8(out, static_cast<std::uint8_t>(value >> shift));
}

}  // namespace

std::optional<DhcpReply> parse_dhcp_reply(Bytes bytes) noexcept {
  const auto header = read<DhcpHeader>(bytes);
  if (!header || header->operation != 2 || header->hardware_type != 1 || header->hardware_length != 6 ||
      header->magic != kMagic)
    return std::nullopt;
  DhcpReply reply{};
  reply.transaction = header->transaction;
  reply.your_address = header->your_address;
  std::copy_n(header->client_hardware.begin(), 6, reply.client.bytes.begin());
  const Bytes options = bytes.subspan(sizeof(DhcpHeader));
  std::uint8_t type = 0;
  for (std::size_t at = 0; at < options.size();) {
    const auto option = static_cast<std::uint8_t>(options[at]);
    if (option == kEnd) break;
    if (option == kPad) { ++at; continue; }
    if (at + 1 >= options.size()) return std::nullopt;
    const auto length = static_cast<std::size_t>(options[at + 1]);
    if (at + 2 + length > options.size()) return std::nullopt;
    const Bytes value = options.subspan(at + 2, length);
    at += 2 + length;
    if (option == kMessageType && length == 1) type = static_cast<std::uint8_t>(value[0]);
    if (length < 4) continue;
    const std::uint32_t number = *read<U32>(value);
    switch (option) {
      case kSubnetMask: reply.subnet_mask = number; break;
      case kRouter: reply.router = number; break;  // the first of the list is the preferred one
      case kLeaseTime: reply.lease_seconds = number; break;
      case kServer: reply.server = number; break;
      case kRenewTime: reply.renew_seconds = number; break;
      case kRebindTime: reply.rebind_seconds = number; break;
      default: break;
    }
  }
  reply.type = static_cast<DhcpType>(type);
  if (reply.type != DhcpType::offer && reply.type != DhcpType::ack && reply.type != DhcpType::nak) return std::nullopt;
  return reply;
}

std::vector<std::byte> make_dhcp_request(const DhcpRequest& request) {
  DhcpHeader header{};
  header.operation = 1;
  header.hardware_type = 1;
  header.hardware_length = 6;
  header.transaction = request.transaction;
  header.seconds = request.seconds;
  header.client_address = request.client_address;
  // Without an address we cannot be sent unicast packets: ask for broadcast [RFC 2131 4.1].
  if (request.client_address == 0) header.flags = 0x8000;
  std::copy(request.client.bytes.begin(), request.client.bytes.end(), header.client_hardware.begin());
  header.magic = kMagic;
  std::vector<std::byte> out(sizeof(DhcpHeader));
  write(out, header);
  put_u8(out, kMessageType);
  put_u8(out, 1);
  put_u8(out, static_cast<std::uint8_t>(request.type));
  if (request.requested_address != 0) put_u32_option(out, kRequestedAddress, request.requested_address);
  if (request.server != 0) put_u32_option(out, kServer, request.server);
  const std::size_t name_bytes = std::min(request.host_name.size(), kMaxHostNameBytes);
  if (name_bytes != 0) {
    put_u8(out, kHostName);
    put_u8(out, static_cast<std::uint8_t>(name_bytes));
    for (char c : request.host_name.substr(0, name_bytes)) put_u8(out, static_cast<std::uint8_t>(c));
  }
  put_u8(out, kParameters);
  put_u8(out, 5);
  for (Option option : {kSubnetMask, kRouter, kLeaseTime, kRenewTime, kRebindTime}) put_u8(out, option);
  put_u8(out, kEnd);
  if (out.size() < kMinMessageBytes) out.resize(kMinMessageBytes);
  return out;
}

}  // namespace kernel::net::wire
