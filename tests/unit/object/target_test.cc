// What all targets offer: a call to a home, to the owner of a key or to a replicated object has a deadline, may be cancelled, and
// need not be answered. Within a node; across nodes: tests/cluster/calls.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>

#include "ebb/async.h"
#include "ebb/object.h"
#include "tests/unit/object/clean_end.h"

namespace {

using namespace ebb;
using namespace std::chrono_literals;

std::atomic<int> heard{0};
std::atomic<std::int64_t> noted{0};

/// What the three kinds below do.
struct Listener {
  /// Waits until its caller does not.
  task<void> listen(const call_context& context) {
    const bool fired = co_await context.cancellation.cancelled();
    if (fired) ++heard;
  }
  bool is_limited(const call_context& context) { return context.deadline != kNoDeadline && context.caller == this_node(); }
  std::uint64_t trace(const call_context& context) { return context.trace.trace_low; }
  void note(std::int64_t value) { noted += value; }
  int save() const { return 0; }
  void restore(int) {}
};
struct HomeListener : Listener {
  using policy = single_home;
  using interface = ebb::interface<"test.HomeListener/1", method<"listen", &HomeListener::listen>, method<"note", &HomeListener::note>,
                                   method<"is_limited", &HomeListener::is_limited>, method<"trace", &HomeListener::trace>>;
};
struct KeyListener : Listener {
  using policy = partitioned;
  static constexpr std::uint32_t kPartitions = 16;
  using interface = ebb::interface<"test.KeyListener/1", method<"listen", &KeyListener::listen>, method<"note", &KeyListener::note>,
                                   method<"is_limited", &KeyListener::is_limited>, method<"trace", &KeyListener::trace>>;
};
struct Board {
  using policy = replicated;
  std::int64_t value = 0;
  call_context last;  // as this replica heard it; no part of its state
  void add(std::int64_t amount) { value += amount; }
  void hear(const call_context& context) {
    last = context;
    last.cancellation = {};
  }
  bool read_is_limited(const call_context& context) const { return context.deadline != kNoDeadline; }
  std::int64_t save() const { return value; }
  void restore(std::int64_t state) { value = state; }
  using interface = ebb::interface<"test.Board/1", method<"add", &Board::add>, method<"hear", &Board::hear>,
                                   method<"read_is_limited", &Board::read_is_limited>>;
};

constexpr std::uint32_t kKeys = 12;  // their owners are on all cores

int run(std::function<task<int>()> body) {
  return run_cores(2, [&body]() -> task<int> { return ebb::testing::with_clean_end(body()); });
}

/// Looks until it is so; a test that fails waits for 3 s.
template <class Value>
task<void> expect_soon(const std::atomic<Value>* counter, Value value) {
  for (int look = 0; look < 3000 && counter->load() != value; ++look) co_await sleep_for(1ms);
  EXPECT_EQ(counter->load(), value);
}

template <auto Listen, class Target>
task<void> expect_end(Target where, Errc code) {
  const auto answer = co_await where.template call<Listen>();
  EXPECT_EQ(answer.code(), code);
}

/// Both ends hear of it.
template <auto Listen, class Target>
task<void> check_early_ends(Target where) {
  heard = 0;
  cancel_source source;
  Scope scope;
  scope.spawn(expect_end<Listen>(where.cancelled_by(source.token()), Errc::cancelled));
  co_await sleep_for(2ms);
  source.cancel();
  co_await scope.join();
  co_await expect_soon(&heard, 1);
  co_await expect_end<Listen>(where.within(5ms), Errc::deadline_exceeded);
  co_await expect_soon(&heard, 2);
  // Nothing runs for a caller who has given up already.
  co_await expect_end<Listen>(where.cancelled_by(source.token()), Errc::cancelled);
  call_context late;
  late.deadline = platform::Clock::now();
  co_await expect_end<Listen>(where.under(late), Errc::deadline_exceeded);
  EXPECT_EQ(heard, 2);
}

TEST(HomeTarget, EndsACallEarlyOnBothSides) {
  EXPECT_EQ(run([]() -> task<int> {
    for (std::uint16_t core = 0; core < 2; ++core) {
      const auto home = (co_await create_at<HomeListener>(kFrontEndNode, CoreIndex{core})).value();
      co_await check_early_ends<&HomeListener::listen>(home.on_home());
      (co_await destroy(home)).value();
    }
    co_return 0;
  }), 0);
}

TEST(PartitionTarget, EndsACallEarlyOnBothSides) {
  EXPECT_EQ(run([]() -> task<int> {
    const auto store = (co_await create<KeyListener>()).value();
    (co_await store.on_key(0u).call<&KeyListener::is_limited>()).value();  // from here on its partitions have their places
    for (std::uint32_t key = 0; key < kKeys; ++key) co_await check_early_ends<&KeyListener::listen>(store.on_key(key));
    (co_await destroy(store)).value();
    co_return 0;
  }), 0);
}

TEST(PartitionTarget, TellsTheMethodOfItsCall) {
  EXPECT_EQ(run([]() -> task<int> {
    const auto store = (co_await create<KeyListener>()).value();
    const TraceContext trace{1, 2, 3, false};
    for (std::uint32_t key = 0; key < kKeys; ++key) {
      const bool free = (co_await store.on_key(key).call<&KeyListener::is_limited>()).value();
      const bool limited = (co_await store.on_key(key).within(10s).call<&KeyListener::is_limited>()).value();
      EXPECT_TRUE(!free && limited) << key;
      EXPECT_EQ((co_await store.on_key(key).under(trace).call<&KeyListener::trace>()).value(), 2u) << key;
    }
    (co_await destroy(store)).value();
    co_return 0;
  }), 0);
}

TEST(ReplicatedTarget, TellsTheHomeOfTheCallAndReplicasWhoseItIs) {
  EXPECT_EQ(run([]() -> task<int> {
    const auto board = (co_await create_at<Board>(kFrontEndNode, CoreIndex{1})).value();
    EXPECT_EQ(board->value, 0);  // a replica on core 0
    const TraceContext trace{1, 2, 3, false};
    const auto where = policy_of<Board>::route<Board>(board.id());
    EXPECT_TRUE(co_await where.within(10s).under(trace).call<&Board::hear>());
    auto look = [board] { return board->last; };
    const call_context at_home = co_await on_core(CoreIndex{1}, look);
    EXPECT_NE(at_home.deadline, kNoDeadline);
    EXPECT_EQ(board->last.deadline, kNoDeadline);
    EXPECT_EQ(at_home.trace.trace_low, 2u);
    EXPECT_EQ(board->last.trace.trace_low, 2u);
    EXPECT_EQ(at_home.caller, this_node());
    EXPECT_EQ(board->last.caller, this_node());
    EXPECT_TRUE((co_await where.within(10s).call<&Board::read_is_limited>()).value());
    cancel_source source;
    source.cancel();
    EXPECT_EQ((co_await where.cancelled_by(source.token()).call<&Board::add>(1)).code(), Errc::cancelled);
    EXPECT_EQ(board->value, 0);
    (co_await destroy(board)).value();
    co_return 0;
  }), 0);
}

TEST(Send, RunsOnceOnTheHomeTheOwnerOfAKeyAndEveryReplica) {
  EXPECT_EQ(run([]() -> task<int> {
    noted = 0;
    const auto home = (co_await create_at<HomeListener>(kFrontEndNode, CoreIndex{1})).value();
    EXPECT_TRUE(co_await home.on_home().send<&HomeListener::note>(1));
    co_await expect_soon(&noted, std::int64_t{1});
    const auto store = (co_await create<KeyListener>()).value();
    for (std::uint32_t key = 0; key < kKeys; ++key) EXPECT_TRUE(co_await store.on_key(key).send<&KeyListener::note>(1));
    co_await expect_soon(&noted, std::int64_t{1 + kKeys});
    const auto board = (co_await create_at<Board>(kFrontEndNode, CoreIndex{1})).value();
    EXPECT_EQ(board->value, 0);
    EXPECT_TRUE(co_await board.send<&Board::add>(7));
    for (int look = 0; look < 3000 && board->value != 7; ++look) co_await sleep_for(1ms);
    EXPECT_EQ(board->value, 7);
    (co_await destroy(home)).value();
    (co_await destroy(store)).value();
    (co_await destroy(board)).value();
    EXPECT_EQ(noted, 1 + kKeys);
    co_return 0;
  }), 0);
}

TEST(Send, IsRefusedWhenTooManyAreUnderWay) {
  EXPECT_EQ(run([]() -> task<int> {
    heard = 0;
    const auto store = (co_await create<KeyListener>()).value();
    cancel_source source;
    const auto where = store.on_key(1u).cancelled_by(source.token());
    std::uint32_t sent = 0;
    Result<void> last;
    while (last && sent <= detail::kMaxOwnSends) {
      last = co_await where.send<&KeyListener::listen>();
      if (last) ++sent;
      if (sent % 16 == 15) co_await yield();  // without tail calls what ends at once stays on the stack
    }
    EXPECT_EQ(last.code(), Errc::overloaded);
    EXPECT_GT(sent, detail::kMaxOwnSends / 2);
    source.cancel();
    co_await yield();
    EXPECT_TRUE(co_await store.on_key(1u).send<&KeyListener::note>(1));
    (co_await destroy(store)).value();
    co_return 0;
  }), 0);
}

}  // namespace
