// Gathering from nodes that are played: quick ones, slow ones, ones whose answers get lost, ones that leave.
#include "frontend/observe/collector.h"

#include <gtest/gtest.h>

#include <map>
#include <thread>

#include "ebb/async.h"
#include "ebb/async/runtime.h"
#include "ebb/object.h"
#include "ebb/observe.h"
#include "src/observe/span_ring.h"
#include "tests/unit/observe/fake_link.h"

namespace ebb::frontend::observe {
namespace {

using namespace std::chrono_literals;
using detail::ObserverService;

constexpr NodeId kQuick{1};
constexpr NodeId kSlow{2};

/// One core with room for four spans.
struct FakeNode {
  detail::SpanRing ring{4};
  std::vector<detail::MethodRecord> methods;
  platform::Duration takes{};    // each answer
  int lost = 0;                  // so many answers with spans do not arrive
  bool endless = false;          // it always has more
  std::uint64_t claims = 0;      // so many spans more than it ever had
  std::vector<std::uint32_t> rates;  // of sampling, that it was told

  void record(std::uint64_t trace) {
    detail::EndedSpan span;
    span.trace_low = trace;
    span.span = trace;
    span.name = "work";
    ring.push(span);
  }
  detail::SpanBatch batch(const std::vector<std::uint64_t>& read) {
    if (!read.empty()) ring.forget(read[0]);
    detail::SpanBatch batch;
    batch.names = {"work"};
    for (const detail::EndedSpan& span : ring.read(ObserverService::kSpanBatch)) {
      detail::SpanRecord record;
      record.trace_low = span.trace_low;
      record.span = span.span;
      batch.spans.push_back(record);
    }
    batch.first = {ring.first() + claims};
    batch.next = {ring.first() + claims + batch.spans.size()};
    batch.more = endless;
    return batch;
  }
};

struct FakeNodes final : FakeLink {
  std::map<NodeId, FakeNode> nodes;

