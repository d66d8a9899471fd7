// The ring between two cores, by itself.
#include "src/async/cross_core_ring.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace {

using ebb::Core;
using ebb::Event;
using ebb::detail::CrossCoreRing;

TEST(CrossCoreRing, GivesBackInOrderOverManyLaps) {
  const auto ring = std::make_unique<CrossCoreRing>();
  std::vector<int> seen;
  Event event;
  int next = 0;
  // Of 1 to 37 at a time, so that laps end everywhere.
  for (int round = 0; round < 200; ++round) {
    for (int i = 0; i <= round % 37; ++i) {
      Event sent([&seen, value = next] { seen.push_back(value); });
      ASSERT_TRUE(ring->push(sent));
      EXPECT_FALSE(sent);
      ++next;
    }
    while (ring->pop(event)) event.run();
    EXPECT_TRUE(ring->empty_in_order());
  }
  ASSERT_EQ(seen.size(), static_cast<std::size_t>(next));
  for (int i = 0; i < next; ++i) EXPECT_EQ(seen[static_cast<std::size_t>(i)], i);
}

TEST(CrossCoreRing, RefusesWhatDoesNotFitAndLeavesItWhole) {
  const auto ring = std::make_unique<CrossCoreRing>();
  int ran = 0;
  for (int lap = 0; lap < 3; ++lap) {
    for (std::size_t i = 0; i < Core::kMaxCrossCoreEvents; ++i) {
      Event sent([&ran] { ++ran; });
      ASSERT_TRUE(ring->push(sent)) << i;
    }
    bool late = false;
    Event refused([&late] { late = true; });
    EXPECT_FALSE(ring->push(refused));
    ASSERT_TRUE(refused);
    refused.run();
    EXPECT_TRUE(late);
    EXPECT_FALSE(ring->empty_in_order());
    for (Event event; ring->pop(event);) event.run();
    EXPECT_TRUE(ring->empty_in_order());
  }
  EXPECT_EQ(ran, 3 * static_cast<int>(Core::kMaxCrossCoreEvents));
}

TEST(CrossCoreRing, HasRoomAgainForEachThatWasTaken) {
  const auto ring = std::make_unique<CrossCoreRing>();
  Event event;
  for (std::size_t i = 0; i < Core::kMaxCrossCoreEvents; ++i) {
    Event sent([] {});
    ASSERT_TRUE(ring->push(sent));
  }
  // Its place is given back by the next pop().
  for (int taken = 0; taken < 5; ++taken) {
    ASSERT_TRUE(ring->pop(event));
    event.reset();
  }
  for (int pushed = 0; pushed < 5; ++pushed) {
    Event sent([] {});
    EXPECT_EQ(ring->push(sent), pushed < 4);
  }
}

TEST(CrossCoreRing, EndsWhatNobodyTook) {
  const auto owned = std::make_shared<int>(0);
  {
    const auto ring = std::make_unique<CrossCoreRing>();
    for (int i = 0; i < 5; ++i) {
      Event sent([owned] {});  // one whose bytes may not just be copied
      ASSERT_TRUE(ring->push(sent));
    }
    Event event;
    ASSERT_TRUE(ring->pop(event));
    event.run();
    EXPECT_EQ(owned.use_count(), 5);
  }
  EXPECT_EQ(owned.use_count(), 1);
}

/// What the producer wrote before is seen by the event; every event runs once.
TEST(CrossCoreRing, CarriesWhatWasWrittenBeforeToAnotherThread) {
  constexpr std::uint64_t kEvents = 300'000;
  const auto ring = std::make_unique<CrossCoreRing>();
  std::uint64_t sum = 0;
  std::thread consumer([&ring, &sum] {
    std::uint64_t ran = 0;
    Event event;
    while (ran < kEvents) {
      if (!ring->pop(event)) {
        std::this_thread::yield();
        continue;
      }
      event.run();
      ++ran;
    }
    EXPECT_TRUE(ring->empty_in_order());
  });
  for (std::uint64_t i = 1; i <= kEvents; ++i) {
    // In turn copied as bytes, moved, and on the heap.
    Event sent;
    if (i % 3 == 0) {
      sent = Event([&sum, i] { sum += i; });
    } else if (i % 3 == 1) {
      sent = Event([&sum, text = std::to_string(i)] { sum += std::stoull(text); });
    } else {
      sent = Event([&sum, values = std::vector<std::uint64_t>(1, i), spare = std::string("more than fits")] { sum += values[0]; });
    }
    while (!ring->push(sent)) std::this_thread::yield();
  }
  consumer.join();
  EXPECT_EQ(sum, kEvents * (kEvents + 1) / 2);
}

}  // namespace
