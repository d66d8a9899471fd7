// The network driver against a made-up device: negotiation, frames both ways, and a device that lies.
#include "kernel/virtio/net_device.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/unit/virtio/fake_net_device.h"

namespace kernel::virtio::net {
namespace {

using kernel::net::OutgoingFrame;
using kernel::net::ReceiveFlags;
using virtio_test::FakeNetDevice;

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text.data(), text.size())); }

std::string pattern(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 7 + i / 251);
  return text;
}

struct NetDeviceTest : testing::Test {
  ebb::Result<std::unique_ptr<NetDevice>> create(std::size_t pairs = 1, std::size_t interrupts = 16) {
    return NetDevice::create(device, pairs, interrupts, virtio_test::allocate_pages);
  }
  void start(std::size_t pairs = 1) {
    auto made = create(pairs);
    ASSERT_TRUE(made) << made.error().to_string();
    driver = std::move(*made);
  }
  QueuePair& pair(std::size_t index = 0) { return driver->pair(index); }
  bool send(std::string_view headers, std::string_view first = {}, std::string_view second = {}) {
    return pair().transmit({bytes_of(headers), {bytes_of(first), bytes_of(second)}});
  }
  std::vector<std::string> receive(std::size_t limit = 1000) {
    std::vector<std::string> frames;
    pair().receive(limit, [&](std::span<const std::byte> frame, ReceiveFlags flags) {
      frames.emplace_back(reinterpret_cast<const char*>(frame.data()), frame.size());
      checksum_valid = flags.checksum_valid;
    });
    return frames;
  }
  FakeNetDevice device;
  std::unique_ptr<NetDevice> driver;
  bool checksum_valid = false;
};

TEST_F(NetDeviceTest, FollowsTheOrderOfInitialization) {
  start();
  EXPECT_EQ(device.statuses, (std::vector<std::uint8_t>{0, 1, 3, 11, 15}));
  EXPECT_EQ(driver->mac().bytes, (std::array<std::uint8_t, 6>{0x52, 0x54, 0, 1, 2, 3}));
  EXPECT_TRUE(driver->link().transmit_checksum);
  EXPECT_TRUE(driver->link().tcp_segmentation);
  EXPECT_EQ(device.queues.at(0).interrupt, 0);
  EXPECT_EQ(device.queues.at(1).interrupt, std::nullopt);
}

TEST_F(NetDeviceTest, TakesOnlyFeaturesThatItUnderstandsAndThatRestOnOthers) {
  device.offered = kFeatureVersion1 | kMac | kHostSegments | kGuestSegments | kMultiqueue | std::uint64_t{1} << 29 | 1u << 28;
  start(4);
  EXPECT_EQ(device.accepted, kFeatureVersion1 | kMac);
  EXPECT_EQ(driver->pair_count(), 1u);
  EXPECT_FALSE(driver->link().transmit_checksum);
}

TEST_F(NetDeviceTest, RefusesADeviceItCannotUse) {
  device.offered &= ~kFeatureVersion1;
  EXPECT_EQ(create().code(), ebb::Errc::malformed);
  EXPECT_NE(device.statuses.back() & kStatusFailed, 0);
  device.offered |= kFeatureVersion1;
  device.refuse_features = true;
  EXPECT_EQ(create().code(), ebb::Errc::malformed);
  device.refuse_features = false;
  device.settings[0] = 1;  // a group address
  EXPECT_EQ(create().code(), ebb::Errc::malformed);
  device.settings[0] = 0x52;
  device.settings[8] = 0;  // no pairs
  EXPECT_EQ(create().code(), ebb::Errc::malformed);
  device.settings[8] = 4;
  EXPECT_EQ(create(1, 0).code(), ebb::Errc::not_found);
  device.offered_size = 0;
  EXPECT_EQ(create().code(), ebb::Errc::malformed);
  device.offered_size = 256;
  EXPECT_TRUE(create());
}

TEST_F(NetDeviceTest, KeepsTheMtuWithinWhatItsBuffersCarry) {
  device.offered |= kMtu;
  device.settings[10] = 0xff, device.settings[11] = 0xff;
  start();
  EXPECT_EQ(driver->mtu(), 9000);
  device.offered &= ~kMergeReceiveBuffers;
  start();
  EXPECT_LE(driver->mtu() + 14u + sizeof(Header), kPageBytes);
  device.settings[10] = 1, device.settings[11] = 0;
  start();
  EXPECT_EQ(driver->mtu(), 576);
}

