// Which calls are counted, and what a node tells of them.
#include <gtest/gtest.h>

#include <stdexcept>

#include "ebb/async.h"
#include "ebb/object.h"
#include "src/observe/observer_service.h"
#include "tests/unit/observe/collected.h"
#include "tests/unit/observe/fake_link.h"

namespace {

using namespace ebb;
using namespace std::chrono_literals;
using detail::MethodRecord;

struct Meter {
  std::int64_t value() const { return 1; }
  task<std::int64_t> later() {
    co_await sleep_for(3ms);
    co_return 2;
  }
  Result<void> refuse() { return Error(Errc::not_found, "no"); }
  void fail() { throw std::runtime_error("broken"); }
  task<void> fail_later() {
    co_await yield();
    throw std::runtime_error("broken");
  }
  static inline bool open = false;
  task<void> wait() {
    while (!open) co_await yield();
  }
  using interface = ebb::interface<"test.Meter/1", method<"value", &Meter::value>, method<"later", &Meter::later>, method<"wait", &Meter::wait>,
                                   method<"refuse", &Meter::refuse>, method<"fail", &Meter::fail>,
                                   method<"fail_later", &Meter::fail_later>>;
};
struct Shelf {
  using policy = partitioned;
  static constexpr std::uint32_t kPartitions = 4;
  std::int64_t value() { return 1; }
  int save() const { return 0; }
  void restore(int) {}
  using interface = ebb::interface<"test.MeteredShelf/1", method<"value", &Shelf::value>>;
};
struct Homed {
  using policy = single_home;
  std::int64_t value() { return 1; }
  using interface = ebb::interface<"test.Homed/1", method<"value", &Homed::value>>;
};

task<MethodRecord> counts_of(std::string interface_name, std::string method) {
  detail::ObserverService service;
  const auto methods = (co_await service.methods()).value();
  for (const MethodRecord& each : methods) {
    if (each.interface_name == interface_name && each.method == method) co_return each;
  }
  co_return MethodRecord();
}

TEST(Methods, CountCallsFromOtherCoresAndOtherNodes) {
  run([]() -> task<int> {
    const auto meter = (co_await create<Meter>()).value();
    const MethodRecord before = co_await counts_of("test.Meter/1", "value");
    for (int i = 0; i < 3; ++i) (co_await meter.on(CoreIndex{1}).call<&Meter::value>()).value();
    const std::uint64_t method = Meter::interface::method_id<&Meter::value>();
    for (std::uint16_t core = 0; core < 2; ++core) {
      EXPECT_TRUE((co_await detail::serve_call(meter.id(), CoreIndex{core}, method, {})).has_value());
    }
    const MethodRecord after = co_await counts_of("test.Meter/1", "value");
    EXPECT_EQ(after.calls - before.calls, 5u);
    EXPECT_EQ(after.errors, before.errors);
    std::uint64_t in_buckets = 0;
    for (const auto& [bucket, calls] : after.buckets) in_buckets += calls;
    EXPECT_EQ(in_buckets, after.calls);
    co_return 0;
  });
}

TEST(Methods, DoNotCountTheFastWaysOfACoreToItself) {
  run([]() -> task<int> {
    const auto meter = (co_await create<Meter>()).value();
    const MethodRecord before = co_await counts_of("test.Meter/1", "value");
    meter->value();
    (co_await meter.call<&Meter::value>()).value();
    (co_await meter.on(CoreIndex{0}).call<&Meter::value>()).value();
    EXPECT_EQ((co_await counts_of("test.Meter/1", "value")).calls, before.calls);
    co_return 0;
  });
}

TEST(Methods, CountCallsOfAHomeOnItsOwnCoreToo) {
  run([]() -> task<int> {
    const auto homed = (co_await create<Homed>()).value();
    const MethodRecord before = co_await counts_of("test.Homed/1", "value");
    (co_await homed.call<&Homed::value>()).value();
    EXPECT_EQ((co_await counts_of("test.Homed/1", "value")).calls, before.calls + 1);
    co_return 0;
  });
}

TEST(Methods, CountErrorsAndExceptions) {
  run([]() -> task<int> {
    const auto meter = (co_await create<Meter>()).value();
    const auto there = meter.on(CoreIndex{1});
    EXPECT_EQ((co_await there.call<&Meter::refuse>()).code(), Errc::not_found);
    EXPECT_EQ((co_await there.call<&Meter::fail>()).code(), Errc::application_error);
    EXPECT_EQ((co_await there.call<&Meter::fail_later>()).code(), Errc::application_error);
    const std::uint64_t method = Meter::interface::method_id<&Meter::fail>();
    EXPECT_EQ((co_await detail::serve_call(meter.id(), kAnyCore, method, {})).code(), Errc::application_error);
    const MethodRecord refused = co_await counts_of("test.Meter/1", "refuse");
    const MethodRecord failed = co_await counts_of("test.Meter/1", "fail");
    const MethodRecord later = co_await counts_of("test.Meter/1", "fail_later");
    EXPECT_EQ(refused.errors, 1u);
    EXPECT_EQ(failed.errors, 2u);
    EXPECT_EQ(later.errors, 1u);
    EXPECT_EQ(refused.calls + failed.calls + later.calls, 4u);
    co_return 0;
  });
}

// Nothing ran: such attempts would show as calls that fail in no time.
TEST(Methods, DoNotCountAttemptsThatWereRefused) {
  run([]() -> task<int> {
    const auto homed = (co_await create<Homed>()).value();
    const auto shelf = (co_await create<Shelf>()).value();
    (co_await homed.call<&Homed::value>()).value();
    (co_await shelf.on_key(1).call<&Shelf::value>()).value();
    const MethodRecord home = co_await counts_of("test.Homed/1", "value");
    const MethodRecord part = co_await counts_of("test.MeteredShelf/1", "value");
    EXPECT_EQ(part.calls, 1u);
    {
      FakeLink link;
      link.lease = false;
      const std::uint64_t method = Homed::interface::method_id<&Homed::value>();
      EXPECT_EQ((co_await detail::serve_call(homed.id(), CoreIndex{0}, method, {})).code(), Errc::moved);
      EXPECT_EQ((co_await shelf.on_key(1).within(20ms).call<&Shelf::value>()).code(), Errc::deadline_exceeded);
      // The call has been given up; its last attempt has not.
      co_await sleep_for(200ms);
    }
    EXPECT_EQ((co_await counts_of("test.Homed/1", "value")).calls, home.calls);
    EXPECT_EQ((co_await counts_of("test.MeteredShelf/1", "value")).calls, part.calls);
    co_return 0;
  });
}

task<void> open_soon() {
  Meter::open = true;
  co_return;
}

TEST(Methods, DoNotCountCallsThatThereIsNoRoomFor) {
  run([]() -> task<int> {
    const auto meter = (co_await create<Meter>()).value();
    meter->value();  // a call finds the representative, and so begins at once
    Scope scope;
    scope.spawn(open_soon());
    std::vector<task<Result<Bytes>>> calls;
    for (std::uint32_t i = 0; i < detail::kMaxCallsPerObject + 6; ++i) {
      calls.push_back(detail::serve_call(meter.id(), CoreIndex{0}, Meter::interface::method_id<&Meter::wait>(), {}));
    }
    std::size_t refused = 0;
    for (const Result<Bytes>& answer : co_await when_all(std::move(calls))) refused += answer.code() == Errc::overloaded ? 1 : 0;
    const MethodRecord after = co_await counts_of("test.Meter/1", "wait");
    EXPECT_EQ(refused, 6u);
    EXPECT_EQ(after.calls, detail::kMaxCallsPerObject);
    EXPECT_EQ(after.errors, 0u);
    co_await scope.join();
    co_return 0;
  });
}

TEST(Methods, TakeAsLongAsTheirCoroutineDoes) {
  run([]() -> task<int> {
    const auto meter = (co_await create<Meter>()).value();
    const MethodRecord before = co_await counts_of("test.Meter/1", "later");
    const platform::Instant begun = platform::Clock::now();
    EXPECT_EQ((co_await meter.on(CoreIndex{1}).call<&Meter::later>()).value(), 2);
    const auto whole = static_cast<std::uint64_t>((platform::Clock::now() - begun).count());
    const MethodRecord later = co_await counts_of("test.Meter/1", "later");
    EXPECT_EQ(later.calls, before.calls + 1);
    // The stopwatch may be wrong by a thousandth.
    EXPECT_GE(later.total_ns - before.total_ns, 2'900'000u);
    EXPECT_LE(later.total_ns - before.total_ns, whole + whole / 100 + 1000);
    co_return 0;
  });
}

}  // namespace
