// What a call to another node costs, from an application: one at a time, and with a window of them under way, to each
// core of each backend. With the driver libvirt the callee is a bare-metal image, with process a Linux program.
#include <ebb/application.h>
#include <ebb/async.h>
#include <ebb/object.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kWarmUp = 200;
constexpr int kWindow = 256;

struct Counter {
  std::int64_t value = 0;
  std::int64_t add(std::int64_t count) { return value += count; }
  using interface = ebb::interface<"bench.Counter/1", ebb::method<"add", &Counter::add>>;
};

double microseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
}

/// The times of `count` calls, one after the other, sorted.
ebb::task<std::vector<double>> one_at_a_time(ebb::node_target<Counter> there, std::size_t count) {
  std::vector<double> times;
  for (std::size_t i = 0; i < kWarmUp + count; ++i) {
    const auto start = Clock::now();
    (co_await there.call<&Counter::add>(1)).value();
    if (i >= kWarmUp) times.push_back(microseconds_since(start));
  }
  std::sort(times.begin(), times.end());
  co_return times;
}

ebb::task<void> call_while_any_left(ebb::node_target<Counter> there, std::size_t* left) {
  while (*left != 0) {
    --*left;
    (co_await there.call<&Counter::add>(1)).value();
  }
}

/// Calls per second with kWindow of them under way.
ebb::task<double> in_a_window(ebb::node_target<Counter> there, std::size_t count) {
  std::vector<ebb::task<void>> callers;
  std::size_t left = count;
  for (int i = 0; i < kWindow; ++i) callers.push_back(call_while_any_left(there, &left));
  const auto start = Clock::now();
  co_await ebb::when_all(std::move(callers));
  co_return static_cast<double>(count) / microseconds_since(start) * 1e6;
}

}  // namespace

ebb::task<int> ebb_main(ebb::application& app) {
  const auto arguments = app.arguments();
  const std::size_t calls = arguments.size() > 1 ? std::strtoull(arguments[1].c_str(), nullptr, 10) : 0;
  if (calls < 100 || calls > 10'000'000 || app.options().backends == 0) {
    std::fprintf(stderr, "usage: remote_call CALLS --ebb-backends=N [--ebb-cores=M --ebb-driver=D]; 100 to 10000000 calls\n");
    co_return 2;
  }
  (co_await app.nodes().add(app.options().backends)).value();
  const auto counter = (co_await ebb::create<Counter>()).value();
  std::printf("%-10s %-6s %-6s %12s %12s %14s\n", "driver", "node", "core", "p50 us", "p99 us", "calls/s");
  for (const ebb::NodeStatus& node : app.nodes().list()) {
    for (std::uint16_t core = 0; core < node.cores; ++core) {
      const auto there = counter.on(node.id, ebb::CoreIndex(core));
      const auto times = co_await one_at_a_time(there, calls);
      const double rate = co_await in_a_window(there, calls * 4);
      std::printf("%-10s %-6u %-6u %12.1f %12.1f %14.0f\n", node.driver.c_str(), ebb::to_number(node.id), core,
                  times[times.size() / 2], times[times.size() * 99 / 100], rate);
    }
  }
  (co_await ebb::destroy(counter)).value();
  co_return 0;
}
