// Messengers that meet peers which do not keep to the protocol.
#include <gtest/gtest.h>

#include <algorithm>

#include "src/messenger/connection.h"
#include "src/messenger/core_messenger.h"
#include "src/messenger/frame.h"
#include "tests/unit/messenger/pair.h"
#include "tests/unit/messenger/stranger.h"

namespace {

using namespace ebb;
using namespace ebb::messenger_test;

TEST(MessengerAndStrangers, ClosesOnStrangers) {
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

TEST(MessengerAndStrangers, BoundsThoseThatSayNothing) {
  run(1, []() -> task<int> {
    Pair pair;
    co_await pair.start();
    constexpr std::size_t kBound = messenger::CoreMessenger::kMaxUnprovenConnections;
    std::vector<std::unique_ptr<Stranger>> strangers;
    for (std::size_t i = 0; i < kBound; ++i) {
      strangers.push_back(std::make_unique<Stranger>(pair.a->local()));
      EXPECT_TRUE(co_await becomes(&strangers.back()->connected));
    }
    Stranger beyond(pair.a->local());
    EXPECT_TRUE(co_await becomes(&strangers.front()->closed)) << "nobody gives way";
    EXPECT_FALSE(beyond.closed);
    for (std::size_t i = 1; i < kBound; ++i) EXPECT_FALSE(strangers[i]->closed);
    EXPECT_TRUE(co_await pair.b->call(to(1, echo), Bytes())) << "strangers keep out who has the key";
    EXPECT_EQ(std::count_if(strangers.begin(), strangers.end(), [](const auto& each) { return each->closed; }), 2);
    co_await pair.close();
    co_return 0;
  });
}

TEST(MessengerAndStrangers, BeginsNoCallsWhoseAnswersNobodyTakes) {
  run(1, []() -> task<int> {
    Pair pair;
    co_await pair.start();
    const auto stranger = co_await join_as_node_7(&pair);
    stranger->stream->set_reading(false);
    const int before = pair.left.calls;
    constexpr std::uint32_t kCalls = 40;
    Bytes calls;  // in one piece, so that all of them are taken on before the first answer is there
    for (std::uint32_t id = 2; id < 2 + kCalls; ++id) {
      const auto call = encode(messenger::FrameHeader{0, messenger::FrameType::call, 0, id, 1025, largest, 60'000});
      calls.insert(calls.end(), call.begin(), call.end());
    }
    stranger->stream->send(calls);
    co_await sleep_for(500ms);
    // What the network holds, the output's room and what waits for it, and one more that was let in at each bound.
    constexpr std::size_t kMost = messenger::Connection::kMaxOutputBytes + messenger::Connection::kMaxAnswerBytes;
    EXPECT_LE(pair.left.calls - before, static_cast<int>(kMost / Messenger::kMaxPayloadBytes) + 5);
    EXPECT_GE(pair.left.calls - before, 2);
    stranger->stream->set_reading(true);
    for (int i = 0; i < 10'000 && pair.left.calls - before < static_cast<int>(kCalls); ++i) {
      stranger->heard.clear();
      co_await sleep_for(1ms);
    }
    EXPECT_EQ(pair.left.calls - before, static_cast<int>(kCalls)) << "they begin as answers are taken";
    co_await pair.close();
    co_return 0;
  });
}

TEST(MessengerAndStrangers, KeepsDeadlinesTowardsAPeerThatTakesNothing) {
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

/// Calls node 7, and tells how that ended unless it was given up.
task<void> call_until(Messenger* messenger, cancel_token enough, std::vector<Errc>* refused) {
  CallTarget target = to(7, never, 60s);
  target.cancellation = std::move(enough);
  const auto answer = co_await messenger->call(std::move(target), Bytes());
  if (answer.code() != Errc::cancelled) refused->push_back(answer.code());
}

TEST(MessengerAndStrangers, KeepsRoomForCallsOfTheRuntimeToAPeerThatAnswersNothing) {
  run(1, []() -> task<int> {
    Pair pair;
    co_await pair.start();
    const auto stranger = co_await join_as_node_7(&pair);
    cancel_source enough;
    Scope scope;
    std::vector<Errc> refused;
    for (std::size_t i = 0; i < messenger::Connection::kMaxPendingCalls; ++i) {
      scope.spawn(call_until(pair.a.get(), enough.token(), &refused));
    }
    while (refused.size() < messenger::Connection::kControlCalls) co_await sleep_for(1ms);
    EXPECT_EQ(refused, std::vector(messenger::Connection::kControlCalls, Errc::overloaded));
    CallTarget target = control_to(7, never);
    target.timeout = 100ms;
    EXPECT_EQ((co_await pair.a->call(target, Bytes())).code(), Errc::deadline_exceeded) << "it finds a place, if no answer";
    enough.cancel();
    co_await scope.join();
    co_await pair.close();
    co_return 0;
  });
}

TEST(MessengerAndStrangers, LetsNoObjectsCallsWaitBehindAllThoseOfAnother) {
  run(1, []() -> task<int> {
    Pair pair;
    co_await pair.start();
    const auto stranger = co_await join_as_node_7(&pair);
    constexpr int kCalls = 1'000;  // of one object, and then one of another, in one piece
    Bytes burst;
    for (int i = 0; i <= kCalls; ++i) {
      const std::uint32_t object = i < kCalls ? 1025 : 1026;
      const Bytes number = bytes(std::to_string(i));
      const auto header = encode(messenger::FrameHeader{static_cast<std::uint32_t>(number.size()), messenger::FrameType::call, 0,
                                                        static_cast<std::uint32_t>(i + 2), object, note, 10'000});
      burst.insert(burst.end(), header.begin(), header.end());
      burst.insert(burst.end(), number.begin(), number.end());
    }
    EXPECT_EQ(stranger->stream->send(burst), burst.size());
    const std::vector<int>& noted = pair.left.noted;
    const auto all_ran = [&noted] { return noted.size() == kCalls + 1; };
    EXPECT_TRUE(co_await comes(all_ran)) << noted.size();
    // Those of one round had begun already, and those that came in an earlier piece.
    const auto place = std::find(noted.begin(), noted.end(), kCalls) - noted.begin();
    EXPECT_LT(place, kCalls / 2);
    co_await pair.close();
    co_return 0;
  });
}

TEST(MessengerAndStrangers, ClosesOnAPeerThatCallsAndTakesNoAnswers) {
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

TEST(MessengerAndStrangers, ClosesWhileACallWaitsForAConnection) {
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

TEST(MessengerAndStrangers, ClosesOnGarbledAndOversizedFramesAndSilence) {
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
