// The event loop: order, bounds, timers, hooks, other cores, other threads, blocking contexts, stop.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "ebb/async.h"

namespace ebb {
namespace {

using namespace std::chrono_literals;

TEST(Loop, RunsSpawnedEventsInOrderAndNeverInline) {
  static std::vector<int> order;
  order.clear();
  EXPECT_EQ(run_cores(1, []() -> task<int> {
    for (int i = 0; i < 5000; ++i) spawn([i] { order.push_back(i); });
    EXPECT_TRUE(order.empty());
    co_await yield();
    co_return 7;
  }), 7);
  ASSERT_EQ(order.size(), 5000u);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
}

TEST(Loop, DestroysACallableOnceWhetherItRunsOrNot) {
  static auto counted = std::make_shared<int>(0);
  run_cores(1, []() -> task<int> {
    spawn([held = counted] { ++*held; });
    std::array<char, 100> large{};
    spawn([held = counted, large] { *held += large[0] == 0 ? 1 : 0; });
    co_await yield();
    Core::current().call_after(1h, [held = counted] { ++*held; });
    spawn([held = counted] { ++*held; });
    co_return 0;
  });
  EXPECT_EQ(counted.use_count(), 1);
}

TEST(Loop, FiresTimersInOrderAndCancelsThem) {
  static std::string order;
  order.clear();
  run_cores(1, []() -> task<int> {
    Core& core = Core::current();
    core.call_after(3ms, [] { order += 'c'; });
    core.call_after(1ms, [] { order += 'a'; });
    const TimerId cancelled = core.call_after(2ms, [] { order += 'x'; });
    core.call_after(2ms, [] { order += 'b'; });
    EXPECT_TRUE(core.cancel(cancelled));
    const auto before = platform::Clock::now();
    co_await sleep_for(5ms);
    EXPECT_GE(platform::Clock::now() - before, 5ms);
    EXPECT_EQ(core.pending_timers(), 0u);
    co_return 0;
  });
  EXPECT_EQ(order, "abc");
}

TEST(Loop, RefusesTheEventAfterTheLastThatARingHolds) {
  run_cores(2, []() -> task<int> {
    static std::atomic<bool> hold{true};
    static std::atomic<int> ran{0};
    hold = true;
    ran = 0;
    EXPECT_TRUE(Core::spawn_on(CoreIndex(1), [] { while (hold) std::this_thread::yield(); }));
    std::size_t accepted = 0;
    Result<void> last;
    for (;;) {
      last = Core::spawn_on(CoreIndex(1), [] { ++ran; });
      if (!last) break;
      ++accepted;
    }
    EXPECT_EQ(last.code(), Errc::overloaded);
    EXPECT_GE(accepted, Core::kMaxCrossCoreEvents - 1);
    EXPECT_LE(accepted, Core::kMaxCrossCoreEvents);
    hold = false;
    while (static_cast<std::size_t>(ran) != accepted) co_await yield();
    EXPECT_TRUE(Core::spawn_on(CoreIndex(1), [] {}));
    EXPECT_EQ(Core::spawn_on(CoreIndex(2), [] {}).code(), Errc::not_found);
    co_return 0;
  });
}

// Four cores that pass a token about, with pauses around the length of an idle poll, so that they are met in every
// phase of going to sleep. A lost wake-up hangs the ring until the test's time limit.
constexpr int kHops = 100'000;
std::atomic<int> hops{0};
void pass_on() {
  const int done = ++hops;
  if (done >= kHops) return;
  const auto next = CoreIndex((to_number(Core::current().index()) + 1) % 4);
  if (done % 64 == 0) {
    Core::current().call_after(std::chrono::microseconds(done % 90), [next] { EXPECT_TRUE(Core::spawn_on(next, pass_on)); });
  } else {
    EXPECT_TRUE(Core::spawn_on(next, pass_on));
  }
}

TEST(Loop, NeverLosesAWakeUpOnFourCoresOfTwoCpus) {
  hops = 0;
  EXPECT_EQ(run_cores(4, []() -> task<int> {
    EXPECT_EQ(Core::count(), 4u);
    pass_on();
    while (hops < kHops) co_await sleep_for(1ms);
    co_return 0;
  }), 0);
  EXPECT_EQ(Core::count(), 0u);
}

TEST(Loop, NeverLosesAWakeUpFromAThreadThatIsNoCore) {
  static std::atomic<int> ran{0};
  ran = 0;
  run_cores(2, []() -> task<int> {
    std::thread poster([] {
      for (int i = 0; i < 1000; ++i) {
        EXPECT_TRUE(Core::post(CoreIndex(1), [] { ++ran; }));
        while (ran != i + 1) std::this_thread::yield();
        if (i % 10 == 0) std::this_thread::sleep_for(std::chrono::microseconds(i % 130));
      }
    });
    while (ran != 1000) co_await sleep_for(1ms);
    poster.join();
    co_return 0;
  });
  EXPECT_EQ(Core::post(CoreIndex(1), [] {}).code(), Errc::unavailable);
}

std::size_t ran = 0;
bool breeding = true;

void breed() {
  ++ran;
  if (breeding) spawn(breed);
}

TEST(Loop, KeepsTimersAndThreadsWaitingForAFewBatchesAtMostHoweverManyEventsAreReady) {
  static std::size_t timer, thread;
  timer = thread = 0;
  ran = 0;
  breeding = true;
  run_cores(1, []() -> task<int> {
    for (int i = 0; i < 300'000; ++i) spawn(breed);
    co_await yield();  // all of them have run, and are ready again
    const std::size_t before = ran;
    Core::current().call_after(0ms, [before] { timer = ran - before; });
    EXPECT_TRUE(Core::post(CoreIndex{0}, [before] { thread = ran - before; }));
    while (timer == 0 || thread == 0) co_await yield();
    breeding = false;
    co_return 0;
  });
  EXPECT_LE(timer, 2 * Core::kBatch);
  EXPECT_LE(thread, 2 * Core::kBatch);
}

/// Runs for a millisecond at a time until `*stop`.
void compute(const bool* stop) {
  const auto end = platform::Clock::now() + 1ms;
  while (platform::Clock::now() < end) {
  }
  if (!*stop) spawn([stop] { compute(stop); });
}

TEST(Loop, KeepsTimersAndThreadsWaitingForAFewEventsAtMostHoweverLongTheyTake) {
  static platform::Duration timer, thread;
  timer = thread = platform::Duration::zero();
  run_cores(1, []() -> task<int> {
    static bool stop;
    stop = false;
    for (int i = 0; i < 300; ++i) spawn([] { compute(&stop); });
    co_await sleep_for(1ms);
    const auto before = platform::Clock::now();
    Core::current().call_after(1ms, [before] { timer = platform::Clock::now() - before; });
    EXPECT_TRUE(Core::post(CoreIndex{0}, [before] { thread = platform::Clock::now() - before; }));
    while (timer == platform::Duration::zero() || thread == platform::Duration::zero()) co_await sleep_for(1ms);
    stop = true;
    co_return 0;
  });
  EXPECT_LE(timer, 100ms);
  EXPECT_LE(thread, 100ms);
}

TEST(Loop, RunsATimerThatIsDueBehindThousandsBeforeAnyOtherEvent) {
  static int fired, before_event;
  fired = before_event = 0;
  run_cores(1, []() -> task<int> {
    const auto when = platform::Clock::now() + 2ms;
    Core::current().call_at(when, [] { spawn([] { before_event = fired; }); });
    for (int i = 0; i < 2000; ++i) Core::current().call_at(when, [] { ++fired; });
    while (platform::Clock::now() < when + 1ms) {
    }
    while (before_event == 0) co_await yield();
    co_return 0;
  });
  EXPECT_EQ(before_event, 2000);
}

TEST(Loop, TakesADelayThatReachesBeyondTheClockForNever) {
  static bool fired;
  fired = false;
  EXPECT_EQ(run_cores(1, []() -> task<int> {
    Core::current().call_after(platform::Duration::max(), [] { fired = true; });
    Core::current().call_after(3ms, [] { request_stop(3); });
    co_await sleep_for(platform::Duration::max());
    co_return 4;
  }), 3);
  EXPECT_FALSE(fired);
}

TEST(Loop, CallsHooksAfterEventsAndBeforeSleep) {
  static int calls;
  calls = 0;
  run_cores(1, []() -> task<int> {
    const HookId hook = Core::current().before_wait([] { ++calls; });
    spawn([] { EXPECT_EQ(calls, 0); });
    co_await sleep_for(1ms);
    EXPECT_GE(calls, 1);
    Core::current().remove_hook(hook);
    const int before = calls;
    co_await sleep_for(1ms);
    EXPECT_EQ(calls, before);
    co_return 0;
  });
}

TEST(Loop, CallsHooksBeforeItSleepsAfterAnEventThatBlockedInANewContext) {
  static platform::Instant blocked, called;
  blocked = called = platform::kNever;
  run_cores(1, []() -> task<int> {
    const HookId hook = Core::current().before_wait([] {
      if (blocked != platform::kNever && called == platform::kNever) called = platform::Clock::now();
    });
    static Context* context;
    spawn([] {
      context = &Context::current();
      blocked = platform::Clock::now();
      Context::block();
    });
    co_await sleep_for(500ms);
    Core::current().remove_hook(hook);
    context->resume();
    co_await yield();
    co_return 0;
  });
  EXPECT_LT(called, blocked + 400ms);
}

TEST(Loop, StopsOnRequestAlthoughMainWaits) {
  static bool destroyed;
  destroyed = false;
  struct Witness {
    ~Witness() { destroyed = true; }
  };
  EXPECT_EQ(run_cores(2, []() -> task<int> {
    const Witness witness;
    EXPECT_TRUE(Core::spawn_on(CoreIndex(1), [] { request_stop(42); }));
    co_await sleep_for(1h);
    co_return 0;
  }), 42);
  EXPECT_TRUE(destroyed);
}

TEST(Loop, RunsNothingAfterTheEventThatStopsIt) {
  static int ran_late;
  ran_late = 0;
  EXPECT_EQ(run_cores(1, []() -> task<int> {
    Core::current().before_wait([] { ran_late += Core::current().stopping() ? 1 : 0; });
    const auto when = platform::Clock::now();
    EXPECT_TRUE(Core::post(CoreIndex{0}, [] { ran_late += Core::current().stopping() ? 1 : 0; }));
    spawn([when] {
      request_stop(5);
      Core::current().call_at(when, [] { ++ran_late; });
    });
    spawn([] { ++ran_late; });
    co_await sleep_for(1h);
    co_return 0;
  }), 5);
  EXPECT_EQ(ran_late, 0);
}

TEST(Loop, DropsTimersAndEventsWhileThereStillIsACore) {
  static int dropped, dropped_with_core;
  dropped = dropped_with_core = 0;
  // Each looks at the core when it goes, and makes the queue grow.
  const auto witness = [] {
    return std::shared_ptr<void>(nullptr, [](void*) {
      ++dropped;
      Core* const core = Core::current_or_null();
      if (core == nullptr) return;
      ++dropped_with_core;
      for (int i = 0; i < 3000; ++i) core->spawn([] {});
      core->call_after(1h, [] {});
    });
  };
  run_cores(1, [witness]() -> task<int> {
    return [](auto make) -> task<int> {
      Core::current().call_after(1h, [held = make()] {});
      spawn([] { request_stop(0); });
      spawn([held = make()] {});
      spawn([held = make()] {});
      co_await sleep_for(1h);
      co_return 0;
    }(witness);
  });
  EXPECT_EQ(dropped, 3);
  EXPECT_EQ(dropped_with_core, 3);
}

TEST(Loop, TurnsAnErrorThatLeavesMainIntoStatusOne) {
  EXPECT_EQ(run_cores(1, []() -> task<int> {
    throw ErrorException(Error(Errc::not_found, "nothing here"));
    co_return 0;
  }), 1);
  EXPECT_EQ(run_cores(0, []() -> task<int> { co_return 0; }), kStartFailedStatus);
}

TEST(LoopDeathTest, ReportsAnExceptionThatLeavesAnEvent) {
  EXPECT_EXIT(run_cores(1, []() -> task<int> {
    spawn([] { throw std::runtime_error("boom"); });
    co_await sleep_for(1h);
    co_return 0;
  }), testing::ExitedWithCode(Core::kUncaughtStatus), "std::runtime_error: boom.* core 0");
}

TEST(Context, LetsTheCoreGoOnWhileAnEventBlocks) {
  static std::string order;
  order.clear();
  run_cores(1, []() -> task<int> {
    static Context* blocked;
    spawn([] {
      blocked = &Context::current();
      order += 'a';
      Context::block();
      order += 'c';
    });
    co_await yield();
    order += 'b';
    blocked->resume();
    co_await yield();
    order += 'd';
    co_return 0;
  });
  EXPECT_EQ(order, "abcd");
}

TEST(Context, DoesNotBlockWhenResumedBefore) {
  run_cores(1, []() -> task<int> {
    Context::current().resume();
    Context::block();
    co_return 0;
  });
}

void rethrow_across_a_switch(int number, int* right) {
  try {
    throw number;
  } catch (...) {
    block_on([]() -> task<> { co_await yield(); }());
    try {
      throw;
    } catch (int caught) {
      *right += caught == number ? 1 : 0;
    }
  }
}

TEST(Context, KeepsEachBlockedEventsExceptionApart) {
  static int right;
  right = 0;
  run_cores(1, []() -> task<int> {
    for (int i = 0; i < 10; ++i) spawn([i] { rethrow_across_a_switch(i, &right); });
    co_await sleep_for(1ms);
    while (right < 10) co_await yield();
    co_return 0;
  });
  EXPECT_EQ(right, 10);
}

TEST(Context, RefusesToBlockOnceAllContextsAreInUse) {
  static std::size_t blocked, refused, went_on;
  blocked = refused = went_on = 0;
  run_cores(1, []() -> task<int> {
    static bool open;
    open = false;
    for (std::size_t i = 0; i < Context::kMaxContexts + 10; ++i) {
      spawn([] {
        try {
          ++blocked;
          block_on([]() -> task<> { while (!open) co_await yield(); }());
          ++went_on;
        } catch (const ErrorException& error) {
          EXPECT_EQ(error.error().code(), Errc::overloaded);
          --blocked;
          ++refused;
        }
      });
    }
    while (blocked + refused < Context::kMaxContexts + 10) co_await yield();
    open = true;
    while (went_on < blocked) co_await yield();
    co_return 0;
  });
  EXPECT_EQ(blocked, Context::kMaxContexts - 1);
  EXPECT_EQ(refused, 11u);
}

TEST(Context, IsKeptForScopesThatEndWhenAllAreInUse) {
  static std::size_t blocked, ended, went_on;
  blocked = ended = went_on = 0;
  EXPECT_EQ(run_cores(1, []() -> task<int> {
    static bool open;
    open = false;
    for (std::size_t i = 0; i < Context::kMaxContexts - 1; ++i) {
      spawn([] {
        ++blocked;
        block_on([]() -> task<> { while (!open) co_await yield(); }());
        ++went_on;
      });
    }
    while (blocked < Context::kMaxContexts - 1) co_await yield();
    for (int i = 0; i < 10; ++i) {
      spawn([] {
        EXPECT_FALSE(Context::can_block());
        {
          Scope scope;
          scope.spawn([]() -> task<> { co_await sleep_for(1ms); }());
        }
        ++ended;
      });
    }
    while (ended < 10) co_await yield();
    open = true;
    while (went_on < blocked) co_await yield();
    co_return 0;
  }), 0);
  EXPECT_EQ(ended, 10u);
}

TEST(ContextDeathTest, ReportsAHookThatBlocks) {
  EXPECT_EXIT(run_cores(1, []() -> task<int> {
    Core::current().before_wait([] { Context::block(); });
    co_await sleep_for(1h);
    co_return 0;
  }), testing::ExitedWithCode(Core::kUncaughtStatus), "hook");
}

}  // namespace
}  // namespace ebb
