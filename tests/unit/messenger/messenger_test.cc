// Messengers of one process, talking over loopback.
#include "ebb/messenger/messenger.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "ebb/async.h"
#include "ebb/platform/hosted.h"
#include "src/messenger/connection.h"
#include "src/messenger/frame.h"

namespace {

using namespace ebb;
using namespace std::chrono_literals;

constexpr platform::Endpoint kLoopback{0x7f000001, 0};

ClusterKey key_of(int letter) {
  ClusterKey key;
  key.fill(static_cast<std::byte>(letter));
  return key;
}

Bytes bytes(std::string_view text) {
  Bytes result(text.size());
  std::memcpy(result.data(), text.data(), text.size());
  return result;
}

enum Method : std::uint64_t { echo, fail, fail_at_length, never, hold, big };

struct Peer final : MessengerHandler {
  task<Result<Bytes>> on_call(IncomingCall call) override {
    ++calls;
    last = {call.from, call.object, call.core, call.method, {}, {}};
    return answer(this, std::move(call));
  }
  static task<Result<Bytes>> answer(Peer* self, IncomingCall call) {
    switch (call.method) {
      case fail: co_return Error(Errc::application_error, "std::runtime_error: no");
      case fail_at_length: co_return Error(Errc::application_error, std::string(5000, 'e'));
      case never: co_await sleep_for(200ms); co_return Bytes();
      case hold: co_await self->released; co_return Bytes();
      case big: co_return Bytes(Messenger::kMaxPayloadBytes + 1);
      default: co_return std::move(call.arguments);
    }
  }
  void on_connection_lost(NodeId peer, const Error& reason) override { lost.emplace_back(peer, reason); }

  int calls = 0;
  IncomingCall last;
  Completion<> released;
  std::vector<std::pair<NodeId, Error>> lost;
};

struct Pair {
  Peer left;
  Peer right;
  std::unique_ptr<Messenger> a;  // node 1
  std::unique_ptr<Messenger> b;  // node 2

