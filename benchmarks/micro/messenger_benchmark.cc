// What a call to another node costs: two messengers over loopback, the caller on core 0, the callee on core 1.
#include <benchmark/benchmark.h>

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "ebb/async.h"
#include "ebb/messenger/messenger.h"

namespace {

using namespace ebb;

constexpr platform::Endpoint kLoopback{0x7f000001, 0};
constexpr NodeId kCaller{1};
constexpr NodeId kCallee{2};
enum Method : std::uint64_t { echo, which_core, swallow };

struct Callee final : MessengerHandler {
  task<Result<Bytes>> on_call(IncomingCall call) override { return answer(std::move(call)); }
  static task<Result<Bytes>> answer(IncomingCall call) {
    switch (call.method) {
      case which_core: co_return Bytes{static_cast<std::byte>(to_number(Core::current().index()))};
      case swallow: co_return Bytes();
      default: co_return std::move(call.arguments);
    }
  }
  void on_connection_lost(NodeId, const Error&) override {}
};

struct Nodes {
  Callee handler;
  std::unique_ptr<Messenger> caller;
  std::unique_ptr<Messenger> callee;

  /// Which core of the callee gets a connection is the platform's choice, so this tries until it is core 1.
  task<void> start() {
    ClusterKey key;
    platform::fill_random(key);
    for (;;) {
      caller = (co_await Messenger::start({kCaller, key, kLoopback}, handler)).value();
      callee = (co_await Messenger::start({kCallee, key, kLoopback}, handler)).value();
      co_await caller->set_peer(kCallee, callee->local());
      const Bytes core = (co_await caller->call({.node = kCallee, .object = {}, .method = which_core}, Bytes())).value();
      if (core.at(0) == std::byte{1}) co_return;
      co_await close();
    }
  }
  task<void> close() {
    co_await caller->close();
    co_await callee->close();
  }
};

/// The caller's side of one measurement: `window` calls under way at any time.
struct Load {
  Messenger* messenger;
  std::uint64_t method;
  std::size_t payload_bytes;
  std::size_t failed = 0;
};

task<void> call_again(Load* load, std::size_t* budget) {
  while (*budget != 0) {
    --*budget;
    const CallTarget target{.node = kCallee, .object = ObjectId(1025), .method = load->method};
    const auto answer = co_await load->messenger->call(target, Bytes(load->payload_bytes));
    if (!answer) ++load->failed;
  }
}

task<int> measure(benchmark::State* state, std::uint64_t method, std::size_t window, std::size_t payload_bytes) {
  Nodes nodes;
  co_await nodes.start();
  Load load{nodes.caller.get(), method, payload_bytes};
  // One iteration is a round of calls many windows long, so that filling and draining the window hardly count.
  const std::size_t round = window == 1 ? 1 : window * 32;
  for (auto _ : *state) {
    std::size_t budget = round;
    if (window == 1) {
      co_await call_again(&load, &budget);
      continue;
    }
    Scope scope;
    for (std::size_t i = 0; i < window; ++i) scope.spawn(call_again(&load, &budget));
    co_await scope.join();
  }
  const auto calls = static_cast<std::int64_t>(state->iterations() * round);
  state->SetItemsProcessed(calls);
  if (payload_bytes >= 1024) state->SetBytesProcessed(calls * static_cast<std::int64_t>(payload_bytes));
  if (load.failed != 0) state->SkipWithError("calls failed");
  co_await nodes.close();
  co_return 0;
}

void run(benchmark::State& state, std::uint64_t method, std::size_t window, std::size_t payload_bytes) {
  const auto main = [&state, method, window, payload_bytes] { return measure(&state, method, window, payload_bytes); };
  if (run_cores(2, main) != 0) state.SkipWithError("the cores did not start");
}

void BM_MessengerRoundTrip(benchmark::State& state) { run(state, echo, 1, 8); }
BENCHMARK(BM_MessengerRoundTrip)->UseRealTime();

void BM_MessengerPipelined(benchmark::State& state) { run(state, echo, static_cast<std::size_t>(state.range(0)), 8); }
BENCHMARK(BM_MessengerPipelined)->Arg(64)->Arg(1024)->UseRealTime();

void BM_MessengerBulk(benchmark::State& state) { run(state, swallow, 8, static_cast<std::size_t>(state.range(0))); }
BENCHMARK(BM_MessengerBulk)->Arg(64 << 10)->Arg(1 << 20)->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
