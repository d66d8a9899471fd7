// The scenario "scale": what a reduction costs as nodes are added. No trouble: virtual time and messages, the same for each seed.
#include <bit>
#include <string>
#include <vector>

#include "ebb/async.h"
#include "ebb/object.h"
#include "tests/sim/trial.h"

namespace ebb::sim {
namespace {

using namespace std::chrono_literals;

struct Counter {
  std::uint64_t get() const { return 1; }
  using interface = ebb::interface<"sim.Counter/1", method<"get", &Counter::get>>;
};

struct Measured {
  bool done = false;
  Time joined{};
  std::vector<Time> reductions;
  Time round_trip{};
};

constexpr int kReductions = 5;

task<void> measure(Cluster* cluster, Measured* measured) {
  World& world = cluster->world();
  const std::size_t nodes = cluster->backends.size() + 1;
  while (Node::current()->members().size() < nodes) co_await sleep_for(10ms);
  measured->joined = world.now();
  const auto counter = (co_await create<Counter>()).value();
  const auto all = counter.everywhere().every_core();
  for (int i = 0; i < kReductions; ++i) {
    // The first one makes connections and representatives.
    const Time begin = world.now();
    const auto answer = co_await all.reduce<&Counter::get>(std::uint64_t{0}, sum());
    measured->reductions.push_back(world.now() - begin);
    if (!answer || answer->value != nodes * Core::count() || answer->who.nodes != nodes) {
      violated("a reduction over " + std::to_string(nodes) + " nodes counted " +
                                     (answer ? std::to_string(answer->value) : answer.error().to_string()));
    }
  }
  for (int i = 0; i < 2; ++i) {
    const Time begin = world.now();
    const auto answer = co_await counter.on(Cluster::id_of(2)).call<&Counter::get>();
    if (!answer) violated(answer.error().to_string());
    measured->round_trip = world.now() - begin;
  }
  measured->done = true;
}

task<void> nothing(Cluster*) { co_return; }

std::string microseconds(Time time) { return std::to_string(std::chrono::duration_cast<std::chrono::microseconds>(time).count()) + " us"; }

}  // namespace

Outcome run_scale(const Settings& settings) {
  Measured measured;
  Trial trial(
      settings, [&measured](Cluster* self) { return measure(self, &measured); }, nothing);
  trial.world.even_network = true;
  for (Time until(1s); !measured.done && until < Time(120s); until += Time(1s)) trial.world.run_until(until);

  trial.outcome.operations = kReductions;
  if (!measured.done) {
    violated("not done after 120 s");
    return trial.finish_as_it_is();
  }
  trial.outcome.successes = measured.reductions.size();
  // Down and up a tree: no more than two round trips and a hop for each doubling.
  const auto limit = 2 * measured.round_trip + std::bit_width(settings.nodes) * measured.round_trip / 2;
  if (measured.reductions.back() > limit) {
    violated("a reduction took " + microseconds(measured.reductions.back()) + ", more than " + microseconds(limit));
  }
  trial.outcome.report = std::to_string(settings.nodes + 1) + " nodes: all have joined after " + microseconds(measured.joined) +
                         "; a round trip takes " + microseconds(measured.round_trip) + ", the first reduction " +
                         microseconds(measured.reductions.front()) + ", a later one " + microseconds(measured.reductions.back());
  return trial.finish_as_it_is();
}

}  // namespace ebb::sim
