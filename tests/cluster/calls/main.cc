// The life of a call between nodes as docs/architecture.md promises it: deadlines, cancellation, one-way calls, contexts,
// overload. Prints what is broken and ends with 1, or with 0; run with each node driver.
#include <ebb/application.h>
#include <ebb/async.h>
#include <ebb/object.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <vector>

#include "tests/cluster/check.h"

namespace {

using namespace ebb;
using namespace std::chrono_literals;

struct Counts {
  std::uint32_t begun = 0;
  std::uint32_t cancelled = 0;
  std::uint32_t notes = 0;
  std::uint32_t most_at_once = 0;
};

std::atomic<bool> gate_open{false};  // of this node

struct Opener {
  void let_go() { gate_open.store(true); }
  using interface = ebb::interface<"test.Opener/1", method<"let_go", &Opener::let_go>>;
};

struct Worker {
  Counts counts;
  std::uint32_t at_once = 0;

  Counts get() const { return counts; }
  task<void> wait(const call_context& context) {
    ++counts.begun;
    const bool fired = co_await context.cancellation.cancelled();
    if (fired) ++counts.cancelled;
  }
  /// Waits on another node, as part of this call.
  task<bool> nested(const call_context& context, ref<Worker> other, NodeId node) {
    const auto inner = co_await other.on(node, CoreIndex{0}).under(context).call<&Worker::wait>();
    co_return inner.code() == Errc::cancelled || inner.code() == Errc::deadline_exceeded;
  }
  NodeId caller(const call_context& context) { return context.caller; }
  std::int64_t left_ms(const call_context& context) {
    return (context.deadline - platform::Clock::now()) / std::chrono::milliseconds(1);
  }
  void note() { ++counts.notes; }
  task<void> slow() {
    counts.most_at_once = std::max(counts.most_at_once, ++at_once);
    while (!gate_open.load()) co_await sleep_for(1ms);
    --at_once;
  }

  using interface =
      ebb::interface<"test.Caller/1", method<"get", &Worker::get>, method<"wait", &Worker::wait>,
                     method<"nested", &Worker::nested>, method<"caller", &Worker::caller>,
                     method<"left_ms", &Worker::left_ms>, method<"note", &Worker::note>, method<"slow", &Worker::slow>>;
};

task<void> reach(node_target<Worker> worker, std::uint32_t Counts::*what, std::uint32_t value, int line) {
  std::uint32_t last = 0;
  for (int i = 0; i < 500; ++i) {
    const auto counts = co_await worker.call<&Worker::get>();
    last = counts ? (*counts).*what : 0;
    if (last == value) co_return;
    co_await sleep_for(5ms);
  }
  std::fprintf(stderr, "%u instead of %u\n", last, value);
  test::check(false, "a count that was expected", line);
}

task<void> expect_code(node_target<Worker> worker, Errc code) {
  const auto answer = co_await worker.call<&Worker::wait>();
  CHECK(answer.code() == code);
}

task<void> check_ends(node_target<Worker> worker) {
  CHECK((co_await worker.call<&Worker::caller>()).value() == this_node());
  const auto left = co_await worker.within(5s).call<&Worker::left_ms>();
  CHECK(left && *left > 3000 && *left <= 5000);
  const auto late = co_await worker.within(100ms).call<&Worker::wait>();
  CHECK(late.has_value() || late.code() == Errc::deadline_exceeded);  // a core that was away may find the answer first
  co_await reach(worker, &Counts::cancelled, 1, __LINE__);
  cancel_source source;
  Scope scope;
  scope.spawn(expect_code(worker.cancelled_by(source.token()), Errc::cancelled));
  co_await reach(worker, &Counts::begun, 2, __LINE__);
  source.cancel();
  co_await scope.join();
  co_await reach(worker, &Counts::cancelled, 2, __LINE__);
  // What is cancelled before it is made does not run.
  co_await expect_code(worker.cancelled_by(source.token()), Errc::cancelled);
  co_await reach(worker, &Counts::begun, 2, __LINE__);
}

task<void> check_nested(ref<Worker> worker, NodeId first, NodeId last) {
  const auto inner = worker.on(last, CoreIndex{0});
  const std::uint32_t before = (co_await inner.call<&Worker::get>()).value().cancelled;
  const auto outer = co_await worker.on(first, CoreIndex{1}).within(100ms).call<&Worker::nested>(worker, last);
  CHECK(outer ? *outer : outer.code() == Errc::deadline_exceeded);
  co_await reach(inner, &Counts::cancelled, before + 1, __LINE__);
}

task<void> check_one_way(node_target<Worker> worker) {
  for (int i = 0; i < 200; ++i) CHECK((co_await worker.send<&Worker::note>()).has_value());
  co_await reach(worker, &Counts::notes, 200, __LINE__);
}

task<void> expect_slow(node_target<Worker> worker, int* ended) {
  const auto answer = co_await worker.call<&Worker::slow>();
  CHECK(answer.has_value());
  ++*ended;
}

/// A slow object slows its callers, and works on no more calls at a time than it may.
task<void> check_overload(node_target<Worker> worker, node_target<Opener> opener) {
  int ended = 0;
  Scope scope;
  for (int i = 0; i < 1500; ++i) scope.spawn(expect_slow(worker, &ended));
  co_await sleep_for(100ms);
  CHECK(ended == 0);
  CHECK((co_await worker.within(100ms).call<&Worker::slow>()).code() == Errc::overloaded);
  CHECK((co_await opener.call<&Opener::let_go>()).has_value());
  co_await scope.join();
  CHECK(ended == 1500);
  const auto counts = co_await worker.call<&Worker::get>();
  CHECK(counts && counts->most_at_once == 1024);
}

}  // namespace

task<int> ebb_main(application& app) {
  (co_await app.nodes().add(app.options().backends)).value();
  const std::vector<NodeStatus> nodes = app.nodes().list();
  const auto worker = (co_await create<Worker>()).value();
  for (const NodeStatus& node : nodes) {
    for (std::uint16_t core = 0; core < node.cores; ++core) co_await check_ends(worker.on(node.id, CoreIndex{core}));
  }
  co_await check_nested(worker, nodes.front().id, nodes.back().id);
  co_await check_one_way(worker.on(nodes.front().id, CoreIndex{1}));
  co_await check_one_way(worker.on(this_node(), CoreIndex{0}));
  const auto opener = (co_await create<Opener>()).value();
  co_await check_overload(worker.on(nodes.back().id, CoreIndex{1}), opener.on(nodes.back().id));
  co_return ebb::test::conclude();
}
