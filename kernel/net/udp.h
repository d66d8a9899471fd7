// UDP [RFC 768] of core 0: bound ports, and datagrams out.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "kernel/net/internet.h"
#include "kernel/net/stack.h"

namespace kernel::net {

class Udp {
 public:
  static constexpr std::uint16_t kFirstEphemeralPort = 49152;  // [RFC 6335 6]

  explicit Udp(Internet& internet) : internet_(internet) {}

  /// A UDP packet to our address, or to everybody.
  void receive(const wire::Ipv4Packet& packet, bool checksum_valid);
  ebb::Result<std::unique_ptr<UdpSocket>> bind(std::uint16_t port, DatagramHandler handler);
  /// `source` may be 0 while there is no address, towards the broadcast address only.
  ebb::Result<void> send(std::uint32_t source, std::uint16_t source_port, ebb::platform::Endpoint to, wire::Bytes bytes);

 private:
  struct Port {
    std::uint16_t number;
    DatagramHandler handler;
  };
  class Socket;
  Internet& internet_;
  std::vector<std::shared_ptr<Port>> ports_;  // shared: a handler may close its own port
};

}  // namespace kernel::net
