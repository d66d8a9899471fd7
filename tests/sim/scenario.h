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

/// Does harm to a cluster: crashes with and without noise, cuts of links in one and both directions, connections lost on both or
/// one side, nodes that are unreachable, machines that stop for a while, clocks that run apart, and new nodes. The front end
/// lives. All in proportion to the number of backends. Notes in `Cluster::harmed` who may be lost for it.
class Nemesis {
 public:
  explicit Nemesis(Cluster& cluster) : cluster_(cluster) {}
  /// From `begin` to `end`, every now and then. The nemesis must live until then.
  void trouble(Time begin, Time end);

 private:
  void act();
  std::vector<std::uint32_t> alive() const;
  void change_clock(std::uint32_t node);
  void cut_for_a_while(std::uint32_t from, std::uint32_t to);
  /// The front end believes that the node is gone, and the node hears nothing of it.
  void lose_sight(std::uint32_t victim);
  void lose_on_one_side(std::uint32_t victim, std::uint32_t other);
  /// Where the network says so: the front end finds it gone at once, and not by its silence, and the node hears nothing of it.
  void make_unreachable(std::uint32_t victim);
  void stop_for_a_while(std::uint32_t victim);
  Cluster& cluster_;
  std::size_t least_alive_ = 0;
  std::size_t most_alive_ = 0;
};

/// Objects with one place: homes, replicas, partitions.
Outcome run_kinds(const Settings& settings);
/// Calls of every representative.
Outcome run_collectives(const Settings& settings);
/// Creation, migration, orderly leaving, destruction, and ids that are given out again.
Outcome run_life(const Settings& settings);
/// Objects that all move about at once, while no node is lost.
Outcome run_moves(const Settings& settings);
/// Objects with names: created, found and destroyed by everybody.
Outcome run_names(const Settings& settings);
/// Streams and pipelines across nodes, and more calls than an object may have.
Outcome run_streams(const Settings& settings);
/// A front end that fails, or is away for a while.
Outcome run_front_end(const Settings& settings);
/// Nodes that ask each other's runtime for anything.
Outcome run_hostile(const Settings& settings);
/// Who counts as gone, and who does not.
Outcome run_members(const Settings& settings);
/// What a reduction costs.
Outcome run_scale(const Settings& settings);

struct Scenario {
  std::string_view name;
  Outcome (*run)(const Settings& settings);
};
inline constexpr Scenario kScenarios[] = {
    {"kinds", &run_kinds}, {"collectives", &run_collectives}, {"life", &run_life},       {"moves", &run_moves}, {"names", &run_names},
    {"streams", &run_streams}, {"front_end", &run_front_end}, {"hostile", &run_hostile}, {"members", &run_members}, {"scale", &run_scale}};

}  // namespace ebb::sim
