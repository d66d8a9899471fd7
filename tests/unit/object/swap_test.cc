// Hot swapping, and the end of an object with calls under way.
#include "ebb/object/swap.h"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <stdexcept>

#include "ebb/async.h"
#include "ebb/object.h"
#include "tests/unit/object/clean_end.h"

namespace {

using ebb::CoreIndex;
using ebb::Errc;
using namespace std::chrono_literals;

int run(std::function<ebb::task<int>()> body) {
  return ebb::run_cores(2, [&body]() -> ebb::task<int> { return ebb::testing::with_clean_end(body()); });
}

std::atomic<int> alive{0};

struct Counter {
  Counter() { ++alive; }
  Counter(Counter&& other) noexcept : value(other.value) { ++alive; }
  virtual ~Counter() { --alive; }
  std::int64_t value = 0;
  virtual void add(std::int64_t n) { value += n; }
  std::int64_t get() const { return value; }
  ebb::task<std::int64_t> slowly() {
    co_await ebb::sleep_for(50ms);
    co_return value;
  }
  using interface = ebb::interface<"test.Counter/1", ebb::method<"add", &Counter::add>, ebb::method<"get", &Counter::get>,
                                   ebb::method<"slowly", &Counter::slowly>>;
};

struct Tripling : Counter {
  static constexpr std::string_view implementation = "test.Counter/tripling";
  Tripling() = default;
  explicit Tripling(Counter&& old) noexcept : Counter(std::move(old)) {}
  std::int64_t times = 0;  // that a successor does not take over
  void add(std::int64_t n) override { value += 3 * n + ++times; }
};

struct Doubling : Counter {
  static constexpr std::string_view implementation = "test.Counter/doubling";
  Doubling() = default;
  explicit Doubling(Counter&& old) noexcept : Counter(std::move(old)) {}
  void add(std::int64_t n) override { value += 2 * n; }
};

struct Stubborn : Counter {
  static constexpr std::string_view implementation = "test.Counter/stubborn";
  Stubborn() = default;
  explicit Stubborn(Counter&&) { throw std::runtime_error("not me"); }
};

ebb::task<int> replace() {
  const auto counter = (co_await ebb::create<Counter>()).value();
  counter->add(1);
  EXPECT_EQ((co_await ebb::swap<Doubling>(counter)).value(), 1u);
  counter->add(1);
  EXPECT_EQ(counter->get(), 3) << "the successor lost the state, or is not called";
  // A core that had none makes the new one.
  EXPECT_TRUE(co_await counter.on(CoreIndex{1}).call<&Counter::add>(5));
  EXPECT_EQ((co_await counter.on(CoreIndex{1}).call<&Counter::get>()).value(), 10);
  EXPECT_EQ(alive, 2);
  EXPECT_TRUE(co_await ebb::destroy(counter));
  EXPECT_EQ(alive, 0);
  EXPECT_EQ((co_await ebb::swap<Doubling>(counter)).code(), Errc::no_such_object);
  co_return 0;
}

TEST(Swap, PutsAnotherImplementationBehindTheSameReference) { EXPECT_EQ(run(replace), 0); }

ebb::task<int> replace_again() {
  const auto counter = (co_await ebb::create<Counter>()).value();
  counter->add(1);
  EXPECT_EQ((co_await ebb::swap<Tripling>(counter)).value(), 1u);
  counter->add(1);
  // This one was made as what it is to be.
  EXPECT_TRUE(co_await counter.on(CoreIndex{1}).call<&Counter::add>(1));
  EXPECT_EQ((co_await ebb::swap<Tripling>(counter)).value(), 0u) << "replaced by its like, which does not have its state";
  counter->add(1);
  EXPECT_TRUE(co_await counter.on(CoreIndex{1}).call<&Counter::add>(1));
  EXPECT_EQ(counter->get(), 1 + 4 + 5);
  EXPECT_EQ((co_await counter.on(CoreIndex{1}).call<&Counter::get>()).value(), 4 + 5);
  EXPECT_EQ((co_await ebb::swap<Doubling>(counter)).value(), 2u);
  EXPECT_EQ((co_await ebb::swap<Tripling>(counter)).value(), 2u);
  EXPECT_TRUE(co_await ebb::destroy(counter));
  EXPECT_EQ(alive, 0);
  co_return 0;
}

TEST(Swap, LeavesWhatIsOfThatImplementationAlready) { EXPECT_EQ(run(replace_again), 0); }

ebb::task<int> replace_and_go_back() {
  const auto counter = (co_await ebb::create<Counter>()).value();
  counter->add(1);
  EXPECT_EQ((co_await ebb::swap<Counter>(counter)).value(), 0u) << "it was of no other implementation";
  EXPECT_EQ((co_await ebb::swap<Tripling>(counter)).value(), 1u);
  counter->add(1);
  EXPECT_EQ((co_await ebb::swap<Counter>(counter)).value(), 1u);
  counter->add(1);
  EXPECT_EQ(counter->get(), 1 + 4 + 1);
  // A core that had none makes what it is now.
  EXPECT_TRUE(co_await counter.on(CoreIndex{1}).call<&Counter::add>(5));
  EXPECT_EQ((co_await counter.on(CoreIndex{1}).call<&Counter::get>()).value(), 5);
  EXPECT_TRUE(co_await ebb::destroy(counter));
  EXPECT_EQ(alive, 0);
  co_return 0;
}

TEST(Swap, BringsTheFirstImplementationBack) { EXPECT_EQ(run(replace_and_go_back), 0); }

/// A core that could not take a swap is what it was, and stays so when the others come back to that.
ebb::task<int> go_back_from_half_a_swap() {
  const auto counter = (co_await ebb::create<Counter>()).value();
  counter->add(1);
  EXPECT_TRUE(co_await counter.on(CoreIndex{1}).call<&Counter::add>(1));
  EXPECT_EQ((co_await ebb::swap<Stubborn>(counter)).code(), Errc::application_error);
  EXPECT_EQ((co_await ebb::swap<Counter>(counter)).value(), 0u) << "nothing had been replaced";
  EXPECT_EQ((co_await ebb::swap<Tripling>(counter)).value(), 2u);
  counter->add(1);
  EXPECT_EQ((co_await ebb::swap<Stubborn>(counter)).code(), Errc::application_error);
  EXPECT_EQ((co_await ebb::swap<Tripling>(counter)).value(), 0u);
  counter->add(1);
  EXPECT_EQ(counter->get(), 1 + 4 + 5) << "a part was replaced by its like, which does not have its state";
  EXPECT_TRUE(co_await ebb::destroy(counter));
  EXPECT_EQ(alive, 0);
  co_return 0;
}

TEST(Swap, LeavesACoreAloneThatNeverTookTheLastOne) { EXPECT_EQ(run(go_back_from_half_a_swap), 0); }

/// What another node said of an earlier swap may come after what the next one said.
ebb::task<int> hear_of_two_in_the_wrong_order() {
  const auto counter = (co_await ebb::create<Counter>()).value();
  counter->add(1);
  const auto* type = &ebb::detail::kTypeDescriptor<Counter>;
  ebb::NodeTable& table = ebb::NodeTable::instance();
  EXPECT_EQ((co_await table.swap(counter.id(), type, {&ebb::detail::kImplementation<Doubling, Counter>, 2})).value(), 1u);
  EXPECT_EQ((co_await table.swap(counter.id(), type, {&ebb::detail::kImplementation<Tripling, Counter>, 1})).value(), 0u);
  counter->add(1);
  EXPECT_EQ(counter->get(), 1 + 2) << "an earlier swap undid a later one";
  EXPECT_EQ((co_await table.swap(counter.id(), type, {&ebb::detail::kImplementation<Tripling, Counter>, 3})).value(), 1u);
  EXPECT_TRUE(co_await ebb::destroy(counter));
  EXPECT_EQ(alive, 0);
  co_return 0;
}

TEST(Swap, StaysWhenAnEarlierOneIsHeardOfLater) { EXPECT_EQ(run(hear_of_two_in_the_wrong_order), 0); }

/// Of two at once the later stays, on every core.
ebb::task<int> replace_twice_at_once() {
  const auto counter = (co_await ebb::create<Counter>()).value();
  counter->add(7);
  EXPECT_TRUE(co_await counter.on(CoreIndex{1}).call<&Counter::add>(7));
  std::vector<ebb::task<ebb::Result<std::int64_t>>> calls;
  for (std::uint16_t core = 0; core < 2; ++core) calls.push_back(counter.on(CoreIndex{core}).call<&Counter::slowly>());
  auto all = ebb::when_all(ebb::when_all(std::move(calls)), ebb::swap<Doubling>(counter), ebb::swap<Tripling>(counter));
  const auto [answers, doubled, tripled] = co_await std::move(all);
  EXPECT_TRUE(doubled);
  EXPECT_TRUE(tripled);
  counter->add(1);
  EXPECT_TRUE(co_await counter.on(CoreIndex{1}).call<&Counter::add>(1));
  EXPECT_EQ(counter->get(), 7 + 4);
  EXPECT_EQ((co_await counter.on(CoreIndex{1}).call<&Counter::get>()).value(), 7 + 4);
  EXPECT_TRUE(co_await ebb::destroy(counter));
  EXPECT_EQ(alive, 0);
  co_return 0;
}

TEST(Swap, OfTwoAtOnceTheLaterStays) { EXPECT_EQ(run(replace_twice_at_once), 0); }

std::atomic<bool> gate{false};
ebb::task<void> until_gate_opens() {
  while (!gate) co_await ebb::sleep_for(100us);
}

/// Its constructor waits, as one that asks another object does.
struct Hesitant : Counter {
  static constexpr std::string_view implementation = "test.Counter/hesitant";
  Hesitant() = default;
  explicit Hesitant(Counter&& old) : Counter(std::move(old)) {
    ebb::block_on(until_gate_opens());
    value += 1000;
  }
};

/// While a successor is being made nobody gets to the old one.
ebb::task<int> replace_by_one_that_waits() {
  gate = false;
  const auto counter = (co_await ebb::create<Counter>()).value();
  counter->add(7);
  ebb::Result<std::uint32_t> swapped(0u);
  std::int64_t seen = 0;
  ebb::Scope scope;
  auto swapping = [](ebb::ref<Counter> object, ebb::Result<std::uint32_t>* result) -> ebb::task<void> {
    *result = co_await ebb::swap<Hesitant>(object);
  };
  auto calling = [](ebb::ref<Counter> object, std::int64_t* result) -> ebb::task<void> {
    *result = (co_await object.on(CoreIndex{0}).call<&Counter::get>()).value();
  };
  scope.spawn(swapping(counter, &swapped));
  co_await ebb::sleep_for(2ms);
  scope.spawn(calling(counter, &seen));
  co_await ebb::sleep_for(2ms);
  EXPECT_EQ(seen, 0) << "a call went into what is being replaced";
  gate = true;
  co_await scope.join();
  EXPECT_EQ(swapped.value(), 1u);
  EXPECT_EQ(seen, 1007);
  EXPECT_TRUE(co_await ebb::destroy(counter));
  EXPECT_EQ(alive, 0) << "a part is left, or ended twice";
  co_return 0;
}

TEST(Swap, LetsNobodyInWhileASuccessorIsMade) { EXPECT_EQ(run(replace_by_one_that_waits), 0); }

ebb::task<int> end_while_replaced() {
  gate = false;
  const auto counter = (co_await ebb::create<Counter>()).value();
  counter->add(7);
  bool ended = false;
  ebb::Scope scope;
  auto swapping = [](ebb::ref<Counter> object) -> ebb::task<void> { static_cast<void>(co_await ebb::swap<Hesitant>(object)); };
  auto ending = [](ebb::ref<Counter> object, bool* done) -> ebb::task<void> {
    EXPECT_TRUE(co_await ebb::destroy(object));
    *done = true;
  };
  scope.spawn(swapping(counter));
  co_await ebb::sleep_for(2ms);
  scope.spawn(ending(counter, &ended));
  co_await ebb::sleep_for(2ms);
  EXPECT_FALSE(ended) << "an object ended while a part of it was being made";
  gate = true;
  co_await scope.join();
  EXPECT_TRUE(ended);
  EXPECT_EQ(alive, 0) << "a part is left, or ended twice";
  co_return 0;
}

TEST(Swap, IsOverBeforeItsObjectEnds) { EXPECT_EQ(run(end_while_replaced), 0); }

ebb::task<int> replace_by_one_that_throws() {
  const auto counter = (co_await ebb::create<Counter>()).value();
  counter->add(7);
  EXPECT_EQ((co_await ebb::swap<Stubborn>(counter)).code(), Errc::application_error);
  EXPECT_EQ(counter->get(), 7) << "the old one stays";
  EXPECT_TRUE(co_await ebb::destroy(counter));
  EXPECT_EQ(alive, 0);
  co_return 0;
}

TEST(Swap, LeavesTheOldOneWhereItsSuccessorCannotBeMade) { EXPECT_EQ(run(replace_by_one_that_throws), 0); }

ebb::task<int> replace_under_load() {
  const auto counter = (co_await ebb::create<Counter>()).value();
  counter->add(7);
  std::vector<ebb::task<ebb::Result<std::int64_t>>> calls;
  for (int i = 0; i < 10; ++i) calls.push_back(counter.on(CoreIndex{0}).call<&Counter::slowly>());
  auto both = ebb::when_all(ebb::when_all(std::move(calls)), ebb::swap<Doubling>(counter));
  const auto [answers, swapped] = co_await std::move(both);
  EXPECT_EQ(swapped.value(), 1u);
  for (const auto& answer : answers) EXPECT_EQ(answer.value(), 7) << "a call's object was replaced under it";
  EXPECT_TRUE(co_await ebb::destroy(counter));
  co_return 0;
}

TEST(Swap, WaitsForCallsUnderWay) { EXPECT_EQ(run(replace_under_load), 0); }

ebb::task<int> end_under_load() {
  const auto counter = (co_await ebb::create<Counter>()).value();
  counter->add(7);
  EXPECT_TRUE(co_await counter.on(CoreIndex{1}).call<&Counter::add>(7));
  std::vector<ebb::task<ebb::Result<std::int64_t>>> calls;
  for (std::uint16_t core = 0; core < 2; ++core) calls.push_back(counter.on(CoreIndex{core}).call<&Counter::slowly>());
  auto both = ebb::when_all(ebb::when_all(std::move(calls)), ebb::destroy(counter));
  const auto [answers, destroyed] = co_await std::move(both);
  EXPECT_TRUE(destroyed);
  for (const auto& answer : answers) EXPECT_EQ(answer.value(), 7);
  EXPECT_EQ(alive, 0);
  EXPECT_EQ((co_await counter.on(CoreIndex{0}).call<&Counter::get>()).code(), Errc::no_such_object);
  co_return 0;
}

TEST(Destroy, WaitsForCallsUnderWayAndRefusesNewOnes) { EXPECT_EQ(run(end_under_load), 0); }

}  // namespace
