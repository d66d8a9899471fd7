#include "src/async/turn_queue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <memory>
#include <vector>

#include "ebb/async.h"

namespace {

using namespace ebb;
using detail::Turn;
using detail::TurnQueue;

std::unique_ptr<Turn> call_of(std::uint32_t object) {
  return std::make_unique<Turn>(ObjectId(object), [](Turn&) {});
}

TEST(TurnQueue, GivesTheObjectsTurnsAndKeepsTheOrderOfEach) {
  TurnQueue queue(CoreIndex{0});
  std::vector<std::unique_ptr<Turn>> calls;
  for (const std::uint32_t object : {1024, 1024, 1024, 1024, 1025, 1026, 1025, 1024}) {
    calls.push_back(call_of(object));
    ASSERT_TRUE(queue.enter(*calls.back()));
  }
  EXPECT_EQ(queue.waiting(), calls.size());
  for (const std::size_t i : {0, 4, 5, 1, 6}) EXPECT_EQ(queue.take(), calls[i].get()) << i;
  // One that had a turn, and none waiting, comes to the end again.
  std::unique_ptr<Turn> again = call_of(1026);
  ASSERT_TRUE(queue.enter(*again));
  EXPECT_EQ(queue.take(), calls[2].get());
  EXPECT_EQ(queue.take(), again.get());
  EXPECT_EQ(queue.take(), calls[3].get());
  EXPECT_EQ(queue.take(), calls[7].get());
  EXPECT_EQ(queue.take(), nullptr);
  EXPECT_EQ(queue.waiting(), 0u);
}

TEST(TurnQueue, FindsEachOfManyObjects) {
  constexpr std::uint32_t kObjects = 50'000;
  constexpr std::uint32_t kStride = 64;
  TurnQueue queue(CoreIndex{0});
  std::deque<Turn> calls;
  for (int round = 0; round < 2; ++round) {  // the second with what is left of the first
    for (const std::uint32_t each : {0, 1, 2}) {
      for (std::uint32_t i = 0; i < kObjects; ++i) {
        if (i % 3 < each) continue;  // the lines have one, two and three calls
        ASSERT_TRUE(queue.enter(calls.emplace_back(ObjectId(1024 + i * kStride % kMaxObjects), [](Turn&) {})));
      }
    }
    std::vector<std::uint32_t> had(kObjects);
    std::uint32_t last_round = 0;
    for (std::size_t left = queue.waiting(); left != 0; --left) {
      Turn* const turn = queue.take();
      ASSERT_NE(turn, nullptr);
      const std::uint32_t turns = ++had[(turn->object.index() - 1024) / kStride];
      ASSERT_GE(turns, last_round) << "an object had a turn before another one had its earlier one";
      last_round = turns;
    }
    for (std::uint32_t i = 0; i < kObjects; ++i) ASSERT_EQ(had[i], i % 3 + 1);
    EXPECT_EQ(queue.take(), nullptr);
  }
}

TEST(TurnQueue, TakesNoMoreThanItsLimit) {
  TurnQueue queue(CoreIndex{0}, 3);
  std::deque<Turn> calls;
  for (std::uint32_t i = 0; i < 4; ++i) calls.emplace_back(ObjectId(1024 + i % 2), [](Turn&) {});
  for (std::size_t i = 0; i < 3; ++i) EXPECT_TRUE(queue.enter(calls[i]));
  EXPECT_FALSE(queue.enter(calls[3]));
  EXPECT_EQ(queue.take(), &calls[0]);
  EXPECT_TRUE(queue.enter(calls[3]));
  EXPECT_EQ(queue.take(), &calls[1]);
  EXPECT_EQ(queue.take(), &calls[2]);
  EXPECT_EQ(queue.take(), &calls[3]);
}

struct Order {
  std::size_t made = 0;  // on core 0
  std::atomic<bool> all_sent{false};
  std::vector<std::uint32_t> begun;  // on core 1
};

task<void> one_call(Order* order, std::uint32_t object) {
  ++order->made;
  auto work = [order, object] { order->begun.push_back(object); };
  detail::CoreCall<decltype(work)> call(CoreIndex{1}, ObjectId(object), std::move(work));
  co_await call;
}

TEST(TurnQueue, CallsFromAnotherCoreTakeTurnsAndThoseOfTheRuntimeDoNotWait) {
  EXPECT_EQ(run_cores(2, []() -> task<int> {
    Order order;
    Scope scope;
    constexpr std::size_t kFlood = 400;  // all fit into the ring
    auto hold = [place = &order] {
      while (!place->all_sent.load()) {
      }
    };
    scope.spawn(on_core(CoreIndex{1}, std::move(hold)));
    for (std::size_t i = 0; i < kFlood; ++i) scope.spawn(one_call(&order, 1024));
    for (int i = 0; i < 3; ++i) scope.spawn(one_call(&order, 1025));
    scope.spawn(one_call(&order, 3));
    while (order.made != kFlood + 4) co_await yield();
    order.all_sent = true;
    co_await scope.join();
    EXPECT_EQ(order.begun.size(), kFlood + 4);
    std::vector<std::size_t> at;
    for (std::size_t i = 0; i < order.begun.size(); ++i) {
      if (order.begun[i] == 1025) at.push_back(i);
    }
    EXPECT_EQ(at.size(), 3u);
    // The ring is emptied in two turns of the loop at least, and a turn begins as many calls at most.
    EXPECT_LE(at.front(), Core::kBatch + 2) << "it waited for the whole flood";
    EXPECT_EQ(at.back() - at.front(), 4u) << "every other call is the other object's";
    const auto control = std::find(order.begun.begin(), order.begun.end(), 3u) - order.begun.begin();
    EXPECT_LE(control, static_cast<std::ptrdiff_t>(at.front()));
    co_return 0;
  }), 0);
}

}  // namespace
