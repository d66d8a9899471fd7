// One trace over three nodes: what their observers tell makes one tree. Prints what is broken and ends with 1, or with 0; run
// with each node driver.
#include <ebb/application.h>
#include <ebb/async.h>
#include <ebb/object.h>
#include <ebb/observe.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "src/observe/observer_service.h"
#include "tests/cluster/check.h"

namespace {

using namespace ebb;
using namespace std::chrono_literals;
using detail::kObserver;
using detail::ObserverService;
using detail::SpanKind;
using detail::SpanRecord;

struct Relay {
  void touch() {}
  /// Touches the last node, as part of this call.
  task<Result<void>> pass_on(const call_context& context, ref<Relay> other, NodeId last) {
    const span work("work", context.trace);
    co_return co_await other.on(last, CoreIndex{1}).under(work).call<&Relay::touch>();
  }
  using interface = ebb::interface<"test.TracedRelay/1", method<"touch", &Relay::touch>, method<"pass_on", &Relay::pass_on>>;
};

struct Found {
  SpanRecord record;
  NodeId node = kNoNode;
};
using Spans = std::map<std::pair<SpanKind, std::string>, Found>;

/// The spans of `trace` that the nodes still have.
task<Spans> collect(std::vector<NodeId> nodes, TraceContext trace) {
  Spans spans;
  for (const NodeId node : nodes) {
    bool more = true;
    while (more) {
      auto answer = co_await kObserver.on(node).call<&ObserverService::spans>(ObserverService::kSpanBatch);
      CHECK(answer.has_value());
      if (!answer) co_return spans;
      const auto now = co_await kObserver.on(node).call<&ObserverService::clock>();
      CHECK(now.has_value());
      for (const SpanRecord& each : answer->spans) {
        if (each.trace_high != trace.trace_high || each.trace_low != trace.trace_low) continue;
        CHECK(each.start_ns + each.duration_ns <= now.value());
        spans[{each.kind, answer->names.at(each.name)}] = {each, node};
      }
      more = answer->more;
    }
  }
  co_return spans;
}

bool is_child(const Spans& spans, SpanKind kind, const std::string& name, SpanKind of_kind, const std::string& of) {
  return spans.at({kind, name}).record.parent == spans.at({of_kind, of}).record.span;
}

/// False if somebody else has taken spans meanwhile: each is given out once.
task<bool> check_tree(ref<Relay> relay, NodeId first, NodeId last) {
  TraceContext trace;
  {
    const span root = span::traced("root");
    trace = root.context();
    CHECK((co_await relay.on(first, CoreIndex{1}).under(root).call<&Relay::pass_on>(relay, last)).has_value());
  }
  const std::vector<NodeId> nodes{kFrontEndNode, first, last};
  const Spans spans = co_await collect(nodes, trace);
  if (spans.size() != 6) co_return false;
  const std::string pass_on = "test.TracedRelay/1.pass_on";
  const std::string touch = "test.TracedRelay/1.touch";
  CHECK(spans.at({SpanKind::inside, "root"}).record.parent == 0);
  CHECK(is_child(spans, SpanKind::client, pass_on, SpanKind::inside, "root"));
  CHECK(is_child(spans, SpanKind::server, pass_on, SpanKind::client, pass_on));
  CHECK(is_child(spans, SpanKind::inside, "work", SpanKind::server, pass_on));
  CHECK(is_child(spans, SpanKind::client, touch, SpanKind::inside, "work"));
  CHECK(is_child(spans, SpanKind::server, touch, SpanKind::client, touch));
  CHECK(spans.at({SpanKind::client, pass_on}).node == kFrontEndNode);
  CHECK(spans.at({SpanKind::server, pass_on}).node == first);
  CHECK(spans.at({SpanKind::client, touch}).node == first);
  CHECK(spans.at({SpanKind::server, touch}).node == last);
  CHECK(spans.at({SpanKind::server, touch}).record.core == CoreIndex{1});
  CHECK(spans.at({SpanKind::server, touch}).record.peer == first);
  CHECK(spans.at({SpanKind::client, touch}).record.peer == last);
  co_return true;
}

/// Whether `node` has recorded a call to the front end that began a trace.
task<bool> began_a_trace(NodeId node) {
  const auto answer = co_await kObserver.on(node).call<&ObserverService::spans>(ObserverService::kSpanBatch);
  CHECK(answer.has_value());
  if (!answer) co_return false;
  for (const SpanRecord& each : answer->spans) {
    if (each.kind == SpanKind::client && each.parent == 0 && each.peer == kFrontEndNode) co_return true;
  }
  co_return false;
}

task<void> check_sampling(ref<Relay> relay, NodeId node) {
  CHECK(!co_await began_a_trace(node));
  CHECK((co_await kObserver.on(node).call<&ObserverService::sample>(1'000'000)).has_value());
  bool began = false;
  for (int i = 0; i < 20 && !began; ++i) {
    // It is that node's calls that begin traces: the one to the front end, not this one.
    CHECK((co_await relay.on(node).call<&Relay::pass_on>(relay, kFrontEndNode)).has_value());
    began = co_await began_a_trace(node);
  }
  CHECK(began);
  CHECK((co_await kObserver.on(node).call<&ObserverService::sample>(0)).has_value());
}

task<void> check_methods(NodeId node) {
  const auto methods = co_await kObserver.on(node).call<&ObserverService::methods>();
  CHECK(methods.has_value());
  if (!methods) co_return;
  std::uint64_t calls = 0;
  for (const detail::MethodRecord& each : *methods) {
    if (each.interface_name == "test.TracedRelay/1" && each.method == "pass_on") calls += each.calls;
  }
  CHECK(calls >= 2);
}

}  // namespace

task<int> ebb_main(application& app) {
  (co_await app.nodes().add(app.options().backends)).value();
  std::vector<NodeId> nodes;
  for (const NodeStatus& node : app.nodes().list()) nodes.push_back(node.id);
  const auto relay = (co_await create<Relay>()).value();
  bool whole = false;
  for (int i = 0; i < 20 && !whole; ++i) whole = co_await check_tree(relay, nodes.at(nodes.size() - 2), nodes.back());
  CHECK(whole);
  co_await check_sampling(relay, nodes.at(nodes.size() - 2));
  co_await check_methods(nodes.at(nodes.size() - 2));
  co_return ebb::test::conclude();
}
