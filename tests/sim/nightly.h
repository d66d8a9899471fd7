// What a night looks at: every scenario, with the numbers of nodes at which it finds most, ten thousand seeds in all.
#pragma once

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
  std::uint64_t seeds;
};

/// Two backends: every change of the members moves much of the state. Fourteen: a tree of two levels. Forty: most of the cluster
/// is untouched by each trouble, and its connections are many.
inline constexpr Portion kNightly[] = {
    {"kinds", 5, 2, 2'500}, {"kinds", 2, 2, 1'000},       {"kinds", 40, 1, 98},  {"life", 5, 2, 2'400},
    {"life", 10, 1, 400},   {"moves", 3, 2, 600},         {"everywhere", 14, 2, 1'500},
    {"streams", 5, 2, 700}, {"directory", 5, 2, 800},     {"scale", 1'000, 1, 2},
};

/// One run for each seed of each portion, mixed, so that a night that is cut short has looked at all of them.
inline std::vector<Settings> nightly() {
  std::vector<Settings> runs;
  std::uint64_t most = 0;
  for (const Portion& each : kNightly) most = each.seeds > most ? each.seeds : most;
  for (std::uint64_t at = 0; at < most; ++at) {
    for (const Portion& each : kNightly) {
      // Seed s of n has its turn after the s/n-th part of the night.
      const std::uint64_t seed = (at + 1) * each.seeds / most;
      if (seed == at * each.seeds / most) continue;
      runs.push_back({.scenario = each.scenario, .seed = seed, .nodes = each.nodes, .cores = each.cores, .verbose = false});
    }
  }
  return runs;
}

}  // namespace ebb::sim