TEST_F(NetDeviceTest, SetsUpAPairPerCoreAndUsesThemOnCommand) {
  start(3);
  EXPECT_EQ(driver->pair_count(), 3u);
  EXPECT_EQ(device.queues.at(4).interrupt, 2);
  EXPECT_TRUE(device.queues.contains(8)) << "the control queue follows all pairs the device has";
  EXPECT_TRUE(driver->set_active_pairs(2, [] { return false; }));
  EXPECT_TRUE(driver->set_active_pairs(99, [] { return false; }));
  EXPECT_EQ(device.active_pairs, (std::vector<std::uint16_t>{2, 3}));
  device.command_answer = 1;
  EXPECT_EQ(driver->set_active_pairs(1, [] { return false; }).code(), ebb::Errc::unavailable);
}

TEST_F(NetDeviceTest, GivesUpOnADeviceThatAnswersNoCommand) {
  start(2);
  device.answer_commands = false;
  int looks = 0;
  EXPECT_EQ(driver->set_active_pairs(2, [&] { return ++looks < 5; }).code(), ebb::Errc::unavailable);
  EXPECT_EQ(looks, 5);
  EXPECT_EQ(driver->set_active_pairs(2, [] { return true; }).code(), ebb::Errc::unavailable);
}

TEST_F(NetDeviceTest, SendsAFrameOfThreePiecesWithAPlainHeader) {
  start();
  EXPECT_TRUE(send("headers", "first", "second"));
  EXPECT_TRUE(device.sent.empty()) << "the device is told at the end of a batch";
  pair().flush();
  ASSERT_EQ(device.sent.size(), 1u);
  EXPECT_EQ(device.sent[0].frame, "headersfirstsecond");
  EXPECT_EQ(device.sent[0].header.flags, 0);
  EXPECT_EQ(device.sent[0].header.segmentation, 0);
  pair().flush();
  EXPECT_EQ(device.notifications[1], 1u);
}

