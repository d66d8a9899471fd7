// What can be run in a simulated world, and what comes of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/sim/cluster.h"
#include "tests/sim/history.h"

namespace ebb::sim {

struct Settings {
  std::string_view scenario = "kinds";
  std::uint64_t seed = 1;
  std::size_t nodes = 5;   ///< backends at the beginning
  std::size_t cores = 2;   ///< of each node
  bool verbose = false;
};

struct Outcome {
  std::vector<std::string> violations;  ///< empty: all promises were kept
  std::size_t operations = 0;
  std::size_t successes = 0;
  std::uint64_t trace = 0;              ///< the same for the same seed
  std::uint64_t steps = 0;
  std::vector<std::string> log;
  std::string report;                   ///< what was measured; may be empty
};

/// Does harm to a cluster: crashes with and without noise, cuts of links in one and both directions, resets, clocks that run
/// apart, and new nodes. The front end lives.
class Nemesis {
 public:
  explicit Nemesis(Cluster& cluster) : cluster_(cluster) {}
  /// From `begin` to `end`, every now and then.
  void trouble(Time begin, Time end);

 private:
  void act();
  std::uint32_t any_backend();
  void cut_for_a_while(std::uint32_t from, std::uint32_t to);
  Cluster& cluster_;
};

/// Objects with one place: homes, replicas, partitions.
Outcome run_kinds(const Settings& settings);
/// Calls of every representative.
Outcome run_everywhere(const Settings& settings);
/// Creation, migration, orderly leaving, destruction, and ids that are given out again.
Outcome run_life(const Settings& settings);
/// Objects that all move about at once, while no node is lost.
Outcome run_moves(const Settings& settings);
/// Objects with names: created, found and destroyed by everybody.
Outcome run_directory(const Settings& settings);
/// Streams and pipelines across nodes, and more calls than an object may have.
Outcome run_streams(const Settings& settings);
/// Nodes that ask each other's runtime for anything.
Outcome run_hostile(const Settings& settings);
/// What a reduction costs.
Outcome run_scale(const Settings& settings);

struct Scenario {
  std::string_view name;
  Outcome (*run)(const Settings& settings);
};
inline constexpr Scenario kScenarios[] = {{"kinds", &run_kinds}, {"everywhere", &run_everywhere}, {"life", &run_life},
                                          {"moves", &run_moves}, {"directory", &run_directory},   {"streams", &run_streams},
                                          {"hostile", &run_hostile}, {"scale", &run_scale}};

}  // namespace ebb::sim
