#include "ebb/async/timed_completion.h"

#include <gtest/gtest.h>

#include <chrono>

#include "ebb/async.h"

namespace {

using namespace ebb;
using namespace std::chrono_literals;

task<void> wait(detail::TimedCompletion* completion, int* ended) {
  co_await *completion;
  ++*ended;
}

template <class Test>
void run(Test test) {
  EXPECT_EQ(run_cores(1, test), 0);
}

TEST(TimedCompletion, ComesByItselfWhenItsTimeIsOver) {
  run([]() -> task<int> {
    const platform::Instant begun = platform::Clock::now();
    detail::TimedCompletion completion(5ms);
    co_await completion;
    EXPECT_GE(platform::Clock::now() - begun, 5ms);
    completion.complete();  // of no consequence
    co_return 0;
  });
}

TEST(TimedCompletion, ComesAtOnceWhenItIsCompleted) {
  run([]() -> task<int> {
    const std::size_t timers = Core::current().pending_timers();
    int ended = 0;
    Scope scope;
    detail::TimedCompletion completion(1h);
    scope.spawn(wait(&completion, &ended));
    co_await yield();
    EXPECT_EQ(ended, 0);
    completion.complete();
    completion.complete();
    EXPECT_EQ(Core::current().pending_timers(), timers);
    co_await scope.join();
    EXPECT_EQ(ended, 1);
    detail::TimedCompletion before(1h);
    before.complete();
    co_await before;
    co_return 0;
  });
}

TEST(TimedCompletion, LeavesNoTimerBehind) {
  run([]() -> task<int> {
    const std::size_t timers = Core::current().pending_timers();
    { const detail::TimedCompletion never_awaited(1h); }
    EXPECT_EQ(Core::current().pending_timers(), timers);
    co_return 0;
  });
}

}  // namespace