TEST_F(NetDeviceTest, DescribesPartialChecksumsAndSuperSegments) {
  start();
  const std::string headers(54, 'h');
  const std::string payload = pattern(60'000);
  OutgoingFrame frame{bytes_of(headers), {bytes_of(payload).first(10'000), bytes_of(payload).subspan(10'000)}};
  frame.partial_checksum = true;
  frame.checksum_start = 34;
  frame.checksum_offset = 16;
  frame.segment_bytes = 1448;
  EXPECT_TRUE(pair().transmit(frame));
  pair().flush();
  ASSERT_EQ(device.sent.size(), 1u);
  EXPECT_EQ(device.sent[0].frame, headers + payload);
  EXPECT_EQ(device.sent[0].descriptors, 15u);
  const Header& header = device.sent[0].header;
  EXPECT_EQ(header.flags, kFlagNeedsChecksum);
  EXPECT_EQ(header.checksum_start, 34);
  EXPECT_EQ(header.checksum_offset, 16);
  EXPECT_EQ(header.segmentation, kSegmentationTcp4);
  EXPECT_EQ(header.segment_bytes, 1448);
  EXPECT_EQ(header.header_bytes, 54);
}

TEST_F(NetDeviceTest, SaysWhenTheRingIsFullAndGoesOnWhenTheDeviceIsDone) {
  start();
  device.hold_transmit = true;
  unsigned taken = 0;
  while (send("frame " + std::to_string(taken), pattern(5000))) ++taken;
  EXPECT_EQ(taken, 128u) << "two pages each";
  EXPECT_FALSE(send("small", pattern(5000)));
  EXPECT_EQ(device.sent.size(), taken) << "what is in the ring was announced";
  device.release_held();
  device.hold_transmit = false;
  for (int i = 0; i < 10'000; ++i) ASSERT_TRUE(send(std::to_string(i), pattern(static_cast<std::size_t>(i) % 9000)));
  pair().flush();
  for (int i = 0; i < 10'000; ++i) {
    ASSERT_EQ(device.sent[taken + static_cast<unsigned>(i)].frame,
              std::to_string(i) + pattern(static_cast<std::size_t>(i) % 9000));
  }
}

TEST_F(NetDeviceTest, RefusesAFrameLargerThanAnyLinkCarries) {
  start();
  EXPECT_FALSE(send("x", std::string(70'000, 'x')));
  EXPECT_TRUE(send("x"));
}

TEST_F(NetDeviceTest, DeliversFramesAndGivesTheBuffersBack) {
  start();
  for (int i = 0; i < 1000; ++i) {
    const std::string frame = pattern(60 + static_cast<std::size_t>(i));
    ASSERT_TRUE(device.inject(frame)) << i;
    ASSERT_TRUE(pair().waiting());
    ASSERT_EQ(receive(), std::vector{frame});
    ASSERT_FALSE(pair().waiting());
  }
  EXPECT_FALSE(checksum_valid);
  device.inject("checked", 0, kFlagChecksumValid);
  receive();
  EXPECT_TRUE(checksum_valid);
}

TEST_F(NetDeviceTest, DeliversAtMostTheLimit) {
  start();
  for (int i = 0; i < 5; ++i) device.inject("frame");
  EXPECT_EQ(receive(3).size(), 3u);
  EXPECT_TRUE(pair().waiting());
  EXPECT_EQ(receive(3).size(), 2u);
}

TEST_F(NetDeviceTest, PutsAFrameOfManyBuffersTogether) {
  start();
  const std::string large = pattern(65'000);
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(device.inject(large));
    ASSERT_TRUE(device.inject("next"));
    ASSERT_EQ(receive(), (std::vector<std::string>{large, "next"}));
  }
}

TEST_F(NetDeviceTest, DropsFramesWithImpossibleLengthsAndGoesOn) {
  start();
  for (int i = 0; i < 300; ++i) {
    ASSERT_TRUE(device.inject("long", 0, 0, 5000)) << i;
    ASSERT_TRUE(device.inject("short", 0, 0, 3));
    ASSERT_TRUE(device.inject("none", 0, 0, {}, std::uint16_t{0}));
    ASSERT_TRUE(device.inject("more than there are", 0, 0, {}, std::uint16_t{9}));
    ASSERT_TRUE(receive().empty());
  }
  EXPECT_EQ(pair().statistics().dropped_malformed, 1200u);
  EXPECT_TRUE(device.inject("good"));
  EXPECT_EQ(receive(), std::vector<std::string>{"good"});
}

TEST_F(NetDeviceTest, DropsAMergedFrameLargerThanAnyLinkCarries) {
  start();
  ASSERT_TRUE(device.inject(pattern(80'000)));
  EXPECT_TRUE(receive().empty());
  ASSERT_TRUE(device.inject(pattern(65'000)));
  EXPECT_EQ(receive().size(), 1u);
}

TEST_F(NetDeviceTest, StopsAPairWhoseDeviceBreaksTheRules) {
  start();
  auto& queue = device.queues.at(0);
  queue.fill_used(77'777, 10);
  queue.show_used();
  EXPECT_TRUE(receive().empty());
  EXPECT_TRUE(pair().broken());
  EXPECT_FALSE(pair().waiting());
}

TEST_F(NetDeviceTest, KeepsItsChainsWhenTheDeviceWritesIntoItsDescriptors) {
  start();
  device.hold_transmit = true;
  ASSERT_TRUE(send("a", pattern(9000)));
  pair().flush();
  auto& queue = device.queues.at(1);
  for (std::uint16_t i = 0; i < 256; ++i) {
    queue.descriptor(i).next = i;
    queue.descriptor(i).flags = kDescriptorNext;
  }
  device.release_held();
  device.hold_transmit = false;
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(send(std::to_string(i), pattern(6000)));
  pair().flush();
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(device.sent[1 + static_cast<unsigned>(i)].frame, std::to_string(i) + pattern(6000));
}

TEST_F(NetDeviceTest, IsSilentUntilAskedForAnInterrupt) {
  start();
  EXPECT_EQ(device.queues.at(0).available_flags(), kAvailableNoInterrupt);
  pair().want_interrupts(true);
  EXPECT_EQ(device.queues.at(0).available_flags(), 0);
  EXPECT_EQ(device.queues.at(1).available_flags(), kAvailableNoInterrupt);
}

}  // namespace
}  // namespace kernel::virtio::net
