// Tasks and what they are combined with.
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "ebb/async.h"

namespace {
thread_local bool no_memory = false;  // for the next that asks
}

// For the whole program: one can run out of memory at a chosen place.
[[gnu::noinline]] void* operator new(std::size_t size) {
  if (std::exchange(no_memory, false)) throw std::bad_alloc();
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return std::exchange(no_memory, false) ? nullptr : std::malloc(size == 0 ? 1 : size);
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace ebb {
namespace {

using namespace std::chrono_literals;

task<int> number(int value) {
  co_await yield();
  co_return value;
}
task<int> failing(std::string text) {
  co_await yield();
  throw std::runtime_error(text);
}
task<> append(std::vector<int>* list, int value, platform::Duration delay) {
  co_await sleep_for(delay);
  list->push_back(value);
}
task<> fail_later() {
  co_await yield();
  throw std::runtime_error("late");
}

TEST(Task, StartsWhenAwaitedAndReturnsItsValue) {
  static bool started;
  started = false;
  EXPECT_EQ(run_cores(1, []() -> task<int> {
    auto lazy = [](int value) -> task<int> {
      started = true;
      co_return value;
    }(3);
    EXPECT_FALSE(started);
    const int value = co_await std::move(lazy);
    EXPECT_TRUE(started);
    co_return value;
  }), 3);
}

TEST(Task, HandsItsExceptionToTheAwaiter) {
  run_cores(1, []() -> task<int> {
    bool caught = false;
    try {
      co_await failing("text");
    } catch (const std::runtime_error& error) {
      caught = std::string(error.what()) == "text";
    }
    EXPECT_TRUE(caught);
    co_return 0;
  });
}

TEST(Task, ReturnsAMoveOnlyValue) {
  run_cores(1, []() -> task<int> {
    auto value = co_await [](int inside) -> task<std::unique_ptr<int>> { co_return std::make_unique<int>(inside); }(5);
    EXPECT_EQ(*value, 5);
    co_return 0;
  });
}

TEST(BlockOn, ReturnsValuesAndThrowsExceptions) {
  run_cores(1, []() -> task<int> {
    EXPECT_EQ(block_on(number(4)), 4);
    EXPECT_THROW(block_on(failing("x")), std::runtime_error);
    EXPECT_EQ(block_on([]() -> task<int> { co_return 1; }()), 1);
    co_return 0;
  });
}

TEST(Completion, GivesTheValueWhicheverSideComesFirst) {
  run_cores(1, []() -> task<int> {
    Completion<int> early;
    early.complete(1);
    EXPECT_TRUE(early.ready());
    EXPECT_EQ(co_await early, 1);
    Completion<std::string> late;
    spawn([&late] { late.complete("two"); });
    EXPECT_EQ(co_await late, "two");
    Completion<> failed;
    spawn([&failed] { failed.fail(std::make_exception_ptr(std::logic_error("no"))); });
    bool caught = false;
    try {
      co_await failed;
    } catch (const std::logic_error&) {
      caught = true;
    }
    EXPECT_TRUE(caught);
    co_return 0;
  });
}

TEST(WhenAll, KeepsTheOrderAndRunsTogether) {
  run_cores(1, []() -> task<int> {
    std::vector<task<int>> tasks;
    for (int i = 0; i < 50; ++i) tasks.push_back(number(i));
    const std::vector<int> values = co_await when_all(std::move(tasks));
    EXPECT_EQ(values.size(), 50u);
    for (int i = 0; i < 50; ++i) EXPECT_EQ(values[static_cast<std::size_t>(i)], i);
    const auto [first, second] = co_await when_all(number(8), number(9));
    EXPECT_EQ(first + second, 17);
    const auto none = co_await when_all(std::vector<task<int>>{});
    EXPECT_TRUE(none.empty());
    co_return 0;
  });
}

TEST(WhenAll, WaitsForAllBeforeItThrows) {
  run_cores(1, []() -> task<int> {
    std::vector<int> ended;
    std::vector<task<>> tasks;
    tasks.push_back(fail_later());
    tasks.push_back(append(&ended, 1, 2ms));
    bool caught = false;
    try {
      co_await when_all(std::move(tasks));
    } catch (const std::runtime_error&) {
      caught = true;
    }
    EXPECT_TRUE(caught);
    EXPECT_EQ(ended.size(), 1u);
    co_return 0;
  });
}

task<int> run_out_of_memory(int* ended) {
  no_memory = true;
  co_await sleep_for(1ms);
  co_return ++*ended;
}
task<int> end_later(int* ended) {
  co_await sleep_for(1ms);
  co_return ++*ended;
}

TEST(WhenAll, WaitsForThoseThatHaveBegunWhenAnotherHasNoMemoryToBegin) {
  run_cores(1, []() -> task<int> {
    // The first takes the memory for the second one's frame.
    int ended = 0;
    int caught = 0;
    Core::current().call_after(1h, [] {});  // the timers have their memory
    std::vector<task<int>> tasks;
    tasks.push_back(run_out_of_memory(&ended));
    for (int i = 0; i < 3; ++i) tasks.push_back(end_later(&ended));
    try {
      co_await when_all(std::move(tasks));
    } catch (const std::bad_alloc&) {
      ++caught;
    }
    EXPECT_EQ(ended, 3);
    try {
      co_await when_all(run_out_of_memory(&ended), end_later(&ended), end_later(&ended));
    } catch (const std::bad_alloc&) {
      ++caught;
    }
    EXPECT_EQ(ended, 5);
    EXPECT_EQ(caught, 2);
    co_return 0;
  });
}

TEST(Scope, JoinsWhatItSpawnedAndThrowsTheFirstError) {
  run_cores(1, []() -> task<int> {
    std::vector<int> ended;
    Scope scope;
    scope.spawn(append(&ended, 2, 20ms));
    scope.spawn(append(&ended, 1, 1ms));
    EXPECT_EQ(scope.running(), 2u);
    co_await scope.join();
    EXPECT_EQ(ended, (std::vector<int>{1, 2}));
    scope.spawn(fail_later());
    bool caught = false;
    try {
      co_await scope.join();
    } catch (const std::runtime_error&) {
      caught = true;
    }
    EXPECT_TRUE(caught);
    co_await scope.join();
    co_return 0;
  });
}

task<> end_on_cancellation(cancel_token token, int* ended) {
  co_await token.cancelled();
  co_await ebb::sleep_for(1ms);
  ++*ended;
}

TEST(Scope, CancelsAndWaitsForItsTasksWhenItEndsWithoutJoin) {
  run_cores(1, []() -> task<int> {
    int ended = 0;
    std::vector<int> order;
    {
      Scope scope;
      scope.spawn(append(&order, 1, 2ms));
      for (int i = 0; i < 3; ++i) scope.spawn(end_on_cancellation(scope.token(), &ended));
    }
    EXPECT_EQ(ended, 3);
    EXPECT_EQ(order.size(), 1u);
    co_return 0;
  });
}

task<int> leave_by_exception(int* ended) {
  Scope scope;
  scope.spawn(end_on_cancellation(scope.token(), ended));
  co_await yield();
  throw std::runtime_error("on the way");
}

TEST(Scope, EndsItsTasksBeforeAnExceptionReachesTheCaller) {
  run_cores(1, []() -> task<int> {
    int ended = 0;
    std::string caught;
    try {
      co_await leave_by_exception(&ended);
    } catch (const std::runtime_error& error) {
      caught = error.what();
      EXPECT_EQ(ended, 1) << "the exception overtook the task";
    }
    EXPECT_EQ(caught, "on the way");
    co_return 0;
  });
}

TEST(Scope, CancelsTheOthersWhenOneFails) {
  run_cores(1, []() -> task<int> {
    int ended = 0;
    bool failed = false;
    Scope scope;
    scope.spawn(end_on_cancellation(scope.token(), &ended));
    scope.spawn(fail_later());
    try {
      co_await scope.join();
    } catch (const std::runtime_error&) {
      failed = true;
    }
    EXPECT_TRUE(failed);
    EXPECT_EQ(ended, 1);
    co_return 0;
  });
}

TEST(ScopeDeathTest, ReportsAScopeThatEndsWhereNothingMayWait) {
  EXPECT_EXIT(run_cores(1, []() -> task<int> {
    int ended = 0;
    Scope* scope = new Scope;
    scope->spawn(end_on_cancellation(scope->token(), &ended));
    Core::current().before_wait([&scope] { delete std::exchange(scope, nullptr); });
    co_await ebb::sleep_for(50ms);
    co_return 0;
  }), testing::ExitedWithCode(Core::kUncaughtStatus), "nothing may wait");
}

task<> work_in_window(Semaphore* window, int* inside, int* most) {
  auto permit = co_await window->acquire();
  *most = std::max(*most, ++*inside);
  co_await yield();
  --*inside;
}

TEST(Semaphore, NeverLetsMoreInThanItsLimit) {
  run_cores(1, []() -> task<int> {
    Semaphore window(3);
    int inside = 0;
    int most = 0;
    Scope scope;
    for (int i = 0; i < 20; ++i) scope.spawn(work_in_window(&window, &inside, &most));
    co_await scope.join();
    EXPECT_EQ(most, 3);
    EXPECT_EQ(window.available(), 3u);
    EXPECT_TRUE(window.try_acquire().has_value());
    co_return 0;
  });
}

TEST(OnCore, RunsThereAndReturnsHere) {
  run_cores(4, []() -> task<int> {
    for (std::uint16_t i = 0; i < 4; ++i) {
      EXPECT_EQ(co_await on_core(CoreIndex(i), [] { return to_number(Core::current().index()); }), i);
      EXPECT_EQ(Core::current().index(), CoreIndex(0));
    }
    EXPECT_EQ(co_await on_core(CoreIndex(2), [] { return number(6); }), 6);
    bool caught = false;
    try {
      co_await on_core(CoreIndex(3), [] { throw std::runtime_error("there"); });
    } catch (const std::runtime_error&) {
      caught = true;
    }
    EXPECT_TRUE(caught);
    bool refused = false;
    try {
      co_await on_core(CoreIndex(9), [] {});
    } catch (const ErrorException& error) {
      refused = error.error().code() == Errc::not_found;
    }
    EXPECT_TRUE(refused);
    co_return 0;
  });
}

TEST(OnCore, WaitsForRoomBeyondTheRing) {
  run_cores(2, []() -> task<int> {
    std::vector<task<int>> calls;
    for (int i = 0; i < 5000; ++i) calls.push_back(on_core(CoreIndex(1), [i] { return i; }));
    const std::vector<int> values = co_await when_all(std::move(calls));
    for (int i = 0; i < 5000; ++i) EXPECT_EQ(values[static_cast<std::size_t>(i)], i);
    co_return 0;
  });
}

/// Goes on to another core `depth` times, and answers how often.
task<int> visit(std::uint32_t seed, int depth) {
  if (depth == 0) co_return 0;
  const CoreIndex next{static_cast<std::uint16_t>((seed >> depth) % Core::count())};
  auto there = [seed, depth] { return visit(seed, depth - 1); };
  const int below = co_await on_core(next, std::move(there));
  co_return below + 1;
}
task<int> visit_often(int calls, int depth) {
  std::vector<task<int>> under_way;
  for (int i = 0; i < calls; ++i) under_way.push_back(visit(static_cast<std::uint32_t>(i) * 2654435761U, depth));
  int sum = 0;
  for (const int visits : co_await when_all(std::move(under_way))) sum += visits;
  co_return sum;
}

// Each core calls the others, whose calls come back, with every ring full in both directions: whoever waits for room must go
// on taking calls and answers.
TEST(OnCore, NestedCallsThroughFullRingsCannotDeadlock) {
  run_cores(3, []() -> task<int> {
    constexpr int kCalls = 5000;
    constexpr int kDepth = 7;
    std::vector<task<int>> everywhere;
    for (std::uint16_t i = 0; i < 3; ++i) {
      auto from = [] { return visit_often(kCalls, kDepth); };
      everywhere.push_back(on_core(CoreIndex(i), std::move(from)));
    }
    for (const int sum : co_await when_all(std::move(everywhere))) EXPECT_EQ(sum, kCalls * kDepth);
    co_return 0;
  });
}

}  // namespace
}  // namespace ebb
