// A node's part of a partitioned object: what each core has, and on the home's core who decides about it.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <unordered_map>
#include <vector>

#include "ebb/async/semaphore.h"
#include "ebb/async/task.h"
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
  bool frozen = false;
  std::uint32_t calls = 0;
};

/// What one core has; that core only.
struct CorePartitions {
  std::unordered_map<std::uint32_t, std::shared_ptr<Partition>> held;  // bounded by the object's partitions
  std::set<std::uint32_t> adopting;
  std::uint64_t sealed = 0;                 // what was decided in earlier rounds is not obeyed any more
  std::shared_ptr<const PartitionMap> map;  // as the home has last told this core
};

/// Decides who has what, on the home's core: one for each epoch of the home. Kept alive by its own loop.
///
/// Decisions belong to a round, and whoever has heard of one refuses what was decided in an earlier one. Whenever a decision may or
/// may not have been carried out, or still may be, the next round begins by asking all members what they have
/// (models/partition.pml).
class Coordinator : public std::enable_shared_from_this<Coordinator> {
 public:
  Coordinator(ObjectId id, std::uint32_t partitions, std::uint32_t epoch);

  std::uint32_t epoch() const noexcept { return epoch_; }
  /// nullptr until every partition has had an owner once.
  std::shared_ptr<const PartitionMap> map() const noexcept { return ready_ ? map_ : nullptr; }
  /// Starts the loop that follows the membership.
  void start() { follow(shared_from_this()); }
  void end() noexcept { ended_ = true; }

 private:
  static Detached follow(std::shared_ptr<Coordinator> self);
  /// Asks all members what they have. False if that did not come to an end; then again soon.
  task<bool> collect(const ClusterView* view);
  /// Moves what has another owner in `view`. False if something is left to do.
  task<bool> arrange(const ClusterView* view);
  task<bool> hand_over(PartitionOwner target, std::vector<Adoption> adoptions);
  void set_owner(const std::vector<std::uint32_t>& partitions, PartitionOwner owner);
  /// Whether a partition without a living owner may be made anew.
  bool surely_lost(std::uint32_t partition);

  const ObjectId id_;
  const std::uint32_t epoch_;
  std::uint64_t round_;                              // the epoch and, in the lower half, how many rounds it has seen
  bool ended_ = false;
  bool ready_ = false;
  bool collected_;                                   // what members have is known, in this round
  std::uint64_t arranged_view_ = 0;                  // nothing is left to do for it
  std::uint64_t tried_view_ = 0;
  std::shared_ptr<const PartitionMap> map_;
  std::vector<bool> fresh_;                          // has never had an owner
  std::set<std::uint32_t> unsettled_;                // its owner may not answer for it until it adopts it again
  std::set<std::uint32_t> too_large_;                // stay where they are until the membership changes
  std::map<std::uint32_t, platform::Instant> lost_since_;
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
  Semaphore making{1};
};

}  // namespace ebb::detail
