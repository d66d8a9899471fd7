// A node of a cluster: its identity, its members, its messenger. The front end makes node 0; run_backend() (backend.h)
// makes the others.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ebb/async/task.h"
#include "ebb/base/ids.h"
#include "ebb/base/result.h"
#include "ebb/messenger/messenger.h"
#include "ebb/object/directory.h"
#include "ebb/object/lease.h"
#include "ebb/object/object_counts.h"
#include "ebb/platform/stream.h"

namespace ebb {

/// A node as the others know it.
struct Member {
  NodeId id = kNoNode;
  std::uint16_t cores = 0;
  platform::Endpoint endpoint;  ///< where its messenger listens
  bool leaving = false;         ///< asked to end: nothing new is placed there, and what can move moves away
  friend bool operator==(const Member&, const Member&) = default;
};

/// How many nodes a cluster may have, the front end included.
inline constexpr std::size_t kMaxNodes = 1024;

/// Who decides about membership: given by the front end to its node. All calls come on core 0 and must not block the event.
class MembershipAuthority {
 public:
  virtual ~MembershipAuthority() = default;
  /// A node that proved the cluster key asks to join as `candidate`. An error refuses it and reaches it as it is.
  virtual Result<void> admit(const Member& candidate) = 0;
  /// It has joined: every member knows it, and calls reach it.
  virtual void on_joined(const Member& member) = 0;
  /// A member that was asked to stop has nothing to do any more, and stops when this returns.
  virtual task<void> before_stop(NodeId member) {
    static_cast<void>(member);
    co_return;
  }
  /// A member is gone, by all this node can see; it has been forgotten, and the other members are being told.
  virtual void on_lost(NodeId member, const Error& reason) = 0;
};

/// The directory as the front end's node uses it, around the one that keeps the records: what nodes have made under ids of
/// their leases is found before they have entered it, and this node, too, makes objects without waiting for `store`.
std::unique_ptr<Directory> make_front_end_directory(std::unique_ptr<Directory> store);

/// What a node is started with.
struct NodeOptions {
  NodeId self = kNoNode;                     ///< its number; kFrontEndNode on the front end
  ClusterKey key{};                          ///< the cluster's; both ends of a connection prove that they have it
  platform::Endpoint listen;                 ///< port 0: a free one
  MembershipAuthority* authority = nullptr;  ///< node 0 only, and there never nullptr; outlives the node
};

/// One a process; made and closed on core 0 inside run_cores(). Unless said otherwise every core may call.
class Node {
 public:
  /// Starts the messenger and enters the runtime's own objects. On node 0 the directory that the others ask is
  /// NodeTable's, set before. Errors: those of Messenger::start, invalid_argument (core count, id).
  static task<Result<std::unique_ptr<Node>>> start(NodeOptions options);

  /// The node of this process, nullptr before start() and after close().
  static Node* current() noexcept;

  virtual ~Node() = default;

  virtual NodeId id() const noexcept = 0;  ///< this node's number
  /// Where this node's messenger listens.
  virtual platform::Endpoint local() const noexcept = 0;
  virtual Messenger& messenger() noexcept = 0;  ///< of this node; lives until close()
  /// All members including this node, ordered by id, as this node knows them now.
  virtual std::vector<Member> members() const = 0;

  // --- front end, core 0 ---

  /// Forgets a member and tells the others; calls to it end with node_gone and `reason`. Does nothing for an unknown
  /// one. on_lost is not called.
  virtual task<void> remove_member(NodeId member, std::string reason) = 0;
  /// A node that is no member any more has surely ended: its process or machine is known to be gone. Homes that were
  /// there are then made anew without waiting for its lease to run out.
  virtual void member_ended(NodeId member) = 0;
  /// From now on no home is made anew: the cluster ends.
  virtual void abandon_homes() = 0;
  /// Ends what all nodes hold of objects that were created: in the reverse order of their creation, each as destroy() does, calls
  /// under way included, but for those of which nobody can tell (TypeDescriptor::ends_unseen). Their records stay in the
  /// directory, and no access finds them any more where they were. Gives up after `limit`; the log
  /// then says what has not ended. A destructor of this node that does not end is waited for.
  virtual task<void> end_objects(platform::Duration limit) = 0;
  /// The same of what this node alone holds, before it leaves: while its destructors may still call other objects.
  virtual task<void> end_own_objects(platform::Duration limit) = 0;
  /// Asks a member to end in order; the answer comes before it does. The caller then waits for its process or domain and
  /// calls remove_member(): its lost connections are not reported any more.
  virtual task<Result<void>> ask_to_stop(NodeId member) = 0;
  /// How many objects `member` (or this node) has, and what its misses cost.
  virtual task<Result<ObjectCounts>> object_counts(NodeId member) = 0;

  // --- backend, core 0 ---

  /// Joins the cluster of the front end at `front_end`. Errors: unauthenticated (wrong key), what admit() says,
  /// node_gone / unavailable (nobody answers there).
  virtual task<Result<void>> join(platform::Endpoint front_end) = 0;
  /// Waits until the front end asks this node to stop (value), or is gone (node_gone).
  virtual task<Result<void>> stopped() = 0;

  /// Ends connections and calls in order; before NodeTable::clear().
  virtual task<void> close() = 0;

 protected:
  Node() = default;
};

}  // namespace ebb
