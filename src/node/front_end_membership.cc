// Membership as the front end keeps it: who joins, who is gone, who leaves.

// gcc 12 takes a vector inside a coroutine's frame for something that was never allocated. Before the headers, since it is
// in one of them that it says so.
#pragma GCC diagnostic ignored "-Wfree-nonheap-object"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "ebb/async/sleep.h"
#include "ebb/async/when_all.h"
#include "ebb/object/node_link.h"
#include "ebb/platform/platform.h"
#include "src/node/ask_surely.h"
#include "src/node/caught.h"
#include "src/node/ending.h"
#include "src/node/node.h"
#include "src/node/search.h"

namespace ebb::detail {
namespace {

std::string named(NodeId node) { return "node " + std::to_string(to_number(node)); }

/// Of what a member has answered to a difference: it knows another list, or, of an older build, no differences.
bool needs_whole_list(Errc answer) {
  return answer == Errc::not_found || answer == Errc::no_such_method || answer == Errc::malformed;
}

}  // namespace

MemberList ClusterNode::list() const {
  const std::lock_guard guard(mutex_);
  return {version_, members_.all()};
}

task<Result<std::uint64_t>> ClusterNode::send_list(NodeId member) {
  MemberList present = list();
  const std::uint64_t version = present.version;
  const Result<void> taken =
      co_await kNodeService.on(member).within(kAnnounceTimeout).call<&NodeService::set_members>(std::move(present));
  if (!taken) co_return taken.error();
  co_return version;
}

std::optional<MemberDifference> ClusterNode::difference_since(std::uint64_t version) const {
  const std::lock_guard guard(mutex_);
  return changes_.between(version, version_, members_);
}

task<Result<std::uint64_t>> ClusterNode::send_news(NodeId member, std::uint64_t known) {
  std::optional<MemberDifference> difference = difference_since(known);
  if (!difference) co_return co_await send_list(member);
  const std::uint64_t version = difference->version;
  const Result<void> taken =
      co_await kNodeService.on(member).within(kAnnounceTimeout).call<&NodeService::change_members>(*std::move(difference));
  if (taken) co_return version;
  if (!needs_whole_list(taken.code())) co_return taken.error();
  co_return co_await send_list(member);
}

task<Result<void>> ClusterNode::announce(NodeId member) { return news_.bring(member, version_); }

task<Result<void>> ClusterNode::announce_surely(NodeId member) {
  const auto ask = [this, member](platform::Duration) { return announce(member); };
  co_return co_await ask_surely(member, platform::Clock::now() + kAnnounceTimeout, ask);
}

/// For a member that has not taken a list when all were told: until it has, it may call a node that is gone.
task<void> ClusterNode::announce_again(NodeId member) {
  const Result<void> told = co_await announce(member);
  static_cast<void>(told);  // if it fails, the member's next heartbeat shows it
}

task<void> ClusterNode::announce_to_others(NodeId except) {
  try {
    std::vector<task<Result<void>>> calls;
    for (const NodeId node : others()) {
      if (node != except) calls.push_back(announce(node));
    }
    for (const Result<void>& told : co_await when_all(std::move(calls))) static_cast<void>(told);
  } catch (...) {
    // As with a call that fails, the next heartbeat of who was not told shows it.
  }
}

task<Result<void>> ClusterNode::take_in(Member candidate) {
  if (options_.authority == nullptr) {
    co_return Error(Errc::invalid_argument, named(options_.self) + " is not the front end; join node 0");
  }
  if (candidate.id == kNoNode || candidate.id == kFrontEndNode || candidate.cores == 0 || candidate.cores > kMaxCores) {
    co_return Error(Errc::invalid_argument, "a node asks to join with an impossible id or number of cores");
  }
  if (const Member* known = members_.find(candidate.id); known != nullptr && *known == candidate) {
    co_return co_await take_in_again(candidate.id);
  }
  // Lists that are longer would be refused by all.
  if (members_.size() >= kMaxNodes && !members_.contains(candidate.id)) {
    co_return Error(Errc::resource_exhausted, "the cluster has " + std::to_string(kMaxNodes) + " nodes and takes no more in");
  }
  if (Result<void> admitted = options_.authority->admit(candidate); !admitted) co_return admitted;
  co_await messenger_->set_peer(candidate.id, candidate.endpoint);
  {
    const std::lock_guard guard(mutex_);
    members_.put(candidate);
    note_change(candidate.id);
  }
  notify_view_changed();
  // The candidate first: that it can be called is part of being a member. Its heartbeats begin with the list.
  last_heard_[candidate.id] = platform::Clock::now();
  if (Result<void> reached = co_await announce_surely(candidate.id); !reached) {
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

/// Its first question, or the answer to it, was lost with a connection.
task<Result<void>> ClusterNode::take_in_again(NodeId candidate) {
  if (Result<void> reached = co_await announce_surely(candidate); !reached) co_return reached;
  if (!is_member(candidate)) co_return Error(Errc::node_gone, named(candidate) + " was lost while it joined");
  last_heard_[candidate] = platform::Clock::now();
  co_return Result<void>();
}

task<void> ClusterNode::remove_member(NodeId member, std::string reason) {
  leaving_.erase(member);
  const bool forgotten = co_await forget(member, std::move(reason));
  if (forgotten) co_await announce_to_others(member);
}

/// Who is no member any more is not forgotten once more. So what throws for want of memory or of a timer is done again until there is
/// some, and the homes, without whose wait nobody may come to know of the loss, are first.
task<bool> ClusterNode::forget(NodeId member, std::string reason) {
  for (bool homes_wait = false; !homes_wait;) {
    if (member == options_.self || !is_member(member)) co_return false;
    try {
      const auto heard = last_heard_.find(member);
      homes_.gone(member, heard == last_heard_.end() ? platform::Instant() : heard->second);
      homes_wait = true;
    } catch (...) {
      // It is a member as before.
    }
    if (!homes_wait) co_await yield();
  }
  {
    const std::lock_guard guard(mutex_);
    members_.erase(member);
    note_change(member);
  }
  // From here on its heartbeats are refused, so that its lease runs out.
  last_heard_.erase(member);
  news_.forget(member);
  for (bool parted = false; !parted;) {
    try {
      notify_view_changed();
      co_await messenger_->forget_peer(member, reason);
      parted = true;
    } catch (...) {
      // Both may be done twice.
    }
    if (!parted) co_await yield();
  }
  co_return true;
}

task<void> ClusterNode::lose(NodeId member, Error reason) {
  // A leaving node closes one connection after the other, and its answer may come by the last. Who asked it forgets it.
  if (leaving_.contains(member)) co_return;
  const bool forgotten = co_await forget(member, reason.text());
  if (!forgotten) co_return;
  // First: whoever started it ends it while the others are told, which may take its time.
  try {
    options_.authority->on_lost(member, reason);
  } catch (...) {
    log_caught("a node was lost, and whoever started it could not take it down");
  }
  co_await announce_to_others(member);
}

/// A reset may hit a node that runs well: it takes a new connection at once. Where none listens any more it is refused at once.
/// A node that does neither is found out by its heartbeats.
task<void> ClusterNode::look_for(NodeId member, Error reason) {
  Search search(most_connections_with(member));
  for (bool again = true; again;) {
    if (!is_member(member) || leaving_.contains(member)) co_return;
    const Result<void> there = co_await kNodeService.on(member).within(kLookTimeout).call<&NodeService::here>();
    if (there.code() != Errc::node_gone) co_return;
    again = co_await search.again();
  }
  co_await lose(member, std::move(reason));
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
  for (const Member& member : members_) fence.others.push_back(member.id);
  return fence;
}

void ClusterNode::look_for_silence() {
  const platform::Instant now = platform::Clock::now();
  // How long this core was away itself (a long event, a stopped process) says nothing about the others: what they sent
  // meanwhile still waits to be read.
  platform::Duration missed = std::max(platform::Duration::zero(), now - next_look_);
  // A heartbeat also waits for the core to which its connection leads.
  if (!watch_.all_tick()) missed = std::max(missed, kLook);
  next_look_ = now + kLook;
  for (auto& [member, heard] : last_heard_) {
    heard = std::min(now, heard + missed);
    if (now - heard <= kSuspect) continue;
    scope_.spawn(lose(member, Error(Errc::node_gone, named(member) + " has sent no heartbeat for " +
                                                         std::to_string(kSuspect / std::chrono::seconds(1)) + " s")));
  }
  if (!closing_) pulse_ = Core::current().call_at(next_look_, [this] { look_for_silence(); });
}

task<Result<void>> ClusterNode::drained_surely(NodeId member) {
  const auto ask = [member](platform::Duration left) { return kNodeService.on(member).within(left).call<&NodeService::drain>(); };
  co_return co_await ask_surely(member, platform::Clock::now() + NodeService::kDrainLimit + kAnnounceTimeout, ask);
}

task<void> ClusterNode::drain(NodeId member) {
  {
    const std::lock_guard guard(mutex_);
    Member* found = members_.find(member);
    if (found == nullptr) co_return;
    found->leaving = true;
    note_change(member);
  }
  notify_view_changed();
  const Result<void> told = co_await announce_surely(member);
  co_await announce_to_others(member);
  const platform::Instant give_up = platform::Clock::now() + NodeService::kDrainLimit;
  for (bool again = true; again && platform::Clock::now() < give_up;) {
    co_await homes_.move_from(member);
    // What has not moved when this fails is lost with the node, as if it had died.
    if (!told || !is_member(member)) co_return;
    const Result<void> drained = co_await drained_surely(member);
    if (drained.code() == Errc::deadline_exceeded) platform::write_log("ebb: " + drained.error().text());
    // Homes of a node that was lost meanwhile may be here next, or begin with what is here.
    again = co_await homes_.homes_come();
  }
}

task<Result<void>> ClusterNode::ask_to_stop(NodeId member) {
  if (!ending_) co_await drain(member);
  if (!is_member(member)) co_return Error(Errc::node_gone, named(member) + " was lost before it had left");
  co_await options_.authority->before_stop(member);
  leaving_.insert(member);
  const auto ask = [member](platform::Duration left) { return kNodeService.on(member).within(left).call<&NodeService::stop>(); };
  auto answer = co_await ask_surely(member, platform::Clock::now() + kAnnounceTimeout, ask);
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

}  // namespace ebb::detail
