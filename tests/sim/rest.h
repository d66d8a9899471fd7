// What is left when a scenario is over, everything is destroyed, and time has passed: nothing.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "tests/sim/scenario.h"

namespace ebb::sim {

/// A member of each object of a scenario: counts the instances that there are of a type on a node.
class Alive {
 public:
  explicit Alive(const char* type) : key_(type, World::instance().core().node) { ++counts()[key_]; }
  Alive(const Alive& other) : key_(other.key_) { ++counts()[key_]; }
  Alive& operator=(const Alive&) { return *this; }  // the same type, and nothing moves between nodes but bytes
  ~Alive() { --counts()[key_]; }

  using Key = std::pair<std::string, std::uint32_t>;
  static std::map<Key, std::int64_t>& counts();

 private:
  Key key_;
};

/// Ends what clients do, destroys every object of the directory, waits until everything has drained, and complains of all
/// that a living node still has: instances, objects, calls under way, whatever waits in a queue; ids that do not come back
/// although their grace is over; and of queues that held more than their bound at any time.
/// `not_ended`: objects whose destroy() has failed, parts of which may be left.
void come_to_rest(Cluster& cluster, Outcome& outcome, const std::set<ObjectId>& not_ended = {});

}  // namespace ebb::sim
