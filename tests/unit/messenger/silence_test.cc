// Messengers and quiet lines: what costs nothing, who is given up, and who is not.
#include <gtest/gtest.h>

#include "src/messenger/connection.h"
#include "src/messenger/frame.h"
#include "tests/unit/messenger/pair.h"
#include "tests/unit/messenger/stranger.h"

namespace {

using namespace ebb;
using namespace ebb::messenger_test;
using messenger::Connection;
using messenger::FrameHeader;
using messenger::FrameType;

constexpr platform::Duration kLongSilence = Connection::kSilenceLimit + 1500ms;

Bytes frame(const FrameHeader& header) {
  const auto bytes = encode(header);
  return {bytes.begin(), bytes.end()};
}

task<void> answer_late(Stranger* stranger) {
  const auto is_called = [stranger] { return stranger->heard.size() >= FrameHeader::kBytes; };
  const bool called = co_await comes(is_called);
  EXPECT_TRUE(called);
  if (!called) co_return;
  co_await sleep_for(1200ms);  // some ticks later
  const auto call = messenger::parse_header(std::span(stranger->heard).first<FrameHeader::kBytes>());
  EXPECT_TRUE(call && call->type == FrameType::call);
  stranger->stream->send(encode(FrameHeader{0, FrameType::reply, 0, call->call_id, 0, 0, 0}));
}

TEST(MessengerAndSilence, LosesNeitherAnIdleConnectionNorOneOfALongCall) {
  run(1, []() -> task<int> {
    Pair pair;
    co_await pair.start();
    const auto member = co_await join_as_node_7(&pair);
    co_await pair.a->set_peer(NodeId{7}, kLoopback);
    co_await sleep_for(1s);
    member->heard.clear();
    Scope scope;
    int ended = 0;
    scope.spawn(expect_code(pair.a.get(), to(2, hold, 60s), Errc::ok, &ended));
    co_await sleep_for(kLongSilence);
    EXPECT_FALSE(member->closed);
    EXPECT_TRUE(member->heard.empty()) << "nothing was at stake";
    EXPECT_TRUE(ended == 0 && pair.left.lost.empty() && pair.right.lost.empty()) << "somebody works, and is taken for gone";
    pair.right.released.complete();
    scope.spawn(answer_late(member.get()));
    const auto answer = co_await pair.a->call(to(7, echo), Bytes());
    EXPECT_TRUE(answer) << "the silence before the call counts";
    co_await scope.join();
    co_await pair.close();
    co_return 0;
  });
}

TEST(MessengerAndSilence, CancelsCallsOfACallerThatVanished) {
  run(1, []() -> task<int> {
    Pair pair;
    co_await pair.start();
    const auto member = co_await join_as_node_7(&pair);
    co_await pair.a->set_peer(NodeId{7}, kLoopback);
    co_await sleep_for(1s);
    member->stream->send(frame({0, FrameType::call, 0, 2, 1025, until_cancelled, 60'000}));
    const auto begun = platform::Clock::now();
    const auto is_cancelled = [&pair] { return pair.left.cancelled != 0; };
    EXPECT_TRUE(co_await comes(is_cancelled, kLongSilence));
    EXPECT_EQ(pair.left.cancelled, 1);
    EXPECT_GT(platform::Clock::now() - begun, Connection::kSilenceLimit - 500ms);
    EXPECT_TRUE(co_await becomes(&member->closed));
    EXPECT_EQ(pair.left.lost.size(), 1u);
    co_await pair.close();
    co_return 0;
  });
}

TEST(MessengerAndSilence, AsksConnectionsWhosePeerConnectsOnceMore) {
  run(1, []() -> task<int> {
    Pair pair;
    co_await pair.start();
    co_await pair.a->set_peer(NodeId{7}, kLoopback);
    const auto first = co_await join_as_node_7(&pair);
    co_await sleep_for(1s);
    first->heard.clear();
    const auto second = co_await join_as_node_7(&pair);
    second->heard.clear();
    const auto is_asked = [&first] { return !first->heard.empty(); };
    EXPECT_TRUE(co_await comes(is_asked, 3s));
    EXPECT_EQ(first->heard, frame({})) << "no ping";
    EXPECT_TRUE(second->heard.empty());
    co_await pair.close();
    co_return 0;
  });
}

}  // namespace
