// The stack against Linux's own TCP, over a TAP device in a network namespace that the test makes and that goes with
// its process. Needs root (or CAP_NET_ADMIN and CAP_SYS_ADMIN) and /dev/net/tun, and says so where they are missing.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <thread>

#include "tests/unit/net/world.h"

namespace net_test {
namespace {

using namespace std::chrono_literals;
constexpr std::uint32_t kLinuxAddress = 0x0a4d0001;
constexpr std::uint32_t kStackAddress = 0x0a4d0002;
constexpr std::uint16_t kPort = 7001;
constexpr std::size_t kBulk = 10'000'000;

sockaddr_in address_of(std::uint32_t address, std::uint16_t port) {
  sockaddr_in result{};
  result.sin_family = AF_INET;
  result.sin_addr.s_addr = htonl(address);
  result.sin_port = htons(port);
  return result;
}

/// Opens a TAP with an address in a fresh namespace; every socket of this process is in there from then on.
int open_tap(std::string& problem) {
  if (unshare(CLONE_NEWNET) != 0) return problem = "cannot make a network namespace; run as root", -1;
  const int tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (tap < 0) return problem = "cannot open /dev/net/tun; load the tun module or pass the device in", -1;
  ifreq request{};
  request.ifr_flags = IFF_TAP | IFF_NO_PI;
  std::strcpy(request.ifr_name, "stack0");
  if (ioctl(tap, TUNSETIFF, &request) != 0) return problem = "cannot make a TAP device; CAP_NET_ADMIN is missing", -1;
  const int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const auto set = [&](unsigned long operation, std::uint32_t value) {
    const sockaddr_in address = address_of(value, 0);
    std::memcpy(&request.ifr_addr, &address, sizeof(address));
    return ioctl(control, operation, &request) == 0;
  };
  bool good = set(SIOCSIFADDR, kLinuxAddress) && set(SIOCSIFNETMASK, 0xffffff00);
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  good = good && ioctl(control, SIOCSIFFLAGS, &request) == 0;
  close(control);
  if (!good) return problem = "cannot configure the TAP device", -1;
  return tap;
}

/// Runs a stack on the TAP with real time, in the test's own thread.
class TapStack final : public kernel::net::Environment {
 public:
  explicit TapStack(int tap) : tap_(tap) {
    kernel::net::Config config;
    config.mac = {{2, 0, 0, 0, 0, 7}};
    stack = std::make_unique<Stack>(config, *this, shared_);
    stack->set_address(Ipv4Config{kStackAddress, 24, 0});
  }
  bool transmit(const kernel::net::OutgoingFrame& out) override {
    Frame whole(out.headers.begin(), out.headers.end());
    for (const auto& piece : out.payload) whole.insert(whole.end(), piece.begin(), piece.end());
    return write(tap_, whole.data(), whole.size()) > 0;
  }
  void pass(ebb::CoreIndex, std::span<const std::byte>, ReceiveFlags) override {}
  void fill_random(std::span<std::byte> bytes) override { ASSERT_EQ(getrandom(bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size())); }
  Instant now() override { return Instant(std::chrono::steady_clock::now().time_since_epoch()); }
  bool run(const std::function<bool()>& done, Duration limit = 30s) {
    const Instant end = now() + limit;
    std::array<std::byte, 2048> buffer;
    while (!done()) {
      if (now() > end) return false;
      pollfd ready{tap_, POLLIN, 0};
      poll(&ready, 1, 1);
      for (int i = 0; i < 64; ++i) {
        const ssize_t size = read(tap_, buffer.data(), buffer.size());
        if (size <= 0) break;
        stack->receive(std::span(buffer).first(static_cast<std::size_t>(size)), {});
      }
      stack->advance();
    }
    return true;
  }
  std::unique_ptr<Stack> stack;

