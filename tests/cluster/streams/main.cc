// Streams and pipelines between nodes. Prints what is broken and ends with 1, or with 0; run with each node driver.
#include <ebb/application.h>
#include <ebb/async.h>
#include <ebb/object.h>

#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/cluster/check.h"

namespace {

using namespace ebb;
using namespace std::chrono_literals;

struct Progress {
  std::int64_t made = 0;
  std::int64_t ended = 0;
};
Progress progress;  // of one core: all streams here are made on core 0

struct Guard {
  ~Guard() { ++progress.ended; }
};

generator<std::string> words(std::int64_t count) {
  const Guard guard;
  for (std::int64_t i = 0; i < count; ++i) {
    ++progress.made;
    co_yield "word " + std::to_string(i);
    if (i % 1000 == 999) co_await sleep_for(1ms);
  }
}

generator<std::string> fail_after(std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) co_yield std::string(1000, 'x');
  throw std::runtime_error("the source is dry");
}

struct Source {
  std::int64_t used = 0;
  stream<std::string> read(std::int64_t count) { return words(count); }
  stream<std::string> dry(std::int64_t count) { return fail_after(count); }
  task<std::int64_t> count(stream<std::string> values) {
    std::int64_t total = 0;
    for (;;) {
      const auto next = (co_await values.next()).value();
      if (!next) break;
      ++total;
    }
    co_return total;
  }
  Progress get() const { return progress; }
  task<Result<ref<Source>>> make();
  std::int64_t use(std::int64_t amount) { return used += amount; }
  using interface = ebb::interface<"test.Source/1", method<"read", &Source::read>, method<"dry", &Source::dry>,
                                   method<"count", &Source::count>, method<"get", &Source::get>,
                                   method<"make", &Source::make>, method<"use", &Source::use>>;
};

task<Result<ref<Source>>> Source::make() { co_return co_await create<Source>(); }

task<void> reach_ended(node_target<Source> source, std::int64_t value, int line) {
  for (int i = 0; i < 500; ++i) {
    const auto now = co_await source.call<&Source::get>();
    if (now && now->ended == value) co_return;
    co_await sleep_for(5ms);
  }
  test::check(false, "a generator has ended", line);
}

task<void> check_result(node_target<Source> source) {
  auto values = (co_await source.call<&Source::read>(20'000)).value();
  std::int64_t count = 0;
  for (;;) {
    const auto next = co_await values.next();
    CHECK(next.has_value());
    if (!next || !*next) break;
    CHECK(**next == "word " + std::to_string(count));
    ++count;
  }
  CHECK(count == 20'000);
  co_await reach_ended(source, 1, __LINE__);
}

task<void> check_flow(node_target<Source> source) {
  const std::int64_t before = (co_await source.call<&Source::get>()).value().made;
  {
    auto values = (co_await source.call<&Source::read>(1'000'000)).value();
    CHECK((co_await values.next()).has_value());
    co_await sleep_for(100ms);
    const std::int64_t made = (co_await source.call<&Source::get>()).value().made - before;
    CHECK(made <= 3 * 256);
  }
  co_await reach_ended(source, 2, __LINE__);
  auto values = (co_await source.call<&Source::dry>(100)).value();
  for (int i = 0; i < 100; ++i) CHECK((co_await values.next()).has_value());
  const auto failed = co_await values.next();
  CHECK(failed.code() == Errc::application_error && failed.error().text() == "std::runtime_error: the source is dry");
}

/// Made here or on one node, taken on another.
task<void> check_argument(node_target<Source> maker, node_target<Source> taker) {
  const std::int64_t before = progress.ended;
  CHECK((co_await taker.call<&Source::count>(stream<std::string>(words(5000)))).value() == 5000);
  CHECK(progress.ended == before + 1);
  const auto values = (co_await maker.call<&Source::read>(3000)).value();
  CHECK((co_await taker.call<&Source::count>(values)).value() == 3000);
}

task<void> check_pipeline(node_target<Source> source) {
  CHECK((co_await source.pipeline<&Source::make>().then<&Source::use>(5).call()).value() == 5);
  const auto streamed = co_await source.pipeline<&Source::make>().then<&Source::make>().then<&Source::read>(3).call();
  CHECK(streamed.has_value());
}

task<void> check_lost(application* app, node_target<Source> source, NodeId node) {
  auto values = (co_await source.call<&Source::read>(1'000'000)).value();
  CHECK((co_await values.next()).has_value());
  (co_await app->nodes().remove(node)).value();
  Errc end = Errc::ok;
  for (int i = 0; i < 1000 && end == Errc::ok; ++i) end = (co_await values.next()).code();
  CHECK(end == Errc::node_gone || end == Errc::no_such_object);
  const auto after = co_await values.next();
  CHECK(after && !*after);
}

}  // namespace

task<int> ebb_main(application& app) {
  (co_await app.nodes().add(app.options().backends)).value();
  const std::vector<NodeStatus> nodes = app.nodes().list();
  const auto source = (co_await create<Source>()).value();
  const auto first = source.on(nodes.front().id, CoreIndex{0});
  const auto last = source.on(nodes.back().id, CoreIndex{0});
  co_await check_result(first);
  co_await check_flow(first);
  co_await check_argument(first, last);
  co_await check_pipeline(first);
  co_await check_lost(&app, last, nodes.back().id);
  co_return ebb::test::conclude();
}
