// Spans of calls between the cores of a node.
#include <gtest/gtest.h>

#include <set>

#include "ebb/async.h"
#include "ebb/object.h"
#include "ebb/observe.h"
#include "src/observe/span_ring.h"
#include "tests/unit/observe/collected.h"

namespace {

using namespace ebb;
using namespace std::chrono_literals;
using detail::SpanBatch;
using detail::SpanRecord;

struct Relay {
  TraceContext trace_of(const call_context& context) const { return context.trace; }
  void touch() {}
  Result<void> refuse() { return Error(Errc::not_found, "no"); }
  task<void> pass_on(const call_context& context, ref<Relay> other) {
    span work("work", context.trace);
    (co_await other.on(CoreIndex{0}).under(work).call<&Relay::touch>()).value();
  }
  task<void> sleep() { co_await sleep_for(20ms); }
  using interface = ebb::interface<"test.Relay/1", method<"trace_of", &Relay::trace_of>, method<"touch", &Relay::touch>,
                                   method<"refuse", &Relay::refuse>, method<"pass_on", &Relay::pass_on>,
                                   method<"sleep", &Relay::sleep>>;
};

TEST(Trace, OfNoCallIsRecordedUnlessSomebodyAsks) {
  run([]() -> task<int> {
    const auto relay = (co_await create<Relay>()).value();
    co_await collect();
    (co_await relay.on(CoreIndex{1}).call<&Relay::touch>()).value();
    const TraceContext unsampled{1, 2, 3, false};
    EXPECT_EQ((co_await relay.on(CoreIndex{1}).under(unsampled).call<&Relay::trace_of>()).value(), unsampled);
    { const span work("work", unsampled); }
    EXPECT_TRUE((co_await collect()).batch.spans.empty());
    co_return 0;
  });
}

TEST(Trace, HasTheCallAsItsCallerAndAsItsCalleeSeeIt) {
  run([]() -> task<int> {
    const auto relay = (co_await create<Relay>()).value();
    co_await collect();
    const platform::Instant begun = platform::Clock::now();
    const TraceContext inside = (co_await relay.on(CoreIndex{1}).traced().call<&Relay::trace_of>()).value();
    Tree tree = co_await collect();
    EXPECT_EQ(tree.batch.spans.size(), 2u);
    const SpanRecord client = tree.clients["test.Relay/1.trace_of"];
    const SpanRecord server = tree.servers["test.Relay/1.trace_of"];
    EXPECT_TRUE(inside.present());
    EXPECT_EQ(client.trace_high, inside.trace_high);
    EXPECT_EQ(server.trace_low, inside.trace_low);
    EXPECT_EQ(client.parent, 0u);
    EXPECT_EQ(server.parent, client.span);
    EXPECT_EQ(server.span, inside.span);
    EXPECT_EQ(client.core, CoreIndex{0});
    EXPECT_EQ(server.core, CoreIndex{1});
    EXPECT_EQ(client.object, relay.id());
    EXPECT_GE(client.start_ns, begun.time_since_epoch().count());
    EXPECT_GE(server.start_ns, client.start_ns);
    EXPECT_LE(server.duration_ns, client.duration_ns);
    EXPECT_LE(client.start_ns + client.duration_ns, detail::ObserverService().clock());
    EXPECT_TRUE((co_await collect()).batch.spans.empty()) << "what was confirmed is not given out again";
    co_return 0;
  });
}

TEST(Trace, GoesOnThroughNestedCallsAndSpansOfTheApplication) {
  run([]() -> task<int> {
    const auto relay = (co_await create<Relay>()).value();
    co_await collect();
    {
      const span root = span::traced("root");
      (co_await relay.on(this_node(), CoreIndex{1}).under(root).call<&Relay::pass_on>(relay)).value();
    }
    Tree tree = co_await collect();
    EXPECT_EQ(tree.batch.spans.size(), 6u);
    std::set<std::uint64_t> traces;
    std::set<std::uint64_t> ids;
    for (const SpanRecord& each : tree.batch.spans) traces.insert(each.trace_low), ids.insert(each.span);
    EXPECT_EQ(traces.size(), 1u);
    EXPECT_EQ(ids.size(), 6u);
    EXPECT_EQ(tree.inside["root"].parent, 0u);
    EXPECT_EQ(tree.clients["test.Relay/1.pass_on"].parent, tree.inside["root"].span);
    EXPECT_EQ(tree.servers["test.Relay/1.pass_on"].parent, tree.clients["test.Relay/1.pass_on"].span);
    EXPECT_EQ(tree.inside["work"].parent, tree.servers["test.Relay/1.pass_on"].span);
    EXPECT_EQ(tree.clients["test.Relay/1.touch"].parent, tree.inside["work"].span);
    EXPECT_EQ(tree.servers["test.Relay/1.touch"].parent, tree.clients["test.Relay/1.touch"].span);
    EXPECT_EQ(tree.inside["work"].core, CoreIndex{1});
    EXPECT_EQ(tree.servers["test.Relay/1.touch"].core, CoreIndex{0});
    co_return 0;
  });
}

TEST(Trace, TellsHowACallEndedOnBothSides) {
  run([]() -> task<int> {
    const auto relay = (co_await create<Relay>()).value();
    co_await collect();
    const auto there = relay.on(CoreIndex{1}).traced();
    EXPECT_EQ((co_await there.call<&Relay::refuse>()).code(), Errc::not_found);
    EXPECT_EQ((co_await there.within(1ms).call<&Relay::sleep>()).code(), Errc::deadline_exceeded);
    Tree tree = co_await collect();
    EXPECT_EQ(tree.clients["test.Relay/1.refuse"].status, Errc::not_found);
    EXPECT_EQ(tree.servers["test.Relay/1.refuse"].status, Errc::not_found);
    EXPECT_EQ(tree.clients["test.Relay/1.sleep"].status, Errc::deadline_exceeded);
    co_return 0;
  });
}

TEST(Trace, BeginsByChanceWithCallsThatLeaveTheirCore) {
  run([]() -> task<int> {
    const auto relay = (co_await create<Relay>()).value();
    co_await collect();
    observe::sample(1'000'000);
    relay->touch();
    (co_await relay.on(CoreIndex{0}).call<&Relay::touch>()).value();
    EXPECT_TRUE((co_await collect()).batch.spans.empty()) << "nor do the calls of the runtime's own objects";
    for (int i = 0; i < 10; ++i) (co_await relay.on(CoreIndex{1}).call<&Relay::touch>()).value();
    detail::ObserverService service;
    EXPECT_TRUE(co_await service.sample(0));
    (co_await relay.on(CoreIndex{1}).call<&Relay::touch>()).value();
    const Tree tree = co_await collect();
    EXPECT_EQ(tree.batch.spans.size(), 20u);
    std::set<std::uint64_t> traces;
    for (const SpanRecord& each : tree.batch.spans) traces.insert(each.trace_low);
    EXPECT_EQ(traces.size(), 10u);
    EXPECT_EQ(tree.batch.names.size(), 1u) << "each name once";
    co_return 0;
  });
}

TEST(Trace, IsHandedOutInPartsAndTellsWhatWasOverwritten) {
  run([]() -> task<int> {
    while ((co_await collect()).batch.more) continue;
    for (std::size_t i = 0; i < detail::kSpansPerCore + 10; ++i) const span each = span::traced("each");
    const std::uint64_t had = collected.at(0);
    const SpanBatch first = (co_await collect(3)).batch;
    EXPECT_EQ(first.spans.size(), 3u);
    EXPECT_TRUE(first.more);
    EXPECT_EQ(first.first.at(0) - had, 10u);
    EXPECT_EQ(first.next.at(0) - had, 13u);
    EXPECT_EQ((co_await collect(~0u)).batch.spans.size(), detail::ObserverService::kSpanBatch);
    while ((co_await collect()).batch.more) continue;
    // The limit is for all cores together: core 0 has a span of its own, and the other half of each call.
    const auto relay = (co_await create<Relay>()).value();
    for (int i = 0; i < 4; ++i) (co_await relay.on(CoreIndex{1}).traced().call<&Relay::touch>()).value();
    EXPECT_EQ((co_await collect(5)).batch.spans.size(), 5u);
    EXPECT_EQ((co_await collect(5)).batch.spans.size(), 3u);
    co_return 0;
  });
}

TEST(Trace, IsGivenOutAgainUntilItIsConfirmed) {
  run([]() -> task<int> {
    while ((co_await collect()).batch.more) continue;
    const auto relay = (co_await create<Relay>()).value();
    (co_await relay.on(CoreIndex{1}).traced().call<&Relay::touch>()).value();
    detail::ObserverService service;
    const SpanBatch lost = (co_await service.spans(~0u, collected)).value();
    const SpanBatch again = (co_await service.spans(~0u, collected)).value();
    EXPECT_EQ(lost.spans.size(), 2u);
    EXPECT_EQ(again.spans.size(), 2u);
    EXPECT_EQ(again.next, lost.next);
    EXPECT_TRUE((co_await service.spans(~0u, again.next)).value().spans.empty());
    collected = again.next;
    co_return 0;
  });
}

}  // namespace
