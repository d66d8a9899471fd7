// IPv4 over Ethernet for one core: our address, the way to a neighbour, and frames out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>

#include "kernel/net/arp_cache.h"
#include "kernel/net/config.h"
#include "kernel/net/wire/internet.h"
#include "kernel/net/wire/link.h"

namespace kernel::net {

/// Room in front of a transport header for Ethernet and IPv4.
inline constexpr std::size_t kFrameHeaderBytes = sizeof(wire::EthernetHeader) + sizeof(wire::Ipv4Header);
inline constexpr std::uint32_t kBroadcastAddress = 0xffff'ffff;

/// Used by one stack and its TCP, UDP and DHCP.
class Internet {
 public:
  enum class Sent { yes, ring_full, no_route };

  /// `unreachable` hears of neighbours that nobody answers ARP for.
  Internet(const Config& config, Environment& environment, Statistics& statistics,
           std::function<void(std::uint32_t)> unreachable)
      : config_(config), environment_(environment), statistics_(statistics), unreachable_(std::move(unreachable)),
        neighbours_(config.max_neighbours, config.max_pending_per_neighbour) {}

  /// Fills the first kFrameHeaderBytes of `headers` (of which `frame.headers` is a view) and sends the frame, or
  /// keeps it until the neighbour is known; both count as sent.
  Sent send(std::span<std::byte> headers, OutgoingFrame& frame, std::uint8_t protocol, std::uint32_t source,
            std::uint32_t destination);

  /// Takes an ARP packet; replies on core 0.
  void receive_arp(wire::Bytes bytes);
  void advance();
  Instant next_deadline() const noexcept { return neighbours_.next_deadline(); }

  void set_address(std::optional<Ipv4Config> address);
  const std::optional<Ipv4Config>& address() const noexcept { return address_; }
  /// Whether a packet to `destination` could be sent at all.
  bool has_route(std::uint32_t destination) const noexcept { return next_hop(destination).has_value(); }
  bool is_broadcast(std::uint32_t address) const noexcept;
  /// The neighbour that packets to `destination` go to; nullopt without a route (and for ourselves and multicast).
  std::optional<std::uint32_t> next_hop(std::uint32_t destination) const noexcept;

  Instant now() const { return environment_.now(); }
  const Config& config() const noexcept { return config_; }
  Environment& environment() noexcept { return environment_; }
  Statistics& statistics() noexcept { return statistics_; }

 private:
  bool transmit(const OutgoingFrame& frame);
  void send_arp(std::uint16_t operation, const MacAddress& to, const MacAddress& target_mac, std::uint32_t target);

  const Config& config_;
  Environment& environment_;
  Statistics& statistics_;
  std::function<void(std::uint32_t)> unreachable_;
  ArpCache neighbours_;
  std::optional<Ipv4Config> address_;
  std::uint16_t identification_ = 0;
  Instant defended_{};  // when we last answered a conflict [RFC 5227 2.4]
};

/// A prefix length's mask; 0 for 0.
constexpr std::uint32_t mask_of(std::uint8_t prefix_length) noexcept {
  return prefix_length == 0 ? 0 : ~std::uint32_t{0} << (32 - (prefix_length > 32 ? 32 : prefix_length));
}

}  // namespace kernel::net
