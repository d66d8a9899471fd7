// An address by DHCP, kept for as long as the node lives [RFC 2131].
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "kernel/net/udp.h"
#include "kernel/net/wire/dhcp.h"

namespace kernel::net {

/// Core 0 only. Asks for ever, at bounded intervals; a lease that ends is given up and a new one asked for. DECLINE is
/// not sent: conflicts are counted and defended by ARP.
class DhcpClient {
 public:
  static constexpr Duration kFirstRetry = std::chrono::milliseconds(500);  ///< RFC 2131 4.1 suggests 4 s, for WANs
  static constexpr Duration kMaxRetry = std::chrono::seconds(16);
  static constexpr Duration kMinRenewRetry = std::chrono::seconds(10);     ///< RFC 2131 4.4.5 says 60 s
  static constexpr unsigned kMaxRequests = 4;  ///< unanswered REQUESTs before it discovers again

  using OnChange = std::function<void(std::optional<Ipv4Config>)>;
  DhcpClient(Internet& internet, Udp& udp, std::string host_name, OnChange on_change);

  /// Begins to ask; false if the client port is taken.
  bool start();
  void advance();
  Instant next_deadline() const noexcept { return next_; }

 private:
  enum class Phase { selecting, requesting, bound, renewing, rebinding };
  void discover();
  void request();
  void renew();
  void send(wire::DhcpType type);
  void receive(wire::Bytes bytes);
  void take_lease(const wire::DhcpReply& ack);
  void lose_lease();
  Duration jittered(Duration base);
  std::uint32_t random();

  Internet& internet_;
  Udp& udp_;
  std::string host_name_;
  OnChange on_change_;
  std::unique_ptr<UdpSocket> socket_;
  Phase phase_ = Phase::selecting;
  std::uint32_t transaction_ = 0;
  std::uint32_t offered_ = 0;
  std::uint32_t server_ = 0;
  unsigned tries_ = 0;
  unsigned refusals_ = 0;  // NAKs since the last lease: each doubles the pause
  Duration retry_ = kFirstRetry;
  Instant began_{};
  Instant requested_{};  // the lease counts from when it was asked for [RFC 2131 4.4.1]
  Instant renew_at_{};
  Instant rebind_at_{};
  Instant expire_at_ = ebb::platform::kNever;
  Instant next_ = ebb::platform::kNever;
};

}  // namespace kernel::net
