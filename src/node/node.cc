// gcc 12 takes a vector inside a coroutine's frame for something that was never allocated. Before the headers, since it is
// in one of them that it says so.
#pragma GCC diagnostic ignored "-Wfree-nonheap-object"

#include "src/node/node.h"

#include <algorithm>
#include <atomic>
#include <string>
#include <utility>

#include "ebb/async/on_core.h"
#include "ebb/async/sleep.h"
#include "ebb/base/node_local.h"
#include "ebb/async/when_all.h"
#include "ebb/object/node_table.h"
#include "ebb/platform/platform.h"
#include "ebb/platform/translation_table.h"
#include "src/node/ending.h"
#include "src/node/following_directory.h"
#include "src/object/collective_service.h"
#include "src/object/home_service.h"
#include "src/object/parcel.h"
#include "src/object/partition_service.h"
#include "src/object/replica_service.h"
#include "src/observe/observer_service.h"

namespace ebb {
namespace {

constinit detail::NodeLocal<std::atomic<detail::ClusterNode*>> current_node;
// How often a node that leaves looks whether it has anything left.
constexpr platform::Duration kDrainLook = std::chrono::milliseconds(5);

std::string named(NodeId node) { return "node " + std::to_string(to_number(node)); }

}  // namespace

task<Result<std::unique_ptr<Node>>> Node::start(NodeOptions options) {
  if (options.self == kNoNode || (options.self == kFrontEndNode) != (options.authority != nullptr)) {
    co_return Error(Errc::invalid_argument, "node 0 is the front end and decides about membership; no other node does");
  }
  if (const auto twice = detail::TypeRegistration::find_duplicate(); !twice.empty()) {
    co_return Error(Errc::invalid_argument, "two types of this program have the interface name \"" + std::string(twice) +
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
  members_.emplace(options_.self, own());
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
  next_look_ = platform::Clock::now();
  if (options_.authority != nullptr) look_for_silence();
  co_return Result<void>();
}

task<void> ClusterNode::close() {
  closing_ = true;
  co_await NodeTable::instance().directory().close();
  Core::current().cancel(pulse_);
  Core::current().cancel(lease_end_);
  homes_.close();
  co_await scope_.join();
  co_await messenger_->close();
  // What the last calls and losses have spawned.
  co_await scope_.join();
  set_node_link(nullptr);
  current_node->store(nullptr, std::memory_order_release);
}

Member ClusterNode::own() const {
  return {options_.self, static_cast<std::uint16_t>(Core::count()), messenger_->local()};
}

std::vector<Member> ClusterNode::members() const {
  std::vector<Member> result;
  const std::lock_guard guard(mutex_);
  for (const auto& [id, member] : members_) result.push_back(member);
  return result;
}

std::vector<NodeId> ClusterNode::others() const {
  std::vector<NodeId> result;
  const std::lock_guard guard(mutex_);
  for (const auto& [id, member] : members_) {
    if (id != options_.self) result.push_back(id);
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
  for (const auto& [id, member] : members_) result.nodes.push_back({id, member.cores, member.leaving});
  return result;
}

// --- calls ---

namespace {
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
  const CallOrigin origin{call.from, call.deadline, call.trace, call.cancellation};
  return serve_call(call.object, call.core, call.method, std::move(call.arguments), origin);
}

// --- membership, as the front end keeps it ---

MemberList ClusterNode::list() const {
  MemberList result;
  const std::lock_guard guard(mutex_);
  result.version = version_;
  for (const auto& [id, member] : members_) result.members.push_back(member);
  return result;
}

task<Result<std::uint64_t>> ClusterNode::send_list(NodeId member) {
  MemberList present = list();
  const std::uint64_t version = present.version;
  const Result<void> taken =
      co_await kNodeService.on(member).within(kAnnounceTimeout).call<&NodeService::set_members>(std::move(present));
  if (!taken) co_return taken.error();
  co_return version;
}

task<Result<void>> ClusterNode::announce(NodeId member) { return news_.bring(member, version_); }

/// For a member that has not taken a list when all were told: until it has, it may call a node that is gone.
task<void> ClusterNode::announce_again(NodeId member) {
  const Result<void> told = co_await announce(member);
  static_cast<void>(told);  // if it fails, the member's next heartbeat shows it
}

task<void> ClusterNode::announce_to_others(NodeId except) {
  std::vector<task<Result<void>>> calls;
  for (const NodeId node : others()) {
    if (node != except) calls.push_back(announce(node));
  }
  for (const Result<void>& told : co_await when_all(std::move(calls))) static_cast<void>(told);
}

task<Result<void>> ClusterNode::take_in(Member candidate) {
  if (options_.authority == nullptr) {
    co_return Error(Errc::invalid_argument, named(options_.self) + " is not the front end; join node 0");
  }
  if (candidate.id == kNoNode || candidate.id == kFrontEndNode || candidate.cores == 0 || candidate.cores > kMaxCores) {
    co_return Error(Errc::invalid_argument, "a node asks to join with an impossible id or number of cores");
  }
  if (Result<void> admitted = options_.authority->admit(candidate); !admitted) co_return admitted;
  co_await messenger_->set_peer(candidate.id, candidate.endpoint);
  {
    const std::lock_guard guard(mutex_);
    members_[candidate.id] = candidate;
    ++version_;
  }
  notify_view_changed();
  last_heard_[candidate.id] = platform::Clock::now();
  // The candidate first: that it can be called is part of being a member.
  if (Result<void> reached = co_await announce(candidate.id); !reached) {
    const std::string reason = named(candidate.id) + " asked to join but cannot be reached: " + reached.error().text();
    co_await lose(candidate.id, Error(Errc::node_gone, reason));
    co_return Error(reached.code(), reason);
  }
  co_await announce_to_others(candidate.id);
  {
    const std::lock_guard guard(mutex_);
    if (!members_.contains(candidate.id)) co_return Error(Errc::node_gone, named(candidate.id) + " was lost while it joined");
  }
  options_.authority->on_joined(candidate);
  co_return Result<void>();
}

task<void> ClusterNode::remove_member(NodeId member, std::string reason) {
  leaving_.erase(member);
  {
    const std::lock_guard guard(mutex_);
    if (member == options_.self || members_.erase(member) == 0) co_return;
    ++version_;
  }
  notify_view_changed();
  // From here on its heartbeats are refused, so that its lease runs out.
  const platform::Instant heard = last_heard_[member];
  last_heard_.erase(member);
  news_.forget(member);
  homes_.gone(member, heard);
  co_await messenger_->forget_peer(member, std::move(reason));
  co_await announce_to_others(member);
}

task<void> ClusterNode::lose(NodeId member, Error reason) {
  {
    const std::lock_guard guard(mutex_);
    if (!members_.contains(member)) co_return;
  }
  // A leaving node closes one connection after the other, and its answer may come by the last. Who asked it forgets it.
  if (leaving_.contains(member)) co_return;
  co_await remove_member(member, reason.text());
  options_.authority->on_lost(member, reason);
}

void ClusterNode::abandon_homes() {
  ending_ = true;
  homes_.close();
}

Result<void> ClusterNode::hear(NodeId member, std::uint64_t version) {
  const auto found = last_heard_.find(member);
  if (found == last_heard_.end()) {
    return Error(Errc::permission_denied, named(member) + " has been declared gone; it is to end");
  }
  found->second = platform::Clock::now();
  if (version < version_ && !news_.under_way(member)) scope_.spawn(announce_again(member));
  return {};
}

Fence ClusterNode::fence_now() const {
  const std::lock_guard guard(mutex_);
  Fence fence{version_ + 1, {}, homes_.leases_end()};  // as view_version() counts
  for (const auto& [id, member] : members_) fence.others.push_back(id);
  return fence;
}

void ClusterNode::look_for_silence() {
  const platform::Instant now = platform::Clock::now();
  // How long this core was away itself (a long event, a stopped process) says nothing about the others: what they sent
  // meanwhile still waits to be read.
  const platform::Duration missed = std::max(platform::Duration::zero(), now - next_look_);
  next_look_ = now + kLook;
  for (auto& [member, heard] : last_heard_) {
    heard = std::min(now, heard + missed);
    if (now - heard <= kSuspect) continue;
    scope_.spawn(lose(member, Error(Errc::node_gone, named(member) + " has sent no heartbeat for " +
                                                         std::to_string(kSuspect / std::chrono::seconds(1)) + " s")));
  }
  if (!closing_) pulse_ = Core::current().call_at(next_look_, [this] { look_for_silence(); });
}

void ClusterNode::on_connection_lost(NodeId peer, const Error& reason) {
  const bool matters = options_.authority != nullptr || peer == kFrontEndNode;
  if (!matters || Core::current().stopping()) return;
  spawn_on_when_room(CoreIndex{0}, [this, peer, reason] {
    if (options_.authority != nullptr) {
      scope_.spawn(lose(peer, reason));
    } else {
      end_with(Error(Errc::node_gone, "the front end is gone: " + reason.text()));
    }
  });
}

task<void> ClusterNode::drain(NodeId member) {
  {
    const std::lock_guard guard(mutex_);
    const auto found = members_.find(member);
    if (found == members_.end()) co_return;
    found->second.leaving = true;
    ++version_;
  }
  notify_view_changed();
  const Result<void> told = co_await announce(member);
  co_await announce_to_others(member);
  co_await homes_.move_from(member);
  // What has not moved when this fails is lost with the node, as if it had died.
  if (!told) co_return;
  const Result<void> drained =
      co_await kNodeService.on(member).within(NodeService::kDrainLimit + kAnnounceTimeout).call<&NodeService::drain>();
  if (drained.code() == Errc::deadline_exceeded) platform::write_log("ebb: " + drained.error().text());
}

task<Result<void>> ClusterNode::ask_to_stop(NodeId member) {
  if (!ending_) co_await drain(member);
  co_await options_.authority->before_stop(member);
  leaving_.insert(member);
  auto answer = co_await kNodeService.on(member).within(kAnnounceTimeout).call<&NodeService::stop>();
  if (!answer) leaving_.erase(member);
  co_return answer;
}

task<void> ClusterNode::end_objects(platform::Duration limit) {
  std::vector<NodeId> nodes = others();
  nodes.push_back(options_.self);
  return end_in_reverse(std::move(nodes), limit);
}

task<Result<ObjectCounts>> ClusterNode::object_counts(NodeId member) {
  return kNodeService.on(member).within(kAnnounceTimeout).call<&NodeService::object_counts>();
}

// --- membership, as a backend follows it ---

task<Result<void>> ClusterNode::join(platform::Endpoint front_end) {
  co_await messenger_->set_peer(kFrontEndNode, front_end);
  Result<void> joined = co_await kCluster.on(kFrontEndNode).call<&ClusterService::join>(own());
  if (joined) beat_after(platform::Duration::zero());
  co_return joined;
}

void ClusterNode::beat_after(platform::Duration delay) {
  if (!closing_) pulse_ = Core::current().call_after(delay, [this] { scope_.spawn(beat()); });
}

void ClusterNode::extend_lease(platform::Instant heartbeat_sent) {
  lease_.extend(heartbeat_sent);
  Core::current().cancel(lease_end_);
  lease_end_ = Core::current().call_at(heartbeat_sent + kLease, [this] {
    if (!lease_.valid()) scope_.spawn(NodeTable::instance().drop_caches());
  });
}

task<void> ClusterNode::beat() {
  const platform::Instant sent = platform::Clock::now();
  const Result<void> heard =
      co_await kCluster.on(kFrontEndNode).within(kLease).call<&ClusterService::heartbeat>(options_.self, view_version() - 1);
  if (heard) extend_lease(sent);
  if (heard.code() == Errc::permission_denied) co_return end_with(Error(Errc::node_gone, heard.error().text()));
  beat_after(std::max(platform::Duration::zero(), sent + kHeartbeat - platform::Clock::now()));
}

task<Result<void>> ClusterNode::set_members(MemberList list) {
  if (list.members.size() > kMaxNodes) co_return Error(Errc::too_large, "a member list is longer than a cluster may be");
  std::map<NodeId, Member> before;
  {
    const std::lock_guard guard(mutex_);
    // Lists may overtake each other; the front end itself needs none.
    if (list.version <= version_ || options_.authority != nullptr) co_return Result<void>();
    version_ = list.version;
    before = std::exchange(members_, {});
    for (const Member& member : list.members) members_.insert_or_assign(member.id, member);
    // This node itself is as it knows itself, but that it is to leave it learns here.
    const auto listed = members_.find(options_.self);
    Member own = before.at(options_.self);
    own.leaving = listed != members_.end() && listed->second.leaving;
    members_.insert_or_assign(options_.self, own);
  }
  notify_view_changed();
  for (const Member& member : list.members) {
    const auto known = before.find(member.id);
    if (member.id == options_.self || (known != before.end() && known->second == member)) continue;
    // Where the front end is, this node was told at its start.
    if (member.id != kFrontEndNode) co_await messenger_->set_peer(member.id, member.endpoint);
  }
  for (const auto& [id, member] : before) {
    const bool stays = id == options_.self || id == kFrontEndNode ||
                       std::any_of(list.members.begin(), list.members.end(), [id = id](const Member& m) { return m.id == id; });
    if (!stays) co_await messenger_->forget_peer(id, named(id) + " has left the cluster");
  }
  co_return Result<void>();
}

void ClusterNode::end_with(Result<void> outcome) {
  if (outcome_) return;  // the first reason counts
  outcome_ = std::move(outcome);
  ended_.complete();
}

void ClusterNode::stop_asked() { end_with({}); }

task<Result<void>> ClusterNode::stopped() {
  co_await ended_;
  co_return *outcome_;
}

// --- the services ---

namespace {

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

Result<NewObject> NodeService::describe(ObjectId id) const { return describe_here(id); }

task<Result<std::uint32_t>> NodeService::swap_object(ObjectId id, std::uint64_t interface_id, std::uint64_t implementation) {
  const TypeDescriptor* type = TypeRegistration::find(interface_id);
  const Implementation* chosen = ImplementationRegistration::find(implementation);
  if (type == nullptr || chosen == nullptr || chosen->interface_id != interface_id || !id.valid() || id < kFirstApplicationObject) {
    co_return Error(Errc::interface_mismatch, named(this_node()) + "'s program lacks the implementation that object " +
                                                  std::to_string(id.index()) + " is to get; start all nodes from the same build");
  }
  co_return co_await NodeTable::instance().swap(id, type, chosen);
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
  while (co_await partitions_here() != 0) {
    if (platform::Clock::now() > give_up) {
      co_return Error(Errc::deadline_exceeded, named(this_node()) + " still has partitions of objects after 30 s; they are lost with it");
    }
    co_await sleep_for(kDrainLook);
  }
  co_return Result<void>();
}

ObjectCounts NodeService::object_counts() const { return NodeTable::instance().counts(); }

}  // namespace detail
}  // namespace ebb
