// The end of an object, and its parts' replacement, while methods that are no coroutines block; ends that fail, or meet.
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <utility>

#include "ebb/async.h"
#include "ebb/object.h"
#include "ebb/object/drop.h"
#include "ebb/object/swap.h"
#include "src/object/home_service.h"
#include "tests/unit/object/clean_end.h"

namespace {

using ebb::CoreIndex;
using ebb::Errc;
using ebb::NodeTable;
using namespace std::chrono_literals;

int run(std::function<ebb::task<int>()> body) {
  return ebb::run_cores(2, [&body]() -> ebb::task<int> { return ebb::testing::with_clean_end(body()); });
}

std::atomic<int> alive{0};
std::atomic<int> inside{0};  // calls that have begun
std::atomic<bool> gate{false};

ebb::task<void> until_gate_opens() {
  while (!gate) co_await ebb::sleep_for(100us);
}

/// Reads, blocks, and writes.
struct Slow {
  Slow() { ++alive; }
  Slow(Slow&& other) noexcept : value(other.value) { ++alive; }
  virtual ~Slow() {
    value = -1000;
    --alive;
  }
  std::int64_t value = 0;
  std::int64_t add(std::int64_t n) {
    ++inside;
    const std::int64_t seen = value;
    ebb::block_on(until_gate_opens());
    return value = seen + n;
  }
  /// No coroutine: it blocks before there is a task.
  ebb::task<std::int64_t> begin(std::int64_t n) {
    const std::int64_t sum = add(n);
    return [](std::int64_t result) -> ebb::task<std::int64_t> { co_return result; }(sum);
  }
  std::int64_t get() const { return value; }
  std::int64_t save() const { return value; }
  void restore(std::int64_t state) { value = state; }
  using interface = ebb::interface<"test.Slow/2", ebb::method<"add", &Slow::add>, ebb::method<"begin", &Slow::begin>,
                                   ebb::method<"get", &Slow::get>>;
};
struct Patient : Slow {
  static constexpr std::string_view implementation = "test.Slow/patient";
  explicit Patient(Slow&& old) noexcept : Slow(std::move(old)) {}
  Patient() = default;
};
struct Home : Slow {
  using policy = ebb::single_home;
  std::int64_t add_to(std::int64_t n) { return add(n); }
  std::int64_t got() const { return value; }
  using interface = ebb::interface<"test.SlowHome/1", ebb::method<"add", &Home::add_to>, ebb::method<"get", &Home::got>>;
};

ebb::task<void> keep(ebb::task<ebb::Result<std::int64_t>> work, std::int64_t* result) {
  *result = (co_await std::move(work)).value();
}
ebb::task<void> note(ebb::task<ebb::Result<void>> work, Errc* code) { *code = (co_await std::move(work)).code(); }
ebb::task<void> until_inside(int calls) {
  while (inside != calls) co_await ebb::sleep_for(50us);
}

ebb::task<int> moved() {
  gate = false, inside = 0;
  NodeTable::instance().enter(ebb::detail::kHomeService.id(), ebb::detail::kTypeDescriptor<ebb::detail::HomeService>);
  const auto home = (co_await ebb::create<Home>()).value();
  std::int64_t answer = 0;
  Errc outcome = Errc::internal;
  ebb::Scope scope;
  scope.spawn(keep(home.call<&Home::add_to>(7), &answer));
  co_await until_inside(1);
  scope.spawn(note(ebb::migrate(home, ebb::this_node(), CoreIndex{1}), &outcome));
  co_await ebb::sleep_for(5ms);
  gate = true;
  co_await scope.join();
  EXPECT_EQ(answer, 7);
  EXPECT_EQ(outcome, Errc::ok);
  EXPECT_EQ((co_await home.call<&Home::got>()).value(), 7) << "an answered write stayed behind";
  EXPECT_EQ(alive, 1);
  EXPECT_TRUE(co_await ebb::destroy(home));
  co_return 0;
}

TEST(CallsThatBlock, AreWaitedForByAMove) { EXPECT_EQ(run(moved), 0); }

ebb::task<int> swapped_and_dropped() {
  gate = false, inside = 0;
  const auto slow = (co_await ebb::create<Slow>()).value();
  std::int64_t answer = 0;
  ebb::Scope scope;
  scope.spawn(keep(slow.on(CoreIndex{1}).call<&Slow::add>(7), &answer));
  co_await until_inside(1);
  EXPECT_EQ((co_await ebb::drop(slow)).value(), 0u) << "one that works went";
  ebb::Result<std::uint32_t> replaced(0u);
  auto open_soon = []() -> ebb::task<void> {
    co_await ebb::sleep_for(5ms);
    gate = true;
  };
  scope.spawn(open_soon());
  replaced = co_await ebb::swap<Patient>(slow);
  co_await scope.join();
  EXPECT_EQ(replaced.value(), 1u);
  EXPECT_EQ(answer, 7);
  EXPECT_EQ((co_await slow.on(CoreIndex{1}).call<&Slow::get>()).value(), 7) << "replaced under a call";
  EXPECT_TRUE(co_await ebb::destroy(slow));
  EXPECT_EQ(alive, 0);
  co_return 0;
}

TEST(CallsThatBlock, AreWaitedForByASwapAndKeepAPartFromBeingDropped) { EXPECT_EQ(run(swapped_and_dropped), 0); }

struct Shelf {
  using policy = ebb::partitioned;
  static constexpr std::uint32_t kPartitions = 2;
  std::int64_t put(std::int64_t n) {
    ++inside;
    ebb::block_on(until_gate_opens());
    return n;
  }
  std::int64_t save() const { return 0; }
  void restore(std::int64_t) {}
  using interface = ebb::interface<"test.SlowShelf/1", ebb::method<"put", &Shelf::put>>;
};

/// The same for a partition, called where it lives.
ebb::task<int> partition_ended() {
  gate = false, inside = 0;
  const auto shelf = (co_await ebb::create<Shelf>()).value();
  std::int64_t answer = 0;
  Errc ended = Errc::internal;
  ebb::Scope scope;
  scope.spawn(keep(shelf.on_key(1).call<&Shelf::put>(7), &answer));
  co_await until_inside(1);
  scope.spawn(note(ebb::destroy(shelf), &ended));
  co_await ebb::sleep_for(5ms);
  EXPECT_EQ(ended, Errc::internal) << "destroy() did not wait for a plain method that blocks";
  gate = true;
  co_await scope.join();
  EXPECT_EQ(answer, 7);
  EXPECT_EQ(ended, Errc::ok);
  co_return 0;
}

TEST(CallsThatBlock, AreWaitedForByTheEndOfAPartition) { EXPECT_EQ(run(partition_ended), 0); }

/// Its end meets a move that is given up: what is back in its slot is not ended under the call.
ebb::task<int> ended_while_given() {
  gate = false, inside = 0;
  NodeTable::instance().enter(ebb::detail::kHomeService.id(), ebb::detail::kTypeDescriptor<ebb::detail::HomeService>);
  const auto home = (co_await ebb::create<Home>()).value();
  std::int64_t answer = 0;
  Errc moved = Errc::internal, ended = Errc::internal;
  ebb::Scope scope;
  scope.spawn(keep(home.call<&Home::add_to>(7), &answer));
  co_await until_inside(1);
  scope.spawn(note(ebb::migrate(home, ebb::this_node(), CoreIndex{1}), &moved));
  co_await ebb::sleep_for(2ms);
  scope.spawn(note(ebb::destroy(home), &ended));
  co_await ebb::sleep_for(2ms);
  const auto service = ebb::detail::kHomeService.on(ebb::this_node(), CoreIndex{0});
  EXPECT_TRUE(co_await service.call<&ebb::detail::HomeService::keep>(home.id(), 1));
  EXPECT_EQ(alive, 1) << "an instance ended with a call in it";
  gate = true;
  co_await scope.join();
  EXPECT_EQ(answer, 7);
  EXPECT_EQ(ended, Errc::ok);
  EXPECT_EQ(alive, 0);
  co_return 0;
}

TEST(CallsThatBlock, KeepWhatComesBackFromAMoveOfAnObjectThatEnds) { EXPECT_EQ(run(ended_while_given), 0); }

ebb::task<int> hidden_everywhere(bool gives_a_task) {
  gate = false, inside = 0;
  const auto slow = (co_await ebb::create<Slow>()).value();
  EXPECT_EQ((co_await slow.on(CoreIndex{1}).call<&Slow::get>()).value(), 0);
  std::int64_t answer = 0;
  Errc outcome = Errc::internal;
  ebb::Scope scope;
  auto work = gives_a_task ? slow.on(CoreIndex{0}).call<&Slow::begin>(7) : slow.on(CoreIndex{0}).call<&Slow::add>(7);
  scope.spawn(keep(std::move(work), &answer));
  co_await until_inside(1);
  scope.spawn(note(ebb::destroy(slow), &outcome));
  co_await ebb::sleep_for(5ms);
  EXPECT_EQ((co_await slow.on(CoreIndex{1}).call<&Slow::get>()).code(), Errc::no_such_object)
      << "a core answers while another waits for its calls";
  EXPECT_EQ(outcome, Errc::internal) << "ended in the middle of a call";
  gate = true;
  co_await scope.join();
  EXPECT_EQ(answer, 7);
  EXPECT_EQ(outcome, Errc::ok);
  EXPECT_EQ(alive, 0);
  co_return 0;
}

TEST(Destroy, HidesTheObjectOnAllCoresAndThenWaits) {
  EXPECT_EQ(run([] { return hidden_everywhere(false); }), 0);
  EXPECT_EQ(run([] { return hidden_everywhere(true); }), 0);
}

/// Two events end the same: the second hears what came of the first, and not before.
ebb::task<int> met() {
  const ebb::detail::TypeDescriptor* type = &ebb::detail::kTypeDescriptor<Slow>;
  NodeTable& table = NodeTable::instance();
  for (const bool in_time : {true, false}) {
    gate = false, inside = 0;
    const auto slow = (co_await ebb::create<Slow>()).value();
    std::int64_t answer = 0;
    Errc first = Errc::internal, second = Errc::internal;
    ebb::Scope scope;
    scope.spawn(keep(slow.on(CoreIndex{1}).call<&Slow::add>(7), &answer));
    co_await until_inside(1);
    scope.spawn(note(table.end(slow.id(), type, in_time ? 10s : 10ms), &first));
    co_await ebb::sleep_for(2ms);
    scope.spawn(note(table.end(slow.id(), type), &second));
    co_await ebb::sleep_for(5ms);
    EXPECT_EQ(second, Errc::internal) << "has ended before the first";
    if (!in_time) co_await ebb::sleep_for(50ms);
    gate = true;
    co_await scope.join();
    EXPECT_EQ(answer, 7);
    EXPECT_EQ(first, in_time ? Errc::ok : Errc::deadline_exceeded);
    EXPECT_EQ(second, first);
    EXPECT_EQ(alive, in_time ? 0 : 1);
    EXPECT_EQ((co_await slow.on(CoreIndex{1}).call<&Slow::get>()).code(), Errc::no_such_object);
    // What is left of it ends when it is asked to once more.
    EXPECT_EQ((co_await table.end(slow.id(), type)).code(), in_time ? Errc::no_such_object : Errc::ok);
    EXPECT_EQ(alive, 0);
  }
  co_return 0;
}

TEST(End, WaitsForAnotherOfTheSameObjectAndFinishesOneThatFailed) { EXPECT_EQ(run(met), 0); }

}  // namespace
