// What the kinds of objects cost on one node: calls of a home, of a partition, reads and writes of replicas; what an object
// costs that a node only knows, and a call that waits.
#include <benchmark/benchmark.h>

#include <malloc.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <vector>

#include "ebb/async.h"
#include "ebb/object.h"

namespace {

using ebb::CoreIndex;

void run_on(std::size_t cores, benchmark::State& state, ebb::task<int> (*body)(benchmark::State*)) {
  const auto main = [&state, body] { return body(&state); };
  if (ebb::run_cores(cores, main) != 0) state.SkipWithError("the cores did not start");
}

struct Account {
  using policy = ebb::single_home;
  std::int64_t balance = 0;
  std::int64_t add(std::int64_t amount) { return balance += amount; }
  using interface = ebb::interface<"bench.Account/1", ebb::method<"add", &Account::add>>;
};

// The argument is the core of the home; the caller is on core 0.
ebb::task<int> home_body(benchmark::State* state) {
  const auto account = (co_await ebb::create_at<Account>(ebb::kFrontEndNode, CoreIndex(static_cast<std::uint16_t>(state->range(0))))).value();
  for (auto _ : *state) (co_await account.call<&Account::add>(std::int64_t{1})).value();
  (co_await ebb::destroy(account)).value();
  co_return 0;
}
void BM_CallOfAHome(benchmark::State& state) { run_on(2, state, home_body); }
BENCHMARK(BM_CallOfAHome)->Arg(0)->Arg(1)->UseRealTime();

struct Table {
  using policy = ebb::replicated;
  std::int64_t value = 0;
  std::int64_t get() const { return value; }
  void set(std::int64_t next) { value = next; }
  std::int64_t save() const { return value; }
  void restore(std::int64_t state) { value = state; }
  using interface = ebb::interface<"bench.Table/1", ebb::method<"get", &Table::get>, ebb::method<"set", &Table::set>>;
};

ebb::task<int> read_body(benchmark::State* state) {
  auto table = (co_await ebb::create<Table>()).value();
  benchmark::DoNotOptimize(table->get());
  for (auto _ : *state) {
    benchmark::DoNotOptimize(table);
    benchmark::DoNotOptimize(table->get());
  }
  (co_await ebb::destroy(table)).value();
  co_return 0;
}
void BM_ReadOfAReplica(benchmark::State& state) { run_on(1, state, read_body); }
BENCHMARK(BM_ReadOfAReplica);

// The argument is how many cores have a replica, the home's among them.
ebb::task<int> write_body(benchmark::State* state) {
  const auto table = (co_await ebb::create<Table>()).value();
  for (std::uint16_t core = 0; core < state->range(0); ++core) {
    static_cast<void>((co_await table.on(CoreIndex{core}).call<&Table::get>()).value());
  }
  std::int64_t next = 0;
  for (auto _ : *state) (co_await table.call<&Table::set>(++next)).value();
  (co_await ebb::destroy(table)).value();
  co_return 0;
}
void BM_WriteOfReplicas(benchmark::State& state) { run_on(2, state, write_body); }
BENCHMARK(BM_WriteOfReplicas)->Arg(1)->Arg(2)->UseRealTime();

struct Store {
  using policy = ebb::partitioned;
  static constexpr std::uint32_t kPartitions = 16;
  std::map<std::uint32_t, std::int64_t> values;
  std::int64_t add(std::uint32_t key, std::int64_t amount) { return values[key] += amount; }
  std::map<std::uint32_t, std::int64_t> save() const { return values; }
  void restore(std::map<std::uint32_t, std::int64_t> state) { values = std::move(state); }
  using interface = ebb::interface<"bench.Store/1", ebb::method<"add", &Store::add>>;
};

ebb::task<int> key_body(benchmark::State* state) {
  const auto store = (co_await ebb::create<Store>()).value();
  (co_await store.on_key(std::uint32_t{0}).call<&Store::add>(0u, 1)).value();
  std::uint32_t key = 0;
  for (auto _ : *state) {
    key = (key + 1) % 64;
    (co_await store.on_key(key).call<&Store::add>(key, 1)).value();
  }
  (co_await ebb::destroy(store)).value();
  co_return 0;
}
void BM_CallByKey(benchmark::State& state) { run_on(static_cast<std::size_t>(state.range(0)), state, key_body); }
BENCHMARK(BM_CallByKey)->Arg(1)->Arg(2)->UseRealTime();

struct Plain {
  void touch() {}
  using interface = ebb::interface<"bench.Plain/1", ebb::method<"touch", &Plain::touch>>;
};

// A million objects that the node has met and no core has touched.
ebb::task<int> know_body(benchmark::State* state) {
  constexpr std::uint32_t kObjects = 1'000'000;
  constexpr std::uint32_t kFirst = ebb::kMaxObjects - kObjects;
  ebb::NodeTable& table = ebb::NodeTable::instance();
  const std::size_t before = mallinfo2().uordblks;
  for (auto _ : *state) {
    for (std::uint32_t index = kFirst; index < ebb::kMaxObjects; ++index) {
      table.enter(ebb::ObjectId(index), ebb::detail::kTypeDescriptor<Plain>);
    }
  }
  state->SetItemsProcessed(state->iterations() * std::int64_t{kObjects});
  state->counters["bytes_an_object"] = static_cast<double>(mallinfo2().uordblks - before) / kObjects;
  co_return 0;
}
void BM_KnowAMillionObjects(benchmark::State& state) { run_on(1, state, know_body); }
BENCHMARK(BM_KnowAMillionObjects)->Iterations(1);

// What calls that wait for their method on another core take of memory, on both cores together.
struct Gate {
  static inline std::atomic<bool> open{false};
  ebb::task<void> wait() {
    ++waiting;
    while (!open) co_await ebb::sleep_for(std::chrono::milliseconds(10));
    --waiting;
  }
  std::int64_t waiting = 0;
  std::int64_t count() const { return waiting; }
  using interface = ebb::interface<"bench.Gate/1", ebb::method<"wait", &Gate::wait>, ebb::method<"count", &Gate::count>>;
};
ebb::task<void> wait_there(ebb::ref<Gate> gate) { (co_await gate.on(ebb::CoreIndex{1}).call<&Gate::wait>()).value(); }

std::size_t allocated() {
  const struct mallinfo2 all = mallinfo2();
  return all.uordblks + all.hblkhd;
}

ebb::task<int> under_way_body(benchmark::State* state) {
  const std::int64_t calls = state->range(0);
  const auto gate = (co_await ebb::create<Gate>()).value();
  (co_await gate.on(ebb::CoreIndex{1}).call<&Gate::count>()).value();
  double bytes = 0;
  for (auto _ : *state) {
    Gate::open = false;
    const std::size_t before = allocated();
    ebb::Scope scope;
    for (std::int64_t i = 0; i < calls; ++i) scope.spawn(wait_there(gate));
    for (std::int64_t waiting = 0; waiting != calls;) {
      co_await ebb::sleep_for(std::chrono::milliseconds(1));
      waiting = (co_await gate.on(ebb::CoreIndex{1}).call<&Gate::count>()).value();
    }
    bytes = static_cast<double>(allocated() - before) / static_cast<double>(calls);
    Gate::open = true;
    co_await scope.join();
  }
  state->counters["bytes_a_call"] = bytes;
  (co_await ebb::destroy(gate)).value();
  co_return 0;
}
void BM_CallsUnderWay(benchmark::State& state) { run_on(2, state, under_way_body); }
BENCHMARK(BM_CallsUnderWay)->Arg(10'000)->Arg(100'000)->Iterations(1)->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
