// What the front end reads and keeps of spans, and what it reads off histograms.
#include <gtest/gtest.h>

#include <limits>

#include "frontend/observe/method_merge.h"
#include "frontend/observe/node_clocks.h"
#include "frontend/observe/read_methods.h"
#include "frontend/observe/read_spans.h"
#include "frontend/observe/trace_store.h"
#include "src/observe/method_table.h"

namespace ebb::frontend::observe {
namespace {

service::SpanInfo span(std::uint64_t trace, std::uint64_t id, std::uint64_t parent, std::int64_t start, std::int64_t length) {
  service::SpanInfo span;
  span.trace = {0xabc, trace};
  span.span = id;
  span.parent = parent;
  span.name = "test.A/1.m" + std::to_string(id);
  span.start_unix_ns = start;
  span.duration_ns = length;
  return span;
}

TEST(TraceStore, SumsUpEachTraceTheNewestFirst) {
  TraceStore store;
  store.add(span(1, 12, 11, 130, 20));
  store.add(span(1, 11, 0, 100, 60));
  service::SpanInfo failed = span(2, 21, 0, 500, 5);
  failed.status = Errc::node_gone;
  store.add(failed);
  const service::TraceList list = store.list(10);
  ASSERT_EQ(list.traces.size(), 2u);
  EXPECT_EQ(list.traces[0].errors, 1u);
  EXPECT_EQ(list.traces[1].name, "test.A/1.m11") << "the first is the one without a parent";
  EXPECT_EQ(list.traces[1].start_unix_ns, 100);
  EXPECT_EQ(list.traces[1].duration_ns, 60);
  EXPECT_EQ(list.traces[1].spans, 2u);
  EXPECT_EQ(list.more, 0u);
  EXPECT_EQ(store.list(1).traces.size(), 1u);
  EXPECT_EQ(store.list(1).more, 1u);
}

TEST(TraceStore, FindsATraceByItsFirstDigits) {
  TraceStore store;
  store.add(span(0x10, 2, 1, 20, 1));
  store.add(span(0x10, 1, 0, 10, 1));
  store.add(span(0x11, 1, 0, 10, 1));
  const auto found = store.find("0000000000000ABC0000000000000010");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->front().span, 1u) << "not in the order of time";
  EXPECT_EQ(store.find("0000000000000abc").code(), Errc::invalid_argument) << "two begin so";
  EXPECT_EQ(store.find("1").code(), Errc::not_found);
  EXPECT_EQ(store.find("no digits").code(), Errc::invalid_argument);
  EXPECT_EQ(store.find("").code(), Errc::invalid_argument);
}

TEST(TraceStore, DropsTheOldestTracesAndCountsThem) {
  TraceStore store;
  constexpr std::uint64_t kOfEach = 1000;
  constexpr std::uint64_t kTraces = TraceStore::kMaxSpans / kOfEach + 2;
  for (std::uint64_t trace = 1; trace <= kTraces; ++trace) {
    for (std::uint64_t id = 1; id <= kOfEach; ++id) store.add(span(trace, id, id - 1, 1, 1));
  }
  EXPECT_EQ(store.spans(), TraceStore::kMaxSpans);
  EXPECT_EQ(store.list(1000).traces.size(), kTraces - 2);
  EXPECT_EQ(store.list(1000).dropped_spans, 2 * kOfEach);
  for (std::uint64_t id = 1; id <= TraceStore::kMaxSpansOfTrace + 5; ++id) store.add(span(999, id, 0, 1, 1));
  EXPECT_EQ(store.list(1).traces[0].spans, TraceStore::kMaxSpansOfTrace);
}

TEST(ReadSpans, TakesOverWhatANodeTells) {
  detail::SpanBatch batch;
  batch.names = {"test.A/1.m", "work\n"};
  batch.spans = {{1, 2, 3, 4, 50, 60, ObjectId(7), 0, CoreIndex{1}, NodeId{9}, detail::SpanKind::server, Errc::not_found},
                 {1, 2, 5, 3, 55, 1, ObjectId(), 1, CoreIndex{0}, kNoNode, detail::SpanKind::inside, Errc::ok},
                 {1, 2, 6, 3, 56, 1, ObjectId(7), 0, CoreIndex{0}, NodeId{8}, detail::SpanKind::client, Errc::ok}};
  const auto spans = read_spans(NodeId{3}, batch, 1'000);
  ASSERT_EQ(spans.size(), 3u);
  EXPECT_EQ(spans[0].trace, (service::TraceId{1, 2}));
  EXPECT_EQ(spans[0].span, 3u);
  EXPECT_EQ(spans[0].parent, 4u);
  EXPECT_EQ(spans[0].name, "test.A/1.m");
  EXPECT_EQ(spans[0].kind, service::SpanInfo::Kind::server);
  EXPECT_EQ(spans[0].node, NodeId{3});
  EXPECT_EQ(spans[0].core, CoreIndex{1});
  EXPECT_EQ(spans[0].object, ObjectId(7));
  EXPECT_EQ(spans[0].peer, NodeId{9});
  EXPECT_EQ(spans[0].start_unix_ns, 1'050);
  EXPECT_EQ(spans[0].duration_ns, 60);
  EXPECT_EQ(spans[0].status, Errc::not_found);
  EXPECT_EQ(spans[1].name, "work?");
  EXPECT_EQ(spans[1].kind, service::SpanInfo::Kind::inside);
  EXPECT_EQ(spans[2].kind, service::SpanInfo::Kind::client);
}

TEST(ReadSpans, LeavesOutWhatCannotBe) {
  detail::SpanBatch batch;
  batch.names = {"m"};
  detail::SpanRecord sound;
  sound.trace_high = 1;
  sound.span = 1;
  sound.start_ns = NodeClocks::kMostNs;
  sound.duration_ns = NodeClocks::kMostNs;
  batch.spans.assign(9, sound);
  batch.spans[0].name = 1;
  batch.spans[1].start_ns = -1;
  batch.spans[2].start_ns = NodeClocks::kMostNs + 1;
  batch.spans[3].duration_ns = -1;
  batch.spans[4].duration_ns = std::numeric_limits<std::int64_t>::max();
  batch.spans[5].trace_high = 0;
  batch.spans[6].span = 0;
  batch.spans[7].trace_high = 0;
  batch.spans[7].trace_low = 1;
  EXPECT_EQ(read_spans(NodeId{3}, batch, 0).size(), 2u);
}

TEST(ReadMethods, TakesNoMoreOfANodeThanMayBeMerged) {
  const std::vector<detail::MethodRecord> records(MethodMerge::kMost + 3, {"test.A/1", "m", 1, 0, 1, 1, {{0, 1}}});
  EXPECT_EQ(read_methods(NodeId{3}, records).size(), MethodMerge::kMost);
}

TEST(MethodMerge, AddsUpNodesAndReadsQuantilesOffTheirHistograms) {
  const auto at = [](std::uint64_t ns) { return static_cast<std::uint16_t>(detail::HistogramBuckets::index(ns)); };
  MethodMerge merge;
  merge.add({{"test.A/1", "m", 90, 1, 90'000, 1'100, {{at(1'000), 90}}}});
  merge.add({{"test.A/1", "m", 10, 2, 900'000, 90'050, {{at(90'000), 10}, {detail::HistogramBuckets::kCount, 7}, {60'000, 7}}}, {"test.A/1", "l", 0, 0, 0, 0, {}}});
  const auto methods = merge.result();
  ASSERT_EQ(methods.size(), 2u);
  EXPECT_EQ(methods[0].method, "l");
  const service::MethodInfo& m = methods[1];
  EXPECT_EQ(m.calls, 100u);
  EXPECT_EQ(m.errors, 3u);
  EXPECT_EQ(m.mean_ns, 9'900u);
  EXPECT_GE(m.p50_ns, 1'000u);
  EXPECT_LE(m.p50_ns, 1'125u);
  EXPECT_LE(m.p90_ns, 1'125u);
  EXPECT_GE(m.p99_ns, 90'000u);
  EXPECT_EQ(m.p999_ns, 90'050u) << "more than the longest call";
  EXPECT_EQ(m.maximum_ns, 90'050u);
}

TEST(MethodMerge, CountsWhatItHasNoRoomForTogether) {
  MethodMerge merge;
  for (std::size_t number = 0; number < MethodMerge::kMost + 3; ++number) {
    merge.add({{"test.A/1", "m" + std::to_string(number) + "\n", 2, 0, 0, 0, {}}});
  }
  merge.add({{"test.A/1", "m0\n", 5, 0, 0, 0, {}}});
  const auto methods = merge.result();
  ASSERT_EQ(methods.size(), MethodMerge::kMost + 1);
  std::uint64_t calls = 0;
  for (const service::MethodInfo& info : methods) {
    calls += info.calls;
    if (info.method == "m0?") { EXPECT_EQ(info.calls, 7u); }
    if (info.method == detail::kOtherMethods.name) { EXPECT_EQ(info.calls, 6u); }
  }
  EXPECT_EQ(calls, 2 * (MethodMerge::kMost + 3) + 5);
}

}  // namespace
}  // namespace ebb::frontend::observe
