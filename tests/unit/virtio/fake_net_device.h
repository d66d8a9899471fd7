// A made-up virtio network device in the same address space: does what the standard asks of a device, checks what the
// driver does, and misbehaves when a test says so.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kernel/virtio/net_format.h"
#include "kernel/virtio/transport.h"
#include "kernel/virtio/virtqueue.h"

namespace virtio_test {

using kernel::virtio::Descriptor;
using kernel::virtio::QueueAddresses;
using kernel::virtio::UsedElement;
namespace net = kernel::virtio::net;

/// Zeroed pages, kept until the test's process ends, as a driver expects.
inline void* allocate_pages(std::size_t count) {
  struct Free {
    void operator()(void* memory) const noexcept { std::free(memory); }
  };
  static std::vector<std::unique_ptr<void, Free>> kept;
  kept.emplace_back(std::aligned_alloc(kernel::virtio::kPageBytes, count * kernel::virtio::kPageBytes));
  std::memset(kept.back().get(), 0, count * kernel::virtio::kPageBytes);
  return kept.back().get();
}

/// The device's side of a split queue.
struct DeviceQueue {
  QueueAddresses addresses;
  std::optional<std::uint16_t> interrupt;
  std::uint16_t seen = 0;   // available entries taken
  std::uint16_t used = 0;   // used entries given

  template <class T>
  static volatile T* at(std::uint64_t address) { return reinterpret_cast<volatile T*>(address); }
  volatile Descriptor& descriptor(std::uint16_t index) const { return at<Descriptor>(addresses.descriptors)[index]; }
  std::uint16_t available_flags() const { return at<std::uint16_t>(addresses.available)[0]; }
  std::uint16_t available_index() const { return at<std::uint16_t>(addresses.available)[1]; }
  bool has_buffer() const { return available_index() != seen; }
  std::uint16_t take() { return at<std::uint16_t>(addresses.available)[2 + seen++ % addresses.size]; }
  void fill_used(std::uint32_t id, std::uint32_t length) {
    volatile auto& element = at<UsedElement>(addresses.used + 4)[used++ % addresses.size];
    element.id = id;
    element.length = length;
  }
  void show_used() { at<std::uint16_t>(addresses.used)[1] = used; }
  void set_no_notify(bool no) { at<std::uint16_t>(addresses.used)[0] = no ? 1 : 0; }
};

class FakeNetDevice final : public kernel::virtio::Transport {
 public:
  struct Sent {
    net::Header header;
    std::string frame;
    std::size_t pair;
    std::size_t descriptors;
  };

  std::uint64_t offered = kernel::virtio::kFeatureVersion1 | net::kMac | net::kMergeReceiveBuffers | net::kChecksum |
                          net::kGuestChecksum | net::kHostSegments | net::kGuestSegments | net::kControlQueue | net::kMultiqueue;
  std::vector<std::uint8_t> settings{0x52, 0x54, 0, 1, 2, 3, 1, 0, 4, 0, 0xdc, 5};  // MAC, status, 4 pairs, MTU 1500
  std::uint16_t offered_size = 256;
  std::uint64_t accepted = 0;
  bool refuse_features = false;
  bool answer_commands = true;
  std::uint8_t command_answer = 0;
  bool hold_transmit = false;  // keep what is sent, do not give it back
  std::vector<Sent> sent;
  std::vector<std::uint16_t> active_pairs;
  std::map<std::uint16_t, DeviceQueue> queues;
  std::map<std::uint16_t, unsigned> notifications;
  std::vector<std::uint8_t> statuses;

  std::uint8_t status() override { return status_; }
  void set_status(std::uint8_t status) override {
    statuses.push_back(status);
    if (status == 0) queues.clear();
    status_ = refuse_features ? static_cast<std::uint8_t>(status & ~kernel::virtio::kStatusFeaturesOk) : status;
  }
  std::uint64_t device_features() override { return offered; }
  void set_driver_features(std::uint64_t features) override { accepted = features; }
  std::uint16_t max_queue_size(std::uint16_t) override { return offered_size; }
  ebb::Result<void> set_up_queue(std::uint16_t queue, const QueueAddresses& addresses,
                                 std::optional<std::uint16_t> interrupt) override {
    EXPECT_EQ(addresses.descriptors % 16, 0u);
    EXPECT_EQ(addresses.available % 2, 0u);
    EXPECT_EQ(addresses.used % 4, 0u);
    EXPECT_EQ(status_ & kernel::virtio::kStatusDriverOk, 0) << "a queue was set up after the device went live";
    queues[queue] = {addresses, interrupt, 0, 0};
    return {};
  }
  void notify(std::uint16_t queue) override {
    EXPECT_NE(status_ & kernel::virtio::kStatusDriverOk, 0) << "notified before the device was live";
    ++notifications[queue];
    if (queue == settings[8] * 2) return run_command(queues.at(queue));
    if (queue % 2 == 1) take_sent(queue);
  }
  bool read_settings(std::size_t offset, std::span<std::byte> target) override {
    if (offset + target.size() > settings.size()) return false;
    std::memcpy(target.data(), settings.data() + offset, target.size());
    return true;
  }

