// Finding a virtio device's registers, and refusing descriptions that lead outside its windows. The registers are plain
// memory: what they do when written is the made-up device's part in net_device_test.cc, and QEMU's in the guest tests.
#include "kernel/virtio/pci_transport.h"

#include <gtest/gtest.h>

#include <array>

#include "tests/unit/pci/fake_config_space.h"

namespace kernel::virtio {
namespace {

constexpr std::uint64_t kBase = 0xe000'0000;
constexpr std::uint32_t kWindowBytes = 0x4000;

struct PciTransportTest : testing::Test {
  struct Part {
    std::uint8_t type;
    std::uint8_t bar = 4;
    std::uint32_t offset = 0;
    std::uint32_t bytes = 0x1000;
    std::uint8_t length = 16;
    std::uint32_t multiplier = 4;
  };
  void SetUp() override { windows[4] = pci::Window{kBase, kWindowBytes}; }
  ebb::Result<std::unique_ptr<PciTransport>> create(const std::vector<Part>& parts) {
    pci_test::FakeFunction function(0x1af4, 0x1041);
    std::uint8_t at = 0x40;
    for (auto part = parts.rbegin(); part != parts.rend(); ++part, at = static_cast<std::uint8_t>(at + 20)) {
      std::vector<std::uint8_t> body{part->length, part->type, part->bar, 0, 0, 0};
      for (const std::uint32_t word : {part->offset, part->bytes, part->multiplier}) {
        for (unsigned shift = 0; shift < 32; shift += 8) body.push_back(static_cast<std::uint8_t>(word >> shift));
      }
      function.add_capability(at, pci::kCapabilityVendor, body);
    }
    config.functions.clear();
    config.add(2, 0, function);
    return PciTransport::create(config, {0, 2, 0}, windows, [this](std::uint64_t physical, std::size_t bytes) {
      EXPECT_GE(physical, kBase);
      EXPECT_LE(physical + bytes, kBase + kWindowBytes);
      return ebb::Result<volatile void*>(static_cast<volatile void*>(memory.data() + (physical - kBase)));
    });
  }
  std::vector<Part> good() { return {{1, 4, 0, 56}, {2, 4, 0x3000, 64, 20}, {3, 4, 0x1000}, {4, 4, 0x2000, 12}}; }
  CommonConfiguration& common() { return *reinterpret_cast<CommonConfiguration*>(memory.data()); }

  pci_test::FakeConfigSpace config;
  pci::Windows windows;
  alignas(8) std::array<std::byte, kWindowBytes> memory{};
};

TEST_F(PciTransportTest, SetsUpAQueueInTheRegistersAndRingsItsOwnBell) {
  auto transport = create(good());
  ASSERT_TRUE(transport) << transport.error().to_string();
  common().queue_size = 256;
  common().queue_notify_offset = 3;
  EXPECT_EQ((*transport)->max_queue_size(5), 256);
  EXPECT_EQ(common().queue_select, 5);
  ASSERT_TRUE((*transport)->set_up_queue(5, {128, 0x1'2000'3000, 0x1'2000'4000, 0x1'2000'5000}, 2));
  EXPECT_EQ(common().queue_size, 128);
  EXPECT_EQ(common().queue_descriptors[0], 0x2000'3000u);
  EXPECT_EQ(common().queue_descriptors[1], 1u);
  EXPECT_EQ(common().queue_available[0], 0x2000'4000u);
  EXPECT_EQ(common().queue_used[0], 0x2000'5000u);
  EXPECT_EQ(common().queue_interrupt, 2);
  EXPECT_EQ(common().queue_enable, 1);
  (*transport)->notify(5);
  EXPECT_EQ(std::to_integer<int>(memory[0x3000 + 3 * 4]), 5);
  ASSERT_TRUE((*transport)->set_up_queue(6, {128, 0, 0, 0}, std::nullopt));
  EXPECT_EQ(common().queue_interrupt, 0xffff);
}

TEST_F(PciTransportTest, ReadsSettingsWithinTheirLength) {
  auto transport = create(good());
  ASSERT_TRUE(transport);
  memory[0x2000 + 8] = std::byte{7};
  std::array<std::byte, 2> two{};
  EXPECT_TRUE((*transport)->read_settings(8, two));
  EXPECT_EQ(two[0], std::byte{7});
  EXPECT_TRUE((*transport)->read_settings(10, two));
  EXPECT_FALSE((*transport)->read_settings(11, two));
  EXPECT_FALSE((*transport)->read_settings(~std::size_t{0}, two));
}

TEST_F(PciTransportTest, RefusesABellOutsideItsBlock) {
  auto transport = create(good());
  ASSERT_TRUE(transport);
  common().queue_notify_offset = 16;  // 16 * 4 = 64, the block's end
  EXPECT_EQ((*transport)->set_up_queue(0, {8, 0, 0, 0}, std::nullopt).code(), ebb::Errc::malformed);
  common().queue_notify_offset = 15;
  EXPECT_TRUE((*transport)->set_up_queue(0, {8, 0, 0, 0}, std::nullopt));
  EXPECT_EQ((*transport)->set_up_queue(5000, {8, 0, 0, 0}, std::nullopt).code(), ebb::Errc::malformed);
  EXPECT_EQ((*transport)->max_queue_size(5000), 0);
}

TEST_F(PciTransportTest, NeedsEveryPartWithinAWindow) {
  for (std::size_t missing : {0u, 1u, 3u}) {
    auto parts = good();
    parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(missing));
    EXPECT_EQ(create(parts).code(), ebb::Errc::malformed) << missing;
  }
  for (const Part& wrong : {Part{1, 4, kWindowBytes - 55, 56}, Part{1, 4, 0xffff'fff0, 0x20}, Part{1, 6, 0, 56}, Part{1, 2, 0, 56},
                            Part{1, 4, 0, 55}, Part{1, 4, 0, 0}}) {
    auto parts = good();
    parts[0] = wrong;
    EXPECT_EQ(create(parts).code(), ebb::Errc::malformed) << wrong.offset << ' ' << wrong.bytes << ' ' << int{wrong.bar};
  }
  auto parts = good();
  parts[1].length = 16;  // no multiplier
  EXPECT_EQ(create(parts).code(), ebb::Errc::malformed);
}

TEST_F(PciTransportTest, TakesTheFirstOfAKindThatItCanUse) {
  auto parts = good();
  parts.insert(parts.begin(), Part{1, 0, 0, 56});       // a register that does not exist here
  parts.push_back(Part{1, 4, 0x800, 56});               // a second choice
  EXPECT_TRUE(create(parts));
}

}  // namespace
}  // namespace kernel::virtio
