// Homes of members that are gone: made anew elsewhere where their kind allows it, else reported. Front end, core 0.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "ebb/async/core.h"
#include "ebb/async/scope.h"
#include "ebb/async/semaphore.h"
#include "ebb/async/task.h"
#include "ebb/async/timed_completion.h"
#include "ebb/base/ids.h"
#include "ebb/base/result.h"
#include "ebb/node.h"
#include "ebb/object/directory.h"
#include "ebb/object/node_link.h"
#include "ebb/platform/platform.h"
#include "src/object/replica_service.h"

namespace ebb::detail {

/// A member that has been declared gone may still run, and answer, until its lease has run out or until whoever started it
/// has seen its end. Only then are its homes made anew.
class HomeKeeper {
 public:
  explicit HomeKeeper(Scope& scope) : scope_(scope) {}

  /// `member` was declared gone; its last heartbeat arrived at `last_heard`. What throws has done nothing.
  void gone(NodeId member, platform::Instant last_heard);
  /// It has surely ended.
  void ended(NodeId member);
  /// The cluster begins, with a directory that may have kept objects of an earlier one: their homes are lost.
  void begin_cluster() { scope_.spawn(make_anew(kNoNode, 0)); }
  /// `member` is about to leave: moves its homes to others as far as their state travels, and makes sure that what is
  /// replicated has another replica. Whatever fails is tried again as long as a node may take to drain.
  task<void> move_from(NodeId member);
  /// Whether homes are being made anew, or replicas wait for that: any member may be the one that has the state.
  task<bool> homes_come();
  /// How long the lease of a member that was declared gone may still be valid; zero: all have surely ended.
  platform::Duration leases_end() const;
  /// Gives up what still waits; before the scope is joined.
  void close();

 private:
  // Objects that are looked at, or made anew, together, and reports of one member's lost objects before the rest is only counted.
  static constexpr std::uint32_t kBatch = 256;
  static constexpr std::uint32_t kMaxReports = 10;

  // An object may have been created with a home there by a node that had not heard of its end: it is looked once more when
  // all calls of that time have ended.
  static constexpr platform::Duration kSecondLook = kDefaultTimeout;

  /// True if it has moved, or may have. Tries again until `give_up`; in its place within `window`.
  task<bool> move(ObjectRecord record, Semaphore* window, platform::Instant give_up);
  /// All homes there, once. True if one has moved, or may have.
  task<bool> move_all(NodeId member, Semaphore* window, platform::Instant give_up);
  task<void> move_if_leaving(ObjectRecord record);
  task<ReplicaState> seal(NodeId member, ObjectId object, std::uint32_t epoch);
  /// Waits until all homes that were being made anew have been, `at_most` so long.
  task<void> wait_for_homes(platform::Duration at_most);
  void wake_lookers();
  void begin(NodeId member);
  /// What makes homes anew, tried again as long as kSecondLook while something throws. Objects up to `reported`, by
  /// ObjectRecord::created, have been said to be lost before.
  task<void> make_anew(NodeId member, std::uint64_t reported);
  task<void> make_anew(ObjectRecord record, Semaphore::Permit place);

  class Making;
  struct Progress;
  /// The next kBatch of them; true if there may be more. One that throws is made again from where it was.
  task<bool> make_batch_anew(Progress* progress);
  /// Finds the object another home, which is then `placed`, and has that begin. One that throws is made again.
  task<void> find_home(ObjectRecord* record, bool* placed);
  task<Home> next_home(ObjectRecord record);

  Scope& scope_;
  bool closed_ = false;
  std::vector<TimedCompletion*> lookers_;  // one for each member that leaves and may become a home meanwhile
  struct Waiting {
    platform::Instant lease_end;
    TimerId timer;
  };
  std::map<NodeId, Waiting> waiting_;      // for its end; bounded, as the next, by the nodes lost in half a minute
  struct SecondLook {
    TimerId timer;
    std::uint64_t reported = 0;            // by the first
  };
  std::map<NodeId, SecondLook> second_look_;
  std::size_t making_ = 0;                 // of those that are lost, the ones whose homes are being made anew
};

/// The member that `object`'s next home is on: the same for whoever computes it, and spread evenly. Backends go before the
/// front end (which is taken when there is no other).
Member choose_home(ObjectId object, std::uint32_t epoch, const std::vector<Member>& members);

}  // namespace ebb::detail
