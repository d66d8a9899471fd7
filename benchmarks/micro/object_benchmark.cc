// What it costs to reach an object: a hit beside a plain and a virtual call, a miss, a call to another core, and a
// per-core counter beside a shared atomic.
#include <benchmark/benchmark.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "ebb/async.h"
#include "ebb/object.h"
#include "ebb/observe/call_meter.h"

namespace {

struct Counter {
  std::int64_t value = 0;
  void add(std::int64_t count) { value += count; }
  std::int64_t get() const { return value; }
  using interface =
      ebb::interface<"bench.Counter/1", ebb::method<"add", &Counter::add>, ebb::method<"get", &Counter::get>>;
};

class VirtualCounter {
 public:
  virtual ~VirtualCounter() = default;
  virtual void add(std::int64_t count) = 0;
};
// Two kinds, chosen out of the compiler's sight, so that the call stays a virtual one.
class AddingCounter final : public VirtualCounter {
 public:
  void add(std::int64_t count) override { value_ += count; }

 private:
  std::int64_t value_ = 0;
};
class SubtractingCounter final : public VirtualCounter {
 public:
  void add(std::int64_t count) override { value_ -= count; }

 private:
  std::int64_t value_ = 0;
};
[[gnu::noinline]] std::unique_ptr<VirtualCounter> make_virtual_counter(bool adding) {
  if (adding) return std::make_unique<AddingCounter>();
  return std::make_unique<SubtractingCounter>();
}

void run_on(std::size_t cores, benchmark::State& state, ebb::task<int> (*body)(benchmark::State*)) {
  const auto main = [&state, body] { return body(&state); };
  if (ebb::run_cores(cores, main) != 0) state.SkipWithError("the cores did not start");
}

// The compiler may not keep the counter in a register across iterations; all three below pay the same for that.
void BM_PlainCall(benchmark::State& state) {
  Counter counter;
  for (auto _ : state) {
    counter.add(1);
    benchmark::ClobberMemory();
    benchmark::DoNotOptimize(&counter);
  }
}
BENCHMARK(BM_PlainCall);

void BM_VirtualCall(benchmark::State& state) {
  bool adding = true;
  benchmark::DoNotOptimize(adding);
  const std::unique_ptr<VirtualCounter> counter = make_virtual_counter(adding);
  for (auto _ : state) {
    counter->add(1);
    benchmark::ClobberMemory();
  }
}
BENCHMARK(BM_VirtualCall);

// Not in the coroutine, which would keep the loop's counter in its frame in memory.
void hit(benchmark::State& state, ebb::ref<Counter> counter) {
  for (auto _ : state) {
    benchmark::DoNotOptimize(counter);
    counter->add(1);
    benchmark::ClobberMemory();
  }
}
ebb::task<int> hit_body(benchmark::State* state) {
  const auto counter = (co_await ebb::create<Counter>()).value();
  counter->add(1);
  hit(*state, counter);
  (co_await ebb::destroy(counter)).value();
  co_return 0;
}
void BM_LocalHit(benchmark::State& state) { run_on(1, state, hit_body); }
BENCHMARK(BM_LocalHit);

// Each iteration touches objects that the node knows and the core does not; emptying the slots is not timed.
constexpr std::size_t kMissed = 1024;
struct Rooted {
  struct root {};
  explicit Rooted(root&) {}
  void touch() {}
  using interface = ebb::interface<"bench.Rooted/1", ebb::method<"touch", &Rooted::touch>>;
};
ebb::task<int> miss_body(benchmark::State* state) {
  std::vector<ebb::ref<Rooted>> objects;
  for (std::size_t i = 0; i < kMissed; ++i) {
    objects.push_back((co_await ebb::create<Rooted>()).value());
    objects.back()->touch();
  }
  for (auto _ : *state) {
    state->PauseTiming();
    for (const auto& object : objects) {
      delete &*object;
      ebb::platform::set_translation(object.id(), nullptr);
    }
    state->ResumeTiming();
    for (const auto& object : objects) object->touch();
  }
  state->SetItemsProcessed(state->iterations() * static_cast<std::int64_t>(kMissed));
  for (const auto& object : objects) (co_await ebb::destroy(object)).value();
  co_return 0;
}
void BM_MissWithRoot(benchmark::State& state) { run_on(1, state, miss_body); }
BENCHMARK(BM_MissWithRoot);

ebb::task<int> call_to(benchmark::State* state, ebb::CoreIndex core) {
  auto counter = (co_await ebb::create<Counter>()).value();
  const auto there = counter.on(core);
  for (auto _ : *state) (co_await there.call<&Counter::add>(std::int64_t{1})).value();
  (co_await ebb::destroy(counter)).value();
  co_return 0;
}
void BM_CallOnItsOwnCore(benchmark::State& state) {
  run_on(1, state, [](benchmark::State* each) { return call_to(each, ebb::CoreIndex{0}); });
}
BENCHMARK(BM_CallOnItsOwnCore);
void BM_CallToAnotherCore(benchmark::State& state) {
  run_on(2, state, [](benchmark::State* each) { return call_to(each, ebb::CoreIndex{1}); });
}
BENCHMARK(BM_CallToAnotherCore)->UseRealTime();

// So many calls under way at once, an iteration.
ebb::task<int> calls_body(benchmark::State* state) {
  const auto window = static_cast<std::size_t>(state->range(0));
  auto counter = (co_await ebb::create<Counter>()).value();
  const auto there = counter.on(ebb::CoreIndex{1});
  for (auto _ : *state) {
    std::vector<ebb::task<ebb::Result<void>>> calls;
    for (std::size_t i = 0; i < window; ++i) calls.push_back(there.call<&Counter::add>(std::int64_t{1}));
    for (const auto& done : co_await ebb::when_all(std::move(calls))) done.value();
  }
  const auto calls = state->iterations() * state->range(0);
  if ((co_await there.call<&Counter::get>()).value() != calls) state->SkipWithError("calls were lost");
  state->SetItemsProcessed(calls);
  (co_await ebb::destroy(counter)).value();
  co_return 0;
}
void BM_CallsToAnotherCorePipelined(benchmark::State& state) { run_on(2, state, calls_body); }
BENCHMARK(BM_CallsToAnotherCorePipelined)->Arg(64)->Arg(256)->UseRealTime();

// What measuring a call adds to it, on the core that carries it out: 0, into the method's histogram; 1, and a span too.
ebb::task<int> meter_body(benchmark::State* state) {
  constexpr ebb::detail::MethodLabel kLabel{1, "bench.Counter/1", "add"};
  const bool sampled = state->range(0) != 0;
  const ebb::TraceContext trace{1, 1, 1, sampled};
  for (auto _ : *state) {
    ebb::detail::CallMeter meter(true, trace);
    benchmark::ClobberMemory();
    meter.end(kLabel, ebb::kFirstApplicationObject, ebb::kFrontEndNode, ebb::Errc::ok);
  }
  co_return 0;
}
void BM_CallMeter(benchmark::State& state) { run_on(1, state, meter_body); }
BENCHMARK(BM_CallMeter)->Arg(0)->Arg(1);

// Two cores count at once, a batch an iteration: each in its own representative, then both in one atomic.
constexpr int kCounts = 100'000;
ebb::task<void> count_locally(ebb::ref<Counter> counter, ebb::CoreIndex core) {
  co_await ebb::on_core(core, [counter] {
    for (int i = 0; i < kCounts; ++i) {
      counter->add(1);
      benchmark::ClobberMemory();
    }
  });
}
ebb::task<int> per_core_body(benchmark::State* state) {
  auto counter = (co_await ebb::create<Counter>()).value();
  for (auto _ : *state) {
    co_await ebb::when_all(count_locally(counter, ebb::CoreIndex{0}), count_locally(counter, ebb::CoreIndex{1}));
  }
  const std::int64_t sum = (co_await counter.reduce<&Counter::get>(std::int64_t{0}, std::plus<>{})).value();
  if (sum != state->iterations() * 2 * kCounts) state->SkipWithError("counts were lost");
  state->SetItemsProcessed(sum);
  (co_await ebb::destroy(counter)).value();
  co_return 0;
}
void BM_PerCoreCounterOnTwoCores(benchmark::State& state) { run_on(2, state, per_core_body); }
BENCHMARK(BM_PerCoreCounterOnTwoCores)->UseRealTime();

ebb::task<void> count_shared(std::atomic<std::int64_t>* counter, ebb::CoreIndex core) {
  co_await ebb::on_core(core, [counter] {
    for (int i = 0; i < kCounts; ++i) counter->fetch_add(1, std::memory_order_relaxed);
  });
}
ebb::task<int> shared_body(benchmark::State* state) {
  std::atomic<std::int64_t> counter{0};
  for (auto _ : *state) {
    co_await ebb::when_all(count_shared(&counter, ebb::CoreIndex{0}), count_shared(&counter, ebb::CoreIndex{1}));
  }
  state->SetItemsProcessed(counter);
  co_return 0;
}
void BM_SharedAtomicOnTwoCores(benchmark::State& state) { run_on(2, state, shared_body); }
BENCHMARK(BM_SharedAtomicOnTwoCores)->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
