#include "kernel/platform/network_core.h"

#include <algorithm>
#include <utility>

#include "ebb/platform/platform.h"

namespace kernel::platform {
namespace {

using kernel::net::OutgoingFrame;
using kernel::net::ReceiveFlags;

kernel::net::Config config_of(NetworkNode& node, ebb::CoreIndex core) {
  kernel::net::Config config;
  config.mac = node.device().mac();
  config.mtu = node.device().mtu();
  config.link = node.device().link();
  config.core = core;
  config.core_count = node.core_count();
  config.tcp.buffer_bytes = node.buffer_bytes() / node.core_count();
  return config;
}

}  // namespace

void NetworkNode::set_address(std::optional<kernel::net::Ipv4Config> address) {
  {
    const std::lock_guard lock(mutex_);
    address_ = address;
    address_version_.fetch_add(1, std::memory_order_release);
  }
  for (std::size_t i = 0; i < core_count_; ++i) {
    if (core(i) != nullptr) ebb::platform::wake(static_cast<ebb::CoreIndex>(i));
  }
}

std::optional<kernel::net::Ipv4Config> NetworkNode::address() const {
  const std::lock_guard lock(mutex_);
  return address_;
}

NetworkCore::NetworkCore(NetworkNode& node, ebb::CoreIndex core)
    : node_(node),
      core_(core),
      pair_(ebb::to_number(core) < node.device().pair_count() ? &node.device().pair(ebb::to_number(core)) : nullptr),
      stack_(config_of(node, core), *this, node.shared()),
      deliver_([this](std::span<const std::byte> frame, ReceiveFlags flags) { stack_.receive(frame, flags); }) {}

bool NetworkCore::poll() {
  if (interrupts_wanted_) {
    interrupts_wanted_ = false;
    pair_->want_interrupts(false);
  }
  take_address();
  bool any = take_messages();
  if (pair_ != nullptr && pair_->receive(kReceiveBatch, deliver_) != 0) any = true;
  if (const ebb::platform::Instant due = stack_.next_deadline(); due != ebb::platform::kNever && due <= now()) {
    stack_.advance();
    any = true;
  }
  if (pair_ != nullptr) {
    pair_->flush();
    if (pair_->broken() && !std::exchange(broken_reported_, true)) {
      ebb::platform::write_log("ebb: network: the device broke the rules of virtio; a core's queues are given up");
    }
  }
  return any;
}

ebb::platform::Instant NetworkCore::before_sleep() {
  constexpr ebb::platform::Instant kNow = ebb::platform::Instant::min();
  if (pair_ != nullptr) {
    pair_->flush();
    pair_->want_interrupts(true);
    interrupts_wanted_ = true;
    if (pair_->waiting()) return kNow;
  }
  if (!inbox_.empty() || address_seen_ != node_.address_version()) return kNow;
  return stack_.next_deadline();
}

void NetworkCore::put(std::unique_ptr<FrameMessage> message) {
  if (inbox_.put(std::move(message)) == NetworkInbox::Put::first) ebb::platform::wake(core_);
}

bool NetworkCore::transmit(const OutgoingFrame& frame) {
  if (pair_ != nullptr) return pair_->transmit(frame);
  NetworkCore* const sender = node_.core(0);
  if (sender == nullptr) return false;
  auto message = std::make_unique<FrameMessage>();
  message->kind = FrameMessage::Kind::transmit;
  message->offload = frame;
  message->offload.headers = {};
  message->offload.payload = {};
  message->header_bytes = frame.headers.size();
  message->bytes.reserve(frame.size_bytes());
  for (const auto piece : {frame.headers, frame.payload[0], frame.payload[1]}) {
    message->bytes.insert(message->bytes.end(), piece.begin(), piece.end());
  }
  sender->put(std::move(message));
  return true;
}

void NetworkCore::pass(ebb::CoreIndex core, std::span<const std::byte> frame, ReceiveFlags flags) {
  NetworkCore* const target = ebb::to_number(core) < node_.core_count() ? node_.core(ebb::to_number(core)) : nullptr;
  if (target == nullptr) return;  // that core runs nothing, so nobody there waits for the frame
  auto message = std::make_unique<FrameMessage>();
  message->flags = flags;
  message->bytes.assign(frame.begin(), frame.end());
  target->put(std::move(message));
}

void NetworkCore::take_address() {
  const std::uint64_t version = node_.address_version();
  if (version == address_seen_) return;
  address_seen_ = version;
  stack_.set_address(node_.address());
}

bool NetworkCore::take_messages() {
  const auto messages = inbox_.take();
  for (const auto& message : messages) {
    if (message->kind == FrameMessage::Kind::receive) {
      stack_.receive(message->bytes, message->flags);
    } else if (pair_ != nullptr) {
      OutgoingFrame frame = message->offload;
      frame.headers = std::span<const std::byte>(message->bytes).first(message->header_bytes);
      frame.payload[0] = std::span<const std::byte>(message->bytes).subspan(message->header_bytes);
      // A full ring is a full link: TCP sends it again.
      static_cast<void>(pair_->transmit(frame));
    }
  }
  return !messages.empty();
}

}  // namespace kernel::platform
