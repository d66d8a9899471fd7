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
  explicit Alive(const char* type) : key_(type, World::instance().core().node) { begin(); }
  Alive(const Alive& other) : key_(other.key_) { begin(); }
  Alive& operator=(const Alive&) { return *this; }  // the same type, and nothing moves between nodes but bytes
  ~Alive() {
    --counts()[key_];
    numbers().erase(number_);
  }

  std::uint64_t number() const noexcept { return number_; }
  /// Whether the instance with this number still is: to ask after a wait, when it may be none.
  static bool lives(std::uint64_t number) { return numbers().contains(number); }

  using Key = std::pair<std::string, std::uint32_t>;
  static std::map<Key, std::int64_t>& counts();

 private:
  void begin() {
    ++counts()[key_];
    numbers().insert(number_);
  }
  static std::set<std::uint64_t>& numbers();
  static std::uint64_t next() noexcept {
    static std::uint64_t last = 0;
    return ++last;
  }
  Key key_;
  const std::uint64_t number_ = next();
};

/// A call that a client has begun, until it has ended: at rest no node that lives has one.
class OpenCall {
 public:
  explicit OpenCall(std::string what);
  ~OpenCall();
  OpenCall(const OpenCall&) = delete;
  OpenCall& operator=(const OpenCall&) = delete;

  /// By the number of their beginning: the node, and what it is.
  static std::map<std::uint64_t, std::pair<std::uint32_t, std::string>>& all();

 private:
  const std::uint64_t number_;
};

/// Longer than anything is kept that nobody has asked for, but for streams: a parcel, a state whose home did not come about.
inline constexpr Time kDrain = std::chrono::seconds(75);

/// Ends what clients do, and complains of each call that does not end, and of each client that does not return; then destroys every
/// object of the directory, waits until everything has drained, and complains of all that a living node still has: instances,
/// objects, calls under way, whatever waits in a queue; ids that do not come back although their grace is over; and of queues
/// that held more than their bound at any time. `drain`: how long after their end. `not_ended`: objects whose destroy() has
/// failed, parts of which may be left.
void come_to_rest(Cluster& cluster, Outcome& outcome, const std::set<ObjectId>& not_ended = {}, Time drain = kDrain);

}  // namespace ebb::sim
