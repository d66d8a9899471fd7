// A node's part of a partitioned object: what each core has, and on the home's core who decides about it.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

#include "ebb/async/cancellation.h"
#include "ebb/async/task.h"
#include "ebb/async/timed_completion.h"
#include "ebb/base/ids.h"
#include "ebb/object/node_link.h"
#include "ebb/object/partitioned.h"
#include "src/object/partition_service.h"

namespace ebb::detail {

/// One partition on the core that has it. Calls that are under way keep it alive.
struct Partition {
  Partition(const PartitionType& kind, void* made) noexcept : type(kind), instance(made) {}
  ~Partition() { type.end(instance); }
  Partition(const Partition&) = delete;
  Partition& operator=(const Partition&) = delete;
  const PartitionType& type;
  void* const instance;
  std::optional<std::uint64_t> frozen;  // by the release of that round: it answers no more
  std::uint32_t calls = 0;
};

/// What one core has; that core only.
struct CorePartitions {
  std::unordered_map<std::uint32_t, std::shared_ptr<Partition>> held;  // bounded by the object's partitions
  std::set<std::uint32_t> adopting;
  std::unordered_map<std::uint32_t, std::uint64_t> forgotten;  // the round that has given it away for good; bounded alike
  std::uint64_t sealed = 0;                 // what was decided in earlier rounds is not obeyed any more
  std::shared_ptr<const PartitionMap> map;  // as the home has last told this core
};

/// Decides who has what, on the home's core: one for each epoch of the home. Kept alive by its own loop.
///
/// Decisions belong to a round, and whoever has heard of one refuses what was decided in an earlier one. Whenever a decision may or
/// may not have been carried out, or still may be, the next round begins by asking all members what they have
/// (models/partition.pml). About one partition a round decides once, about others also while that is under way: what takes long
/// holds up no other.
class Coordinator : public std::enable_shared_from_this<Coordinator> {
 public:
  Coordinator(ObjectId id, std::uint32_t partitions, std::uint32_t epoch);

  std::uint32_t epoch() const noexcept { return epoch_; }
  /// nullptr until it is known what members have. A partition that nobody has for now has no owner in it.
  std::shared_ptr<const PartitionMap> map() const noexcept { return known_ ? map_ : nullptr; }
  /// Starts the loop that follows the membership.
  void start() { follow(shared_from_this()); }
  /// Its loop decides nothing more. One that waits for members or for the next round goes on at once, and is over.
  void end();

 private:
  static Detached follow(std::shared_ptr<Coordinator> self);
  /// Asks all members what they have. False if that did not come to an end; then again soon.
  task<bool> collect(const ClusterView* view);
  /// Has cores take what they are to have in `view`, as far as nothing has been decided about it in this round. True if nothing
  /// is left to do, nor under way.
  bool arrange(const ClusterView& view);
  /// What is to be done about a partition now, and by whom; nullopt: nothing. *done is false if there will be something.
  std::optional<std::pair<PartitionOwner, Adoption>> next_step(std::uint32_t partition, const ClusterView& view, bool* done);
  void begin(PartitionOwner target, std::vector<Adoption> adoptions);
  static Detached hand_over(std::shared_ptr<Coordinator> self, PartitionOwner target, std::vector<Adoption> adoptions);
  void conclude(PartitionOwner target, const std::vector<Adoption>& adoptions, const Result<std::vector<Errc>>& codes);
  void leave_where_it_is(const Adoption& adoption, Errc why);
  /// A partition that nobody has, and that was given to a member that lives and has it not, has never been made.
  void find_fresh(const ClusterView& view, const std::vector<Result<std::vector<Held>>>& answers);
  /// What members have is to be asked again, later each time that it comes to this in a row.
  void doubt();
  task<void> wait_for_hand_overs();
  void set_owner(const std::vector<std::uint32_t>& partitions, PartitionOwner owner);
  /// Asks when the leases of those end that are no members any more, if a partition has no owner in `view`.
  task<void> look_for_leases(const ClusterView* view);
  /// Whether a partition without a living owner may be made anew: by that word, or as long after as a lease may last.
  bool surely_lost(std::uint32_t partition, const ClusterView& view);

  const ObjectId id_;
  const std::uint32_t epoch_;
  std::uint64_t round_;                              // the epoch and, in the lower half, how many rounds it has seen
  bool ended_ = false;
  cancel_source end_;                                // wakes the loop
  bool collected_;                                   // what members have is known, in this round
  int failures_ = 0;                                 // rounds in a row that did not come to an end
  bool known_;                                       // and has been, in some round
  std::uint64_t chosen_view_ = 0;
  std::vector<PartitionOwner> chosen_;               // whom each partition is to have, in that view
  std::shared_ptr<const PartitionMap> map_;
  std::vector<bool> fresh_;                          // has never had an owner
  std::map<std::uint32_t, NodeId> offered_;          // to whom a fresh one was given in this round, without an answer
  std::set<std::uint32_t> decided_;                  // in this round; only the next one decides about them again
  std::set<std::uint32_t> unsettled_;                // its owner may not answer for it until it adopts it again
  std::map<std::uint32_t, platform::Instant> stays_; // where it is until then, or until the membership changes
  std::map<std::uint32_t, platform::Instant> lost_since_;
  struct Leases {
    std::uint64_t view;                              // whose members have been asked what they have, or have come since
    platform::Instant end;
  };
  std::optional<Leases> leases_;                     // of those who are no members of it, as the front end said since
  std::size_t under_way_ = 0;                        // hand-overs
  TimedCompletion* pause_ = nullptr;                 // the loop's, until hand-overs have ended
};

/// The core that is to have `partition`: the same for whoever computes it, and another one for few partitions only when the
/// members change.
PartitionOwner choose_owner(ObjectId id, std::uint32_t partition, const ClusterView& view);

/// A node's part.
struct PartitionRoot {
  PartitionRoot(const PartitionType& kind, std::size_t count) : type(kind), cores(count) {}
  const PartitionType& type;
  std::vector<CorePartitions> cores;        // each used on its core only
  std::atomic<CoreIndex> home{kAnyCore};    // the core that the next two belong to, once there is a coordinator
  std::shared_ptr<Coordinator> coordinator;
};

}  // namespace ebb::detail
