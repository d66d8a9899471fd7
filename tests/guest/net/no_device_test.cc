// A node without a network device says so, and works.
#include <gtest/gtest.h>

#include "ebb/async.h"
#include "ebb/platform/platform.h"
#include "ebb/platform/stream.h"

namespace ebb::platform {
namespace {

struct Nobody : StreamHandler {
  void on_connected() override {}
  void on_data(std::span<const std::byte>) override {}
  void on_writable() override {}
  void on_closed(Result<void>) override {}
};

task<int> look() {
  Nobody handler;
  const auto stream = connect({0x0a000001, 80}, handler);
  EXPECT_EQ(stream.code(), Errc::unavailable);
  EXPECT_EQ(stream.error().text(), "this node has no network device; give it a virtio-net device on PCI bus 0");
  EXPECT_EQ(listen({0, 80}, [](std::unique_ptr<Stream>) {}).code(), Errc::unavailable);
  EXPECT_EQ(own_address(), std::nullopt);
  co_await sleep_for(std::chrono::milliseconds(5));
  EXPECT_EQ(co_await on_core(CoreIndex{1}, [] { return listen({0, 80}, [](std::unique_ptr<Stream>) {}).code(); }),
            Errc::unavailable);
  co_return 7;
}

TEST(NodeWithoutANetworkDevice, SaysWhatIsMissingAndGoesOn) { EXPECT_EQ(run_cores(2, look), 7); }

TEST(NodeWithoutANetworkDevice, RefusesStreamsOutsideACore) {
  EXPECT_EQ(listen({0, 80}, [](std::unique_ptr<Stream>) {}).code(), Errc::unavailable);
}

}  // namespace
}  // namespace ebb::platform
