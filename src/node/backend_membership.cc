// Membership as a backend follows it: heartbeats, the lease, and the lists that the front end sends.

// gcc 12 takes a vector inside a coroutine's frame for something that was never allocated. Before the headers, since it is
// in one of them that it says so.
#pragma GCC diagnostic ignored "-Wfree-nonheap-object"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ebb/async/sleep.h"
#include "ebb/object/node_link.h"
#include "ebb/object/node_table.h"
#include "src/node/caught.h"
#include "src/node/ending.h"
#include "src/node/node.h"
#include "src/node/search.h"

namespace ebb::detail {
namespace {

std::string named(NodeId node) { return "node " + std::to_string(to_number(node)); }

}  // namespace

task<Result<void>> ClusterNode::join(platform::Endpoint front_end) {
  // Asked once more, when it was taken in and has been declared gone: that is no passing trouble.
  if (outcome_ && !*outcome_) co_return Error(Errc::permission_denied, outcome_->error().text());
  co_await messenger_->set_peer(kFrontEndNode, front_end);
  Result<void> joined = co_await kCluster.on(kFrontEndNode).call<&ClusterService::join>(own());
  if (!joined) co_return joined;
  joined_ = true;
  begin_beats();
  co_return joined;
}

/// With the first list that has this node: others know it then, and may have it answer, while the front end still tells the last
/// of them, who may be away.
void ClusterNode::begin_beats() {
  if (beating_ || closing_) return;
  scope_.spawn(beat());
  beating_ = true;
}

/// Also where this core has no timer left at the moment: without heartbeats the node would be lost.
task<void> ClusterNode::beat_after(platform::Duration delay) {
  const platform::Instant when = platform::Clock::now() + delay;
  while (!closing_) {
    try {
      pulse_ = Core::current().call_at(when, [this] { scope_.spawn(beat()); });
      co_return;
    } catch (...) {
      // Until one is free.
    }
    co_await yield();
  }
}

void ClusterNode::extend_lease(platform::Instant heartbeat_sent) {
  // A core that has seen that the last one is over looks again within a tick. One that ends before is not worth beginning.
  if (!lease_.valid() && heartbeat_sent + kLease < platform::Clock::now() + CoreWatch::kTick) return;
  lease_.extend(heartbeat_sent);
}

task<Result<void>> ClusterNode::heartbeat() {
  const platform::Instant sent = platform::Clock::now();
  Result<void> heard =
      co_await kCluster.on(kFrontEndNode).within(kLease).call<&ClusterService::heartbeat>(options_.self, view_version() - 1);
  if (heard) extend_lease(sent);
  if (heard.code() == Errc::permission_denied) end_with(Error(Errc::node_gone, heard.error().text()));
  co_return heard;
}

task<void> ClusterNode::beat() {
  if (!watch_.all_tick()) co_return co_await beat_after(CoreWatch::kTick);
  const platform::Instant sent = platform::Clock::now();
  Result<void> heard;
  try {
    heard = co_await heartbeat();
    // Where no connection was left to be lost.
    if (heard.code() == Errc::node_gone) co_await look_for_front_end(heard.error());
  } catch (...) {
    heard = caught();  // one that was not answered
  }
  const platform::Instant now = platform::Clock::now();
  // What this node was away itself in between does not count.
  unanswered_ = heard ? platform::Duration::zero() : unanswered_ + std::clamp<platform::Duration>(now - sent, kHeartbeat, kLease);
  if (unanswered_ > kFrontEndSilence) {
    end_with(Error(Errc::node_gone, "the front end is gone: it has answered no heartbeat for " +
                                        std::to_string(kFrontEndSilence / std::chrono::seconds(1)) + " s"));
  }
  co_await beat_after(std::max(platform::Duration::zero(), sent + kHeartbeat - now));
}

/// See look_for(). Without its lease this node answers for nothing, so it can wait for a front end that only stands still.
task<void> ClusterNode::look_for_front_end(Error reason) {
  if (!joined_) co_return;  // whoever asks to join hears of it, and asks again
  Search search(most_connections_with(kFrontEndNode));
  for (bool again = true; again;) {
    const Result<void> heard = co_await heartbeat();
    if (heard.code() != Errc::node_gone) co_return;
    again = co_await search.again();
  }
  end_with(Error(Errc::node_gone, "the front end is gone: " + reason.text()));
}

task<Result<void>> ClusterNode::set_members(MemberList list) {
  if (list.members.size() > kMaxNodes) co_return Error(Errc::too_large, "a member list is longer than a cluster may be");
  if (options_.authority != nullptr) co_return Result<void>();  // the front end itself needs none
  const Semaphore::Permit turn = co_await lists_.acquire();
  if (list.version <= view_version() - 1) co_return Result<void>();  // it was overtaken
  Changes changes = changes_to(std::move(list.members));  // of what is written on this core only
  co_await change(std::move(changes), list.version);
  co_return Result<void>();
}

task<Result<void>> ClusterNode::change_members(MemberDifference difference) {
  if (Result<void> sound = check(difference); !sound) co_return sound;
  if (options_.authority != nullptr) co_return Result<void>();  // the front end itself needs none
  const Semaphore::Permit turn = co_await lists_.acquire();
  const std::uint64_t known = view_version() - 1;
  if (difference.version <= known) co_return Result<void>();  // it was overtaken
  Result<Changes> changes = changes_by(difference, members_, known, options_.self);
  if (!changes) co_return std::move(changes).error();
  co_await change(*std::move(changes), difference.version);
  co_return Result<void>();
}

task<void> ClusterNode::change(Changes changes, std::uint64_t version) {
  // Whom others may learn of can be called. Where the front end is, this node was told at its start.
  for (const Member& member : changes.come) {
    if (member.id != kFrontEndNode) co_await messenger_->set_peer(member.id, member.endpoint);
  }
  {
    const std::lock_guard guard(mutex_);
    version_ = version;
    for (const NodeId id : changes.gone) members_.erase(id);
    for (const Member& member : changes.come) members_.put(member);
    // This node itself is as it knows itself, but that it is to leave it learns here.
    members_.find(options_.self)->leaving = changes.own_leaves;
  }
  notify_view_changed();
  if (changes.own_is_listed) begin_beats();
  for (const NodeId id : changes.gone) {
    if (id != kFrontEndNode) co_await messenger_->forget_peer(id, named(id) + " has left the cluster");
  }
}

Changes ClusterNode::changes_to(std::vector<Member> listed) const {
  const auto before = [](const Member& a, const Member& b) { return a.id < b.id; };
  if (!std::is_sorted(listed.begin(), listed.end(), before)) std::stable_sort(listed.begin(), listed.end(), before);
  Changes changes;
  auto known = members_.begin();
  // A cluster has many members, of which few change: both are gone through once, side by side.
  const auto leave_out_up_to = [&](std::optional<NodeId> end) {
    for (; known != members_.end() && (!end || known->id < *end); ++known) {
      if (known->id != options_.self) changes.gone.push_back(known->id);
    }
  };
  for (const Member& member : listed) {
    leave_out_up_to(member.id);
    if (member.id == options_.self) {
      changes.own_is_listed = true;
      changes.own_leaves = member.leaving;
    } else if (known == members_.end() || *known != member) {
      changes.come.push_back(member);
    }
    if (known != members_.end() && known->id == member.id) ++known;
  }
  leave_out_up_to(std::nullopt);
  return changes;
}

void ClusterNode::end_with(Result<void> outcome) {
  if (outcome_) return;  // the first reason counts
  outcome_ = std::move(outcome);
  ended_.complete();
}

void ClusterNode::stop_asked() {
  stopping_.store(true, std::memory_order_relaxed);
  end_with({});
}

task<void> ClusterNode::end_own_objects(platform::Duration limit) { return end_in_reverse({options_.self}, limit); }

task<Result<void>> ClusterNode::stopped() {
  co_await ended_;
  co_return *outcome_;
}

}  // namespace ebb::detail
