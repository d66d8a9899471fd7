// One core's network stack: Ethernet frames in, TCP streams, UDP datagrams and an address by DHCP out.
//
// A stack is used by its own core only, takes no lock and reads no clock of its own. Every core of a node runs one,
// with the same MAC and address; a flow belongs to the core that a hash of its addresses and ports names, and a core
// that gets a frame of somebody else's flow hands it on through Environment::pass.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "ebb/base/result.h"
#include "ebb/platform/stream.h"
#include "kernel/net/config.h"
#include "kernel/net/environment.h"
#include "kernel/net/shared.h"

namespace kernel::net {

/// Which core a received frame belongs to, before a listener's cores are looked at: TCP by hash, ARP to all cores
/// (nullopt), everything else to core 0. Any bytes are allowed. `core_count` is at least 1.
std::optional<CoreIndex> owner_of(std::span<const std::byte> frame, std::size_t core_count) noexcept;

/// Receives a bound port's datagrams; the span is valid during the call.
using DatagramHandler = std::function<void(ebb::platform::Endpoint from, std::span<const std::byte> bytes)>;

/// A bound UDP port, until destroyed. Core 0 only.
class UdpSocket {
 public:
  virtual ~UdpSocket() = default;
  /// Sends one datagram; unavailable without an address or route, too_large over the MTU. Delivery is not promised.
  virtual ebb::Result<void> send_to(ebb::platform::Endpoint to, std::span<const std::byte> bytes) = 0;
  virtual std::uint16_t port() const noexcept = 0;
};

class Stack {
 public:
  /// `environment` and `shared` must outlive the stack; `shared` is one for all stacks of a node.
  Stack(const Config& config, Environment& environment, Shared& shared);
  /// Every stream, listener and socket of this stack must be gone.
  ~Stack();
  Stack(const Stack&) = delete;
  Stack& operator=(const Stack&) = delete;

  /// A frame from the link or from another core, without FCS; trailing padding is fine, super-segments (GUEST_TSO4)
  /// too. Runs callbacks of streams, listeners and sockets. Must not be called from inside a callback.
  void receive(std::span<const std::byte> frame, ReceiveFlags flags);

  /// Runs what is due by now and delivers deferred callbacks. Must not be called from inside a callback.
  void advance();

  /// When advance() wants to be called next: the past if something waits, kNever if nothing does. May be early.
  Instant next_deadline() const noexcept;

  /// Takes the address (announcing it by ARP on core 0) or drops it. Connections from an old address are reset.
  void set_address(std::optional<Ipv4Config> address);
  std::optional<Ipv4Config> address() const noexcept;

  /// Gets and keeps an address by DHCP, for as long as the stack lives. Core 0 only. `on_change` runs from receive()
  /// or advance() after this stack has taken a new address or lost it (nullopt): tell the other cores' stacks by it.
  void start_dhcp(std::string_view host_name, std::function<void(std::optional<Ipv4Config>)> on_change);

  /// The platform's connect and listen (ebb/platform/stream.h) on this core; callbacks come from receive() and
  /// advance() only. connect: unavailable without an address or route, resource_exhausted over a bound.
  ebb::Result<std::unique_ptr<ebb::platform::Stream>> connect(ebb::platform::Endpoint remote,
                                                             ebb::platform::StreamHandler& handler);
  ebb::Result<std::unique_ptr<ebb::platform::Listener>> listen(ebb::platform::Endpoint local,
                                                              ebb::platform::AcceptHandler accept);

  /// Binds a UDP port (0: a free one). address_in_use, resource_exhausted, invalid_argument off core 0.
  ebb::Result<std::unique_ptr<UdpSocket>> bind_udp(std::uint16_t port, DatagramHandler handler);

  const Statistics& statistics() const noexcept;
  /// Connections in any state but CLOSED, TIME-WAIT included.
  std::size_t connection_count() const noexcept;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kernel::net
