// A node of several cores on a made-up device: what reaches which core, and when a core may sleep.
#include "kernel/platform/network_core.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>

#include "ebb/platform/platform.h"
#include "kernel/net/wire/internet.h"
#include "kernel/net/wire/link.h"
#include "tests/unit/virtio/fake_net_device.h"

namespace {
ebb::platform::Instant now{std::chrono::hours(1)};
std::map<std::uint16_t, unsigned> wakes;
std::string log;
}  // namespace

// The little of the platform that a core's network asks for.
namespace ebb::platform {
Clock::time_point Clock::now() noexcept { return ::now; }
void write_log(std::string_view line) noexcept { log += line; }
void wake(CoreIndex core) noexcept { ++wakes[to_number(core)]; }
void fill_random(std::span<std::byte> bytes) {
  static unsigned seed = 1;
  for (std::byte& byte : bytes) byte = static_cast<std::byte>((seed = seed * 1103515245 + 12345) >> 16);
}
}  // namespace ebb::platform

namespace kernel::platform {
namespace {

using kernel::net::Ipv4Config;
using ebb::CoreIndex;
constexpr std::uint32_t kOwn = 0x0a00'0001;
constexpr std::uint32_t kPeer = 0x0a00'0002;

struct NetworkCoreTest : testing::Test {
  void start(std::size_t core_count, std::size_t pairs) {
    auto made = virtio::net::NetDevice::create(device, core_count, pairs, virtio_test::allocate_pages);
    ASSERT_TRUE(made) << made.error().to_string();
    driver = std::move(*made);
    node = std::make_unique<NetworkNode>(*driver, core_count, std::size_t{64} << 20);
    for (std::size_t i = 0; i < core_count; ++i) {
      cores.push_back(std::make_unique<NetworkCore>(*node, static_cast<CoreIndex>(i)));
      node->add(i, *cores.back());
    }
    wakes.clear();
  }
  void take_address() {
    node->set_address(Ipv4Config{kOwn, 24, 0});
    for (auto& core : cores) core->poll();
    device.sent.clear();
  }
  /// "Who has our address?"
  std::string arp_request() {
    net::wire::EthernetHeader ethernet{};
    ethernet.destination.fill(0xff);
    ethernet.source = {0x52, 0x54, 0, 9, 9, 9};
    ethernet.type = net::wire::kEtherTypeArp;
    net::wire::ArpPacket arp{};
    arp.hardware_type = 1;
    arp.protocol_type = net::wire::kEtherTypeIpv4;
    arp.hardware_length = 6;
    arp.protocol_length = 4;
    arp.operation = 1;
    arp.sender_mac = ethernet.source;
    arp.sender_address = kPeer;
    arp.target_address = kOwn;
    std::string frame(60, '\0');
    std::memcpy(frame.data(), &ethernet, sizeof ethernet);
    std::memcpy(frame.data() + sizeof ethernet, &arp, sizeof arp);
    return frame;
  }
  virtio_test::FakeNetDevice device;
  std::unique_ptr<virtio::net::NetDevice> driver;
  std::unique_ptr<NetworkNode> node;
  std::vector<std::unique_ptr<NetworkCore>> cores;
};

struct Nobody : ebb::platform::StreamHandler {
  void on_connected() override {}
  void on_data(std::span<const std::byte>) override {}
  void on_writable() override {}
  void on_closed(ebb::Result<void>) override {}
};

TEST_F(NetworkCoreTest, EveryCoreTakesTheAddressAndIsWokenForIt) {
  start(3, 3);
  node->set_address(Ipv4Config{kOwn, 24, 0});
  EXPECT_EQ(wakes.size(), 3u);
  for (auto& core : cores) {
    EXPECT_LT(core->before_sleep(), now) << "a core went to sleep over a new address";
    core->poll();
    EXPECT_EQ(core->stack().address()->address, kOwn);
    EXPECT_GT(core->before_sleep(), now);
  }
  node->set_address(std::nullopt);
  cores[1]->poll();
  EXPECT_FALSE(cores[1]->stack().address());
}

TEST_F(NetworkCoreTest, AsksForInterruptsOnlyBeforeItSleepsAndLooksOnceMore) {
  start(1, 1);
  take_address();
  EXPECT_EQ(device.queues.at(0).available_flags(), virtio::kAvailableNoInterrupt);
  EXPECT_GT(cores[0]->before_sleep(), now);
  EXPECT_EQ(device.queues.at(0).available_flags(), 0);
  cores[0]->poll();
  EXPECT_EQ(device.queues.at(0).available_flags(), virtio::kAvailableNoInterrupt);
  device.inject("a frame just before the core sleeps");
  EXPECT_LT(cores[0]->before_sleep(), now);
}

TEST_F(NetworkCoreTest, TellsTheDeviceOfEverythingBeforeItSleeps) {
  start(1, 1);
  take_address();
  Nobody handler;
  auto stream = cores[0]->stack().connect({kPeer, 80}, handler);
  ASSERT_TRUE(stream);
  EXPECT_TRUE(device.sent.empty());
  EXPECT_GT(cores[0]->before_sleep(), now);
  EXPECT_EQ(device.sent.size(), 1u) << "the question for the peer's MAC";
  EXPECT_LT(cores[0]->before_sleep(), ebb::platform::kNever) << "the question is asked again when nobody answers";
}

TEST_F(NetworkCoreTest, CarriesWhatConcernsAllCoresToAllOfThem) {
  start(2, 2);
  take_address();
  wakes.clear();
  ASSERT_TRUE(device.inject(arp_request(), 1));
  EXPECT_TRUE(cores[1]->poll());
  EXPECT_EQ(wakes[0], 1u);
  EXPECT_LT(cores[0]->before_sleep(), now);
  EXPECT_TRUE(cores[0]->poll());
  EXPECT_EQ(device.sent.size(), 1u) << "one core answers";
}

TEST_F(NetworkCoreTest, SaysOnceThatItsDeviceBrokeTheRulesAndMaySleep) {
  start(1, 1);
  take_address();
  device.queues.at(0).fill_used(9999, 1);
  device.queues.at(0).show_used();
  log.clear();
  cores[0]->poll();
  EXPECT_NE(log.find("broke the rules"), std::string::npos);
  log.clear();
  cores[0]->poll();
  EXPECT_EQ(log, "");
  EXPECT_GT(cores[0]->before_sleep(), now);
}

TEST_F(NetworkCoreTest, ACoreWithoutAQueueSendsThroughCore0) {
  start(2, 1);
  take_address();
  wakes.clear();
  Nobody handler;
  auto stream = cores[1]->stack().connect({kPeer, 80}, handler);
  ASSERT_TRUE(stream);
  EXPECT_TRUE(device.sent.empty());
  EXPECT_EQ(wakes[0], 1u);
  cores[0]->poll();
  ASSERT_EQ(device.sent.size(), 1u);
  EXPECT_EQ(device.sent[0].pair, 0u);
  EXPECT_EQ(device.sent[0].frame.substr(0, 6), std::string(6, '\xff'));
}

}  // namespace
}  // namespace kernel::platform
