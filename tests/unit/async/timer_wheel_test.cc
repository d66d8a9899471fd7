#include "src/async/timer_wheel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <vector>

namespace ebb::detail {
namespace {

using platform::Duration;
using platform::Instant;
Instant at(std::int64_t nanoseconds) { return Instant(Duration(nanoseconds)); }

TEST(TimerWheel, CountsWhatIsDueAndDropsAllThereIs) {
  TimerWheel wheel(at(0));
  int dropped = 0;
  const auto witness = [&dropped] { return std::shared_ptr<void>(nullptr, [&dropped](void*) { ++dropped; }); };
  for (int i = 0; i < 10; ++i) wheel.add(at(1'000'000), [held = witness()] {});
  const TimerId cancelled = wheel.add(at(1'000'000), [held = witness()] {});
  for (int i = 0; i < 1000; ++i) wheel.add(at(1'000'000'000LL * i + 2'000'000), [held = witness()] {});
  EXPECT_EQ(wheel.due(), 0u);
  wheel.advance(at(1'500'000));
  EXPECT_EQ(wheel.due(), 11u);
  EXPECT_TRUE(wheel.cancel(cancelled));
  wheel.pop_due().reset();
  EXPECT_EQ(wheel.due(), 9u);
  EXPECT_EQ(dropped, 2);
  wheel.drop_all();
  EXPECT_EQ(dropped, 1011);
  EXPECT_EQ(wheel.due(), 0u);
  EXPECT_EQ(wheel.size(), 0u);
}

TEST(TimerWheel, FiresInOrderAndNeverEarlyOverAllScales) {
  std::mt19937_64 random(7);
  std::int64_t now = 123'456'789;
  TimerWheel wheel(at(now));
  std::vector<std::int64_t> fired;
  std::vector<std::int64_t> expected;
  for (int i = 0; i < 2000; ++i) {
    const std::int64_t when = now + static_cast<std::int64_t>(random() >> (8 + random() % 50)) % 1'000'000'000'000'000;
    expected.push_back(when);
    wheel.add(at(when), [&fired, when] { fired.push_back(when); });
  }
  std::sort(expected.begin(), expected.end());
  while (wheel.size() != 0) {
    now = std::max(now + 1, wheel.next_instant().time_since_epoch().count());
    wheel.advance(at(now));
    for (Event event = wheel.pop_due(); event; event = wheel.pop_due()) {
      event.run();
      ASSERT_LE(fired.back(), now);
      ASSERT_GE(fired.back() + 1024, now) << "late by more than a tick";
    }
  }
  ASSERT_EQ(fired.size(), expected.size());
  for (std::size_t i = 1; i < fired.size(); ++i) ASSERT_LT(fired[i - 1] >> 10, (fired[i] >> 10) + 2);
}

TEST(TimerWheel, CancelsExactlyOnceAndNeverAnothersTimer) {
  TimerWheel wheel(at(0));
  int fired = 0;
  const TimerId first = wheel.add(at(1'000'000), [&] { fired += 1; });
  EXPECT_TRUE(wheel.cancel(first));
  EXPECT_FALSE(wheel.cancel(first));
  const TimerId second = wheel.add(at(2'000'000), [&] { fired += 10; });
  EXPECT_EQ(second.index, first.index);
  EXPECT_FALSE(wheel.cancel(first));
  wheel.advance(at(3'000'000));
  wheel.pop_due().run();
  EXPECT_EQ(fired, 10);
  EXPECT_FALSE(wheel.cancel(second));
  EXPECT_FALSE(wheel.cancel(TimerId{}));
  EXPECT_EQ(wheel.next_instant(), platform::kNever);
}

TEST(TimerWheel, CancelsATimerThatIsDueAlready) {
  TimerWheel wheel(at(0));
  bool fired = false;
  const TimerId timer = wheel.add(at(10), [&] { fired = true; });
  wheel.advance(at(5'000));
  EXPECT_TRUE(wheel.any_due());
  EXPECT_TRUE(wheel.cancel(timer));
  EXPECT_FALSE(wheel.pop_due());
  EXPECT_FALSE(fired);
}

}  // namespace
}  // namespace ebb::detail
