// How the object model reaches other nodes: implemented by Node (node.h), absent in a program that is no cluster.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "ebb/async/cancellation.h"
#include "ebb/async/task.h"
#include "ebb/base/bytes.h"
#include "ebb/base/ids.h"
#include "ebb/base/result.h"
#include "ebb/base/trace_context.h"
#include "ebb/object/call_context.h"
#include "ebb/object/call_options.h"
#include "ebb/platform/platform.h"

namespace ebb {

/// Whether `node` belongs to the cluster, as this node knows it now. Every core.
bool is_member(NodeId node);

/// The node this code runs on; kFrontEndNode in a program that is no cluster. Any thread.
NodeId this_node() noexcept;

namespace detail {

struct Swap;  // type.h

/// Of the arguments or the result of a call of another node: what a frame of the messenger carries.
inline constexpr std::size_t kMaxCallBytes = std::size_t{4} << 20;

/// The members and how many cores each has, ordered by id, at one moment of the membership.
struct ClusterView {
  struct Node {
    NodeId id = kNoNode;
    std::uint16_t cores = 0;
    bool leaving = false;  ///< nothing is placed there any more
  };
  std::uint64_t version = 0;
  std::vector<Node> nodes;
};

/// A call to another node.
struct RemoteCall {
  NodeId node = kNoNode;
  CoreIndex core = kAnyCore;
  ObjectId object;
  std::uint64_t method = 0;
  platform::Duration timeout = kDefaultTimeout;
  cancel_token cancellation;
  TraceContext trace;
};

/// Who may still answer for an object, or show it, besides this node: the front end's word at one moment.
struct Fence {
  std::uint64_t version = 0;     ///< of the membership
  std::vector<NodeId> others;    ///< the members without this node
  /// After so long, by this node's clock, nobody answers any more who was a member before and is none now.
  platform::Duration leases_end{};
};

/// Every core may call.
class NodeLink {
 public:
  virtual NodeId self() const noexcept = 0;
  /// Higher versions are newer; 0 is none that could be known.
  virtual std::uint64_t view_version() const noexcept = 0;
  virtual ClusterView view() const = 0;
  /// The cluster's nodes without this one, ordered by id.
  virtual std::vector<NodeId> others() const = 0;
  virtual bool is_member(NodeId node) const = 0;
  /// Whether this node may answer for what has one place in the cluster: it holds the front end's lease, or is the front
  /// end. Asked before an answer is made and again before it is given.
  virtual bool has_lease() const noexcept = 0;
  /// See Messenger::call.
  virtual task<Result<Bytes>> call(RemoteCall call, Bytes arguments) = 0;
  /// See Messenger::send.
  virtual task<Result<void>> send(RemoteCall call, Bytes arguments) = 0;
  /// Waits for the front end. Its errors are those of a call.
  virtual task<Result<Fence>> fence() = 0;
  /// Ends an object's parts on all other nodes: on the members that the front end knows, and, where the object has one place,
  /// after the leases of those that were declared gone. The first error; a member that is lost meanwhile is none.
  virtual task<Result<void>> end_elsewhere(ObjectId object, std::uint64_t interface_id) = 0;
  /// NodeTable::swap on all other nodes; how many representatives were replaced, or the first error.
  virtual task<Result<std::uint32_t>> swap_elsewhere(ObjectId object, std::uint64_t interface_id, Swap swap) = 0;

 protected:
  ~NodeLink() = default;
};

/// Joins the object model to the cluster, or (nullptr) parts them. No call may be under way.
void set_node_link(NodeLink* link) noexcept;
NodeLink* node_link() noexcept;

/// The cluster as this node knows it; of a program that is none, this node.
ClusterView cluster_view();
std::uint64_t cluster_view_version() noexcept;
/// Whether `node` is a member and has this core.
bool has_core(NodeId node, CoreIndex core);
/// Whether it has been asked to leave, so that nothing is to be placed there any more.
bool is_leaving(NodeId node);
/// Waits until the view is no longer that of `version`, `at_most` so long, or until it is `given_up`.
task<void> wait_for_view_change(std::uint64_t version, platform::Duration at_most, cancel_token given_up = {});
/// Whoever waits for another view goes on. On a core.
void notify_view_changed();

/// Throws ErrorException(moved), a refusal, without the lease: nothing has run, and the object's home may be elsewhere by now.
void require_lease();
/// Throws ErrorException(node_gone) without the lease: what ran may be lost.
void require_lease_still();

/// A call to a core of another node. Errors: NodeLink::call's; node_gone in a program that is no cluster.
task<Result<Bytes>> call_elsewhere(NodeId node, CoreIndex core, ObjectId object, std::uint64_t method,
                                   platform::Duration timeout, Bytes arguments);
task<Result<Bytes>> call_elsewhere(RemoteCall call, Bytes arguments);
/// One that is not answered; see Messenger::send.
task<Result<void>> send_elsewhere(RemoteCall call, Bytes arguments);

/// `error` of a call; a node cannot say which method it does not have, the caller can.
Error with_method(Error error, const MethodLabel& method);

/// A pause that grows with each attempt, from 1 to 64 ms and a little at random, until `deadline`; false if that has come.
task<bool> pause_before_retry(int attempt, platform::Instant deadline);

/// Of one object a core works on so many calls from other nodes at a time; those beyond are `overloaded`, and their callers
/// try again. Objects of the runtime have no such bound but the messenger's.
inline constexpr std::uint32_t kMaxCallsPerObject = 1024;

/// Carries out a call that came from another node. `core`: a core of this node; kAnyCore: this one. Errors:
/// no_such_object, no_such_method, interface_mismatch (the program lacks the type), not_found (no such core),
/// application_error, malformed, overloaded (kMaxCallsPerObject), deadline_exceeded (it came too late, and nothing ran). The
/// caller's event need not be able to block.
task<Result<Bytes>> serve_call(ObjectId object, CoreIndex core, std::uint64_t method, Bytes arguments,
                               CallOrigin origin = {});

}  // namespace detail
}  // namespace ebb