  FakeNodes() {
    for (const NodeId id : {kQuick, kSlow}) {
      members.nodes.push_back({id, 1, false});
      nodes.try_emplace(id);
    }
  }
  task<Result<Bytes>> call(detail::RemoteCall call, Bytes arguments) override {
    FakeNode& node = nodes.at(call.node);
    if (node.takes > call.timeout) {
      co_await sleep_for(call.timeout);
      co_return Error(Errc::deadline_exceeded, "slow");
    }
    co_await sleep_for(node.takes);
    if (call.method == ObserverService::interface::method_id<&ObserverService::clock>()) {
      co_return wire::encode(ObserverService().clock());
    }
    if (call.method == ObserverService::interface::method_id<&ObserverService::sample>()) {
      node.rates.push_back(std::get<0>(wire::decode<std::tuple<std::uint32_t>>(arguments).value()));
      co_return Bytes();
    }
    if (call.method == ObserverService::interface::method_id<&ObserverService::methods>()) co_return wire::encode(node.methods);
    const auto asked = wire::decode<std::tuple<std::uint32_t, std::vector<std::uint64_t>>>(arguments);
    const detail::SpanBatch batch = node.batch(std::get<1>(asked.value()));
    if (node.lost > 0 && node.lost-- > 0) co_return Error(Errc::node_gone, "lost");
    co_return wire::encode(batch);
  }
};

struct CountingSink final : Sink {
  std::size_t spans = 0;
  service::MethodSnapshot methods;
  void take(std::vector<service::SpanInfo> taken) noexcept override { spans += taken.size(); }
  void take(service::MethodSnapshot snapshot) noexcept override { methods = std::move(snapshot); }
};

/// `work` on a thread that is no core's, as gRPC's are.
template <class F>
task<std::invoke_result_t<F&>> elsewhere(F work) {
  std::optional<std::invoke_result_t<F&>> result;
  Completion<> done;
  std::thread thread([&] {
    result = work();
    static_cast<void>(Core::post(CoreIndex{0}, [&done] { done.complete(); }));
  });
  co_await done;
  thread.join();
  co_return std::move(*result);
}

task<service::TraceList> traces_of(Collector* collector) {
  auto ask = [collector] { return collector->traces(100); };
  auto list = co_await elsewhere(ask);
  EXPECT_TRUE(list) << list.error().text();
  co_return list ? *std::move(list) : service::TraceList();
}

task<int> end_after(task<void> (*test)(FakeNodes*)) {
  FakeNodes nodes;
  co_await test(&nodes);
  co_return 0;
}

void run(task<void> (*test)(FakeNodes*)) {
  EXPECT_EQ(run_cores(1, [test] { return end_after(test); }), 0);
}

TEST(Collector, IsHeldUpByASlowNodeNoLongerThanItsLimit) {
  run([](FakeNodes* nodes) -> task<void> {
    nodes->nodes[kSlow].takes = 700ms;
    nodes->nodes[kSlow].endless = true;
    nodes->nodes[kQuick].record(1);
    CountingSink sink;
    Collector collector(&sink, 0);
    const platform::Instant begun = platform::Clock::now();
    // Three at once: each waits for those before it at the slow node, and none longer than if it were alone.
    collector.start();
    std::vector<task<service::TraceList>> asked;
    for (int i = 0; i < 2; ++i) asked.push_back(traces_of(&collector));
    for (const service::TraceList& list : co_await when_all(std::move(asked))) {
      EXPECT_EQ(list.traces.size(), 1u);
      EXPECT_EQ(list.silent, std::vector{kSlow});
    }
    EXPECT_LT(platform::Clock::now() - begun, Collector::kNodeLimit + 1s);
    nodes->nodes[kQuick].record(2);
    const platform::Instant ending = platform::Clock::now();
    co_await collector.finish();
    EXPECT_LT(platform::Clock::now() - ending, Collector::kNodeLimit + 1s);
    EXPECT_EQ(sink.spans, 2u);
    co_await collector.join();
  });
}

TEST(Collector, TakesASlowNodesSpansTooIfTheyComeWithinItsLimit) {
  run([](FakeNodes* nodes) -> task<void> {
    nodes->nodes[kSlow].takes = 600ms;
    nodes->nodes[kSlow].record(1);
    Collector collector(nullptr, 0);
    EXPECT_EQ((co_await traces_of(&collector)).traces.size(), 1u);
    co_await collector.join();
  });
}

TEST(Collector, LosesNoSpansWithAnAnswer) {
  run([](FakeNodes* nodes) -> task<void> {
    Collector collector(nullptr, 0);
    FakeNode& node = nodes->nodes[kQuick];
    for (std::uint64_t trace = 1; trace <= 3; ++trace) node.record(trace);
    node.lost = 1;
    EXPECT_TRUE((co_await traces_of(&collector)).traces.empty());
    const service::TraceList list = co_await traces_of(&collector);
    EXPECT_EQ(list.traces.size(), 3u);
    EXPECT_EQ(list.dropped_spans, 0u);
    EXPECT_EQ((co_await traces_of(&collector)).traces.size(), 3u) << "each once";
    co_await collector.join();
  });
}

TEST(Collector, CountsWhatItDidNotGet) {
  run([](FakeNodes* nodes) -> task<void> {
    Collector collector(nullptr, 0);
    FakeNode& node = nodes->nodes[kQuick];
    for (std::uint64_t trace = 1; trace <= 6; ++trace) node.record(trace);
    EXPECT_EQ((co_await traces_of(&collector)).dropped_spans, 2u) << "overwritten";
    // Confirmed by nobody yet, but here: to overwrite them loses nothing.
    for (std::uint64_t trace = 7; trace <= 8; ++trace) node.record(trace);
    EXPECT_EQ((co_await traces_of(&collector)).dropped_spans, 2u);
    node.record(0);
    EXPECT_EQ((co_await traces_of(&collector)).dropped_spans, 3u) << "a span without ids";
    EXPECT_EQ((co_await traces_of(&collector)).traces.size(), 6u);
    co_await collector.join();
  });
}

TEST(Collector, BelievesNoCountThatCannotBe) {
  run([](FakeNodes* nodes) -> task<void> {
    Collector collector(nullptr, 0);
    FakeNode& node = nodes->nodes[kQuick];
    node.claims = std::uint64_t{1} << 60;
    node.record(1);
    EXPECT_EQ((co_await traces_of(&collector)).dropped_spans, 0u);
    node.claims = 1'000;
    EXPECT_EQ((co_await traces_of(&collector)).dropped_spans, 1'000u);
    node.claims = 0;
    node.record(2);
    EXPECT_EQ((co_await traces_of(&collector)).traces.size(), 1u) << "its count went back";
    co_await collector.join();
  });
}

TEST(Collector, HasItsOwnNodeSampleFromTheStart) {
  run([](FakeNodes*) -> task<void> {
    Collector collector(nullptr, 5'000);
    collector.start();
    EXPECT_EQ(detail::sampling_rate->load(), 5'000u) << "before the application's first call";
    ebb::observe::sample(0);
    co_await collector.finish();
    co_await collector.join();
  });
}

TEST(Collector, TellsANewNodeHowMuchToSample) {
  run([](FakeNodes* nodes) -> task<void> {
    Collector collector(nullptr, 5'000);
    co_await collector.welcome(kQuick);
    EXPECT_EQ(nodes->nodes[kQuick].rates, std::vector<std::uint32_t>{5'000});
    nodes->nodes[kSlow].takes = 1h;
    co_await collector.welcome(kSlow);
    Collector without(nullptr, 0);
    co_await without.welcome(kQuick);
    EXPECT_EQ(nodes->nodes[kQuick].rates.size(), 1u) << "none is what it begins with";
  });
}

TEST(Collector, TellsOfMethodsOnceMoreAtTheEnd) {
  run([](FakeNodes* nodes) -> task<void> {
    nodes->nodes[kQuick].methods = {{"test.A/1", "m\n", 3, 0, 3'000, 1'500, {{8, 2}, {60'000, 7}}}, {"test.A/1", "idle", 0, 0, 0, 0, {}}};
    nodes->nodes[kSlow].takes = 1h;
    CountingSink sink;
    Collector collector(&sink, 0);
    co_await collector.finish();
    EXPECT_GT(sink.methods.start_unix_ns, 0);
    EXPECT_GE(sink.methods.unix_ns, sink.methods.start_unix_ns);
    EXPECT_EQ(sink.methods.methods.size(), 1u);
    if (sink.methods.methods.empty()) co_return;
    const service::MethodHistogram& method = sink.methods.methods.front();
    EXPECT_EQ(method.node, kQuick);
    EXPECT_EQ(method.method, "m?");
    EXPECT_EQ(method.buckets.size(), 1u) << "one that does not exist";
    EXPECT_EQ(method.buckets.front(), (std::pair<std::uint64_t, std::uint64_t>(8, 2)));
  });
}

TEST(Collector, TakesWhatALeavingNodeStillHas) {
  run([](FakeNodes* nodes) -> task<void> {
    Collector collector(nullptr, 0);
    nodes->nodes[kQuick].record(1);
    co_await collector.part_from(kQuick);
    nodes->members.nodes.clear();
    const service::TraceList list = co_await traces_of(&collector);
    EXPECT_EQ(list.traces.size(), 1u);
    EXPECT_GT(list.traces.empty() ? 0 : list.traces[0].start_unix_ns, 0) << "by the time of day";
    co_await collector.join();
  });
}

}  // namespace
}  // namespace ebb::frontend::observe
