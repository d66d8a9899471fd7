// What a node asks of the directory, and what a call of every representative costs: lookups and creations a second on the front
// end and from a backend, one reduction over all nodes. With any number of backends.
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

constexpr int kWindow = 256;
constexpr std::uint32_t kObjects = 1000;
// Less than a lease of ids.
constexpr int kBurst = 200;
constexpr int kBursts = 50;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

struct Thing {
  std::int64_t value = 0;
  std::int64_t get() const { return 1; }
  using interface = ebb::interface<"bench.Thing/1", ebb::method<"get", &Thing::get>>;
};

ebb::task<void> look_up_while_any_left(std::uint32_t first, std::uint32_t* left) {
  while (*left != 0) {
    const ebb::ObjectId id(first + --*left % kObjects);
    (co_await ebb::NodeTable::instance().directory().lookup(id)).value();
  }
}

ebb::task<void> create_while_any_left(std::uint32_t* left) {
  while (*left != 0) {
    --*left;
    (co_await ebb::create<Thing>()).value();
  }
}

/// Works where it is called.
struct Worker {
  ebb::task<double> lookups_per_second(std::uint32_t first, std::uint32_t count) {
    std::vector<ebb::task<void>> under_way;
    std::uint32_t left = count;
    for (int i = 0; i < kWindow; ++i) under_way.push_back(look_up_while_any_left(first, &left));
    const auto start = Clock::now();
    co_await ebb::when_all(std::move(under_way));
    co_return count / seconds_since(start);
  }
  ebb::task<double> creations_per_second(std::uint32_t count) {
    std::vector<ebb::task<void>> under_way;
    std::uint32_t left = count;
    for (int i = 0; i < kWindow; ++i) under_way.push_back(create_while_any_left(&left));
    const auto start = Clock::now();
    co_await ebb::when_all(std::move(under_way));
    co_return count / seconds_since(start);
  }
  /// So few that their records may all follow later.
  ebb::task<double> burst_per_second() {
    std::vector<double> rates;
    for (int i = 0; i < kBursts; ++i) {
      co_await ebb::sleep_for(std::chrono::milliseconds(20));
      const auto start = Clock::now();
      for (int made = 0; made < kBurst; ++made) (co_await ebb::create<Thing>()).value();
      rates.push_back(kBurst / seconds_since(start));
    }
    std::sort(rates.begin(), rates.end());
    co_return rates[rates.size() / 2];
  }
  using interface = ebb::interface<"bench.Worker/1", ebb::method<"burst_per_second", &Worker::burst_per_second>,
                                   ebb::method<"lookups_per_second", &Worker::lookups_per_second>,
                                   ebb::method<"creations_per_second", &Worker::creations_per_second>>;
};

/// The median time of a reduction over every core of every node, in microseconds.
ebb::task<double> reduction(ebb::ref<Thing> thing) {
  std::vector<double> times;
  for (int i = 0; i < 200; ++i) {
    const auto start = Clock::now();
    (co_await thing.everywhere().reduce<&Thing::get>(std::int64_t{0}, ebb::sum())).value();
    times.push_back(seconds_since(start) * 1e6);
  }
  std::sort(times.begin(), times.end());
  co_return times[times.size() / 2];
}

}  // namespace

ebb::task<int> ebb_main(ebb::application& app) {
  const auto arguments = app.arguments();
  const unsigned long count = arguments.size() > 1 ? std::strtoul(arguments[1].c_str(), nullptr, 10) : 0;
  if (count < 100 || count > 1'000'000 || app.options().backends == 0) {
    std::fprintf(stderr, "usage: directory_and_fan_out COUNT --ebb-backends=N [--ebb-cores=M --ebb-driver=D]; 100 to 1000000 lookups\n");
    co_return 2;
  }
  const auto n = static_cast<std::uint32_t>(count);
  (co_await app.nodes().add(app.options().backends)).value();
  const auto worker = (co_await ebb::create<Worker>()).value();
  std::vector<ebb::ref<Thing>> things;
  for (std::uint32_t i = 0; i < kObjects; ++i) things.push_back((co_await ebb::create<Thing>()).value());
  const std::uint32_t first = things.front().id().index();
  const ebb::NodeStatus backend = app.nodes().list().front();
  const auto there = worker.on(backend.id, ebb::CoreIndex{0});
  const double here_lookups = co_await worker->lookups_per_second(first, n);
  const double here_creations = co_await worker->creations_per_second(n / 10);
  const double lookups = (co_await there.call<&Worker::lookups_per_second>(first, n)).value();
  const double creations = (co_await there.call<&Worker::creations_per_second>(n / 10)).value();
  const double here_burst = co_await worker->burst_per_second();
  const double burst = (co_await there.call<&Worker::burst_per_second>()).value();
  const auto every = (co_await things.front().everywhere().every_core().call<&Thing::get>()).value();
  std::printf("%-10s lookups/s: front end %.0f, node %.0f; creations/s: front end %.0f, node %.0f\n", backend.driver.c_str(), here_lookups,
              lookups, here_creations, creations);
  std::printf("%-10s creations/s in bursts of %d: front end %.0f, node %.0f\n", backend.driver.c_str(), kBurst, here_burst, burst);
  std::printf("%-10s reduction over %u representatives on %u nodes: %.1f us\n", backend.driver.c_str(), every.representatives, every.nodes,
              co_await reduction(things.front()));
  co_return 0;
}