  task<void> start(int key_a = 'k', int key_b = 'k') {
    a = (co_await Messenger::start({NodeId{1}, key_of(key_a), kLoopback}, left)).value();
    b = (co_await Messenger::start({NodeId{2}, key_of(key_b), kLoopback}, right)).value();
    co_await a->set_peer(NodeId{2}, b->local());
    co_await b->set_peer(NodeId{1}, a->local());
  }
  task<void> close() {
    co_await a->close();
    co_await b->close();
  }
};

CallTarget to(std::uint32_t node, std::uint64_t method, platform::Duration timeout = 10s) {
  return {NodeId{node}, ObjectId{1025}, CoreIndex{3}, method, timeout};
}

template <class Test>
void run(std::size_t cores, Test test) {
  EXPECT_EQ(run_cores(cores, test), 0);
}

TEST(Messenger, CarriesCallsBothWaysOverOneConnection) {
  run(1, []() -> task<int> {
    Pair pair;
    co_await pair.start();
    EXPECT_EQ((co_await pair.a->call(to(2, echo), bytes("hello"))).value(), bytes("hello"));
    EXPECT_EQ(pair.right.last.from, NodeId{1});
    EXPECT_EQ(pair.right.last.object, ObjectId{1025});
    EXPECT_EQ(pair.right.last.core, CoreIndex{3});
    EXPECT_EQ((co_await pair.b->call(to(1, echo), Bytes())).value(), Bytes());
    EXPECT_EQ((co_await pair.a->call(to(1, echo), bytes("myself"))).value(), bytes("myself"));
    co_await pair.close();
    co_return 0;
  });
}

TEST(Messenger, BringsErrorsBack) {
  run(1, []() -> task<int> {
    Pair pair;
    co_await pair.start();
    const auto failed = co_await pair.a->call(to(2, fail), Bytes());
    EXPECT_EQ(failed.code(), Errc::application_error);
    EXPECT_EQ(failed.error().text(), "std::runtime_error: no");
    EXPECT_EQ((co_await pair.a->call(to(9, echo), Bytes())).code(), Errc::node_gone) << "nobody knows node 9";
    EXPECT_EQ((co_await pair.a->call(to(2, echo, 0s), Bytes())).code(), Errc::invalid_argument);
    co_await pair.close();
    co_return 0;
  });
}

TEST(Messenger, CarriesTheLargestPayloadAndNoLargerOne) {
  run(1, []() -> task<int> {
    Pair pair;
    co_await pair.start();
    Bytes largest(Messenger::kMaxPayloadBytes);
    for (std::size_t i = 0; i < largest.size(); i += 1000) largest[i] = static_cast<std::byte>(i / 1000);
    EXPECT_TRUE((co_await pair.a->call(to(2, echo), largest)).value() == largest);
    EXPECT_EQ((co_await pair.a->call(to(2, echo), Bytes(Messenger::kMaxPayloadBytes + 1))).code(), Errc::too_large);
    EXPECT_EQ((co_await pair.a->call(to(2, big), Bytes())).code(), Errc::too_large);
    EXPECT_EQ((co_await pair.a->call(to(2, echo), bytes("still here"))).value(), bytes("still here"));
    co_await pair.close();
    co_return 0;
  });
}

task<Result<Bytes>> call_from(Messenger* messenger, CallTarget target, Bytes arguments) {
  return messenger->call(target, std::move(arguments));
}

TEST(Messenger, ServesEveryCoreAndManyCallsAtOnce) {
  run(2, []() -> task<int> {
    Pair pair;
    co_await pair.start();
    for (std::uint16_t core = 0; core < 2; ++core) {
      auto* a = pair.a.get();
      EXPECT_EQ((co_await on_core(CoreIndex{core}, [a] { return call_from(a, to(2, echo), bytes("x")); })).value(), bytes("x"));
    }
    std::vector<task<Result<Bytes>>> calls;
    for (int i = 0; i < 2000; ++i) calls.push_back(pair.a->call(to(2, echo), bytes(std::to_string(i))));
    int next = 0;
    for (const auto& answer : co_await when_all(std::move(calls))) EXPECT_EQ(answer.value(), bytes(std::to_string(next++)));
    co_await pair.close();
    co_return 0;
  });
}

TEST(Messenger, RefusesAWrongKeyOnBothSides) {
  run(1, []() -> task<int> {
    Pair pair;
    co_await pair.start('k', 'q');
    const auto refused = co_await pair.a->call(to(2, echo), bytes("secret"));
    EXPECT_EQ(refused.code(), Errc::unauthenticated);
    EXPECT_EQ(pair.right.calls, 0);
    EXPECT_TRUE(pair.left.lost.empty() && pair.right.lost.empty()) << "a stranger cannot be lost";
    co_await pair.close();
    co_return 0;
  });
}

TEST(Messenger, GivesUpAtTheDeadlineAndDropsTheLateAnswer) {
  run(1, []() -> task<int> {
    Pair pair;
    co_await pair.start();
    EXPECT_EQ((co_await pair.a->call(to(2, never, 20ms), Bytes())).code(), Errc::deadline_exceeded);
    co_await sleep_for(250ms);
    EXPECT_EQ((co_await pair.a->call(to(2, echo), bytes("next"))).value(), bytes("next"));
    co_await pair.close();
    co_return 0;
  });
}

task<void> expect_code(Messenger* messenger, CallTarget target, Errc code, int* ended) {
  const auto answer = co_await messenger->call(target, Bytes());
  EXPECT_EQ(answer.code(), code);
  ++*ended;
}

TEST(Messenger, EndsPendingCallsWhenThePeerCloses) {
  run(1, []() -> task<int> {
    Pair pair;
    co_await pair.start();
    Scope scope;
    int ended = 0;
    for (int i = 0; i < 3; ++i) scope.spawn(expect_code(pair.a.get(), to(2, never), Errc::node_gone, &ended));
    while (pair.right.calls < 3) co_await sleep_for(1ms);
    co_await pair.b->forget_peer(NodeId{1}, "node 1 is unwanted");
    co_await scope.join();
    EXPECT_EQ(ended, 3);
    EXPECT_EQ(pair.left.lost.size(), 1u);
    if (!pair.left.lost.empty()) {
      EXPECT_EQ(pair.left.lost[0].first, NodeId{2});
    }
    const auto unwanted = co_await pair.b->call(to(1, echo), Bytes());
    EXPECT_EQ(unwanted.code(), Errc::node_gone);
    EXPECT_EQ(unwanted.error().text(), "node 1 is unwanted");
    EXPECT_EQ((co_await pair.a->call(to(2, echo), Bytes())).code(), Errc::node_gone) << "it may connect, and is turned away";
    co_await sleep_for(250ms);  // the handlers that were under way
    co_await pair.close();
    co_return 0;
  });
}

TEST(Messenger, CancelsItsOwnCallsWhenItCloses) {
  run(1, []() -> task<int> {
    Pair pair;
    co_await pair.start();
    Scope scope;
    int ended = 0;
    scope.spawn(expect_code(pair.a.get(), to(2, hold), Errc::cancelled, &ended));
    while (pair.right.calls == 0) co_await sleep_for(1ms);
    co_await pair.a->close();
    co_await scope.join();
    EXPECT_EQ(ended, 1);
    EXPECT_EQ((co_await pair.b->call(to(1, echo, 1s), Bytes())).code(), Errc::node_gone);
    pair.right.released.complete();
    co_await pair.b->close();
    co_return 0;
  });
}

TEST(Messenger, BoundsPendingCalls) {
  run(1, []() -> task<int> {
    Pair pair;
    co_await pair.start();
    Scope scope;
    int overloaded = 0;
    struct Count {
      static task<void> one(Messenger* messenger, int* overloaded) {
        const auto answer = co_await messenger->call(to(2, never, 500ms), Bytes());
        if (answer.code() == Errc::overloaded) ++*overloaded;
      }
    };
    static_cast<void>(co_await pair.a->call(to(2, echo), Bytes()));
    constexpr int kBeyond = 10;
    for (std::size_t i = 0; i < messenger::Connection::kMaxPendingCalls + kBeyond; ++i) {
      scope.spawn(Count::one(pair.a.get(), &overloaded));
    }
    co_await scope.join();
    // Ours beyond the table, and those that the peer would not take on.
    EXPECT_GE(overloaded, kBeyond);
    EXPECT_EQ((co_await pair.a->call(to(2, echo), bytes("after"))).value(), bytes("after"));
    co_await pair.close();
    co_return 0;
  });
}

/// A peer that is no messenger: connects and says what the test wants.
struct Stranger final : platform::StreamHandler {
  explicit Stranger(platform::Endpoint remote) { stream = platform::connect(remote, *this).value(); }
  void on_connected() override { connected = true; }
  void on_data(std::span<const std::byte> data) override { heard.insert(heard.end(), data.begin(), data.end()); }
  void on_writable() override {}
  void on_closed(Result<void>) override { closed = true; }
  std::unique_ptr<platform::Stream> stream;
  bool connected = false;
  bool closed = false;
  Bytes heard;
};

task<bool> becomes(const bool* flag, platform::Duration limit = 2s) {
  for (const auto end = platform::Clock::now() + limit; !*flag && platform::Clock::now() < end;) co_await sleep_for(1ms);
  co_return *flag;
}

TEST(Messenger, ClosesOnStrangers) {
  run(1, []() -> task<int> {
    Pair pair;
    co_await pair.start();
    Stranger web(pair.a->local());
    co_await becomes(&web.connected);
    const std::string request = "GET / HTTP/1.1\r\nHost: somewhere.example\r\nAccept: everything there is\r\n\r\n";
    web.stream->send(std::as_bytes(std::span(request)));
    EXPECT_TRUE(co_await becomes(&web.closed));
    EXPECT_TRUE(web.heard.empty());
    EXPECT_EQ((co_await pair.b->call(to(1, echo), bytes("ok"))).value(), bytes("ok"));
    co_await pair.close();
    co_return 0;
  });
}

/// A peer with the right key that breaks the protocol afterwards.
task<void> shake_hands(Stranger* stranger, messenger::Handshake* handshake) {
  co_await becomes(&stranger->connected);
  stranger->stream->send(handshake->begin());
  while (!handshake->done() && !stranger->closed) {
    if (stranger->heard.size() < handshake->needed()) {
      co_await sleep_for(1ms);
      continue;
    }
    const Bytes step(stranger->heard.begin(), stranger->heard.begin() + static_cast<std::ptrdiff_t>(handshake->needed()));
    stranger->heard.erase(stranger->heard.begin(), stranger->heard.begin() + static_cast<std::ptrdiff_t>(step.size()));
    Bytes output;
    EXPECT_TRUE(handshake->feed(step, output));
    stranger->stream->send(output);
  }
}

/// A stranger that has become node 7 and now talks to `pair.a`.
task<std::unique_ptr<Stranger>> join_as_node_7(Pair* pair) {
  auto stranger = std::make_unique<Stranger>(pair->a->local());
  const ClusterKey key = key_of('k');
  messenger::Handshake handshake(messenger::Handshake::Side::connecting,
                                 {messenger::kProtocolVersion, 1, NodeId{7}, {}, NodeId{1}, {}}, key);
  co_await shake_hands(stranger.get(), &handshake);
  // The answer to a call says that the other side has seen the end of the handshake too.
  stranger->heard.clear();
  stranger->stream->send(encode(messenger::FrameHeader{0, messenger::FrameType::call, 0, 1, 1025, echo, 1000}));
  while (stranger->heard.empty() && !stranger->closed) co_await sleep_for(1ms);
  co_return stranger;
}

TEST(Messenger, KeepsDeadlinesTowardsAPeerThatTakesNothing) {
  run(1, []() -> task<int> {
    Pair pair;
    co_await pair.start();
    const auto stranger = co_await join_as_node_7(&pair);
    stranger->stream->set_reading(false);
    const auto started = platform::Clock::now();
    std::vector<task<Result<Bytes>>> calls;
    for (int i = 0; i < 12; ++i) calls.push_back(pair.a->call(to(7, echo, 300ms), Bytes(Messenger::kMaxPayloadBytes)));
    for (const auto& answer : co_await when_all(std::move(calls))) EXPECT_EQ(answer.code(), Errc::deadline_exceeded);
    EXPECT_LT(platform::Clock::now() - started, 2s);
    EXPECT_TRUE(pair.left.lost.empty());
    EXPECT_EQ((co_await pair.b->call(to(1, echo), bytes("others go on"))).value(), bytes("others go on"));
    co_await pair.close();
    co_return 0;
  });
}

TEST(Messenger, ClosesOnAPeerThatCallsAndTakesNoAnswers) {
  run(1, []() -> task<int> {
    Pair pair;
    co_await pair.start();
    const auto stranger = co_await join_as_node_7(&pair);
    stranger->stream->set_reading(false);
    const auto call = encode(messenger::FrameHeader{0, messenger::FrameType::call, 0, 1, 1025, fail_at_length, 1000});
    // Up to 4 KiB of error each: more than the backlog and any kernel's buffers.
    for (int i = 0; i < 400'000 && pair.left.lost.empty(); ++i) {
      for (std::size_t sent = 0; sent < call.size() && pair.left.lost.empty();) {
        sent += stranger->stream->send(std::span(call).subspan(sent));
        if (sent < call.size() || i % 100 == 0) co_await yield();
      }
    }
    for (int i = 0; i < 1000 && pair.left.lost.empty(); ++i) co_await sleep_for(1ms);
    EXPECT_EQ(pair.left.lost.size(), 1u) << pair.left.calls << " calls";
    if (!pair.left.lost.empty()) {
      EXPECT_EQ(pair.left.lost[0].first, NodeId{7});
    }
    co_await pair.close();
    co_return 0;
  });
}

TEST(Messenger, SettlesCallsWhenBothSidesConnectAtOnce) {
  run(2, []() -> task<int> {
    Pair pair;
    co_await pair.start();
    std::vector<task<Result<Bytes>>> calls;
    for (int i = 0; i < 50; ++i) {
      calls.push_back(pair.a->call(to(2, echo), bytes("from a")));
      calls.push_back(pair.b->call(to(1, echo), bytes("from b")));
    }
    for (const auto& answer : co_await when_all(std::move(calls))) EXPECT_TRUE(answer);
    EXPECT_TRUE(pair.left.lost.empty() && pair.right.lost.empty());
    co_await pair.close();
    co_return 0;
  });
}

TEST(Messenger, ClosesWhileACallWaitsForAConnection) {
  run(1, []() -> task<int> {
    Pair pair;
    co_await pair.start();
    std::unique_ptr<platform::Stream> accepted;
    const auto mute = platform::listen(kLoopback, [&accepted](std::unique_ptr<platform::Stream> stream) {
      static struct : platform::StreamHandler {
        void on_connected() override {}
        void on_data(std::span<const std::byte>) override {}
        void on_writable() override {}
        void on_closed(Result<void>) override {}
      } ignores;
      stream->set_handler(ignores);
      accepted = std::move(stream);
    });
    co_await pair.a->set_peer(NodeId{5}, mute.value()->local());
    Scope scope;
    int ended = 0;
    scope.spawn(expect_code(pair.a.get(), to(5, echo, 50ms), Errc::deadline_exceeded, &ended));
    scope.spawn(expect_code(pair.a.get(), to(5, echo), Errc::cancelled, &ended));
    while (ended == 0) co_await sleep_for(1ms);
    co_await pair.close();
    co_await scope.join();
    EXPECT_EQ(ended, 2);
    accepted.reset();
    co_return 0;
  });
}

TEST(Messenger, ClosesOnGarbledAndOversizedFramesAndSilence) {
  run(1, []() -> task<int> {
    Pair pair;
    co_await pair.start();
    const ClusterKey key = key_of('k');
    messenger::FrameHeader oversized;
    oversized.type = messenger::FrameType::call;
    oversized.payload_bytes = Messenger::kMaxPayloadBytes + 1;
    const auto oversized_bytes = encode(oversized);
    const Bytes garbage(messenger::FrameHeader::kBytes, std::byte{0xee});
    for (const auto& frame : {Bytes(oversized_bytes.begin(), oversized_bytes.end()), garbage}) {
      pair.left.lost.clear();
      Stranger stranger(pair.a->local());
      messenger::Handshake handshake(messenger::Handshake::Side::connecting,
                                     {messenger::kProtocolVersion, 1, NodeId{7}, {}, NodeId{1}, {}}, key);
      co_await shake_hands(&stranger, &handshake);
      EXPECT_TRUE(handshake.done());
      stranger.stream->send(frame);
      EXPECT_TRUE(co_await becomes(&stranger.closed));
      EXPECT_EQ(pair.left.lost.size(), 1u);
      if (!pair.left.lost.empty()) {
        EXPECT_EQ(pair.left.lost[0].second.code(), Errc::malformed);
      }
    }
    pair.left.lost.clear();
    Stranger silent(pair.a->local());
    messenger::Handshake handshake(messenger::Handshake::Side::connecting,
                                   {messenger::kProtocolVersion, 1, NodeId{8}, {}, NodeId{1}, {}}, key);
    co_await shake_hands(&silent, &handshake);
    EXPECT_TRUE(co_await becomes(&silent.closed, messenger::Connection::kSilenceLimit + 2s));
    EXPECT_FALSE(silent.heard.empty()) << "it was pinged";
    EXPECT_EQ(pair.left.lost.size(), 1u);
    co_await pair.close();
    co_return 0;
  });
}

}  // namespace