  void take_sent(std::uint16_t number) {
    DeviceQueue& queue = queues.at(number);
    while (queue.has_buffer()) {
      const std::uint16_t head = queue.take();
      std::string bytes;
      std::size_t count = 0;
      for (std::uint16_t index = head;; index = queue.descriptor(index).next) {
        const volatile Descriptor& descriptor = queue.descriptor(index);
        ASSERT_LT(++count, 256u) << "a chain without end";
        ASSERT_EQ(descriptor.flags & kernel::virtio::kDescriptorDeviceWrites, 0);
        ASSERT_LE(descriptor.length, kernel::virtio::kPageBytes);
        bytes.append(reinterpret_cast<const char*>(descriptor.address), descriptor.length);
        if (!(descriptor.flags & kernel::virtio::kDescriptorNext)) break;
      }
      Sent one{{}, bytes.substr(sizeof(net::Header)), number / 2u, count};
      std::memcpy(&one.header, bytes.data(), sizeof one.header);
      sent.push_back(one);
      if (hold_transmit) {
        held_.push_back({number, head});
      } else {
        queue.fill_used(head, 0);
      }
    }
    queue.show_used();
  }
  void release_held() {
    for (auto [number, head] : held_) queues.at(number).fill_used(head, 0);
    for (auto [number, head] : held_) queues.at(number).show_used();
    held_.clear();
  }

  /// A frame comes in on `pair`; false: no buffers. `length` replaces the used length of each buffer.
  bool inject(std::string_view frame, std::size_t pair = 0, std::uint8_t flags = 0, std::optional<std::uint32_t> length = {},
              std::optional<std::uint16_t> buffers = {}) {
    DeviceQueue& queue = queues.at(static_cast<std::uint16_t>(2 * pair));
    net::Header header{};
    header.flags = flags;
    std::string bytes(sizeof header, '\0');
    bytes += frame;
    const std::size_t page = kernel::virtio::kPageBytes;
    header.buffer_count = buffers.value_or(static_cast<std::uint16_t>((bytes.size() + page - 1) / page));
    std::memcpy(bytes.data(), &header, sizeof header);
    for (std::size_t done = 0; done < bytes.size(); done += page) {
      if (!queue.has_buffer()) return false;
      const std::uint16_t head = queue.take();
      const std::size_t part = std::min(page, bytes.size() - done);
      EXPECT_NE(queue.descriptor(head).flags & kernel::virtio::kDescriptorDeviceWrites, 0);
      EXPECT_GE(queue.descriptor(head).length, part);
      std::memcpy(reinterpret_cast<char*>(queue.descriptor(head).address), bytes.data() + done, part);
      queue.fill_used(head, length.value_or(static_cast<std::uint32_t>(part)));
    }
    queue.show_used();
    return true;
  }

 private:
  void run_command(DeviceQueue& queue) {
    if (!answer_commands || !queue.has_buffer()) return;
    const std::uint16_t head = queue.take();
    const volatile Descriptor& first = queue.descriptor(head);
    const volatile Descriptor& second = queue.descriptor(first.next);
    const volatile Descriptor& third = queue.descriptor(second.next);
    const auto* command = reinterpret_cast<const std::uint8_t*>(first.address);
    EXPECT_EQ(first.length, 2u);
    EXPECT_EQ(command[0], net::kClassMultiqueue);
    EXPECT_EQ(command[1], net::kCommandSetPairs);
    std::uint16_t pairs = 0;
    std::memcpy(&pairs, reinterpret_cast<const void*>(second.address), sizeof pairs);
    active_pairs.push_back(pairs);
    EXPECT_NE(third.flags & kernel::virtio::kDescriptorDeviceWrites, 0);
    *reinterpret_cast<std::uint8_t*>(third.address) = command_answer;
    queue.fill_used(head, 1);
    queue.show_used();
  }

  std::uint8_t status_ = 0x55;
  std::vector<std::pair<std::uint16_t, std::uint16_t>> held_;
};

}  // namespace virtio_test
