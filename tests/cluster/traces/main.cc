// One trace over three nodes: what their observers tell makes one tree. Prints what is broken and ends with 1, or with 0; run
// with each node driver.
#include <ebb/application.h>
#include <ebb/async.h>
#include <ebb/object.h>
#include <ebb/observe.h>

#include <algorithm>
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
using detail::SpanBatch;
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

/// What a node has that has not been read yet.
task<Result<SpanBatch>> read_more(NodeId node) {
  static std::map<NodeId, std::vector<std::uint64_t>> read;
  auto answer = co_await kObserver.on(node).call<&ObserverService::spans>(ObserverService::kSpanBatch, read[node]);
  if (answer) read[node] = answer->next;
  co_return answer;
}

/// The spans of `trace` that the nodes still have.
task<Spans> collect(std::vector<NodeId> nodes, TraceContext trace) {
  Spans spans;
  for (const NodeId node : nodes) {
    bool more = true;
    while (more) {
      auto answer = co_await read_more(node);
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

struct Notes {
  using policy = replicated;
  std::vector<std::int64_t> notes;
  void add(const call_context& context, std::int64_t note) {
    notes.push_back(note);
    traced = context.trace.sampled;
  }
  bool was_traced() const { return traced; }
  std::vector<std::int64_t> save() const { return notes; }
  void restore(std::vector<std::int64_t> state) { notes = std::move(state); }
  using interface = ebb::interface<"test.TracedNotes/1", method<"add", &Notes::add>, method<"was_traced", &Notes::was_traced>>;

 private:
  bool traced = false;  // the last write; no part of the state
};

static_assert(Relay::interface::id != 0);  // complete before Shelf's, which names it

struct Shelf {
  using policy = partitioned;
  static constexpr std::uint32_t kPartitions = 32;
  NodeId where() const { return this_node(); }
  /// Touches another node, as part of this call.
  task<Result<void>> pass_on(const call_context& context, ref<Relay> relay, NodeId other) {
    co_return co_await relay.on(other, CoreIndex{1}).under(context).call<&Relay::touch>();
  }
  int save() const { return 0; }
  void restore(int) {}
  using interface = ebb::interface<"test.TracedShelf/1", method<"where", &Shelf::where>, method<"pass_on", &Shelf::pass_on>>;
};

/// All spans of `trace` that the nodes still have.
task<std::vector<Found>> collect_all(std::vector<NodeId> nodes, TraceContext trace) {
  std::vector<Found> spans;
  for (const NodeId node : nodes) {
    bool more = true;
    while (more) {
      auto answer = co_await read_more(node);
      if (!answer) co_return spans;
      for (const SpanRecord& each : answer->spans) {
        if (each.trace_high == trace.trace_high && each.trace_low == trace.trace_low) spans.push_back({each, node});
      }
      more = answer->more;
    }
  }
  co_return spans;
}

/// The way from the root to each span, as "node kind" of each, ordered. One that hangs in the air begins with "?".
std::vector<std::string> ways(const std::vector<Found>& spans) {
  std::map<std::uint64_t, const Found*> by_id;
  for (const Found& each : spans) by_id[each.record.span] = &each;
  std::vector<std::string> all;
  for (const Found& each : spans) {
    std::string way;
    const Found* at = &each;
    for (std::size_t depth = 0; at != nullptr && depth <= spans.size(); ++depth) {
      const char* kind = at->record.kind == SpanKind::client ? "calls" : at->record.kind == SpanKind::server ? "runs" : "is";
      way = std::to_string(to_number(at->node)) + " " + kind + (way.empty() ? "" : ", ") + way;
      const std::uint64_t parent = at->record.parent;
      at = parent == 0 || !by_id.contains(parent) ? nullptr : by_id.at(parent);
      if (at == nullptr && parent != 0) way = "? " + way;
    }
    all.push_back(std::move(way));
  }
  std::sort(all.begin(), all.end());
  return all;
}

/// `expected`, with F, A and B for the front end and the two nodes. Says what was found if it is something else.
bool is_tree(const std::vector<Found>& spans, std::vector<std::string> expected, NodeId a, NodeId b) {
  for (std::string& way : expected) {
    for (char& letter : way) {
      const NodeId node = letter == 'A' ? a : letter == 'B' ? b : kFrontEndNode;
      if (letter == 'A' || letter == 'B' || letter == 'F') letter = std::to_string(to_number(node)).front();
    }
  }
  std::sort(expected.begin(), expected.end());
  const std::vector<std::string> found = ways(spans);
  if (found == expected) return true;
  for (const std::string& way : found) std::fprintf(stderr, "found: %s\n", way.c_str());
  return false;
}

// Not in the coroutines below: gcc 12 fails on lists in braces there.
bool is_write(const std::vector<Found>& spans, NodeId a, NodeId b) {
  return is_tree(spans, {"F is", "F is, F calls", "F is, F calls, A runs", "F is, F calls, A runs, A calls",
                            "F is, F calls, A runs, A calls", "F is, F calls, A runs, A calls, F runs",
                            "F is, F calls, A runs, A calls, B runs"}, a, b);
}
bool is_call_by_key(const std::vector<Found>& spans, NodeId a, NodeId b) {
  return is_tree(spans, {"F is", "F is, F calls", "F is, F calls, A runs", "F is, F calls, A runs, A calls",
                            "F is, F calls, A runs, A calls, B runs"}, a, b);
}
/// The second "calls" and the first "runs" of a node are those of the tree.
bool is_call_of_all(const std::vector<Found>& spans, NodeId a, NodeId b) {
  return is_tree(spans, {"F is", "F is, F calls", "F is, F calls, F calls", "F is, F calls, F calls",
                            "F is, F calls, F calls, A runs", "F is, F calls, F calls, B runs",
                            "F is, F calls, F calls, A runs, A runs", "F is, F calls, F calls, B runs, B runs"}, a, b);
}
std::vector<NodeId> all_of(NodeId a, NodeId b) { return {kFrontEndNode, a, b}; }

/// A write at the home, its way to each replica, and what each does.
task<bool> check_write(NodeId a, NodeId b) {
  const auto notes = (co_await create_at<Notes>(a, CoreIndex{1})).value();
  CHECK(!notes->was_traced());
  CHECK((co_await notes.on(b, CoreIndex{1}).call<&Notes::was_traced>()).has_value());
  TraceContext trace;
  {
    const span root = span::traced("root");
    trace = root.context();
    CHECK((co_await notes.under(root).call<&Notes::add>(1)).has_value());
  }
  CHECK(notes->was_traced());
  CHECK((co_await notes.on(b, CoreIndex{1}).call<&Notes::was_traced>()).value());
  const auto spans = co_await collect_all(all_of(a, b), trace);
  CHECK((co_await destroy(notes)).has_value());
  co_return is_write(spans, a, b);
}

/// A call by key, whose method goes on to a third node.
task<bool> check_key(ref<Relay> relay, NodeId a, NodeId b) {
  const auto shelf = (co_await create<Shelf>()).value();
  std::uint32_t key = 0;
  while (key < 1000 && (co_await shelf.on_key(key).call<&Shelf::where>()).value() != a) ++key;
  TraceContext trace;
  {
    const span root = span::traced("root");
    trace = root.context();
    CHECK((co_await shelf.on_key(key).under(root).call<&Shelf::pass_on>(relay, b)).has_value());
  }
  const auto spans = co_await collect_all(all_of(a, b), trace);
  CHECK((co_await destroy(shelf)).has_value());
  co_return is_call_by_key(spans, a, b);
}

/// A call of every representative is one span, and all that it does is within it.
task<bool> check_everywhere(NodeId a, NodeId b) {
  const auto relay = (co_await create<Relay>()).value();
  CHECK((co_await relay.on(a, CoreIndex{1}).call<&Relay::touch>()).has_value());
  CHECK((co_await relay.on(b, CoreIndex{1}).call<&Relay::touch>()).has_value());
  TraceContext trace;
  {
    const span root = span::traced("root");
    trace = root.context();
    const auto who = co_await relay.everywhere().under(root).call<&Relay::touch>();
    CHECK(who && who->representatives == 2);
  }
  const auto spans = co_await collect_all(all_of(a, b), trace);
  CHECK((co_await destroy(relay)).has_value());
  co_return is_call_of_all(spans, a, b);
}

/// Whether `node` has recorded a call to the front end that began a trace.
task<bool> began_a_trace(NodeId node) {
  const auto answer = co_await read_more(node);
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
  const NodeId a = nodes.at(nodes.size() - 2);
  const NodeId b = nodes.back();
  whole = false;
  for (int i = 0; i < 20 && !whole; ++i) whole = co_await check_write(a, b);
  CHECK(whole);
  whole = false;
  for (int i = 0; i < 20 && !whole; ++i) whole = co_await check_key(relay, a, b);
  CHECK(whole);
  whole = false;
  for (int i = 0; i < 20 && !whole; ++i) whole = co_await check_everywhere(a, b);
  CHECK(whole);
  co_await check_sampling(relay, nodes.at(nodes.size() - 2));
  co_await check_methods(nodes.at(nodes.size() - 2));
  co_return ebb::test::conclude();
}
