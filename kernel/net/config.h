// The stack's settings and bounds. Defaults suit a cluster's own network: round trips well under 10 ms.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "ebb/base/ids.h"
#include "kernel/net/environment.h"

namespace kernel::net {

struct MacAddress {
  std::array<std::uint8_t, 6> bytes{};
  friend bool operator==(const MacAddress&, const MacAddress&) = default;
};

inline constexpr MacAddress kBroadcastMac{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

/// An address of this node; all in host byte order.
struct Ipv4Config {
  std::uint32_t address = 0;
  std::uint8_t prefix_length = 24;  ///< 0 to 32
  std::uint32_t gateway = 0;        ///< 0: none, only neighbours can be reached
  friend bool operator==(const Ipv4Config&, const Ipv4Config&) = default;
};

/// TCP's bounds and times. What happens at each bound stands at the field.
struct TcpConfig {
  std::size_t send_buffer_bytes = 256 * 1024;    ///< full: send() takes less, on_writable follows. Power of two.
  std::size_t receive_buffer_bytes = 256 * 1024; ///< the largest window we announce. Power of two.
  /// What all buffers of a core's connections may take, which they do when they are first used. None left: received
  /// data that would have to wait is dropped, a connection that wants to send is reset.
  std::size_t buffer_bytes = std::size_t{2} << 30;
  std::size_t max_connections = 4096;            ///< per core; full: SYNs are dropped, connect() is refused
  std::size_t max_half_open = 128;               ///< per listener; full: SYNs are dropped and counted
  std::size_t max_time_wait = 1024;              ///< per core; full: the oldest ends early
  std::size_t max_listeners = 64;                ///< per core; full: listen() is refused
  std::size_t max_gaps = 32;                     ///< runs of out-of-order data kept; more: the segment is dropped

  /// RFC 6298 asks for 1 s at least and lets newer knowledge lower it: 200 ms is five times the longest delayed
  /// acknowledgement of any common system (Linux: 40 ms) and what Linux itself uses.
  Duration min_retransmission_timeout = std::chrono::milliseconds(200);
  Duration initial_retransmission_timeout = std::chrono::seconds(1);  // [RFC 6298 2.1]
  Duration max_retransmission_timeout = std::chrono::seconds(60);     // [RFC 6298 2.4]
  unsigned max_retransmissions = 9;       ///< in a row; with 200 ms: 204 s (R2, RFC 9293 3.8.3, at least 100 s)
  unsigned max_syn_retransmissions = 5;   ///< 63 s until connect fails with unavailable
  unsigned max_syn_ack_retransmissions = 3;  ///< 15 s until a half-open connection is forgotten
  Duration delayed_ack = std::chrono::milliseconds(20);   ///< [RFC 9293 3.8.6.3] allows 500 ms
  Duration time_wait = std::chrono::seconds(10);          ///< 2 MSL with an MSL for one local network
  Duration fin_wait_2 = std::chrono::seconds(60);         ///< how long a peer may take to close after us
  unsigned max_challenge_acks_per_second = 10;            ///< per connection [RFC 5961 7]
};

struct Config {
  MacAddress mac;
  std::uint16_t mtu = 1500;  ///< bytes of IP packet, 576 to 9000
  CoreIndex core{0};
  std::size_t core_count = 1;  ///< at most ebb::kMaxCores
  LinkCapabilities link;
  TcpConfig tcp;
  std::size_t max_neighbours = 256;           ///< ARP entries; full: the longest unused is replaced
  std::size_t max_pending_per_neighbour = 8;  ///< frames that wait for an ARP reply; more: the oldest is dropped
  std::size_t max_udp_sockets = 16;           ///< full: bind is refused
};

/// Counts since the stack was made. Every frame that does not reach a user is counted once, under its reason.
struct Statistics {
  std::uint64_t frames_received = 0;
  std::uint64_t frames_sent = 0;
  std::uint64_t frames_passed = 0;          ///< to another core
  std::uint64_t dropped_malformed = 0;      ///< a header or length does not hold together
  std::uint64_t dropped_checksum = 0;
  std::uint64_t dropped_not_ours = 0;       ///< other destination or protocol
  std::uint64_t dropped_fragment = 0;       ///< fragments are not put together
  std::uint64_t dropped_no_port = 0;        ///< UDP without a socket
  std::uint64_t dropped_backlog = 0;        ///< SYN over max_half_open or max_connections
  std::uint64_t dropped_out_of_window = 0;  ///< TCP segment outside the window or with a bad acknowledgement
  std::uint64_t dropped_gaps = 0;           ///< TCP segment over max_gaps, or without memory for a buffer
  std::uint64_t dropped_ring_full = 0;      ///< transmit said no
  std::uint64_t dropped_unresolved = 0;     ///< no route, or nobody answered ARP
  std::uint64_t address_conflicts = 0;      ///< another machine uses our address
  std::uint64_t resets_sent = 0;
  std::uint64_t challenge_acks = 0;
  std::uint64_t retransmissions = 0;        ///< by timeout
  std::uint64_t fast_retransmissions = 0;
};

}  // namespace kernel::net
