#include "ebb/object/stream.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <stdexcept>

#include "ebb/async.h"
#include "ebb/object.h"
#include "tests/unit/object/clean_end.h"
#include "tests/unit/object/fake_link.h"

namespace {

using namespace ebb;
using namespace std::chrono_literals;

std::atomic<int> made{0};
std::atomic<int> ended{0};

struct Guard {
  ~Guard() { ++ended; }
};

generator<std::int64_t> count_to(std::int64_t last) {
  const Guard guard;
  for (std::int64_t i = 1; i <= last; ++i) {
    ++made;
    co_yield i;
    if (i % 100 == 0) co_await sleep_for(100us);
  }
}

generator<std::string> fail_after(int items) {
  for (int i = 0; i < items; ++i) co_yield std::string("item");
  throw std::runtime_error("no more");
}

std::atomic<bool> released{false};

generator<std::int64_t> wait_for_release() {
  const Guard guard;
  while (!released) co_await sleep_for(1ms);
  co_yield 1;
}

/// Its second item is asked for, and waits.
generator<std::int64_t> one_before_release() {
  co_yield 1;
  while (!released) co_await sleep_for(1ms);
  for (std::int64_t i = 2; i <= 10; ++i) co_yield i;
}

struct Source {
  stream<std::int64_t> paused() { return one_before_release(); }
  stream<std::int64_t> numbers(std::int64_t last) { return count_to(last); }
  stream<std::string> broken(std::int32_t items) { return fail_after(items); }
  task<std::int64_t> sum(stream<std::int64_t> values) {
    std::int64_t total = 0;
    for (;;) {
      const auto next = (co_await values.next()).value();
      if (!next) break;
      total += *next;
    }
    co_return total;
  }
  void ignore(stream<std::int64_t>) {}
  using interface = ebb::interface<"test.Source/1", method<"numbers", &Source::numbers>, method<"broken", &Source::broken>,
                                   method<"sum", &Source::sum>, method<"ignore", &Source::ignore>, method<"paused", &Source::paused>>;
};

void run(task<int> (*test)()) {
  made = ended = 0;
  EXPECT_EQ(run_cores(2, [test] { return ebb::testing::with_clean_end(test()); }), 0);
}

task<void> wait_for(const std::atomic<int>* counter, int value) {
  for (int i = 0; i < 2000 && counter->load() != value; ++i) co_await sleep_for(1ms);
  EXPECT_EQ(counter->load(), value);
}

task<std::int64_t> sum_of(stream<std::int64_t> values) {
  std::int64_t total = 0;
  for (;;) {
    const auto next = (co_await values.next()).value();
    if (!next) co_return total;
    total += *next;
  }
}

TEST(Generator, GivesItsValuesAndThenNothing) {
  run([]() -> task<int> {
    auto values = count_to(3);
    EXPECT_EQ(co_await values.next(), 1);
    EXPECT_EQ(co_await values.next(), 2);
    EXPECT_EQ(co_await values.next(), 3);
    EXPECT_EQ(co_await values.next(), std::nullopt);
    EXPECT_EQ(co_await values.next(), std::nullopt);
    EXPECT_EQ(ended, 1);
    {
      auto left = count_to(3);
      EXPECT_EQ(co_await left.next(), 1);
    }
    EXPECT_EQ(ended, 2) << "destroyed before its end";
    co_return 0;
  });
}

TEST(Stream, BringsEveryItemInOrderFromAnotherCore) {
  run([]() -> task<int> {
    const auto source = (co_await create<Source>()).value();
    for (std::uint16_t core = 0; core < 2; ++core) {
      auto values = (co_await source.on(CoreIndex{core}).call<&Source::numbers>(10'000)).value();
      std::int64_t expected = 0;
      for (;;) {
        const auto next = (co_await values.next()).value();
        if (!next) break;
        ++expected;
        EXPECT_EQ(*next, expected);
      }
      EXPECT_EQ(expected, 10'000);
      EXPECT_EQ((co_await values.next()).value(), std::nullopt) << "it stays ended";
    }
    co_await wait_for(&ended, 2);
    co_return 0;
  });
}

TEST(Stream, IsAnArgumentToo) {
  run([]() -> task<int> {
    const auto source = (co_await create<Source>()).value();
    const auto sum = co_await source.on(CoreIndex{1}).call<&Source::sum>(stream<std::int64_t>(count_to(1000)));
    EXPECT_EQ(sum.value(), 500'500);
    EXPECT_EQ((co_await source.on(CoreIndex{1}).call<&Source::sum>(stream<std::int64_t>())).value(), 0);
    EXPECT_TRUE(co_await source.on(CoreIndex{1}).call<&Source::ignore>(stream<std::int64_t>(count_to(100'000))));
    co_await wait_for(&ended, 2);
    EXPECT_LT(made, 3000) << "a stream that is dropped ends";
    co_return 0;
  });
}

TEST(Stream, MakesItemsNoFasterThanTheyAreTaken) {
  run([]() -> task<int> {
    const auto source = (co_await create<Source>()).value();
    auto values = (co_await source.on(CoreIndex{1}).call<&Source::numbers>(100'000)).value();
    EXPECT_EQ((co_await values.next()).value(), 1);
    co_await sleep_for(50ms);
    const auto limit = static_cast<int>(3 * detail::StreamSource::kMaxItems);
    EXPECT_LE(made, limit);
    for (int i = 0; i < 1000; ++i) EXPECT_TRUE((co_await values.next()).value().has_value());
    co_await sleep_for(50ms);
    EXPECT_LE(made, 1001 + limit);
    values = stream<std::int64_t>();
    co_await wait_for(&ended, 1);
    co_return 0;
  });
}

TEST(Stream, EndsItsGeneratorWhenItIsDropped) {
  run([]() -> task<int> {
    const auto source = (co_await create<Source>()).value();
    {
      auto values = (co_await source.on(CoreIndex{1}).call<&Source::numbers>(100'000)).value();
      EXPECT_EQ((co_await values.next()).value(), 1);
    }
    co_await wait_for(&ended, 1);
    co_return 0;
  });
}

TEST(Stream, BringsTheItemsBeforeTheErrorOfItsGenerator) {
  run([]() -> task<int> {
    const auto source = (co_await create<Source>()).value();
    auto values = (co_await source.on(CoreIndex{1}).call<&Source::broken>(3)).value();
    for (int i = 0; i < 3; ++i) EXPECT_EQ((co_await values.next()).value(), "item");
    const auto failed = co_await values.next();
    EXPECT_EQ(failed.code(), Errc::application_error);
    EXPECT_EQ(failed.error().text(), "std::runtime_error: no more");
    EXPECT_EQ((co_await values.next()).value(), std::nullopt);
    co_return 0;
  });
}

TEST(Stream, IsClosedWhenNobodyTakesItemsForLong) {
  run([]() -> task<int> {
    stream<std::int64_t> values(count_to(100'000));
    detail::StreamService& service = *detail::kStreamService;
    service.sweep(platform::Clock::now());
    EXPECT_EQ(service.open_streams(), 1u);
    service.sweep(platform::Clock::now() + detail::StreamService::kIdleLimit + 1s);
    EXPECT_EQ(service.open_streams(), 0u);
    co_await wait_for(&ended, 1);
    EXPECT_EQ((co_await values.next()).code(), Errc::no_such_object);
    co_return 0;
  });
}

TEST(Stream, IsRefusedAboveTheBoundOfACore) {
  run([]() -> task<int> {
    std::vector<stream<std::int64_t>> open;
    for (std::size_t i = 0; i < detail::StreamService::kMaxStreams; ++i) open.emplace_back(count_to(1));
    EXPECT_THROW(stream<std::int64_t>(count_to(1)), ErrorException);
    EXPECT_EQ(co_await sum_of(open.back()), 1);
    EXPECT_EQ(co_await sum_of(stream<std::int64_t>(count_to(2))), 3) << "one that has ended makes room";
    co_return 0;
  });
}

TEST(Stream, TravelsAsAPlaceButNotOnceItemsWereTaken) {
  run([]() -> task<int> {
    stream<std::int64_t> values(count_to(3));
    const auto bytes = wire::encode(values);
    EXPECT_EQ(bytes.size(), 14u);
    auto there = wire::decode<stream<std::int64_t>>(bytes);
    EXPECT_TRUE(there.has_value());
    values = stream<std::int64_t>();
    EXPECT_EQ((co_await there->next()).value(), 1) << "the sender's copy closes nothing";
    EXPECT_THROW(static_cast<void>(wire::encode(*there)), ErrorException);
    EXPECT_EQ(co_await sum_of(*there), 5);
    co_return 0;
  });
}

TEST(Stream, IsTakenOnOneCore) {
  run([]() -> task<int> {
    const auto source = (co_await create<Source>()).value();
    stream<std::int64_t> values(count_to(10));
    EXPECT_EQ((co_await values.next()).value(), 1);
    const auto elsewhere = co_await source.on(CoreIndex{1}).call<&Source::sum>(values);
    EXPECT_EQ(elsewhere.code(), Errc::invalid_argument) << "its pull is under way here";
    EXPECT_EQ(co_await sum_of(values), 54) << "here it goes on";
    co_return 0;
  });
}

TEST(Stream, EndsItsGeneratorWhenItsTakerCannotReachIt) {
  run([]() -> task<int> {
    test::FakeLink link;
    const auto source = (co_await create<Source>()).value();
    auto values = (co_await source.on(test::kOther, CoreIndex{1}).call<&Source::numbers>(100'000)).value();
    auto bytes = wire::encode(values);  // its place, which is this node; the taker's is another one
    const auto other = wire::encode(test::kOther);
    std::copy(other.begin(), other.end(), bytes.begin());
    auto there = wire::decode<stream<std::int64_t>>(bytes).value();
    link.for_services = true;
    link.answers.push_back(Error(Errc::deadline_exceeded, "no answer in time"));
    EXPECT_EQ((co_await there.next()).code(), Errc::deadline_exceeded);
    co_await wait_for(&ended, 1);
    co_return 0;
  });
}

TEST(Stream, DoesNotLetAPullWaitWhoseTakerHasGivenUpAlready) {
  run([]() -> task<int> {
    stream<std::int64_t> values(wait_for_release());
    const auto place = wire::encode(values);  // ends with its number
    std::uint64_t number = 0;
    std::memcpy(&number, place.data() + place.size() - sizeof number, sizeof number);
    cancel_source source;
    source.cancel();
    call_context given_up;
    given_up.cancellation = source.token();
    const platform::Instant begun = platform::Clock::now();
    EXPECT_EQ((co_await detail::kStreamService->pull(given_up, number)).code(), Errc::cancelled);
    EXPECT_LT(platform::Clock::now() - begun, 1s);
    released = true;
    detail::kStreamService->close(number);
    co_await wait_for(&ended, 1);
    co_return 0;
  });
}

generator<std::string> of_sizes(std::vector<std::size_t> sizes) {
  for (const std::size_t size : sizes) co_yield std::string(size, 'x');
}

struct Store {
  stream<std::string> items(std::vector<std::uint64_t> sizes) {
    return of_sizes(std::vector<std::size_t>(sizes.begin(), sizes.end()));
  }
  using interface = ebb::interface<"test.StreamStore/1", method<"items", &Store::items>>;
};

TEST(Stream, SendsALargeItemWithoutTheSmallOnesBeforeIt) {
  run([]() -> task<int> {
    const auto store = (co_await create<Store>()).value();
    const std::vector<std::uint64_t> sizes{50'000, 4'150'000, 10, 4'150'000};
    auto items = (co_await store.on(CoreIndex{1}).call<&Store::items>(sizes)).value();
    co_await sleep_for(5ms);
    for (const std::uint64_t size : sizes) {
      const auto next = co_await items.next();
      EXPECT_TRUE(next) << next.error().text();
      if (!next || !*next) co_return 1;
      EXPECT_EQ((*next)->size(), size);
    }
    const auto end = co_await items.next();
    EXPECT_TRUE(end && !*end);
    co_return 0;
  });
}

/// Who asks for items while another one's pull is under way is refused, and ends nothing.
TEST(Stream, IsNotEndedByASecondTaker) {
  released = false;
  run([]() -> task<int> {
    const auto source = (co_await create<Source>()).value();
    auto paused = (co_await source.on(CoreIndex{1}).call<&Source::paused>()).value();
    const Bytes place = wire::encode(paused);
    auto first = wire::decode<stream<std::int64_t>>(place).value();
    auto second = wire::decode<stream<std::int64_t>>(place).value();
    EXPECT_EQ((co_await first.next()).value().value(), 1);
    EXPECT_EQ((co_await second.next()).code(), Errc::invalid_argument);
    released = true;
    EXPECT_EQ(co_await sum_of(first), 54);
    co_return 0;
  });
}

}  // namespace
