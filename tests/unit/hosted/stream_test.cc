// Streams over loopback: order, back-pressure, both ways to end, and what goes wrong.
#include "ebb/platform/stream.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "ebb/platform/platform.h"

namespace ebb::platform {
namespace {

using namespace std::chrono_literals;
constexpr std::uint32_t kLoopback = 0x7f000001;

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text.data(), text.size())); }

/// Keeps all it is told; `react` may act on data.
struct Recorder : StreamHandler {
  bool connected = false;
  int writable = 0;
  std::string data;
  std::optional<Result<void>> closed;
  std::function<void(std::string_view)> react;
  void on_connected() override { connected = true; }
  void on_data(std::span<const std::byte> bytes) override {
    EXPECT_FALSE(closed.has_value());
    EXPECT_LE(bytes.size(), 65'536u);
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    data += text;
    if (react) react(text);
  }
  void on_writable() override { ++writable; }
  void on_closed(Result<void> reason) override { closed = std::move(reason); }
};

class Streams : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(enter_core(CoreIndex(0))); }
  void TearDown() override {
    client_.reset();
    server_.reset();
    listener_.reset();
    while (poll()) {
    }
    leave_core();
  }
  /// Lets callbacks run until `done` or ten seconds are over.
  static bool until(const std::function<bool()>& done) {
    const Instant end = Clock::now() + 10s;
    while (!done() && Clock::now() < end) {
      if (!poll()) wait(Clock::now() + 1ms);
    }
    return done();
  }
  static void settle() {
    const Instant end = Clock::now() + 30ms;
    while (Clock::now() < end) {
      if (!poll()) wait(Clock::now() + 1ms);
    }
  }
  void open() {
    auto listening = listen({kLoopback, 0}, [this](std::unique_ptr<Stream> stream) {
      server_ = std::move(stream);
      server_->set_handler(at_server_);
    });
    ASSERT_TRUE(listening) << listening.error().to_string();
    listener_ = std::move(*listening);
    auto connecting = connect(listener_->local(), at_client_);
    ASSERT_TRUE(connecting);
    client_ = std::move(*connecting);
    EXPECT_EQ(client_->send(bytes_of("early")), 0u);
    ASSERT_TRUE(until([this] { return at_client_.connected && server_ != nullptr; }));
  }
  Recorder at_client_, at_server_;
  std::unique_ptr<Listener> listener_;
  std::unique_ptr<Stream> client_, server_;
};

TEST_F(Streams, EchoInOrder) {
  open();
  at_server_.react = [this](std::string_view text) { server_->send(bytes_of(text)); };
  EXPECT_EQ(client_->send(bytes_of("one ")), 4u);
  EXPECT_EQ(client_->send(bytes_of("two")), 3u);
  EXPECT_TRUE(until([this] { return at_client_.data == "one two"; })) << at_client_.data;
  EXPECT_EQ(client_->remote(), listener_->local());
  EXPECT_EQ(server_->remote(), client_->local());
}

