// The platform's own promises on bare metal: one table a core, sleeping and waking, time.
#include "ebb/platform/platform.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <thread>

#include "ebb/platform/translation_table.h"

namespace {

using namespace std::chrono_literals;
using ebb::CoreIndex;
using ebb::ObjectId;
using ebb::platform::Clock;

/// Runs the two functions as cores 0 and 1, at the same time.
template <class F, class G>
void on_two_cores(F first, G second) {
  const auto run = [](CoreIndex core, auto& body) {
    const auto entered = ebb::platform::enter_core(core);
    EXPECT_TRUE(entered.has_value());
    body();
    ebb::platform::leave_core();
  };
  std::thread other([&] { run(CoreIndex{1}, second); });
  run(CoreIndex{0}, first);
  other.join();
}

// The first id, the last, and some between, pages apart.
constexpr std::array<std::uint32_t, 5> kIndices{1, 2, 513, 1'000'000, ebb::kMaxObjects - 1};

int check_table(std::uintptr_t mark) {
  int wrong = 0;
  for (const auto index : kIndices) {
    if (ebb::platform::translate(ObjectId(index)) != nullptr) ++wrong;
  }
  for (int round = 0; round < 2000; ++round) {
    for (const auto index : kIndices) {
      auto* const mine = reinterpret_cast<void*>(mark + index + static_cast<std::uintptr_t>(round));
      ebb::platform::set_translation(ObjectId(index), mine);
      if (ebb::platform::translate(ObjectId(index)) != mine) ++wrong;
    }
  }
  return wrong;
}

TEST(Platform, GivesEachCoreAnEmptyTableOfItsOwn) {
  // Twice: what the first cores left must not be seen by the next.
  for (int round = 0; round < 2; ++round) {
    int wrong_here = -1;
    int wrong_there = -1;
    on_two_cores([&] { wrong_here = check_table(1 << 28); }, [&] { wrong_there = check_table(2 << 28); });
    EXPECT_EQ(wrong_here, 0);
    EXPECT_EQ(wrong_there, 0);
  }
}

TEST(Platform, RefusesACoreOnAnotherProcessor) {
  const auto entered = ebb::platform::enter_core(CoreIndex{1});
  ASSERT_FALSE(entered.has_value());
  EXPECT_EQ(entered.error().code(), ebb::Errc::unavailable);
}

TEST(Platform, LosesNoWakeUp) {
  constexpr int kTurns = 20'000;
  std::atomic<int> turn{0};
  const auto play = [&turn](int parity) {
    const CoreIndex other{static_cast<std::uint16_t>(1 - parity)};
    for (int now = turn.load(); now < kTurns; now = turn.load()) {
      if (now % 2 == parity) {
        turn.store(now + 1);
        ebb::platform::wake(other);
      } else {
        // As long as the other's answer takes, more or less: it is to come between the look above and the sleep.
        std::atomic<int> delay{now * 37 % 2000};
        while (delay.fetch_sub(1) > 0) {
        }
        ebb::platform::wait(ebb::platform::kNever);  // a lost wake-up hangs the test
      }
    }
    ebb::platform::wake(other);
  };
  on_two_cores([&] { play(0); }, [&] { play(1); });
  EXPECT_EQ(turn, kTurns);
}

TEST(Platform, SleepsUntilTheDeadlineWhenNothingHappens) {
  on_two_cores(
      [] {
        for (const auto span : {200us, 5'000us, 50'000us}) {
          const auto deadline = Clock::now() + span;
          int returns = 0;
          for (; Clock::now() < deadline; ++returns) ebb::platform::wait(deadline);
          EXPECT_LT(Clock::now() - deadline, 500ms);
          EXPECT_LT(returns, 100);  // it may return early, but does not poll
        }
      },
      [] {});
}

TEST(Platform, ReturnsAtOnceWhenWokenBeforeItWaits) {
  on_two_cores(
      [] {
        ebb::platform::wake(CoreIndex{0});
        const auto start = Clock::now();
        ebb::platform::wait(start + 10s);
        EXPECT_LT(Clock::now() - start, 2s);
      },
      [] {});
}

TEST(Platform, TimeNeverGoesBackBetweenCores) {
  std::atomic<Clock::rep> latest{0};
  std::atomic<int> backwards{0};
  const auto look = [&] {
    for (int i = 0; i < 50'000; ++i) {
      const Clock::rep before = latest.load(std::memory_order_acquire);
      const Clock::rep now = Clock::now().time_since_epoch().count();
      if (now < before) ++backwards;
      Clock::rep seen = before;
      while (seen < now && !latest.compare_exchange_weak(seen, now, std::memory_order_acq_rel)) {
      }
    }
  };
  on_two_cores(look, look);
  EXPECT_EQ(backwards, 0);
}

}  // namespace
