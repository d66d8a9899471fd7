// What the services of system_objects.h do.

// gcc 12 takes a vector inside a coroutine's frame for something that was never allocated. Before the headers, since it is
// in one of them that it says so.
#pragma GCC diagnostic ignored "-Wfree-nonheap-object"

#include <string>
#include <utility>
#include <vector>

#include "ebb/async/on_core.h"
#include "ebb/async/sleep.h"
#include "ebb/object/node_table.h"
#include "ebb/platform/translation_table.h"
#include "src/node/following_directory.h"
#include "src/node/leaving_replicas.h"
#include "src/node/node.h"
#include "src/node/system_objects.h"
#include "src/object/partition_service.h"

namespace ebb::detail {
namespace {

// How often a node that leaves looks whether it has anything left.
constexpr platform::Duration kDrainLook = std::chrono::milliseconds(5);

std::string named(NodeId node) { return "node " + std::to_string(to_number(node)); }

// Membership is core 0's business, whichever core a call arrives at.
template <class Work>
auto on_first_core(Work work) {
  return on_core(CoreIndex{0}, std::move(work));
}

Error closing() { return Error(Errc::unavailable, "the node is closing"); }

task<Result<void>> closed() { co_return closing(); }

}  // namespace

task<Result<void>> ClusterService::join(Member candidate) {
  return on_first_core([candidate] {
    ClusterNode* node = ClusterNode::instance();
    return node == nullptr ? closed() : node->take_in(candidate);
  });
}

task<Result<void>> ClusterService::heartbeat(NodeId member, std::uint64_t version) {
  return on_first_core([member, version]() -> Result<void> {
    ClusterNode* node = ClusterNode::instance();
    return node == nullptr ? closing() : node->hear(member, version);
  });
}

namespace {

// A function of its own: gcc 12 takes the vector in a lambda's frame for one that is not on the heap.
[[gnu::noinline]] Result<Fence> fence_on_first_core() {
  const ClusterNode* node = ClusterNode::instance();
  if (node == nullptr) return closing();
  return node->fence_now();
}

}  // namespace

task<Result<Fence>> ClusterService::fence() { return on_first_core(&fence_on_first_core); }

task<Result<void>> NodeService::set_members(MemberList list) {
  return on_first_core([moved = std::move(list)]() mutable {
    ClusterNode* node = ClusterNode::instance();
    return node == nullptr ? closed() : node->set_members(std::move(moved));
  });
}

task<Result<void>> NodeService::change_members(MemberDifference difference) {
  return on_first_core([moved = std::move(difference)]() mutable {
    ClusterNode* node = ClusterNode::instance();
    return node == nullptr ? closed() : node->change_members(std::move(moved));
  });
}

task<Result<void>> NodeService::stop() {
  return on_first_core([]() -> Result<void> {
    ClusterNode* node = ClusterNode::instance();
    if (node == nullptr) return closing();
    node->stop_asked();
    return {};
  });
}

task<Result<void>> NodeService::end_object(ObjectId id, std::uint64_t interface_id) {
  NodeTable& table = NodeTable::instance();
  const TypeDescriptor* type = table.type_of(id);
  if (type == nullptr) type = TypeRegistration::find(interface_id);
  // A program without the type has nothing of the object, and cannot have anything later.
  if (type == nullptr || !id.valid() || id < kFirstDynamicObject) co_return Result<void>();
  Result<void> ended = co_await table.end(id, type);
  if (!ended && ended.code() == Errc::no_such_object) co_return Result<void>();
  co_return ended;
}

task<Result<NewObject>> NodeService::describe(ObjectId id) {
  // Who asks enters it: not before what was made earlier.
  co_await NodeTable::instance().directory().flush();
  co_return describe_here(id);
}

task<Result<std::uint32_t>> NodeService::swap_object(ObjectId id, std::uint64_t interface_id, std::uint64_t implementation,
                                                     std::uint64_t number) {
  const TypeDescriptor* type = TypeRegistration::find(interface_id);
  const Implementation* chosen = ImplementationRegistration::find(implementation);
  if (type == nullptr || chosen == nullptr || chosen->interface_id != interface_id || !id.valid() || id < kFirstApplicationObject) {
    co_return Error(Errc::interface_mismatch, named(this_node()) + "'s program lacks the implementation that object " +
                                                  std::to_string(id.index()) + " is to get; start all nodes from the same build");
  }
  co_return co_await NodeTable::instance().swap(id, type, Swap{chosen, number});
}

namespace {

/// In an event of `core` that can block.
task<Result<void>> touch_on(CoreIndex core, ObjectId id, bool as_home) {
  if (!id.valid() || to_number(core) >= Core::count()) co_return Error(Errc::invalid_argument, "this node has no such core");
  // Named: gcc 12 destroys the captures of a temporary in a co_await expression twice (bug 99576).
  auto work = [id, as_home]() -> Result<void> {
    try {
      NodeTable& table = NodeTable::instance();
      if (platform::translate(id) == nullptr) table.miss(id);
      const TypeDescriptor* type = table.type_of(id);
      if (as_home && type->become_home != nullptr) type->become_home(id);
      return {};
    } catch (...) {
      return to_error(std::current_exception());
    }
  };
  co_return co_await on_core(core, work);
}

}  // namespace

task<Result<void>> NodeService::make_home(ObjectId id, CoreIndex core) { return touch_on(core, id, true); }

task<Result<void>> NodeService::touch(ObjectId id, CoreIndex core) { return touch_on(core, id, false); }

task<Result<void>> NodeService::drain() {
  const platform::Instant give_up = platform::Clock::now() + kDrainLimit;
  co_await NodeTable::instance().directory().flush();
  const std::size_t homes = co_await bring_replicas_home(give_up);
  if (homes != 0) {
    platform::write_log("ebb: " + std::to_string(homes) + " homes of replicated objects may not have what " + named(this_node()) +
                        " has, which leaves");
  }
  for (;;) {
    const std::size_t left = co_await partitions_here();
    if (left == 0) co_return Result<void>();
    if (platform::Clock::now() > give_up) {
      co_return Error(Errc::deadline_exceeded, named(this_node()) + " still has partitions of objects after 30 s; they are lost with it");
    }
    co_await sleep_for(kDrainLook);
  }
}

ObjectCounts NodeService::object_counts() const { return NodeTable::instance().counts(); }

}  // namespace ebb::detail