TEST_F(Streams, WaitForFilesToBeTakenInAndSaySoOnce) {
  auto listening = listen({kLoopback, 0}, [this](std::unique_ptr<Stream> stream) {
    server_ = std::move(stream);
    server_->set_handler(at_server_);
  });
  ASSERT_TRUE(listening);
  listener_ = std::move(*listening);
  const int peer = socket(AF_INET, SOCK_STREAM, 0);
  testing::internal::CaptureStderr();
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const int next = fcntl(peer, F_DUPFD, 0);
  close(next);
  const rlimit none{static_cast<rlim_t>(next), before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(listener_->local().port);
  address.sin_addr.s_addr = htonl(kLoopback);
  EXPECT_EQ(::connect(peer, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  // It tries again ten times a second.
  const Instant end = Clock::now() + 350ms;
  EXPECT_FALSE(until([this, end] { return server_ != nullptr || Clock::now() >= end; }) && server_ != nullptr);
  EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_TRUE(until([this] { return server_ != nullptr; }));
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 1) << said;
  EXPECT_NE(said.find("`ulimit -Hn`"), std::string::npos) << said;
  close(peer);
}

TEST_F(Streams, DeliverEverythingBeforeAnOrderlyEndAndStillCarryTheAnswer) {
  open();
  at_server_.react = [this](std::string_view) { server_->send(bytes_of("answer")); };
  client_->send(bytes_of("question"));
  client_->close();
  EXPECT_EQ(client_->send(bytes_of("more")), 0u);
  ASSERT_TRUE(until([this] { return at_client_.closed && at_server_.closed; }));
  EXPECT_EQ(at_server_.data, "question");
  EXPECT_EQ(at_client_.data, "answer");
  EXPECT_TRUE(at_server_.closed->has_value());
  EXPECT_TRUE(at_client_.closed->has_value());
}

TEST_F(Streams, TakeAPrefixWhenFullAndTellWhenThereIsRoom) {
  open();
  server_->set_reading(false);
  const std::string block(256 * 1024, 'x');
  std::size_t taken = 0;
  for (int i = 0; i < 1000; ++i) {
    const std::size_t part = client_->send(bytes_of(block));
    taken += part;
    if (part == block.size()) continue;
    settle();
    if (client_->send(bytes_of("y")) == 0) break;
    ++taken;
  }
  ASSERT_LT(taken, 1000 * block.size()) << "nothing held the sender back";
  EXPECT_EQ(at_server_.data.size(), 0u) << "data came while reading was off";
  EXPECT_FALSE(at_server_.closed.has_value());
  const int before = at_client_.writable;
  server_->set_reading(true);
  ASSERT_TRUE(until([&] { return at_server_.data.size() == taken; })) << at_server_.data.size() << " of " << taken;
  EXPECT_EQ(at_client_.writable, before + 1);
  EXPECT_EQ(client_->send(bytes_of("z")), 1u);
  EXPECT_TRUE(until([&] { return at_server_.data.back() == 'z'; }));
}

TEST_F(Streams, SendWhatIsQueuedBeforeClosing) {
  open();
  server_->set_reading(false);
  const std::string block(8 * 1024 * 1024, 'q');
  const std::size_t taken = client_->send(bytes_of(block));
  EXPECT_LT(taken, block.size());
  client_->close();
  server_->set_reading(true);
  ASSERT_TRUE(until([&] { return at_server_.closed.has_value(); }));
  EXPECT_EQ(at_server_.data.size(), taken);
  EXPECT_TRUE(at_server_.closed->has_value());
}

TEST_F(Streams, TellOfAnEndThatCameWhileReadingWasOff) {
  open();
  server_->set_reading(false);
  client_->send(bytes_of("last words"));
  client_->close();
  settle();
  EXPECT_TRUE(at_server_.data.empty());
  EXPECT_FALSE(at_server_.closed.has_value());
  server_->set_reading(true);
  ASSERT_TRUE(until([this] { return at_server_.closed.has_value(); }));
  EXPECT_EQ(at_server_.data, "last words");
  EXPECT_TRUE(at_server_.closed->has_value());
}

TEST_F(Streams, StopReadingInTheMiddleOfWhatHasArrived) {
  open();
  const std::string block(400'000, 'm');
  at_server_.react = [this](std::string_view) { server_->set_reading(false); };
  ASSERT_EQ(client_->send(bytes_of(block)), block.size());
  client_->close();
  while (!at_server_.closed) {
    const std::size_t before = at_server_.data.size();
    settle();
    ASSERT_LE(at_server_.data.size() - before, 65'536u) << "more than one piece came after reading was turned off";
    if (at_server_.data.size() == block.size()) at_server_.react = nullptr;
    server_->set_reading(true);
    ASSERT_TRUE(until([&] { return at_server_.closed || at_server_.data.size() != before; }));
  }
  EXPECT_EQ(at_server_.data, block);
}

TEST_F(Streams, HaveTheirTurnBesideOthersThatNeverRest) {
  struct Pair {
    Recorder near, far;
    std::unique_ptr<Stream> stream;
  };
  std::vector<std::unique_ptr<Pair>> pairs;
  std::vector<std::unique_ptr<Stream>> accepted;
  std::size_t next = 0;
  auto listening = listen({kLoopback, 0}, [&](std::unique_ptr<Stream> stream) {
    stream->set_handler(pairs[next++]->far);
    accepted.push_back(std::move(stream));
  });
  ASSERT_TRUE(listening);
  // Each sends back what it gets, for ever.
  for (std::size_t at = 0; at < 12; ++at) {
    pairs.push_back(std::make_unique<Pair>());
    Pair& pair = *pairs.back();
    pair.stream = std::move(connect((*listening)->local(), pair.near)).value();
    ASSERT_TRUE(until([&] { return pair.near.connected && accepted.size() == pairs.size(); }));
    pair.near.react = [&pair](std::string_view text) { pair.stream->send(bytes_of(text)); };
    pair.far.react = [&accepted, at](std::string_view text) { accepted[at]->send(bytes_of(text)); };
    pair.stream->send(bytes_of("ball"));
  }
  const auto least = [&] {
    std::size_t bytes = SIZE_MAX;
    for (const auto& pair : pairs) bytes = std::min(bytes, pair->far.data.size());
    return bytes;
  };
  ASSERT_TRUE(until([&] { return least() >= 4 * 500; })) << least();
  std::size_t most = 0;
  for (const auto& pair : pairs) most = std::max(most, pair->far.data.size());
  EXPECT_LE(most, 10 * least()) << "some streams were served far more often than others";
  pairs.clear();
}

/// Takes its time for what it is told, and counts how often that is.
struct Slow : StreamHandler {
  int pieces = 0;
  void on_connected() override {}
  void on_data(std::span<const std::byte>) override {
    ++pieces;
    const Instant end = Clock::now() + 300us;
    while (Clock::now() < end) {
    }
  }
  void on_writable() override {}
  void on_closed(Result<void>) override {}
};

TEST_F(Streams, HaveNoLargerShareOfAPollTheLongerTheyAreFull) {
  open();
  Slow slow;
  server_->set_handler(slow);
  const int sender = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(kLoopback);
  address.sin_port = htons(listener_->local().port);
  server_.reset();
  ASSERT_EQ(::connect(sender, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_TRUE(until([this] { return server_ != nullptr; }));
  server_->set_handler(slow);
  std::thread flood([sender] {
    const std::string block(1024 * 1024, 'f');
    while (::send(sender, block.data(), block.size(), MSG_NOSIGNAL) > 0) {
    }
  });
  ASSERT_TRUE(until([&] { return slow.pieces > 0; }));
  int most = 0;
  for (int polls = 0; polls < 60; ++polls) {
    const int before = slow.pieces;
    poll();
    most = std::max(most, slow.pieces - before);
  }
  server_.reset();
  ::shutdown(sender, SHUT_RDWR);
  flood.join();
  ::close(sender);
  EXPECT_GT(most, 0);
  // Four reads each: because it asked for them, because it is busy, and because epoll tells of it.
  EXPECT_LE(most, 12);
}

TEST_F(Streams, AreNotKeptFromARareByABusyOne) {
  open();
  for (int round = 0; round < 6; ++round) {
    SCOPED_TRACE(round);
    Recorder near, far;
    std::unique_ptr<Stream> accepted;
    auto listening = listen({kLoopback, 0}, [&](std::unique_ptr<Stream> stream) {
      accepted = std::move(stream);
      accepted->set_handler(far);
    });
    ASSERT_TRUE(listening);
    const auto rare = std::move(connect((*listening)->local(), near)).value();
    ASSERT_TRUE(until([&] { return near.connected && accepted != nullptr; }));
    // Until none is busy, and then one.
    for (int polls = 0; polls < 80; ++polls) poll();
    const std::size_t before = at_server_.data.size();
    client_->send(bytes_of("busy"));
    ASSERT_TRUE(until([&] { return at_server_.data.size() != before; }));
    for (int polls = 0; polls < round; ++polls) poll();
    rare->send(bytes_of("rare"));
    std::this_thread::sleep_for(2ms);
    poll();
    EXPECT_EQ(far.data, "rare");
    accepted.reset();
  }
}

TEST_F(Streams, EndInAPollThatSaysSoAlsoWhileTheyAreBusy) {
  for (int round = 0; round < 6; ++round) {
    SCOPED_TRACE(round);
    at_client_ = Recorder();
    at_server_ = Recorder();
    server_.reset();
    open();
    client_->send(bytes_of("busy"));
    ASSERT_TRUE(until([this] { return !at_server_.data.empty(); }));
    for (int polls = 0; polls < round; ++polls) poll();
    client_->close();
    const Instant end = Clock::now() + 10s;
    while (!at_server_.closed && Clock::now() < end) {
      const bool any = poll();
      EXPECT_TRUE(any || !at_server_.closed);
    }
    ASSERT_TRUE(at_server_.closed);
  }
}

TEST_F(Streams, LeaveThePortFreeWhenTheirListenerGoesInTheMiddleOfAnAccept) {
  std::unique_ptr<Listener> first, second;
  Endpoint place;
  std::optional<Errc> outcome;
  auto listening = listen({kLoopback, 0}, [&](std::unique_ptr<Stream>) {
    first.reset();
    auto again = listen(place, [](std::unique_ptr<Stream>) {});
    outcome = again.code();
    if (again) second = std::move(*again);
  });
  ASSERT_TRUE(listening);
  first = std::move(*listening);
  place = first->local();
  auto connecting = connect(place, at_client_);
  ASSERT_TRUE(connecting);
  ASSERT_TRUE(until([&] { return outcome.has_value(); }));
  EXPECT_EQ(*outcome, Errc::ok);
}

TEST_F(Streams, ReportAResetAsNodeGone) {
  open();
  server_.reset();
  ASSERT_TRUE(until([this] { return at_client_.closed.has_value(); }));
  EXPECT_EQ(at_client_.closed->code(), Errc::node_gone);
  EXPECT_EQ(client_->send(bytes_of("x")), 0u);
  EXPECT_FALSE(at_server_.closed.has_value()) << "a callback came after the stream was destroyed";
}

TEST_F(Streams, MayBeDestroyedInsideTheirOwnCallback) {
  open();
  at_server_.react = [this](std::string_view) { server_.reset(); };
  client_->send(bytes_of("die"));
  ASSERT_TRUE(until([this] { return at_client_.closed.has_value(); }));
  EXPECT_EQ(server_, nullptr);
}

TEST_F(Streams, ReportARefusedConnectionAsUnavailable) {
  Endpoint nobody;
  {
    auto listening = listen({kLoopback, 0}, [](std::unique_ptr<Stream>) {});
    ASSERT_TRUE(listening);
    nobody = (*listening)->local();
  }
  auto connecting = connect(nobody, at_client_);
  ASSERT_TRUE(connecting);
  ASSERT_TRUE(until([this] { return at_client_.closed.has_value(); }));
  EXPECT_EQ(at_client_.closed->code(), Errc::unavailable);
  EXPECT_FALSE(at_client_.connected);
  EXPECT_EQ(connect({kLoopback, 0}, at_client_).code(), Errc::invalid_argument);
}

TEST_F(Streams, AreRefusedByAnAcceptorThatDropsThem) {
  auto listening = listen({kLoopback, 0}, [](std::unique_ptr<Stream>) {});
  ASSERT_TRUE(listening);
  auto connecting = connect((*listening)->local(), at_client_);
  ASSERT_TRUE(connecting);
  ASSERT_TRUE(until([this] { return at_client_.closed.has_value(); }));
  // The reset may overtake the news of the connection.
  EXPECT_EQ(at_client_.closed->code(), at_client_.connected ? Errc::node_gone : Errc::unavailable);
}

TEST_F(Streams, ShareAPortWithinTheProcessButWithNoOtherProgram) {
  auto first = listen({kLoopback, 0}, [](std::unique_ptr<Stream>) {});
  ASSERT_TRUE(first);
  EXPECT_TRUE(listen((*first)->local(), [](std::unique_ptr<Stream>) {})) << "a second core of the node";

  // The other program is a plain socket, once without and once with SO_REUSEPORT.
  for (const int share : {0, 1}) {
    const int other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(other, SOL_SOCKET, SO_REUSEPORT, &share, sizeof share);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(kLoopback);
    ASSERT_EQ(bind(other, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(::listen(other, 1), 0);
    socklen_t size = sizeof address;
    getsockname(other, reinterpret_cast<sockaddr*>(&address), &size);
    EXPECT_EQ(listen({kLoopback, ntohs(address.sin_port)}, [](std::unique_ptr<Stream>) {}).code(), Errc::address_in_use);
    ::close(other);
  }
  EXPECT_EQ(listen({0x08080808, 4000}, [](std::unique_ptr<Stream>) {}).code(), Errc::invalid_argument);
}

}  // namespace
}  // namespace ebb::platform
