// Calls right across the sudden end of the node that they go to: whatever surely never began there is made elsewhere, and
// only what may have run is lost. With nodes that are processes, or machines on this host.
#include <signal.h>
#include <unistd.h>

#include <cstdint>
#include <string>

#include "ebb/application.h"
#include "ebb/async.h"
#include "ebb/object.h"
#include "tests/cluster/check.h"
#include "tests/cluster/machine.h"

namespace {

using namespace ebb;

struct Process {
  std::int32_t id() const { return getpid(); }
  using interface = ebb::interface<"test.Process/1", method<"id", &Process::id>>;
};

struct Remade {
  using policy = remade_home;
  std::int64_t sum = 0;
  std::int64_t add() { return ++sum; }
  using interface = ebb::interface<"test.Remade/1", method<"add", &Remade::add>>;
};

struct Single {
  using policy = single_home;
  std::int64_t sum = 0;
  std::int64_t add() { return ++sum; }
  using interface = ebb::interface<"test.Single/1", method<"add", &Single::add>>;
};

struct Copied {
  using policy = replicated;
  std::int64_t sum = 0;
  std::int64_t add() { return ++sum; }
  std::int64_t total() const { return sum; }
  std::int64_t save() const { return sum; }
  void restore(std::int64_t state) { sum = state; }
  using interface = ebb::interface<"test.Copied/1", method<"add", &Copied::add>, method<"total", &Copied::total>>;
};

struct Spread {
  using policy = partitioned;
  static constexpr std::uint32_t kPartitions = 64;
  std::int64_t sum = 0;
  std::int64_t add() { return ++sum; }
  std::int64_t save() const { return sum; }
  void restore(std::int64_t state) { sum = state; }
  using interface = ebb::interface<"test.Spread/1", method<"add", &Spread::add>>;
};

constexpr int kKeys = 100;

struct Objects {
  ref<Process> process;
  ref<Remade> remade;
  ref<Copied> copied;  ///< its home is on the node that is lost
  ref<Copied> kept;    ///< only a replica is
  ref<Spread> spread;
};

/// What became of the calls of one loop.
struct Tally {
  std::int64_t answered = 0;
  std::int64_t lost = 0;
  bool over = false;  ///< the next answer is the last
};

/// True when the loop ends.
template <class R>
bool count(const Result<R>& answer, Tally* tally) {
  if (answer) {
    ++tally->answered;
    return tally->over;
  }
  ++tally->lost;
  CHECK(answer.code() == Errc::node_gone);
  CHECK(!answer.error().is_refusal());  // it would have been made again
  if (answer.code() != Errc::node_gone) std::fprintf(stderr, "%s\n", answer.error().to_string().c_str());
  return false;
}

task<void> call_home(ref<Remade> object, Tally* tally) {
  for (bool done = false; !done;) done = count(co_await object.call<&Remade::add>(), tally);
}

task<void> write(ref<Copied> object, Tally* tally) {
  for (bool done = false; !done;) done = count(co_await object.call<&Copied::add>(), tally);
}

task<void> call_keys(ref<Spread> object, Tally* tally) {
  bool done = false;
  for (int key = 0; !done; key = (key + 1) % kKeys) done = count(co_await object.on_key(key).call<&Spread::add>(), tally);
}

/// Until this core has no connection to it, and can have none: it has opened one, and taken one from each core there, at most.
task<void> wait_for_loss(ref<Process> process, NodeId node) {
  for (std::size_t lost = 0; lost < Core::count() + 2;) {
    const auto answer = co_await process.on(node).call<&Process::id>();
    if (answer.code() == Errc::node_gone) ++lost;
  }
}

template <class R>
int failed(const Result<R>& answer, const char* what) {
  if (answer) return 0;
  std::fprintf(stderr, "%s: %s\n", what, answer.error().to_string().c_str());
  return 1;
}

/// Makes calls that begin when the node is surely gone, so that nothing of them can have run there; how many have failed.
task<int> call_afterwards(const Objects* all, NodeId node) {
  co_await wait_for_loss(all->process, node);
  int failures = failed(co_await all->remade.call<&Remade::add>(), "remade_home");
  failures += failed(co_await all->copied.call<&Copied::add>(), "a write");
  failures += failed(co_await all->kept.call<&Copied::add>(), "a write beside a lost replica");
  for (int key = 0; key < kKeys; ++key) failures += failed(co_await all->spread.on_key(key).call<&Spread::add>(), "a key");
  co_return failures;
}

}  // namespace

ebb::task<int> ebb_main(ebb::application& app) {
  const auto nodes = (co_await app.nodes().add(3)).value();
  const NodeId doomed = nodes[0];
  const Objects all{(co_await create<Process>()).value(), (co_await create_at<Remade>(doomed, CoreIndex{1})).value(),
                    (co_await create_at<Copied>(doomed, CoreIndex{0})).value(),
                    (co_await create_at<Copied>(nodes[1], CoreIndex{0})).value(), (co_await create<Spread>()).value()};
  const auto single = (co_await create_at<Single>(doomed, CoreIndex{0})).value();
  (co_await single.call<&Single::add>()).value();
  for (const NodeId node : nodes) {
    (co_await all.copied.on(node).call<&Copied::total>()).value();
    (co_await all.kept.on(node).call<&Copied::total>()).value();
  }
  const std::int32_t told = (co_await all.process.on(doomed).call<&Process::id>()).value();
  const std::int32_t process = test::process_of(app.nodes().list().front(), told);
  if (process <= 1) co_return 1;

  Tally remade, copied, kept, spread;
  Scope scope;
  scope.spawn(call_home(all.remade, &remade));
  scope.spawn(write(all.copied, &copied));
  scope.spawn(write(all.kept, &kept));
  scope.spawn(call_keys(all.spread, &spread));
  while (remade.answered < 20 || copied.answered < 20 || kept.answered < 20 || spread.answered < 2 * kKeys) co_await yield();
  CHECK(remade.lost + copied.lost + kept.lost + spread.lost == 0);
  ::kill(process, SIGKILL);
  const int here = co_await call_afterwards(&all, doomed);
  CHECK(here == 0);
  const auto alone = co_await single.call<&Single::add>();
  CHECK(alone.code() == Errc::node_gone);
  // Another core has connections of its own.
  auto elsewhere = [&all, doomed] { return call_afterwards(&all, doomed); };
  const int there = co_await on_core(CoreIndex{1}, elsewhere);
  CHECK(there == 0);
  for (Tally* each : {&remade, &copied, &kept, &spread}) each->over = true;
  co_await scope.join();
  CHECK(kept.lost == 0);
  // What was answered is there once; what was lost, at most once. Two writes were made besides.
  const std::int64_t total = (co_await all.copied.on_home().call<&Copied::total>()).value();
  CHECK(total >= copied.answered + 2 && total <= copied.answered + 2 + copied.lost);
  CHECK((co_await all.kept.on_home().call<&Copied::total>()).value() == kept.answered + 2);
  co_return test::conclude();
}
