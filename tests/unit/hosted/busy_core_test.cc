// A core whose events take long, and its streams.
#include <gtest/gtest.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>

#include "ebb/async.h"
#include "ebb/platform/stream.h"

namespace ebb {
namespace {

using namespace std::chrono_literals;
constexpr platform::Endpoint kLoopback{0x7f000001, 0};

struct Listening : platform::StreamHandler {
  bool connected = false;
  std::optional<platform::Instant> heard;
  void on_connected() override { connected = true; }
  void on_data(std::span<const std::byte>) override {
    if (!heard) heard = platform::Clock::now();
  }
  void on_writable() override {}
  void on_closed(Result<void>) override {}
};

task<void> compute_until(const bool* stop) {
  while (!*stop) {
    const auto end = platform::Clock::now() + 1ms;
    while (platform::Clock::now() < end) {
    }
    co_await yield();
  }
}

TEST(BusyCore, ReadsItsStreamsWhileHundredsOfTasksCompute) {
  EXPECT_EQ(run_cores(1, []() -> task<int> {
    Listening near, far;
    std::unique_ptr<platform::Stream> accepted;
    auto accept = [&accepted, &far](std::unique_ptr<platform::Stream> stream) {
      accepted = std::move(stream);
      accepted->set_handler(far);
    };
    auto listener = platform::listen(kLoopback, std::move(accept)).value();
    auto stream = platform::connect(listener->local(), near).value();
    while (!near.connected || !accepted) co_await sleep_for(1ms);
    bool stop = false;
    Scope scope;
    for (int i = 0; i < 300; ++i) scope.spawn(compute_until(&stop));
    co_await sleep_for(1ms);
    const auto sent = platform::Clock::now();
    const std::byte byte{1};
    EXPECT_EQ(stream->send({&byte, 1}), 1u);
    while (!far.heard) co_await sleep_for(1ms);
    EXPECT_LE(*far.heard - sent, 100ms);
    stop = true;
    co_await scope.join();
    co_return 0;
  }), 0);
}

TEST(BusyCoreDeathTest, ReportsAnExceptionThatLeavesACallbackWhileItSleeps) {
  const auto run = [] {
    run_cores(1, []() -> task<int> {
      auto refuse = [](std::unique_ptr<platform::Stream>) { throw std::runtime_error("boom"); };
      auto listener = platform::listen(kLoopback, std::move(refuse)).value();
      std::thread caller([port = listener->local().port] {
        std::this_thread::sleep_for(20ms);
        const int made = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(kLoopback.address);
        address.sin_port = htons(port);
        static_cast<void>(connect(made, reinterpret_cast<const sockaddr*>(&address), sizeof address));
      });
      caller.detach();
      co_await sleep_for(10s);
      co_return 0;
    });
  };
  EXPECT_EXIT(run(), testing::ExitedWithCode(Core::kUncaughtStatus), "a platform callback .*boom");
}

}  // namespace
}  // namespace ebb
