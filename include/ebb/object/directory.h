// The directory: which object an id names. Every node asks it once for each object it touches, however many events need it then.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ebb/async/task.h"
#include "ebb/base/ids.h"
#include "ebb/base/result.h"
#include "ebb/platform/platform.h"

namespace ebb {

/// What one asks for when one creates an object.
struct NewObject {
  std::string interface_name;
  std::uint64_t interface_id = 0;
  std::string policy;         ///< the kind's name (policy.h)
  NodeId home = kNoNode;      ///< the node that creates it or, where the kind has one, its home
  CoreIndex home_core{};
  std::string name{};         ///< by which it can be found; unique in the cluster, empty: it has none
};

/// What the directory knows of an object.
struct ObjectRecord {
  ObjectId id;
  std::uint64_t interface_id = 0;
  std::string interface_name;
  NodeId home = kNoNode;      ///< kNoNode: it was lost with an earlier cluster
  std::string policy;
  CoreIndex home_core{};
  std::uint32_t epoch = 1;    ///< of the home: one more each time that it is made anew elsewhere
  std::string name{};         ///< empty: it has none
  std::uint64_t implementation = 0;  ///< that it was swapped to (swap.h); 0: its own type
  std::uint64_t swaps = 0;    ///< how often that was, which says of two swaps which is the later
  std::uint64_t created = 0;  ///< higher than of all objects that there were at its creation, which ids are not: they come back
};

/// Ids that one node may give to objects that it makes, without asking first: `count` of them from `first` on.
struct IdLease {
  ObjectId first;
  std::uint32_t count = 0;
};

/// An object that was made under an id of a lease.
struct LeasedObject {
  ObjectId id;
  NewObject object;
};

/// Where an object's one instance lives. A higher epoch is newer: it advances each time the home is made anew elsewhere.
struct Home {
  /// The last: nodes keep an epoch in 24 bits. An object that moves a thousand times a second comes to it in four and a half hours.
  static constexpr std::uint32_t kMaxEpoch = (std::uint32_t{1} << 24) - 1;
  NodeId node = kNoNode;
  CoreIndex core{};
  std::uint32_t epoch = 0;  ///< 0: not known
  friend bool operator==(const Home&, const Home&) = default;
};

/// Where a record says that the object's home is.
inline Home home_of(const ObjectRecord& record) noexcept { return {record.home, record.home_core, record.epoch}; }

/// The cluster's (or, without a cluster, the process's) list of objects. Every core may call; calls may wait, and then
/// the calling coroutine waits, never its core. A removed id is given out again only once no node has anything
/// of its object any more and kIdGrace has passed: until then a stale reference finds nothing, never another object.
class Directory {
 public:
  virtual ~Directory() = default;
  /// Enters a new object. Errors: already_exists (another object has the name), invalid_argument (see check()),
  /// resource_exhausted (all ids have been given out).
  virtual task<Result<ObjectRecord>> create(NewObject wanted) = 0;
  /// no_such_object for an id that was never given out, or whose object was destroyed.
  virtual task<Result<ObjectRecord>> lookup(ObjectId id) = 0;
  /// The object of that name; no_such_object if none has it. An object's name is free again once it was removed.
  virtual task<Result<ObjectRecord>> find(std::string name) = 0;
  /// Forgets an object; no_such_object if it is not there. Until its id is retired whoever removes it once more is told the same
  /// as the first one, whose end of it may have failed on the way.
  virtual task<Result<void>> remove(ObjectId id) = 0;
  /// Every node in the list of members of version `view` (NodeLink::view_version) has ended the removed object `id`: from
  /// kIdGrace after now on, the id may name another object. Errors: invalid_argument (not removed, or told before),
  /// unavailable (there are other members by now): then the id names nothing for good.
  virtual task<Result<void>> retire(ObjectId id, std::uint64_t view) = 0;
  /// The objects with ids above `after`, ordered by id: at most `limit`, and never more than kMaxListed.
  virtual task<Result<std::vector<ObjectRecord>>> list(ObjectId after, std::uint32_t limit) = 0;

