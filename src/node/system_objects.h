// The runtime's own objects, known on every node under fixed ids: the cluster runs on its own object model.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ebb/async/task.h"
#include "ebb/base/ids.h"
#include "ebb/base/result.h"
#include "ebb/node.h"
#include "ebb/object.h"

namespace ebb::detail {

/// The nodes at one moment; a list with a higher version is newer.
struct MemberList {
  std::uint64_t version = 0;
  std::vector<Member> members;
};

/// What makes the list of `version` of any that is older, but not older than that of `since`, which is not 0: the present state of
/// members that came or changed after that, and who is gone; both ordered by id, and nobody in both.
struct MemberDifference {
  std::uint64_t since = 0;
  std::uint64_t version = 0;
  std::uint32_t size = 0;  ///< how many members the list of `version` has
  std::vector<Member> present;
  std::vector<NodeId> gone;
};

/// The directory, as the front end answers for it.
struct DirectoryService {
  task<Result<ObjectRecord>> create(NewObject wanted);
  task<Result<ObjectRecord>> lookup(ObjectId id);
  task<Result<ObjectRecord>> find(std::string name);
  task<Result<void>> remove(ObjectId id);
  task<Result<void>> retire(ObjectId id, std::uint64_t view);
  task<Result<std::vector<ObjectRecord>>> list(ObjectId after, std::uint32_t limit);
  task<Result<std::vector<ObjectRecord>>> list_at(NodeId home, ObjectId after, std::uint32_t limit);
  task<Result<ObjectRecord>> re_home(ObjectId id, std::uint32_t epoch, NodeId home, CoreIndex home_core);
  task<Result<std::uint64_t>> implement(ObjectId id, std::uint64_t implementation);
  /// For the caller.
  task<Result<IdLease>> lease(const call_context& context, std::uint32_t wanted);
  task<Result<void>> enter(const call_context& context, std::vector<LeasedObject> objects);
  using interface =
      ebb::interface<"ebb.Directory/1", method<"create", &DirectoryService::create>, method<"lookup", &DirectoryService::lookup>,
                     method<"find", &DirectoryService::find>, method<"remove", &DirectoryService::remove>, method<"retire", &DirectoryService::retire>,
                     method<"list", &DirectoryService::list>,
                     method<"list_at", &DirectoryService::list_at>, method<"re_home", &DirectoryService::re_home>,
                     method<"implement", &DirectoryService::implement>, method<"lease", &DirectoryService::lease>,
                     method<"enter", &DirectoryService::enter>>;
};

/// Joining and staying, as the front end answers for it.
struct ClusterService {
  /// The list comes separately, to NodeService::set_members, before the answer.
  task<Result<void>> join(Member candidate);
  /// A member lives, and knows the nodes as of `version`; one that has missed news gets them again. A value extends its lease;
  /// permission_denied: it has been declared gone and is to end.
  task<Result<void>> heartbeat(NodeId member, std::uint64_t version);
  /// The members, and after how long, by the front end's clock, no lease of one that was declared gone can be valid any more.
  task<Result<Fence>> fence();
  using interface = ebb::interface<"ebb.Cluster/1", method<"join", &ClusterService::join>,
                                   method<"heartbeat", &ClusterService::heartbeat>, method<"fence", &ClusterService::fence>>;
};

/// What every node does for the front end.
struct NodeService {
  static constexpr platform::Duration kDrainLimit = std::chrono::seconds(30);
  task<Result<void>> set_members(MemberList list);
  /// The same for a node that knows an older list. not_found: none to which that belongs, so that it needs the whole list.
  task<Result<void>> change_members(MemberDifference difference);
  /// Says that this node lives and is reached.
  void here() const noexcept {}
  task<Result<void>> end_object(ObjectId id, std::uint64_t interface_id);
  /// What this node made under `id`, of a lease of its own; no_such_object.
  task<Result<NewObject>> describe(ObjectId id);
  /// Most objects that one answer of held(), or one question of end_objects(), names.
  static constexpr std::size_t kMostNamed = 4096;
  /// The objects with ids above `after` whose end on this node somebody may notice, or which have calls under way; by id.
  task<std::vector<ObjectId>> held(ObjectId after);
  /// Ends them on this node, one after the other; those that have not ended when `limit_ms` have passed, of calls' and all.
  task<std::vector<ObjectId>> end_objects(std::vector<ObjectId> ids, std::uint32_t limit_ms);
  task<Result<std::uint32_t>> swap_object(ObjectId id, std::uint64_t interface_id, std::uint64_t implementation,
                                          std::uint64_t number);
  /// Makes the instance of an object whose home is a core of this node now, so that its on_lost() runs soon.
  task<Result<void>> make_home(ObjectId id, CoreIndex core);
  /// Makes the representative of a core of this node.
  task<Result<void>> touch(ObjectId id, CoreIndex core);
  ObjectCounts object_counts() const;
  /// This node leaves: waits until what can move has moved away. deadline_exceeded if that takes longer than kDrainLimit.
  task<Result<void>> drain();
  task<Result<void>> stop();
  using interface = ebb::interface<"ebb.Node/1", method<"set_members", &NodeService::set_members>,
                                   method<"change_members", &NodeService::change_members>, method<"here", &NodeService::here>,
                                   method<"end_object", &NodeService::end_object>, method<"describe", &NodeService::describe>,
                                   method<"held", &NodeService::held>, method<"end_objects", &NodeService::end_objects>,
                                   method<"swap_object", &NodeService::swap_object>,
                                   method<"make_home", &NodeService::make_home>, method<"touch", &NodeService::touch>,
                                   method<"object_counts", &NodeService::object_counts>, method<"drain", &NodeService::drain>,
                                   method<"stop", &NodeService::stop>>;
};

inline constexpr auto kDirectory = ref<DirectoryService>::unchecked(ObjectId(1));
inline constexpr auto kCluster = ref<ClusterService>::unchecked(ObjectId(2));
inline constexpr auto kNodeService = ref<NodeService>::unchecked(ObjectId(3));

}  // namespace ebb::detail
