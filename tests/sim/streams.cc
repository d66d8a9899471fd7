// The scenario "streams": streams are read and taken across nodes, and pipelines run over two of them, while connections break. An
// item comes at most once and in order, a stream ends once, a step of a pipeline runs at most once. Now and then one object gets
// more calls than it may have.
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "ebb/async.h"
#include "ebb/object.h"
#include "tests/sim/trial.h"

namespace ebb::sim {
namespace {

using namespace std::chrono_literals;

constexpr Time kHealed = 55s;
constexpr Time kEnd = 62s;
// Items of a batch, and how long whoever takes one slowly thinks between two of them.
constexpr std::uint64_t kBatch = 256;
constexpr platform::Duration kThought = 1600ms;
constexpr Time kSlowest = 480s;
// A stream that nobody has taken from is closed after six minutes of its node's clock.
constexpr Time kStreamDrain = 405s;
// More than one object may work on at a time.
constexpr int kBurst = 1'300;

struct Ledger {
  std::map<std::uint64_t, int> opened;  // by operation: how often each step ran
  std::map<std::uint64_t, int> added;
  std::size_t operations = 0;
  std::size_t successes = 0;
};
Ledger* ledger = nullptr;

void violated(std::uint64_t operation, const std::string& what) {
  sim::violated("operation " + std::to_string(operation) + ": " + what);
}

generator<std::uint64_t> count_to(std::uint64_t last) {
  const Alive alive("generator");
  for (std::uint64_t item = 1; item <= last; ++item) {
    co_yield item;
    if (item % 64 == 0) co_await sleep_for(3ms);
  }
}

struct Tally {
  using policy = remade_home;
  Alive alive{"Tally"};
  std::uint64_t add(std::uint64_t operation) {
    if (++ledger->added[operation] > 1) violated(operation, "the second step ran twice");
    return operation;
  }
  using interface = ebb::interface<"sim.Tally/1", method<"add", &Tally::add>>;
};

struct Feed {
  Alive alive{"Feed"};
  stream<std::uint64_t> numbers(std::uint64_t last) { return count_to(last); }
  task<std::uint64_t> sum(stream<std::uint64_t> values) {
    std::uint64_t total = 0;
    for (;;) {
      const auto next = (co_await values.next()).value();
      if (!next) break;
      total += *next;
    }
    co_return total;
  }
  ref<Tally> open(std::uint64_t operation, ref<Tally> tally) {
    if (++ledger->opened[operation] > 1) violated(operation, "the first step ran twice");
    return tally;
  }
  task<void> linger() { co_await sleep_for(400ms); }
  using interface = ebb::interface<"sim.Feed/1", method<"numbers", &Feed::numbers>, method<"sum", &Feed::sum>,
                                   method<"open", &Feed::open>, method<"linger", &Feed::linger>>;
};

struct Run {
  ref<Feed> feed;
  ref<Tally> tally;
  bool made = false;
  bool takes_slowly = false;
  Ledger ledger;
};

task<void> read(Run* run, NodeId node, std::uint64_t operation) {
  World& world = World::instance();
  const std::uint64_t last = world.pick(0, 2'000);
  auto opened = co_await run->feed.on(node).within(8s).call<&Feed::numbers>(last);
  if (!opened) co_return;
  stream<std::uint64_t> items = *std::move(opened);
  const std::uint64_t enough = world.pick(0, 3) == 0 ? world.pick(0, last) : last + 1;  // some are dropped in the middle
  for (std::uint64_t expected = 1; expected <= enough; ++expected) {
    const auto next = co_await items.next();
    if (next && *next) {
      if (**next != expected) violated(operation, "item " + std::to_string(**next) + " came where " + std::to_string(expected) + " was due");
      continue;
    }
    if (next && expected != last + 1) violated(operation, "the stream ended after " + std::to_string(expected - 1) + " of " + std::to_string(last));
    if (next) ++run->ledger.successes;
    const auto after = co_await items.next();
    if (after && *after) violated(operation, "an item came after the stream's end");
    co_return;
  }
}

task<void> give(Run* run, NodeId node, std::uint64_t operation) {
  const std::uint64_t last = World::instance().pick(0, 1'000);
  stream<std::uint64_t> items = count_to(last);
  const auto sum = co_await run->feed.on(node).within(20s).call<&Feed::sum>(items);
  if (!sum) co_return;
  ++run->ledger.successes;
  if (*sum != last * (last + 1) / 2) violated(operation, "the taker of a stream missed items, or took some twice");
}

/// A batch lasts for longer than a maker waits of whom nobody hears.
task<void> take_slowly(Run* run) {
  while (World::instance().now() < kEnd) co_await sleep_for(100ms);
  const NodeId node = Node::current()->members().back().id;
  const std::uint64_t operation = ++run->ledger.operations;
  const OpenCall open("operation " + std::to_string(operation));
  constexpr std::uint64_t kItems = 3 * kBatch;
  stream<std::uint64_t> items = (co_await run->feed.on(node).within(8s).call<&Feed::numbers>(kItems)).value();
  std::uint64_t taken = 0;
  for (; taken < kItems; ++taken) {
    if (taken < kBatch) co_await sleep_for(kThought);
    const auto next = co_await items.next();
    if (!next || !*next) break;
  }
  if (taken != kItems) violated(operation, "a stream that was taken slowly ended after " + std::to_string(taken) + " items");
}

task<void> pipe(Run* run, NodeId node, std::uint64_t operation) {
  const auto answer = co_await run->feed.on(node).within(8s).pipeline<&Feed::open>(operation, run->tally).then<&Tally::add>(operation).call();
  if (!answer) co_return;
  ++run->ledger.successes;
  if (run->ledger.opened[operation] != 1 || run->ledger.added[operation] != 1) violated(operation, "answered, but not all steps ran");
}

task<void> linger(Run* run, NodeId node) {
  const OpenCall open("a call of many at once");
  const Result<void> ended = co_await run->feed.on(node, CoreIndex{0}).within(4s).call<&Feed::linger>();
  if (ended) ++run->ledger.successes;
}

task<void> client(Cluster* cluster, Run* run) {
  World& world = cluster->world();
  Scope scope;
  while (!cluster->ending && world.now() < kEnd) {
    co_await sleep_for(std::chrono::microseconds(world.pick(5'000, 800'000)));
    if (!run->made || cluster->ending) continue;
    const auto members = Node::current()->members();
    const NodeId node = members[world.pick(0, members.size() - 1)].id;
    const std::uint64_t operation = ++run->ledger.operations;
    const OpenCall open("operation " + std::to_string(operation));
    const std::uint64_t what = world.pick(0, 400);
    if (what == 0) {
      for (int call = 0; call < kBurst; ++call) scope.spawn(linger(run, node));
    } else if (what < 200) {
      co_await read(run, node, operation);
    } else if (what < 280) {
      co_await give(run, node, operation);
    } else {
      co_await pipe(run, node, operation);
    }
  }
  co_await scope.join();
}

task<void> make_objects(Cluster* cluster, Run* run) {
  while (Node::current()->members().size() < cluster->backends.size() + 1) co_await sleep_for(50ms);
  run->feed = (co_await create<Feed>()).value();
  const auto members = Node::current()->members();
  run->tally = (co_await create_at<Tally>(members.back().id)).value();
  run->made = true;
  run->takes_slowly = cluster->world().pick(0, 3) == 0;
  if (!run->takes_slowly) co_return co_await client(cluster, run);
  auto both = when_all(client(cluster, run), take_slowly(run));
  co_await std::move(both);
}

}  // namespace

Outcome run_streams(const Settings& settings) {
  Run run;
  ledger = &run.ledger;
  Trial trial(
      settings, [&run](Cluster* self) { return make_objects(self, &run); }, [&run](Cluster* self) { return client(self, &run); });
  trial.trouble(33s);
  trial.must_answer(kHealed, kEnd, run.ledger.successes);
  trial.outcome.operations = run.ledger.operations;
  trial.outcome.successes = run.ledger.successes;
  if (run.takes_slowly) trial.world.run_until(kEnd + kSlowest);
  return trial.finish({}, kStreamDrain);
}

}  // namespace ebb::sim
