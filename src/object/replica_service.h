// What the cores of a node ask each other, and those of other nodes, about replicas.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "ebb/async/task.h"
#include "ebb/base/ids.h"
#include "ebb/base/result.h"
#include "ebb/base/trace_context.h"
#include "ebb/object/object.h"
#include "src/object/parcel.h"

namespace ebb::detail {

/// One write, as the home carried it out and every replica does.
struct Write {
  std::uint64_t method = 0;
  NodeId caller = kNoNode;
  std::vector<std::byte> arguments;
  std::optional<TraceContext> trace;  ///< of the home's span, if the call belongs to a trace
};

/// How far a replica is. Compared by epoch, then by the number of writes.
struct ReplicaState {
  std::uint32_t epoch = 0;  ///< of the home it follows; 0: there is none
  std::uint64_t writes = 0;
  CoreIndex core{};
};

/// The state a new replica begins with.
struct Snapshot {
  std::uint32_t epoch = 0;
  std::uint64_t writes = 0;
  Parcel state;
};

/// Known on every node under a fixed id.
struct ReplicaService {
  /// On the home's core: the present state, and from now on every write to (node, core). `attempt` rises with each try of that core,
  /// whose own clock it is: one that comes to its turn after a later one is no more. moved: it is that, or this is not the home.
  task<Result<Snapshot>> subscribe(ObjectId id, NodeId node, CoreIndex core, std::uint64_t attempt);
  /// On a replica's core: the writes from number `first` on. False if there is no replica of that epoch.
  Result<bool> apply(ObjectId id, std::uint32_t epoch, std::uint64_t first, std::vector<Write> writes);
  /// The replica of this node that is farthest. From now on none of them follows a home of an epoch before `epoch`.
  task<Result<ReplicaState>> seal(ObjectId id, std::uint32_t epoch);
  /// On the core of a replica that seal() found: what it has, for a home that takes it over. moved: it follows a home of `epoch` or
  /// a later one, or there is none any more.
  Result<Snapshot> state(ObjectId id, std::uint32_t epoch);
  /// Drops the replicas of this node that follow a home of an epoch before that of `home`, which is the new one.
  task<Result<void>> drop(ObjectId id, Home home);
  using interface =
      ebb::interface<"ebb.Replica/1", method<"subscribe", &ReplicaService::subscribe>, method<"apply", &ReplicaService::apply>,
                     method<"seal", &ReplicaService::seal>, method<"state", &ReplicaService::state>,
                     method<"drop", &ReplicaService::drop>>;
};
inline constexpr auto kReplicaService = ref<ReplicaService>::unchecked(ObjectId(4));

}  // namespace ebb::detail
