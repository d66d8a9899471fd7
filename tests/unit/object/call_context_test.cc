// Calls with a deadline, a cancellation or a trace, on one core and between the cores of a node.
#include "ebb/object/call_context.h"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <string>

#include "ebb/async.h"
#include "ebb/object.h"
#include "ebb/object/node_table.h"
#include "tests/unit/object/clean_end.h"

namespace {

using namespace ebb;
using namespace std::chrono_literals;

std::atomic<int> cancelled{0};
std::atomic<int> noted{0};

struct Worker {
  task<std::int32_t> work(const call_context& context, std::int32_t value) {
    const bool fired = co_await context.cancellation.cancelled();
    if (fired) ++cancelled;
    co_return value;
  }
  std::uint64_t span(const call_context& context) const { return context.trace.span; }
  bool has_deadline(const call_context& context) { return context.deadline != kNoDeadline; }
  task<bool> nested(const call_context& context, ref<Worker> other) {
    const auto inner = co_await other.on(CoreIndex{0}).under(context).call<&Worker::work>(1);
    co_return inner.code() == Errc::cancelled;
  }
  void note() { ++noted; }
  task<std::int32_t> plain(std::int32_t value) {
    co_await sleep_for(20ms);
    co_return value;
  }
  using interface =
      ebb::interface<"test.Worker/1", method<"work", &Worker::work>, method<"span", &Worker::span>,
                     method<"has_deadline", &Worker::has_deadline>, method<"nested", &Worker::nested>,
                     method<"note", &Worker::note>, method<"plain", &Worker::plain>>;
};

static_assert(Worker::interface::method_id<&Worker::span>() != 0);

std::string last_text;

struct Reader {
  void read(std::string_view text) { last_text = text, ++noted; }
  void keep(const std::string& text) { last_text = text, ++noted; }
  void raise(std::int32_t& value) { ++value; }
  using interface = ebb::interface<"test.Reader/1", method<"read", &Reader::read>, method<"keep", &Reader::keep>,
                                   method<"raise", &Reader::raise>>;
};

void run(task<int> (*test)()) { EXPECT_EQ(run_cores(2, [test] { return ebb::testing::with_clean_end(test()); }), 0); }

task<void> wait_for(const std::atomic<int>* counter, int value) {
  for (int i = 0; i < 3000 && counter->load() != value; ++i) co_await sleep_for(1ms);
  EXPECT_EQ(counter->load(), value);
}

task<void> expect_code(target<Worker> where, Errc code) {
  const auto answer = co_await where.call<&Worker::work>(1);
  EXPECT_EQ(answer.code(), code);
}

TEST(CallContext, TellsTheMethodThatItsCallerGaveUp) {
  run([]() -> task<int> {
    const auto worker = (co_await create<Worker>()).value();
    for (std::uint16_t core = 0; core < 2; ++core) {
      cancelled = 0;
      cancel_source source;
      Scope scope;
      scope.spawn(expect_code(worker.on(CoreIndex{core}).cancelled_by(source.token()), Errc::cancelled));
      co_await sleep_for(5ms);
      source.cancel();
      co_await scope.join();
      co_await wait_for(&cancelled, 1);
    }
    co_return 0;
  });
}

TEST(CallContext, EndsACallAtItsDeadlineOnBothSides) {
  run([]() -> task<int> {
    const auto worker = (co_await create<Worker>()).value();
    for (std::uint16_t core = 0; core < 2; ++core) {
      cancelled = 0;
      co_await expect_code(worker.on(CoreIndex{core}).within(5ms), Errc::deadline_exceeded);
      co_await wait_for(&cancelled, 1);
    }
    const auto late = co_await worker.on(CoreIndex{1}).within(5ms).call<&Worker::plain>(3);
    EXPECT_EQ(late.code(), Errc::deadline_exceeded) << "a method that knows nothing of it";
    const auto in_time = co_await worker.on(CoreIndex{1}).within(10s).call<&Worker::plain>(3);
    EXPECT_EQ(in_time.value(), 3);
    co_return 0;
  });
}

TEST(CallContext, IsHandedOnToNestedCalls) {
  run([]() -> task<int> {
    const auto worker = (co_await create<Worker>()).value();
    cancelled = 0;
    const auto outer = co_await worker.on(CoreIndex{1}).within(10ms).call<&Worker::nested>(worker);
    EXPECT_EQ(outer.code(), Errc::deadline_exceeded);
    co_await wait_for(&cancelled, 1);
    call_context context;
    context.trace = {1, 2, 3, false};
    EXPECT_EQ((co_await worker.on(CoreIndex{1}).under(context).call<&Worker::span>()).value(), 3u);
    EXPECT_FALSE((co_await worker.on(CoreIndex{1}).call<&Worker::has_deadline>()).value());
    EXPECT_TRUE((co_await worker.on(CoreIndex{1}).within(1s).call<&Worker::has_deadline>()).value());
    co_return 0;
  });
}

TEST(CallContext, OfACallThatIsCancelledBeforeItIsMadeRunsNothing) {
  run([]() -> task<int> {
    const auto worker = (co_await create<Worker>()).value();
    cancel_source source;
    source.cancel();
    noted = 0;
    EXPECT_EQ((co_await worker.on(CoreIndex{1}).cancelled_by(source.token()).call<&Worker::note>()).code(), Errc::cancelled);
    EXPECT_EQ((co_await worker.on(CoreIndex{1}).within(-1ms).call<&Worker::note>()).code(), Errc::deadline_exceeded);
    EXPECT_EQ(noted, 0);
    co_return 0;
  });
}

TEST(CallContext, OfOneWayCallsComesBackToNobody) {
  run([]() -> task<int> {
    const auto worker = (co_await create<Worker>()).value();
    noted = 0;
    for (int i = 0; i < 100; ++i) EXPECT_TRUE(co_await worker.on(CoreIndex{1}).send<&Worker::note>());
    EXPECT_TRUE(co_await worker.on(this_node(), CoreIndex{1}).send<&Worker::note>());
    co_await wait_for(&noted, 101);
    co_return 0;
  });
}

task<void> cancel_all(ObjectId id) {
  NodeTable::instance().cancel_calls(id);
  EXPECT_TRUE(co_await NodeTable::instance().calls_ended(id, platform::Clock::now() + 5s));
}

TEST(CallContext, IsCancelledWithAllCallsOfItsObject) {
  run([]() -> task<int> {
    const auto worker = (co_await create<Worker>()).value();
    const auto other = (co_await create<Worker>()).value();
    cancelled = 0;
    cancel_source source;
    Scope scope;
    scope.spawn(expect_code(worker.on(CoreIndex{1}), Errc::ok));
    scope.spawn(expect_code(worker.on(CoreIndex{1}), Errc::ok));
    scope.spawn(expect_code(other.on(CoreIndex{1}).cancelled_by(source.token()), Errc::cancelled));
    co_await sleep_for(5ms);
    const ObjectId id = worker.id();
    auto work = [id] { return cancel_all(id); };
    co_await on_core(CoreIndex{1}, std::move(work));
    EXPECT_EQ(cancelled, 2) << "not those of another object";
    source.cancel();
    co_await scope.join();
    co_await wait_for(&cancelled, 3);
    co_return 0;
  });
}

TEST(Send, OwnsWhatItsArgumentsLookAt) {
  run([]() -> task<int> {
    noted = 0;
    const auto reader = (co_await create<Reader>()).value();
    std::string buffer(64, 'a');
    EXPECT_TRUE(co_await reader.on(CoreIndex{1}).send<&Reader::read>(std::string_view(buffer)));
    buffer.assign(64, 'b');
    co_await wait_for(&noted, 1);
    EXPECT_EQ(last_text, std::string(64, 'a'));
    EXPECT_TRUE(co_await reader.on(CoreIndex{1}).send<&Reader::keep>(buffer.c_str()));
    buffer.assign(64, 'c');
    co_await wait_for(&noted, 2);
    EXPECT_EQ(last_text, std::string(64, 'b'));
    // What does not travel goes as it is.
    std::int32_t value = 1;
    EXPECT_TRUE(co_await reader.on(CoreIndex{1}).call<&Reader::raise>(std::ref(value)));
    EXPECT_EQ(value, 2);
    co_return 0;
  });
}

TEST(CallOptions, LetAPartOfACallTakeAsLongAsTheWhole) {
  const platform::Instant now = platform::Clock::now();
  call_context context;
  context.deadline = now + 5min;
  detail::CallOptions options;
  options.inherit_deadline(context);
  EXPECT_LE(options.deadline(now), context.deadline);
  EXPECT_GT(options.deadline(now), context.deadline - 1min) << "cut short by the default of a call";
  detail::CallOptions unlimited;
  unlimited.inherit_deadline(call_context());
  EXPECT_EQ(unlimited.deadline(now), now + kDefaultTimeout);
}

}  // namespace
