// What is looked at as a matter of course: every scenario, with the numbers of nodes at which it finds most, and with more. About a
// thousand seeds in the tests, ten thousand in a night.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "tests/sim/scenario.h"

namespace ebb::sim {

struct Portion {
  std::string_view scenario;
  std::size_t nodes;
  std::size_t cores;
  std::uint64_t brief;    ///< seeds in the tests
  std::uint64_t nightly;
};

/// Two backends: every change of the members moves much of the state. Fourteen: a tree of two levels. Forty and more: most of the
/// cluster is untouched by each trouble, and its connections are many. A thousand: about as many as a cluster may have.
inline constexpr Portion kPortions[] = {
    {"kinds", 5, 2, 300, 2'000}, {"kinds", 2, 2, 60, 700}, {"kinds", 12, 1, 4, 140}, {"kinds", 40, 1, 4, 93},
    {"kinds", 100, 1, 1, 20}, {"kinds", 300, 1, 1, 8}, {"kinds", 1'000, 1, 0, 3},
    {"life", 5, 2, 120, 2'200}, {"life", 10, 1, 10, 399}, {"life", 1'000, 1, 0, 1},
    {"moves", 3, 2, 100, 600}, {"moves", 12, 1, 4, 60}, {"moves", 1'000, 1, 0, 2},
    {"collectives", 14, 2, 80, 1'300}, {"collectives", 60, 1, 1, 8},
    {"streams", 5, 2, 60, 600}, {"streams", 20, 1, 4, 100},
    {"names", 5, 2, 120, 700}, {"names", 20, 1, 8, 300},
    {"front_end", 4, 2, 80, 288}, {"front_end", 12, 1, 6, 100},
    {"members", 5, 2, 30, 200}, {"members", 20, 2, 10, 100},
    {"hostile", 5, 2, 40, 74},
    {"scale", 1'000, 1, 1, 2}, {"scale", 63, 8, 1, 1}, {"scale", 511, 8, 0, 1},
};

constexpr std::uint64_t seeds_of_a_night() {
  std::uint64_t sum = 0;
  for (const Portion& each : kPortions) sum += each.nightly;
  return sum;
}
static_assert(seeds_of_a_night() == 10'000);

constexpr bool is_looked_at(std::string_view scenario) {
  return std::any_of(std::begin(kPortions), std::end(kPortions),
                     [scenario](const Portion& each) { return each.scenario == scenario && each.brief != 0 && each.nightly != 0; });
}
static_assert(std::all_of(std::begin(kScenarios), std::end(kScenarios), [](const Scenario& each) { return is_looked_at(each.name); }));

/// One run for each of the first seeds of each portion, as many as `seeds` says, mixed, so that a night that is cut short has
/// looked at all of them.
template <class Seeds>
std::vector<Settings> runs_of_portions(Seeds seeds) {
  std::vector<Settings> runs;
  std::uint64_t most = 0;
  for (const Portion& each : kPortions) most = std::max<std::uint64_t>(most, seeds(each));
  for (std::uint64_t at = 0; at < most; ++at) {
    for (const Portion& each : kPortions) {
      // Seed s of n has its turn after the s/n-th part of the night.
      const std::uint64_t seed = (at + 1) * seeds(each) / most;
      if (seed == at * seeds(each) / most) continue;
      runs.push_back({.scenario = each.scenario, .seed = seed, .nodes = each.nodes, .cores = each.cores, .verbose = false});
    }
  }
  return runs;
}

}  // namespace ebb::sim