 private:
  int tap_;
  kernel::net::Shared shared_;
};

bool send_all(int socket, const std::string& bytes) {
  for (std::size_t at = 0; at < bytes.size();) {
    const ssize_t sent = send(socket, bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
    if (sent <= 0) return false;
    at += static_cast<std::size_t>(sent);
  }
  return true;
}

std::string receive_all(int socket, std::size_t size) {
  std::string bytes;
  std::array<char, 65536> buffer;
  while (bytes.size() < size) {
    const ssize_t got = recv(socket, buffer.data(), buffer.size(), 0);
    if (got <= 0) break;
    bytes.append(buffer.data(), static_cast<std::size_t>(got));
  }
  return bytes;
}

TEST(LinuxInterop, EchoesBulkDataBothWaysClosesInOrderAndResets) {
  std::string problem;
  const int tap = open_tap(problem);
  ASSERT_GE(tap, 0) << problem;
  TapStack host(tap);

  // Linux connects to us, sends 10 MB and gets it back; then it closes in order.
  Peer accepted;
  accepted.data_hook = [](Peer& peer) { peer.send(std::exchange(peer.received, {})); };
  auto listener = host.stack->listen({0, kPort}, [&](std::unique_ptr<ebb::platform::Stream> stream) {
    stream->set_handler(accepted);
    accepted.stream = std::move(stream);
  });
  ASSERT_TRUE(listener);
  const std::string bulk = pattern(kBulk, 1);
  std::atomic<bool> linux_done{false};
  std::string echoed;
  bool end_seen = false;
  std::thread linux_side([&] {
    const int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const timeval patience{25, 0};
    setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    const sockaddr_in to = address_of(kStackAddress, kPort);
    if (::connect(client, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) == 0) {
      std::thread sender([&] { send_all(client, bulk); });
      echoed = receive_all(client, bulk.size());
      sender.join();
      shutdown(client, SHUT_WR);
      char byte;
      end_seen = recv(client, &byte, 1, 0) == 0;
    }
    close(client);
    linux_done = true;
  });
  EXPECT_TRUE(host.run([&] { return linux_done && accepted.closed != 0; }));
  linux_side.join();
  EXPECT_TRUE(echoed == bulk) << echoed.size() << " bytes came back";
  EXPECT_TRUE(end_seen);
  EXPECT_FALSE(accepted.error);

  // We connect to Linux and send; it sends back, then resets us.
  const int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in any = address_of(kLinuxAddress, kPort);
  ASSERT_EQ(bind(server, reinterpret_cast<const sockaddr*>(&any), sizeof(any)), 0);
  ASSERT_EQ(::listen(server, 1), 0);
  std::string heard;
  std::thread linux_server([&] {
    const int peer = accept(server, nullptr, nullptr);
    const timeval patience{25, 0};
    setsockopt(peer, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    heard = receive_all(peer, bulk.size());
    send_all(peer, "got it");
    std::this_thread::sleep_for(100ms);
    const linger reset{1, 0};
    setsockopt(peer, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    close(peer);
  });
  Peer client;
  auto stream = host.stack->connect({kLinuxAddress, kPort}, client);
  ASSERT_TRUE(stream);
  client.stream = std::move(*stream);
  EXPECT_TRUE(host.run([&] { return client.connected; }));
  client.send(bulk);
  EXPECT_TRUE(host.run([&] { return client.closed != 0; }));
  shutdown(server, SHUT_RDWR);
  linux_server.join();
  close(server);
  EXPECT_TRUE(heard == bulk) << heard.size() << " bytes arrived";
  EXPECT_EQ(client.received, "got it");
  EXPECT_EQ(client.error, ebb::Errc::node_gone);

  // A closed port of Linux refuses us; a stream we drop resets Linux.
  Peer refused;
  auto second = host.stack->connect({kLinuxAddress, 9}, refused);
  ASSERT_TRUE(second);
  EXPECT_TRUE(host.run([&] { return refused.closed != 0; }, 5s));
  EXPECT_EQ(refused.error, ebb::Errc::unavailable);
  EXPECT_EQ(host.stack->statistics().dropped_checksum, 0u);
  client.stream.reset();
  accepted.stream.reset();
  second->reset();
  close(tap);
}

}  // namespace
}  // namespace net_test
