#include "src/messenger/turn_queue.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "ebb/async.h"

namespace {

using namespace ebb;
using messenger::TurnQueue;

task<void> call(TurnQueue* queue, std::uint32_t object, std::vector<std::uint32_t>* begun) {
  TurnQueue::Turn turn(*queue, ObjectId(object), object < 56);
  co_await turn;
  begun->push_back(object);
}

TEST(TurnQueue, LetsCallsBeginInTheOrderInWhichTheyCameWhileItKeepsUp) {
  EXPECT_EQ(run_cores(1, []() -> task<int> {
    TurnQueue queue;
    std::vector<std::uint32_t> begun;
    Scope scope;
    std::vector<std::uint32_t> expected;
    for (std::uint32_t i = 0; i < TurnQueue::kStartsPerRound; ++i) {
      scope.spawn(call(&queue, 1024 + i % 7, &begun));
      expected.push_back(1024 + i % 7);
    }
    co_await scope.join();
    EXPECT_EQ(begun, expected);
    EXPECT_EQ(queue.waiting(), 0u);
    co_return 0;
  }), 0);
}

TEST(TurnQueue, GivesTheObjectsTurnsWhenItIsBehindAndControlGoesFirst) {
  EXPECT_EQ(run_cores(1, []() -> task<int> {
    TurnQueue queue;
    std::vector<std::uint32_t> begun;
    Scope scope;
    constexpr std::size_t kFlood = 2000;
    for (std::size_t i = 0; i < kFlood; ++i) scope.spawn(call(&queue, 1024, &begun));
    for (int i = 0; i < 3; ++i) scope.spawn(call(&queue, 1025, &begun));
    scope.spawn(call(&queue, 3, &begun));
    while (queue.waiting() + TurnQueue::kStartsPerRound != kFlood + 3) co_await yield();
    for (int i = 0; i < 10; ++i) co_await yield();
    EXPECT_EQ(begun.size(), TurnQueue::kStartsPerRound + 1);
    EXPECT_EQ(begun.back(), 3u) << "control waits for nobody";
    queue.next_round();
    while (begun.size() < 2 * TurnQueue::kStartsPerRound + 1) co_await yield();
    const std::vector<std::uint32_t> turns(begun.begin() + TurnQueue::kStartsPerRound + 1,
                                           begun.begin() + TurnQueue::kStartsPerRound + 8);
    EXPECT_EQ(turns, (std::vector<std::uint32_t>{1024, 1025, 1024, 1025, 1024, 1025, 1024}));
    while (queue.waiting() != 0) {
      queue.next_round();
      co_await yield();
    }
    co_await scope.join();
    EXPECT_EQ(begun.size(), kFlood + 4);
    co_return 0;
  }), 0);
}

}  // namespace
