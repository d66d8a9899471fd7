// What events, contexts, coroutines, timers and the way to another core cost. Portable: the same program runs in a
// bare-metal image. Each benchmark is a coroutine on a node of its own, so no measured loop contains a start or stop.
#include <benchmark/benchmark.h>

#include <chrono>
#include <cstdint>
#include <vector>

#include "ebb/async.h"

namespace {

using namespace std::chrono_literals;

void run_on(std::size_t cores, benchmark::State& state, ebb::task<int> (*body)(benchmark::State*)) {
  const auto main = [&state, body] { return body(&state); };
  if (ebb::run_cores(cores, main) != 0) state.SkipWithError("the cores did not start");
}

// spawn(): a batch at a time, and running it counts as well.
constexpr int kBatch = 1000;
ebb::task<int> spawn_body(benchmark::State* state) {
  std::uint64_t ran = 0;
  for (auto _ : *state) {
    for (int i = 0; i < kBatch; ++i) ebb::spawn([&ran] { ++ran; });
    co_await ebb::yield();
  }
  state->SetItemsProcessed(static_cast<std::int64_t>(ran));
  co_return 0;
}
void BM_SpawnAndRun(benchmark::State& state) { run_on(1, state, &spawn_body); }
BENCHMARK(BM_SpawnAndRun);

// One event blocks, another resumes it.
ebb::task<int> block_body(benchmark::State* state) {
  ebb::Context& self = ebb::Context::current();
  for (auto _ : *state) {
    ebb::spawn([&self] { self.resume(); });
    ebb::Context::block();
  }
  state->SetItemsProcessed(static_cast<std::int64_t>(state->iterations()));
  co_return 0;
}
void BM_BlockAndResume(benchmark::State& state) { run_on(1, state, &block_body); }
BENCHMARK(BM_BlockAndResume);

ebb::task<int> ready_body(benchmark::State* state) {
  for (auto _ : *state) {
    ebb::Completion<int> completion;
    completion.complete(1);
    benchmark::DoNotOptimize(co_await completion);
  }
  co_return 0;
}
void BM_AwaitReadyCompletion(benchmark::State& state) { run_on(1, state, &ready_body); }
BENCHMARK(BM_AwaitReadyCompletion);

ebb::task<int> one() { co_return 1; }
ebb::task<int> task_body(benchmark::State* state) {
  for (auto _ : *state) benchmark::DoNotOptimize(co_await one());
  co_return 0;
}
void BM_AwaitTaskThatNeverWaits(benchmark::State& state) { run_on(1, state, &task_body); }
BENCHMARK(BM_AwaitTaskThatNeverWaits);

ebb::task<int> yield_body(benchmark::State* state) {
  for (auto _ : *state) co_await ebb::yield();
  co_return 0;
}
void BM_Yield(benchmark::State& state) { run_on(1, state, &yield_body); }
BENCHMARK(BM_Yield);

// There and back with both cores polling.
ebb::task<int> round_trip_body(benchmark::State* state) {
  for (auto _ : *state) {
    ebb::Completion<> back;
    ebb::Completion<>* place = &back;
    const ebb::Result<void> sent = ebb::Core::spawn_on(ebb::CoreIndex(1), [place] {
      ebb::Core::spawn_on(ebb::CoreIndex(0), [place] { place->complete(); }).value();
    });
    sent.value();
    co_await back;
  }
  state->SetItemsProcessed(static_cast<std::int64_t>(state->iterations()));
  co_return 0;
}
void BM_CrossCoreRoundTrip(benchmark::State& state) { run_on(2, state, &round_trip_body); }
BENCHMARK(BM_CrossCoreRoundTrip)->UseRealTime();

ebb::task<int> on_core_body(benchmark::State* state) {
  for (auto _ : *state) benchmark::DoNotOptimize(co_await ebb::on_core(ebb::CoreIndex(1), [] { return 1; }));
  co_return 0;
}
void BM_OnCoreRoundTrip(benchmark::State& state) { run_on(2, state, &on_core_body); }
BENCHMARK(BM_OnCoreRoundTrip)->UseRealTime();

// 256 round trips under way at once.
constexpr int kWindow = 256;
ebb::task<int> pipeline_body(benchmark::State* state) {
  std::int64_t trips = 0;
  for (auto _ : *state) {
    ebb::Completion<> back;
    int left = kWindow;
    struct Place {
      ebb::Completion<>* back;
      int* left;
    } place{&back, &left};
    for (int i = 0; i < kWindow; ++i) {
      ebb::Core::spawn_on(ebb::CoreIndex(1), [place] {
        ebb::Core::spawn_on(ebb::CoreIndex(0), [place] {
          if (--*place.left == 0) place.back->complete();
        }).value();
      }).value();
    }
    co_await back;
    trips += kWindow;
  }
  state->SetItemsProcessed(trips);
  co_return 0;
}
void BM_CrossCorePipelined(benchmark::State& state) { run_on(2, state, &pipeline_body); }
BENCHMARK(BM_CrossCorePipelined)->UseRealTime();

// range(0) timers pending between 1 and 100 s; each iteration sets and cancels one more.
ebb::task<int> timer_body(benchmark::State* state) {
  ebb::Core& core = ebb::Core::current();
  std::uint64_t random = 88172645463325252ull;
  auto delay = [&random] {
    random ^= random << 13;
    random ^= random >> 7;
    random ^= random << 17;
    return 1s + std::chrono::microseconds(random % 99'000'000);
  };
  std::vector<ebb::TimerId> pending;
  for (std::int64_t i = 0; i < state->range(0); ++i) pending.push_back(core.call_after(delay(), [] {}));
  const ebb::platform::Instant now = ebb::platform::Clock::now();
  for (auto _ : *state) core.cancel(core.call_at(now + delay(), [] {}));
  for (const ebb::TimerId timer : pending) core.cancel(timer);
  co_return 0;
}
void BM_TimerSetAndCancel(benchmark::State& state) { run_on(1, state, &timer_body); }
BENCHMARK(BM_TimerSetAndCancel)->Arg(0)->Arg(1'000'000);

}  // namespace

BENCHMARK_MAIN();
