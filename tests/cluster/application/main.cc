// The application that the tests of the front end run. Its first argument says what it does.
#include <ebb/application.h>
#include <ebb/async.h>
#include <ebb/object.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

struct Counter {
  std::int64_t value = 0;  // one per core
  void add(std::int64_t count) { value += count; }
  std::int64_t get() const { return value; }
  std::int64_t process() const { return ::getpid(); }
  void fault() { *static_cast<volatile int*>(nothing) = 1; }
  void* volatile nothing = nullptr;
  using interface = ebb::interface<"test.Counter/1", ebb::method<"fault", &Counter::fault>, ebb::method<"add", &Counter::add>,
                                   ebb::method<"get", &Counter::get>, ebb::method<"process", &Counter::process>>;
};

/// One on a backend, which it is lost with.
struct Till {
  using policy = ebb::single_home;
  std::int64_t value = 0;
  std::int64_t pay(std::int64_t amount) { return value += amount; }
  using interface = ebb::interface<"test.Till/1", ebb::method<"pay", &Till::pay>>;
};

/// One that nobody creates.
inline constexpr ebb::static_object<Counter, 100> kEverywhere;

void print(const std::string& line) {
  std::puts(line.c_str());
  std::fflush(stdout);
}

ebb::task<ebb::ref<Counter>> prepare(ebb::application* app) {
  (co_await app->nodes().add(app->options().backends)).value();
  co_return (co_await ebb::create<Counter>()).value();
}

/// Adds 10 * node + core on every core of every backend and prints the sum over all, then ends.
ebb::task<void> sum(ebb::application* app) {
  const auto counter = co_await prepare(app);
  counter->add(1'000'000);
  for (const ebb::NodeStatus& node : app->nodes().list()) {
    for (std::uint16_t core = 0; core < node.cores; ++core) {
      const std::int64_t count = 10 * ebb::to_number(node.id) + core;
      (co_await counter.on(node.id, ebb::CoreIndex{core}).call<&Counter::add>(count)).value();
    }
  }
  const auto total = (co_await counter.reduce<&Counter::get>(std::int64_t{0}, std::plus<>{})).value();
  (co_await ebb::destroy(counter)).value();
  print("sum " + std::to_string(total));
}

/// Prints "node ID PROCESS" for each backend, and "ready".
ebb::task<void> introduce(ebb::application* app, ebb::ref<Counter> counter) {
  for (const ebb::NodeStatus& node : app->nodes().list()) {
    const auto process = (co_await counter.on(node.id).call<&Counter::process>()).value();
    print("node " + std::to_string(ebb::to_number(node.id)) + " " + std::to_string(process));
  }
  print("ready");
}

/// Calls the backends over and over until a call fails.
ebb::task<void> call_for_ever(ebb::application* app) {
  const auto counter = co_await prepare(app);
  co_await introduce(app, counter);
  const std::vector<ebb::NodeStatus> nodes = app->nodes().list();
  for (;;) {
    for (const ebb::NodeStatus& node : nodes) (co_await counter.on(node.id).call<&Counter::add>(1)).value();
    co_await ebb::sleep_for(std::chrono::milliseconds(5));
  }
}

/// Leaves an object on the last backend, if there is one, and does nothing more.
ebb::task<void> hold(ebb::application* app) {
  const auto counter = co_await prepare(app);
  if (const auto nodes = app->nodes().list(); !nodes.empty()) {
    const ebb::CoreIndex last_core{static_cast<std::uint16_t>(nodes.back().cores - 1)};
    const auto till = (co_await ebb::create_at<Till>(nodes.back().id, last_core, "the till")).value();
    (co_await till.call<&Till::pay>(5)).value();
  }
  co_await introduce(app, counter);
  co_await ebb::sleep_for(std::chrono::hours(1));
}

/// Makes the first backend fault.
ebb::task<void> fault(ebb::application* app) {
  const auto counter = co_await prepare(app);
  co_await introduce(app, counter);
  (co_await counter.on(app->nodes().list().front().id).call<&Counter::fault>()).value();
}

/// Never lets anything else run on its core.
ebb::task<void> spin(ebb::application* app) {
  const auto counter = co_await prepare(app);
  co_await introduce(app, counter);
  for (volatile bool never = false; !never;) {
  }
}

}  // namespace

ebb::task<int> ebb_main(ebb::application& app) {
  const auto arguments = app.arguments();
  const std::string command = arguments.size() > 1 ? arguments[1] : "";
  if (command == "sum") {
    co_await sum(&app);
  } else if (command == "call") {
    co_await call_for_ever(&app);
  } else if (command == "hold") {
    co_await hold(&app);
  } else if (command == "fault") {
    co_await fault(&app);
  } else if (command == "spin") {
    co_await spin(&app);
  } else if (command == "arguments") {
    for (const std::string& argument : arguments.subspan(1)) print(argument);
  } else if (command == "throw") {
    throw std::runtime_error("thrown on purpose\x1b[2J\u009b");
  } else {
    co_return 64;
  }
  co_return 0;
}
