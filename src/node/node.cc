#include "src/node/node.h"

#include <atomic>
#include <string>
#include <utility>

#include "ebb/async/on_core.h"
#include "ebb/base/node_local.h"
#include "ebb/messenger/messenger.h"
#include "ebb/object/node_table.h"
#include "ebb/platform/platform.h"
#include "src/node/caught.h"
#include "src/object/closing.h"
#include "src/object/collective_service.h"
#include "src/object/home_service.h"
#include "src/object/parcel.h"
#include "src/object/partition_service.h"
#include "src/object/replica_service.h"
#include "src/observe/observer_service.h"

namespace ebb {

static_assert(detail::kMaxCallBytes == Messenger::kMaxPayloadBytes, "the object model promises what a frame carries");
static_assert(detail::kMaxRemoteTimeout == Messenger::kMaxTimeout, "and waits as long as a call may take");

namespace {

constinit detail::NodeLocal<std::atomic<detail::ClusterNode*>> current_node;

}  // namespace

task<Result<std::unique_ptr<Node>>> Node::start(NodeOptions options) {
  if (options.self == kNoNode || (options.self == kFrontEndNode) != (options.authority != nullptr)) {
    co_return Error(Errc::invalid_argument, "node 0 is the front end and decides about membership; no other node does");
  }
  if (const auto twice = detail::TypeRegistration::find_duplicate(); !twice.empty()) {
    co_return Error(Errc::invalid_argument, "two types of this program have the interface name \"" + std::string(twice) +
                                                "\"; give one of them another name");
  }
  if (const auto twice = detail::ImplementationRegistration::find_duplicate(); !twice.empty()) {
    co_return Error(Errc::invalid_argument, "two implementations of a type of this program have the name \"" + std::string(twice) +
                                                "\"; give one of them another name");
  }
  if (const std::string collision = detail::StaticRegistration::find_collision(); !collision.empty()) {
    co_return Error(Errc::invalid_argument, collision);
  }
  auto node = std::make_unique<detail::ClusterNode>(std::move(options));
  if (Result<void> opened = co_await node->open(); !opened) co_return std::move(opened).error();
  co_return std::unique_ptr<Node>(std::move(node));
}

Node* Node::current() noexcept { return detail::ClusterNode::instance(); }

namespace detail {

ClusterNode* ClusterNode::instance() noexcept { return current_node->load(std::memory_order_acquire); }

ClusterNode::~ClusterNode() = default;

task<Result<void>> ClusterNode::open() {
  const MessengerOptions options{options_.self, options_.key, options_.listen};
  auto messenger = co_await Messenger::start(options, *this);
  if (!messenger) co_return std::move(messenger).error();
  messenger_ = *std::move(messenger);
  members_.put(own());
  NodeTable& table = NodeTable::instance();
  table.enter(kDirectory.id(), kTypeDescriptor<DirectoryService>);
  table.enter(kCluster.id(), kTypeDescriptor<ClusterService>);
  table.enter(kNodeService.id(), kTypeDescriptor<NodeService>);
  table.enter(kHomeService.id(), kTypeDescriptor<HomeService>);
  table.enter(kReplicaService.id(), kTypeDescriptor<ReplicaService>);
  know_pipelines();
  table.enter(kStreamService.id(), kTypeDescriptor<StreamService>);
  table.enter(kPartitionService.id(), kTypeDescriptor<PartitionService>);
  table.enter(kCollectiveService.id(), kTypeDescriptor<CollectiveService>);
  table.enter(kParcelService.id(), kTypeDescriptor<ParcelService>);
  table.enter(kObserver.id(), kTypeDescriptor<ObserverService>);
  // Release: whoever finds the node, or the link, finds it opened.
  current_node->store(this, std::memory_order_release);
  set_node_link(this);
  co_await watch_.start();
  if (options_.authority != nullptr) {
    next_look_ = platform::Clock::now();
    look_for_silence();
    homes_.begin_cluster();
  }
  co_return Result<void>();
}

task<void> ClusterNode::close() {
  closing_ = true;
  note_closing();
  co_await NodeTable::instance().directory().close();
  Core::current().cancel(pulse_);
  co_await watch_.stop();
  homes_.close();
  co_await join_work();
  co_await messenger_->close();
  // What the last calls and losses have spawned.
  co_await join_work();
  set_node_link(nullptr);
  current_node->store(nullptr, std::memory_order_release);
}

task<void> ClusterNode::join_work() {
  try {
    co_await scope_.join();
  } catch (...) {
    const Error failed = caught();
    platform::write_log("ebb: what this node did about its members has failed: " + failed.to_string());
  }
}

Member ClusterNode::own() const {
  return {options_.self, static_cast<std::uint16_t>(Core::count()), messenger_->local()};
}

std::size_t ClusterNode::most_connections_with(NodeId other) const {
  const std::lock_guard guard(mutex_);
  const Member* found = members_.find(other);
  const std::size_t cores_there = found == nullptr ? kMaxCores : found->cores;
  return Core::count() + cores_there + 1;
}

std::vector<Member> ClusterNode::members() const {
  const std::lock_guard guard(mutex_);
  return members_.all();
}

std::vector<NodeId> ClusterNode::others() const {
  std::vector<NodeId> result;
  const std::lock_guard guard(mutex_);
  result.reserve(members_.size());
  for (const Member& member : members_) {
    if (member.id != options_.self) result.push_back(member.id);
  }
  return result;
}

bool ClusterNode::is_member(NodeId node) const {
  const std::lock_guard guard(mutex_);
  return members_.contains(node);
}

std::uint64_t ClusterNode::view_version() const noexcept {
  const std::lock_guard guard(mutex_);
  return version_ + 1;  // the list of a front end that has no backends is version 0
}

ClusterView ClusterNode::view() const {
  ClusterView result;
  const std::lock_guard guard(mutex_);
  result.version = version_ + 1;
  result.nodes.reserve(members_.size());
  for (const Member& member : members_) result.nodes.push_back({member.id, member.cores, member.leaving});
  return result;
}

// --- calls ---

namespace {
/// The answer of a node whose objects end because it leaves, as if it were gone; of what may have another home, to ask for that.
task<Result<Bytes>> refuse(ObjectId id, NodeId self) {
  const TypeDescriptor* type = NodeTable::instance().type_of(id);
  const Errc code = type != nullptr && type->exclusive ? Errc::moved : Errc::node_gone;
  co_return Error::refusal(code, "node " + std::to_string(to_number(self)) + " leaves the cluster; nothing ran");
}

CallTarget target_of(RemoteCall& call) {
  return {call.node, call.object, call.core, call.method, call.timeout, std::move(call.cancellation), call.trace};
}
}  // namespace

task<Result<Bytes>> ClusterNode::call(RemoteCall call, Bytes arguments) {
  return messenger_->call(target_of(call), std::move(arguments));
}

task<Result<void>> ClusterNode::send(RemoteCall call, Bytes arguments) {
  return messenger_->send(target_of(call), std::move(arguments));
}

task<Result<Bytes>> ClusterNode::on_call(IncomingCall call) {
  // Static objects live as long as their node, and the front end's serve what still ends elsewhere.
  const ObjectId first_refused = options_.authority != nullptr ? kFirstDynamicObject : kFirstApplicationObject;
  if (stopping_.load(std::memory_order_relaxed) && call.object >= first_refused) return refuse(call.object, options_.self);
  const CallOrigin origin{call.from, call.deadline, call.trace, call.cancellation};
  return serve_call(call.object, call.core, call.method, std::move(call.arguments), origin);
}

void ClusterNode::on_connection_lost(NodeId peer, const Error& reason) {
  const bool matters = options_.authority != nullptr || peer == kFrontEndNode;
  if (!matters || Core::current().stopping()) return;
  spawn_on_when_room(CoreIndex{0}, [this, peer, reason] {
    if (!closing_) scope_.spawn(options_.authority != nullptr ? look_for(peer, reason) : look_for_front_end(reason));
  });
}

}  // namespace detail
}  // namespace ebb
