// What the cores of a node ask each other, and those of other nodes, about partitions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "ebb/async/task.h"
#include "ebb/base/ids.h"
#include "ebb/base/result.h"
#include "ebb/object/object.h"
#include "ebb/object/partitioned.h"
#include "src/object/parcel.h"

namespace ebb::detail {

/// Who has what; a higher version is newer, the epoch of the home that made it counting first.
struct PartitionMap {
  std::uint64_t version = 0;
  std::vector<PartitionOwner> owners;  ///< by partition
};

/// A partition that a core is to take: with the state that `from` has, or (kNoNode) anew.
struct Adoption {
  std::uint32_t partition = 0;
  PartitionOwner from;
  bool lost = false;
};

enum class Hold : std::uint8_t {
  live,      ///< answers
  frozen,    ///< answers no more; its state is kept until the new owner has it
  adopting,  ///< is being taken over; soon live, or not here
};

struct Held {
  std::uint32_t partition = 0;
  CoreIndex core{};
  Hold hold = Hold::live;
};

/// Known on every node under a fixed id. Calls of an older round (Coordinator) than has been heard of are refused (moved): a round
/// begins with holdings(), and what was decided before it and arrives after it must change nothing.
struct PartitionService {
  /// On the home's core. moved: it is not the home, or has not arranged the partitions yet.
  task<Result<PartitionMap>> map(ObjectId id);
  /// On the new owner's core: one code for each, ok or why that one has not been taken. Surely not taken, and if `from` has it
  /// still there: too_large; overloaded (its calls have not ended, or too much is on its way); application_error and malformed
  /// (save(), restore() or what makes it anew). not_found: `from` does not have it.
  task<Result<std::vector<Errc>>> adopt(ObjectId id, std::uint64_t round, std::vector<Adoption> adoptions);
  /// On the old owner's core: stops answering, waits for calls under way, gives the state. May be repeated. nullopt: calls have
  /// not ended for 20 s. Whenever it does not give the state the partition goes on answering.
  task<Result<std::optional<Parcel>>> release(ObjectId id, std::uint64_t round, std::uint32_t partition);
  /// On the old owner's core: the new one has the state, and can do nothing with it. It answers again.
  Result<void> keep(ObjectId id, std::uint64_t round, std::uint32_t partition);
  /// On the old owner's core: the new one has the state.
  Result<void> forget(ObjectId id, std::uint64_t round, std::uint32_t partition);
  /// All that this node has, for a new round.
  task<Result<std::vector<Held>>> holdings(ObjectId id, std::uint64_t round);
  using interface =
      ebb::interface<"ebb.Partition/1", method<"map", &PartitionService::map>, method<"adopt", &PartitionService::adopt>,
                     method<"release", &PartitionService::release>, method<"keep", &PartitionService::keep>,
                     method<"forget", &PartitionService::forget>, method<"holdings", &PartitionService::holdings>>;
};
/// How many partitions, of all objects, this node has or keeps a copy of.
task<std::size_t> partitions_here();

inline constexpr auto kPartitionService = ref<PartitionService>::unchecked(ObjectId(5));

}  // namespace ebb::detail
