// What all scenarios have in common: a cluster in a world of its own, trouble, healing, rest, and what is said of them.
#pragma once

#include <cstddef>
#include <set>
#include <string>

#include "tests/sim/rest.h"
#include "tests/sim/scenario.h"
#include "tests/sim/write_order.h"

namespace ebb::sim {

/// One run of a scenario; there is one a process.
class Trial {
 public:
  /// A front end, and `settings.nodes` backends that are about to start.
  Trial(const Settings& settings, Work front_end, Work backend);
  Trial(const Trial&) = delete;
  Trial& operator=(const Trial&) = delete;

  /// The nemesis acts from the third second to `end`; 2 s later everything has been mended.
  void trouble(Time end);
  /// Runs until `healed`, and then until `end`: meanwhile `answered` must grow.
  void must_answer(Time healed, Time end, const std::size_t& answered);
  /// Whether a call that begins now meets no trouble any more, nor what trouble has left.
  bool healed() const noexcept { return healed_; }
  /// Counts a history's operations, and takes over what is wrong with it.
  void add(const History& history);
  void add(const WriteOrder& order);
  /// Comes to rest (rest.h), and tells all.
  Outcome finish(const std::set<ObjectId>& not_ended = {}, Time drain = kDrain);
  /// The same of a cluster that does not come to rest.
  Outcome finish_as_it_is();

  World world;
  Cluster cluster;
  Outcome outcome;

 private:
  bool healed_ = false;
};

/// A promise was broken, now; of the trial that runs.
void violated(const std::string& what);

}  // namespace ebb::sim
