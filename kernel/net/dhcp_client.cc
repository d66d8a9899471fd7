// See dhcp_client.h.
#include "kernel/net/dhcp_client.h"

#include <algorithm>
#include <bit>

namespace kernel::net {

using ebb::platform::kNever;
using wire::DhcpType;

DhcpClient::DhcpClient(Internet& internet, Udp& udp, std::string host_name, OnChange on_change)
    : internet_(internet), udp_(udp), host_name_(std::move(host_name)), on_change_(std::move(on_change)) {}

bool DhcpClient::start() {
  auto socket = udp_.bind(wire::kDhcpClientPort, [this](auto, wire::Bytes bytes) { receive(bytes); });
  if (!socket) return false;
  socket_ = std::move(*socket);
  retry_ = kFirstRetry;
  discover();
  return true;
}

std::uint32_t DhcpClient::random() {
  std::array<std::byte, 4> bytes;
  internet_.environment().fill_random(bytes);
  return *wire::read<wire::U32>(bytes);
}

// Nodes that start together must not go on asking together [RFC 2131 4.1].
Duration DhcpClient::jittered(Duration base) { return base - base / 8 + base / 4 * (random() % 1024) / 1024; }

void DhcpClient::discover() {
  if (phase_ != Phase::selecting || tries_ == 0) began_ = internet_.now();
  phase_ = Phase::selecting;
  tries_ = 1;
  transaction_ = random();
  offered_ = server_ = 0;
  send(DhcpType::discover);
  next_ = internet_.now() + jittered(retry_);
  retry_ = std::min(retry_ * 2, kMaxRetry);
}

void DhcpClient::request() {
  if (tries_ == 0) requested_ = internet_.now();
  ++tries_;
  send(DhcpType::request);
  next_ = internet_.now() + jittered(retry_);
  retry_ = std::min(retry_ * 2, kMaxRetry);
}

void DhcpClient::renew() {
  const Instant now = internet_.now();
  if (now >= expire_at_) {
    lose_lease();
    return;
  }
  const bool rebinding = now >= rebind_at_;
  if (phase_ == Phase::bound || (rebinding && phase_ == Phase::renewing)) {
    transaction_ = random();
    began_ = requested_ = now;
  }
  phase_ = rebinding ? Phase::rebinding : Phase::renewing;
  send(DhcpType::request);
  // Half of what is left of the phase [RFC 2131 4.4.5].
  const Instant end = rebinding ? expire_at_ : rebind_at_;
  next_ = std::min(end, now + std::max<Duration>((end - now) / 2, kMinRenewRetry));
}

void DhcpClient::send(DhcpType type) {
  const auto& held = internet_.address();
  const bool keeping = phase_ == Phase::renewing || phase_ == Phase::rebinding;
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(internet_.now() - began_).count();
  wire::DhcpRequest message{};
  message.type = type;
  message.transaction = transaction_;
  message.seconds = static_cast<std::uint16_t>(std::min<std::int64_t>(seconds, 0xffff));
  message.client = internet_.config().mac;
  message.client_address = keeping && held ? held->address : 0;
  // Which options may stand in which message: [RFC 2131 4.3.6].
  message.requested_address = phase_ == Phase::requesting ? offered_ : 0;
  message.server = phase_ == Phase::requesting ? server_ : 0;
  message.host_name = host_name_;
  const auto bytes = wire::make_dhcp_request(message);
  const bool unicast = phase_ == Phase::renewing && server_ != 0 && internet_.has_route(server_);
  const ebb::platform::Endpoint to{unicast ? server_ : kBroadcastAddress, wire::kDhcpServerPort};
  // A failure to send is like a lost message: the retry comes anyway.
  static_cast<void>(udp_.send(message.client_address, wire::kDhcpClientPort, to, bytes));
}

void DhcpClient::receive(wire::Bytes bytes) {
  const auto reply = wire::parse_dhcp_reply(bytes);
  if (!reply || reply->transaction != transaction_ || reply->client != internet_.config().mac) return;
  if (reply->type == DhcpType::offer) {
    if (phase_ != Phase::selecting || reply->your_address == 0 || reply->server == 0) return;
    offered_ = reply->your_address;  // the first offer is taken: a cluster's network has one server
    server_ = reply->server;
    phase_ = Phase::requesting;
    tries_ = 0;
    retry_ = kFirstRetry;
    request();
    return;
  }
  if (phase_ == Phase::selecting || phase_ == Phase::bound) return;
  if (reply->type == DhcpType::nak) {
    if (phase_ == Phase::requesting) {
      phase_ = Phase::selecting;  // after a pause, should a server refuse what it offers for ever
      next_ = internet_.now() + jittered(std::min(kFirstRetry * (1u << std::min(++refusals_, 8u)), kMaxRetry));
    } else {
      lose_lease();
    }
    return;
  }
  if (reply->your_address != 0 && reply->lease_seconds != 0) take_lease(*reply);
}

void DhcpClient::take_lease(const wire::DhcpReply& ack) {
  Ipv4Config config;
  config.address = ack.your_address;
  // A mask is ones, then zeros; anything else is taken as 24, the commonest.
  const bool contiguous = ack.subnet_mask != 0 && std::countl_one(ack.subnet_mask) == std::popcount(ack.subnet_mask);
  config.prefix_length = contiguous ? static_cast<std::uint8_t>(std::popcount(ack.subnet_mask)) : 24;
  config.gateway = ack.router;
  if ((config.address >> 28) >= 14 || (config.address >> 24) == 127 || (config.address >> 24) == 0) return;
  if (ack.server != 0) server_ = ack.server;
  phase_ = Phase::bound;
  refusals_ = 0;
  retry_ = kFirstRetry;
  tries_ = 0;
  constexpr std::uint32_t kForever = 0xffff'ffff;  // [RFC 2131 3.3]
  constexpr std::uint32_t kMinLease = 20;          // a shorter one would have us ask without pause
  if (ack.lease_seconds == kForever) {
    expire_at_ = next_ = kNever;
  } else {
    using std::chrono::seconds;
    const std::uint32_t lease = std::max(ack.lease_seconds, kMinLease);
    std::uint32_t t1 = lease / 2, t2 = lease - lease / 8;  // [RFC 2131 4.4.5]
    if (ack.renew_seconds != 0 && ack.rebind_seconds > ack.renew_seconds && ack.rebind_seconds < lease) {
      t1 = std::max(ack.renew_seconds, 5u);
      t2 = std::max(ack.rebind_seconds, t1);
    }
    renew_at_ = requested_ + seconds(t1);
    rebind_at_ = requested_ + seconds(t2);
    expire_at_ = requested_ + seconds(lease);
    next_ = std::max(renew_at_, internet_.now());
  }
  if (internet_.address() != config) on_change_(config);
}

void DhcpClient::lose_lease() {
  expire_at_ = kNever;
  phase_ = Phase::selecting;
  tries_ = 0;
  retry_ = kFirstRetry;
  on_change_(std::nullopt);
  discover();
}

void DhcpClient::advance() {
  if (internet_.now() < next_) return;
  switch (phase_) {
    case Phase::selecting: discover(); break;
    case Phase::requesting: tries_ < kMaxRequests ? request() : discover(); break;
    case Phase::bound:
    case Phase::renewing:
    case Phase::rebinding: renew(); break;
  }
}

}  // namespace kernel::net
