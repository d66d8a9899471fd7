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

// For what must happen; only a test that fails waits so long.
constexpr auto kPatience = 30s;

struct Counts {
  std::uint32_t begun = 0;
  std::uint32_t cancelled = 0;
  std::uint32_t notes = 0;
  std::uint32_t most_at_once = 0;
};

// Of this node: where calls of Worker::slow wait, and how many do.
std::atomic<bool> gate_open{false};
std::atomic<std::uint32_t> at_gate{0};

struct Opener {
  std::uint32_t waiting() const { return at_gate.load(); }
  void let_go() { gate_open.store(true); }
  using interface = ebb::interface<"test.Opener/1", method<"waiting", &Opener::waiting>, method<"let_go", &Opener::let_go>>;
};

struct Worker {
  Counts counts;

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
  /// Its own answer, with a code that the runtime uses to turn calls away.
  Result<void> refuse(Errc code) {
    ++counts.begun;
    return Error(code, "the method's own");
  }
  task<void> slow() {
    counts.most_at_once = std::max(counts.most_at_once, ++at_gate);
    while (!gate_open.load()) co_await sleep_for(1ms);
    --at_gate;
  }

  using interface =
      ebb::interface<"test.Caller/1", method<"get", &Worker::get>, method<"wait", &Worker::wait>,
                     method<"nested", &Worker::nested>, method<"caller", &Worker::caller>,
                     method<"left_ms", &Worker::left_ms>, method<"note", &Worker::note>,
                     method<"refuse", &Worker::refuse>, method<"slow", &Worker::slow>>;
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

/// Only the runtime's refusals let a call be made again.
task<void> check_own_answers(node_target<Worker> worker) {
  const std::uint32_t before = (co_await worker.call<&Worker::get>()).value().begun;
  for (const Errc code : {Errc::overloaded, Errc::moved}) {
    const auto answer = co_await worker.within(1s).call<&Worker::refuse>(code);
    CHECK(answer.code() == code && answer.error().text() == "the method's own");
  }
  CHECK((co_await worker.call<&Worker::get>()).value().begun == before + 2);
  CHECK((co_await worker.within(-1ms).call<&Worker::get>()).code() == Errc::deadline_exceeded);
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

task<void> call_slow(node_target<Worker> worker, int* ended) {
  const auto answer = co_await worker.within(kPatience).call<&Worker::slow>();
  if (answer) ++*ended;
}

/// One attempt, where a target's call would go on trying.
task<Errc> code_of_attempt(ref<Worker> worker, NodeId node, CoreIndex core) {
  const auto answer = co_await detail::call_elsewhere(node, core, worker.id(), Worker::interface::method_id<&Worker::slow>(), kPatience, {});
  co_return answer.code();
}

/// A slow object slows its callers, and works on no more calls at a time than it may. Its gate is closed until all of this has
/// been seen.
task<void> check_overload(ref<Worker> object, NodeId node, node_target<Opener> opener) {
  constexpr std::uint32_t kCalls = detail::kMaxCallsPerObject + 476;
  const CoreIndex core{1};
  const node_target<Worker> worker = object.on(node, core);
  int ended = 0;
  Scope scope;
  for (std::uint32_t i = 0; i < kCalls; ++i) scope.spawn(call_slow(worker, &ended));
  const platform::Instant give_up = platform::Clock::now() + kPatience;
  while ((co_await opener.call<&Opener::waiting>()).value() < detail::kMaxCallsPerObject && platform::Clock::now() < give_up) {
    co_await sleep_for(1ms);
  }
  CHECK((co_await code_of_attempt(object, node, core)) == Errc::overloaded);
  const Errc late = (co_await worker.within(100ms).call<&Worker::slow>()).code();
  CHECK(late == Errc::overloaded || late == Errc::deadline_exceeded);  // as its last attempt has been answered, or not yet
  CHECK(ended == 0);
  CHECK((co_await opener.call<&Opener::let_go>()).has_value());
  co_await scope.join();
  CHECK(ended == static_cast<int>(kCalls));
  const auto counts = co_await worker.call<&Worker::get>();
  CHECK(counts && counts->most_at_once == detail::kMaxCallsPerObject);
}

/// What an object does that one calls without knowing where it is.
struct Placed {
  Counts counts;

  Counts get() const { return counts; }
  NodeId where() const { return this_node(); }
  task<void> wait(const call_context& context) {
    ++counts.begun;
    const bool fired = co_await context.cancellation.cancelled();
    if (fired) ++counts.cancelled;
  }
  bool knows_caller(const call_context& context, NodeId node, std::int64_t at_most_ms) {
    const auto left = context.deadline - platform::Clock::now();
    return context.caller == node && left > 0ms && left <= std::chrono::milliseconds(at_most_ms);
  }
  void note() { ++counts.notes; }
  Counts save() const { return counts; }
  void restore(Counts state) { counts = state; }
};
struct AtHome : Placed {
  using policy = single_home;
  using interface =
      ebb::interface<"test.AtHome/1", method<"get", &AtHome::get>, method<"where", &AtHome::where>, method<"wait", &AtHome::wait>,
                     method<"knows_caller", &AtHome::knows_caller>, method<"note", &AtHome::note>>;
};
/// On another node.
struct Sender {
  task<Result<void>> note(ref<AtHome> home) { return home.on_home().send<&AtHome::note>(); }
  using interface = ebb::interface<"test.Sender/1", method<"note", &Sender::note>>;
};
struct ByKey : Placed {
  using policy = partitioned;
  static constexpr std::uint32_t kPartitions = 32;
  using interface =
      ebb::interface<"test.ByKey/1", method<"get", &ByKey::get>, method<"where", &ByKey::where>, method<"wait", &ByKey::wait>,
                     method<"knows_caller", &ByKey::knows_caller>, method<"note", &ByKey::note>>;
};

template <class T, class Target>
task<void> reach_placed(Target where, std::uint32_t Counts::*what, std::uint32_t value, int line) {
  bool reached = false;
  for (int i = 0; i < 500 && !reached; ++i) {
    const auto counts = co_await where.template call<&T::get>();
    reached = counts && (*counts).*what == value;
    if (!reached) co_await sleep_for(5ms);
  }
  test::check(reached, "a count that was expected", line);
}

template <class T, class Target>
task<void> expect_cancelled(Target where) {
  const auto answer = co_await where.template call<&T::wait>();
  CHECK(answer.code() == Errc::cancelled);
}

/// A call that finds its object by itself ends early on both sides, tells the method who calls, and need not be answered.
template <class T, class Target>
task<void> check_placed(Target where) {
  const auto knows = co_await where.within(5s).template call<&T::knows_caller>(this_node(), 5000);
  CHECK(knows && *knows);
  cancel_source source;
  Scope scope;
  scope.spawn(expect_cancelled<T>(where.cancelled_by(source.token())));
  co_await reach_placed<T>(where, &Counts::begun, 1, __LINE__);
  source.cancel();
  co_await scope.join();
  co_await reach_placed<T>(where, &Counts::cancelled, 1, __LINE__);
  const auto late = co_await where.within(100ms).template call<&T::wait>();
  CHECK(late.has_value() || late.code() == Errc::deadline_exceeded);  // a core that was away may find the answer first
  co_await reach_placed<T>(where, &Counts::cancelled, 2, __LINE__);
  for (int i = 0; i < 20; ++i) {
    const auto sent = co_await where.template send<&T::note>();
    CHECK(sent.has_value());
  }
  co_await reach_placed<T>(where, &Counts::notes, 20, __LINE__);
}

task<void> check_places(std::vector<NodeStatus> nodes) {
  const auto home = (co_await create_at<AtHome>(nodes.front().id)).value();
  co_await check_placed<AtHome>(home.on_home());
  // What is sent from where the old home is known finds the new one.
  const auto sender = (co_await create<Sender>()).value();
  CHECK((co_await sender.on(nodes.back().id).call<&Sender::note>(home)).has_value());
  co_await reach_placed<AtHome>(home.on_home(), &Counts::notes, 21, __LINE__);
  CHECK((co_await migrate(home, this_node())).has_value());
  CHECK((co_await home.call<&AtHome::where>()).value() == this_node());
  CHECK((co_await sender.on(nodes.back().id).call<&Sender::note>(home)).has_value());
  co_await reach_placed<AtHome>(home.on_home(), &Counts::notes, 22, __LINE__);
  CHECK((co_await destroy(home)).has_value());
  const auto store = (co_await create<ByKey>()).value();
  std::vector<NodeId> checked;
  for (std::uint32_t key = 0; key < 100 && checked.size() < nodes.size(); ++key) {
    const auto owner = co_await store.on_key(key).call<&ByKey::where>();
    CHECK(owner.has_value());
    if (!owner || std::find(checked.begin(), checked.end(), *owner) != checked.end()) continue;
    checked.push_back(*owner);
    co_await check_placed<ByKey>(store.on_key(key));
  }
  CHECK(!checked.empty());
  CHECK((co_await destroy(store)).has_value());
}

}  // namespace

task<int> ebb_main(application& app) {
  (co_await app.nodes().add(app.options().backends)).value();
  const std::vector<NodeStatus> nodes = app.nodes().list();
  const auto worker = (co_await create<Worker>()).value();
  for (const NodeStatus& node : nodes) {
    for (std::uint16_t core = 0; core < node.cores; ++core) co_await check_ends(worker.on(node.id, CoreIndex{core}));
  }
  co_await check_own_answers(worker.on(nodes.back().id, CoreIndex{0}));
  co_await check_nested(worker, nodes.front().id, nodes.back().id);
  co_await check_one_way(worker.on(nodes.front().id, CoreIndex{1}));
  co_await check_one_way(worker.on(this_node(), CoreIndex{0}));
  co_await check_places(nodes);
  const auto opener = (co_await create<Opener>()).value();
  co_await check_overload(worker, nodes.back().id, opener.on(nodes.back().id));
  co_return ebb::test::conclude();
}
