// Finding functions, walking capabilities, placing windows and programming MSI-X on a made-up bus.
#include <gtest/gtest.h>

#include "kernel/pci/device.h"
#include "kernel/pci/msix.h"
#include "tests/unit/pci/fake_config_space.h"

namespace kernel::pci {
namespace {

using pci_test::FakeConfigSpace;
using pci_test::FakeFunction;

TEST(Pci, FindsEveryFunctionAndAsksOnlyMultiFunctionDevicesForMore) {
  FakeConfigSpace config;
  config.add(0, 0, FakeFunction(0x8086, 0x29c0));
  config.add(0, 3, FakeFunction(0x8086, 0xdead));  // behind a single-function device: not to be believed
  FakeFunction many(0x8086, 0x2918);
  many.words[3] = 0x80u << 16;
  config.add(31, 0, many);
  config.add(31, 7, FakeFunction(0x8086, 0x2930));
  config.add(4, 1, FakeFunction(0x8086, 0xbeef));  // no function 0
  std::vector<std::uint16_t> devices;
  for (const Function& function : functions_on_bus_0(config)) devices.push_back(function.device);
  EXPECT_EQ(devices, (std::vector<std::uint16_t>{0x29c0, 0x2918, 0x2930}));
}

TEST(Pci, ListsCapabilitiesInOrder) {
  FakeConfigSpace config;
  FakeFunction function(1, 2);
  function.add_capability(0x50, kCapabilityMsix, {});
  function.add_capability(0x40, kCapabilityVendor, {});
  config.add(1, 0, function);
  const auto list = capabilities(config, {0, 1, 0});
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[0].id, kCapabilityVendor);
  EXPECT_EQ(list[1].offset, 0x50);
}

TEST(Pci, EndsACapabilityListThatLoopsOrLeadsIntoTheHeader) {
  FakeConfigSpace config;
  FakeFunction loop(1, 2);
  loop.words[1] = 1u << 20;
  loop.words[0x34 / 4] = 0x40;
  loop.words[0x40 / 4] = 0x44 << 8 | 9;
  loop.words[0x44 / 4] = 0x40 << 8 | 9;
  config.add(1, 0, loop);
  EXPECT_EQ(capabilities(config, {0, 1, 0}).size(), 2u);
  FakeFunction header(1, 2);
  header.words[1] = 1u << 20;
  header.words[0x34 / 4] = 0x40;
  header.words[0x40 / 4] = 0x04 << 8 | 9;
  config.add(2, 0, header);
  EXPECT_EQ(capabilities(config, {0, 2, 0}).size(), 1u);
  FakeFunction none(1, 2);
  none.words[0x34 / 4] = 0x40;  // the status register says there is no list
  config.add(3, 0, none);
  EXPECT_TRUE(capabilities(config, {0, 3, 0}).empty());
}

TEST(Pci, PlacesWindowsThatFirmwareLeftUnsetAndKeepsTheOthers) {
  FakeConfigSpace config;
  FakeFunction other(1, 2);
  other.set_bar(0, 0x1000, 0, 0xe000'1000);  // in the middle of the range
  config.add(1, 0, other);
  FakeFunction device(0x1af4, 0x1041);
  device.set_bar(0, 0x20, 1);          // ports
  device.set_bar(1, 0x1000);           // unset
  device.set_bar(2, 0x1000, 0, 0xfebf'0000);
  device.set_bar(4, 0x4000, 4 | 8);    // 64 bits, prefetchable, unset
  device.words[1] = 3;
  FakeFunction& kept = config.add(2, 0, device);
  WindowAllocator allocator(config);
  const auto windows = enable_windows(config, {0, 2, 0}, allocator);
  ASSERT_TRUE(windows);
  EXPECT_FALSE((*windows)[0]);
  ASSERT_TRUE((*windows)[1] && (*windows)[2] && (*windows)[4]);
  EXPECT_FALSE((*windows)[5]);
  EXPECT_EQ((*windows)[1]->base, 0xe000'0000u);
  EXPECT_EQ((*windows)[2]->base, 0xfebf'0000u);
  EXPECT_EQ((*windows)[4]->base, 0xe000'4000u);
  EXPECT_EQ((*windows)[4]->bytes, 0x4000u);
  EXPECT_EQ(kept.words[4 + 1], 0xe000'0000u);
  EXPECT_EQ(kept.words[4 + 4], 0xe000'400cu);
  EXPECT_EQ(kept.words[4 + 5], 0u);
  EXPECT_EQ(kept.command() & 7, 7u) << "ports stay on, memory and bus master are on";
  EXPECT_FALSE(kept.decoding_when_sized);
  EXPECT_EQ(config.functions.at({1, 0}).words[4], 0xe000'1000u) << "a window of another device changed";
}

TEST(Pci, ReadsA64BitWindowAboveFourGigabytes) {
  FakeConfigSpace config;
  FakeFunction device(1, 2);
  device.set_bar(4, 0x4000, 4 | 8, 0x8000'0000);
  device.words[4 + 5] = 0x70;
  config.add(2, 0, device);
  WindowAllocator allocator(config);
  const auto windows = enable_windows(config, {0, 2, 0}, allocator);
  ASSERT_TRUE(windows && (*windows)[4]);
  EXPECT_EQ((*windows)[4]->base, 0x70'8000'0000u);
}

TEST(Pci, SaysWhenAWindowFitsNowhere) {
  FakeConfigSpace config;
  FakeFunction device(1, 2);
  device.set_bar(0, 0x4000'0000);
  config.add(2, 0, device);
  WindowAllocator allocator(config);
  EXPECT_EQ(enable_windows(config, {0, 2, 0}, allocator).code(), ebb::Errc::resource_exhausted);
  EXPECT_TRUE(allocator.allocate(0x1000'0000));
  EXPECT_FALSE(allocator.allocate(0x1000'0000)) << "two of 256 MiB in 492";
}

struct MsixTest : testing::Test {
  void SetUp() override {
    FakeFunction device(1, 2);
    device.set_bar(1, 0x1000, 0, 0xe000'0000);
    device.add_capability(0x40, kCapabilityMsix, {3, 0, table, 0, 0, 0});  // 4 entries
    function = &config.add(2, 0, device);
    windows[1] = Window{0xe000'0000, 0x1000};
  }
  ebb::Result<MsixTable> enable() {
    return MsixTable::enable(config, {0, 2, 0}, windows, [this](std::uint64_t physical, std::size_t bytes) {
      EXPECT_EQ(bytes, 64u);
      return ebb::Result<volatile void*>(static_cast<volatile void*>(memory.data() + (physical - 0xe000'0000) / 4));
    });
  }
  std::uint8_t table = 1;  // register 1, offset 0
  FakeConfigSpace config;
  FakeFunction* function = nullptr;
  Windows windows;
  std::array<std::uint32_t, 1024> memory{};
};

TEST_F(MsixTest, MasksAllEntriesAndUnmasksWhatIsSet) {
  auto msix = enable();
  ASSERT_TRUE(msix);
  EXPECT_EQ(msix->size(), 4u);
  EXPECT_EQ(function->words[0x40 / 4] >> 16, 0x8003u);
  msix->set(2, 0x1'fee0'1000, 0x31);
  EXPECT_EQ(memory[8], 0xfee0'1000u);
  EXPECT_EQ(memory[9], 1u);
  EXPECT_EQ(memory[10], 0x31u);
  EXPECT_EQ(memory[11], 0u);
  EXPECT_EQ(memory[3], 1u);
  EXPECT_EQ(memory[15], 1u);
}

TEST_F(MsixTest, RefusesATableOutsideItsWindow) {
  function->words[0x44 / 4] = 0x0fd0 | 1;
  EXPECT_EQ(enable().code(), ebb::Errc::malformed);
  function->words[0x44 / 4] = 7;
  EXPECT_EQ(enable().code(), ebb::Errc::malformed);
  function->words[0x44 / 4] = 2;
  EXPECT_EQ(enable().code(), ebb::Errc::malformed);
  function->words[0x40 / 4] = 0;
  EXPECT_EQ(enable().code(), ebb::Errc::not_found);
}

}  // namespace
}  // namespace kernel::pci
