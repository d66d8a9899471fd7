#include "kernel/virtio/net_device.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

#include "kernel/virtio/net_format.h"

namespace kernel::virtio::net {
namespace {

using ebb::Errc;
using ebb::Error;

constexpr unsigned kResetLooks = 1'000'000;  // a reset takes microseconds
constexpr std::uint16_t kMinMtu = 576;
constexpr std::uint16_t kMaxMtu = 9000;
/// Without merged buffers a frame must fit one.
constexpr std::uint16_t kMaxUnmergedMtu = kPageBytes - sizeof(Header) - 14;

constexpr std::uint16_t kCommandDescriptors = 3;

constexpr std::uint64_t kWanted = kFeatureVersion1 | kMac | kMtu | kMergeReceiveBuffers | kChecksum | kGuestChecksum |
                                  kHostSegments | kGuestSegments | kControlQueue | kMultiqueue;

std::uint64_t choose(std::uint64_t offered) {
  std::uint64_t features = offered & kWanted;
  // What rests on something else [virtio 1.1, 5.1.3.1]; super-segments also need merged buffers here.
  if (!(features & kChecksum)) features &= ~kHostSegments;
  if (!(features & kGuestChecksum) || !(features & kMergeReceiveBuffers)) features &= ~kGuestSegments;
  if (!(features & kControlQueue)) features &= ~kMultiqueue;
  return features;
}

}  // namespace

ebb::Result<std::unique_ptr<NetDevice>> NetDevice::create(Transport& transport, std::size_t max_pairs, std::size_t interrupts,
                                                          AllocatePages allocate) {
  std::unique_ptr<NetDevice> device(new NetDevice(transport));
  auto done = device->negotiate();
  if (done) done = device->set_up(max_pairs, interrupts, allocate);
  if (!done) {
    transport.set_status(static_cast<std::uint8_t>(transport.status() | kStatusFailed));
    return std::move(done).error();
  }
  return device;
}

// The order is the standard's [virtio 1.1, 3.1.1].
ebb::Result<void> NetDevice::negotiate() {
  transport_.set_status(0);
  for (unsigned look = 0; transport_.status() != 0; ++look) {
    if (look == kResetLooks) return Error(Errc::unavailable, "the network device does not reset; restart the node");
  }
  transport_.set_status(kStatusAcknowledge);
  transport_.set_status(kStatusAcknowledge | kStatusDriver);
  const std::uint64_t offered = transport_.device_features();
  if (!(offered & kFeatureVersion1)) {
    return Error(Errc::malformed, "the network device is older than virtio 1.0; use a modern one (QEMU: disable-modern=off)");
  }
  features_ = choose(offered);
  transport_.set_driver_features(features_);
  transport_.set_status(kStatusAcknowledge | kStatusDriver | kStatusFeaturesOk);
  if (!(transport_.status() & kStatusFeaturesOk)) {
    return Error(Errc::malformed, "the network device refuses a subset of the features it offers");
  }

  const auto read16 = [this](std::size_t offset, std::uint16_t& value) {
    return transport_.read_settings(offset, std::as_writable_bytes(std::span(&value, 1)));
  };
  if (!(features_ & kMac) || !transport_.read_settings(kMacOffset, std::as_writable_bytes(std::span(mac_.bytes))) ||
      (mac_.bytes[0] & 1) != 0) {
    return Error(Errc::malformed, "the network device has no usable MAC address; give it one (QEMU: mac=52:54:00:...)");
  }
  const bool merge = (features_ & kMergeReceiveBuffers) != 0;
  if ((features_ & kMtu) && !read16(kMtuOffset, mtu_)) return Error(Errc::malformed, "the network device's settings are cut short");
  mtu_ = std::clamp(mtu_, kMinMtu, merge ? kMaxMtu : kMaxUnmergedMtu);
  if (features_ & kMultiqueue) {
    std::uint16_t pairs = 0;
    if (!read16(kMaxPairsOffset, pairs) || pairs == 0 || pairs > 0x8000) {
      return Error(Errc::malformed, "the network device says it has an impossible number of queues");
    }
    offered_pairs_ = pairs;
  }
  link_.transmit_checksum = (features_ & kChecksum) != 0;
  link_.tcp_segmentation = (features_ & kHostSegments) != 0;
  return {};
}

ebb::Result<void> NetDevice::set_up(std::size_t max_pairs, std::size_t interrupts, AllocatePages allocate) {
  const std::size_t pairs = std::min({max_pairs, interrupts, offered_pairs_});
  if (pairs == 0) return Error(Errc::not_found, "the network device has no interrupts; give it vectors (QEMU: vectors=2N+2)");
  const bool merge = (features_ & kMergeReceiveBuffers) != 0;
  for (std::size_t i = 0; i < pairs; ++i) {
    const auto index = static_cast<std::uint16_t>(i);
    auto pair = QueuePair::create(transport_, index, merge, index, allocate);
    if (!pair) return std::move(pair).error();
    pairs_.push_back(std::move(*pair));
  }
  if (features_ & kMultiqueue) {
    // After all pairs the device has, used or not [virtio 1.1, 5.1.2].
    control_number_ = static_cast<std::uint16_t>(2 * offered_pairs_);
    auto control = Virtqueue::create(transport_.max_queue_size(control_number_), allocate);
    if (!control) return std::move(control).error();
    if (control->size() < kCommandDescriptors) return Error(Errc::malformed, "the network device's control queue is too short");
    command_ = static_cast<std::byte*>(allocate(1));
    if (command_ == nullptr) return Error(Errc::resource_exhausted, "no memory is left for a network command");
    if (auto done = transport_.set_up_queue(control_number_, control->addresses(), std::nullopt); !done) return done;
    control_ = std::move(*control);
  }
  transport_.set_status(kStatusAcknowledge | kStatusDriver | kStatusFeaturesOk | kStatusDriverOk);
  // The receive buffers were posted before the device was live.
  for (std::size_t i = 0; i < pairs; ++i) transport_.notify(static_cast<std::uint16_t>(2 * i));
  return {};
}

ebb::Result<void> NetDevice::set_active_pairs(std::size_t count, const std::function<bool()>& keep_waiting) {
  if (!control_ || pairs_.size() == 1) return {};
  if (control_stuck_ || control_->broken()) return Error(Errc::unavailable, "the network device answers no commands");
  // Class and command, the argument, and the device's answer: three descriptors [virtio 1.1, 5.1.6.5].
  constexpr std::size_t kArgument = 2;
  constexpr std::size_t kAnswer = 4;
  const auto wanted = static_cast<std::uint16_t>(std::clamp<std::size_t>(count, 1, pairs_.size()));
  command_[0] = std::byte{kClassMultiqueue};
  command_[1] = std::byte{kCommandSetPairs};
  std::memcpy(command_ + kArgument, &wanted, sizeof wanted);
  command_[kAnswer] = std::byte{0xff};
  const auto base = reinterpret_cast<std::uintptr_t>(command_);
  control_->descriptor(0) = {base, 2, kDescriptorNext, 1};
  control_->descriptor(1) = {base + kArgument, sizeof wanted, kDescriptorNext, 2};
  control_->descriptor(2) = {base + kAnswer, 1, kDescriptorDeviceWrites, 0};
  control_->publish(0);
  transport_.notify(control_number_);
  while (!control_->take_used()) {
    if (control_->broken() || !keep_waiting()) {
      control_stuck_ = true;
      return Error(Errc::unavailable, "the network device did not answer the command to use more queues");
    }
  }
  if (std::to_integer<std::uint8_t>(command_[kAnswer]) != kAcknowledged) {
    return Error(Errc::unavailable, "the network device refuses to use more queues");
  }
  return {};
}

}  // namespace kernel::virtio::net