  /// The same of those whose home is `home`.
  virtual task<Result<std::vector<ObjectRecord>>> list_at(NodeId home, ObjectId after, std::uint32_t limit) = 0;
  /// Gives an object another home, if the present one is still that of `epoch`: the new epoch is one more. Errors:
  /// no_such_object, moved (another epoch by now), invalid_argument (see check_core()), resource_exhausted (kMaxEpoch).
  virtual task<Result<ObjectRecord>> re_home(ObjectId id, std::uint32_t epoch, NodeId home, CoreIndex home_core) = 0;
  /// Which implementation carries out the object's calls on nodes that come to know it from now on: the number of this swap,
  /// ObjectRecord::swaps. no_such_object.
  virtual task<Result<std::uint64_t>> implement(ObjectId id, std::uint64_t implementation) = 0;

  /// Ids for `holder` alone to make objects under, which it enters afterwards: at most `wanted`, kIdLease, and a small part of
  /// those that are left; none of them has a name. resource_exhausted: none can be spared; create() may still find one.
  virtual task<Result<IdLease>> lease(NodeId holder, std::uint32_t wanted) = 0;
  /// Enters objects that `holder` made under ids of its leases, in their order; at most kMaxListed. One that was entered before,
  /// or whose lease has ended, is passed over. Errors: invalid_argument (see check(); then none is entered).
  virtual task<Result<void>> enter(NodeId holder, std::vector<LeasedObject> objects) = 0;
  /// The node that alone knows what `id` names: it holds the id's lease, and has not entered an object. kNoNode: there is none.
  virtual NodeId leaseholder(ObjectId id) = 0;
  /// `holder` has surely ended: ids of its leases that it has not entered name nothing, and come back after kIdGrace.
  virtual task<Result<void>> end_leases(NodeId holder) = 0;
  /// Waits until all that was created on this node stands in the directory of the cluster.
  virtual task<void> flush() { co_return; }
  /// The node closes: nothing is created on it any more. What was is entered, or given up if that fails.
  virtual task<void> close() { co_return; }

  /// Most ids of one lease.
  static constexpr std::uint32_t kIdLease = 256;
  static constexpr std::uint32_t kMaxListed = 1024;  ///< records of one list()
  /// How long the id of an object that has ended everywhere names nothing before it may name another one.
  static constexpr platform::Duration kIdGrace = std::chrono::minutes(10);
  /// Longest name of an object, an interface or a policy, in bytes.
  static constexpr std::size_t kMaxNameBytes = 255;

  /// What create() of every directory refuses: a name longer than kMaxNameBytes, and what check_core() does. invalid_argument.
  static Result<void> check(const NewObject& wanted);
  /// A core that no node has, kAnyCore among them, is no home: invalid_argument.
  static Result<void> check_core(CoreIndex home_core);
  /// What re_home() of every directory refuses of an object whose home is of the last epoch.
  static Result<void> check_epoch(std::uint32_t epoch);

 protected:
  /// How many ids are leased at a time of those that are left.
  static std::uint32_t leasable(std::uint32_t wanted, std::uint32_t left) noexcept;
  static Error none_to_lease();
  /// check() of each.
  static Result<void> check(const std::vector<LeasedObject>& objects);
  /// What every directory says of an id it has no object for, of a name that none has, and of one that is taken.
  static Error missing(ObjectId id);
  static Error not_ending(ObjectId id);
  static Error name_missing(const std::string& name);
  static Error name_taken(const std::string& name);
};

/// When a directory gives the ids of ended objects out again, and the clock by which it tells.
struct IdReuse {
  platform::Duration grace = Directory::kIdGrace;
  platform::Instant (*clock)() = [] { return platform::Clock::now(); };
};

/// A directory in this process's memory, for one node by itself and for tests. Gives out ids from
/// kFirstDynamicObject up to `limit` (exclusive, at most kMaxObjects).
std::unique_ptr<Directory> make_memory_directory(std::uint32_t limit = kMaxObjects, IdReuse reuse = {});

}  // namespace ebb
