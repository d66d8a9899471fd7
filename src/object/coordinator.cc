// Who has which partition: follows the membership and moves what has to move.
#include <algorithm>
#include <string>
#include <utility>

#include "ebb/async/core.h"
#include "ebb/async/sleep.h"
#include "ebb/async/when_all.h"
#include "ebb/base/hash.h"
#include "ebb/object/lease.h"
#include "src/object/fence.h"
#include "src/object/partition.h"

namespace ebb::detail {
namespace {

// The pause after an attempt that has left something to do, and after one that has not unless the membership changes.
constexpr platform::Duration kAgain = std::chrono::milliseconds(10);
constexpr platform::Duration kLongestAgain = std::chrono::seconds(1);
constexpr platform::Duration kQuiet = std::chrono::seconds(10);
// How long one core may take to adopt what it is given, and a node to say what it has.
constexpr platform::Duration kAdoptTimeout = std::chrono::seconds(40);
constexpr platform::Duration kHoldingsTimeout = std::chrono::seconds(5);
// When a partition is tried again that stayed because its calls had not ended: it answers meanwhile, so most of the time. And one
// that could not be made anew, without which its keys are.
constexpr platform::Duration kBusyAgain = std::chrono::minutes(1);
constexpr platform::Duration kAnewAgain = std::chrono::seconds(1);
// Partitions that are given to a core with one call, if that takes no time; and calls under way beyond which none travels.
constexpr std::size_t kMaxAdoptions = 64;
constexpr std::size_t kMaxHandOvers = 64;

bool is_in(const ClusterView& view, NodeId node) {
  return std::any_of(view.nodes.begin(), view.nodes.end(), [node](const auto& each) { return each.id == node; });
}

/// Whether the front end says that every member is in `view`.
task<bool> has_all_members(const ClusterView* view) {
  NodeLink* link = node_link();
  if (link == nullptr) co_return true;
  const auto fence = co_await link->fence();
  const auto is_known = [view](NodeId node) { return is_in(*view, node); };
  co_return fence.has_value() && std::all_of(fence->others.begin(), fence->others.end(), is_known);
}

}  // namespace

PartitionOwner choose_owner(ObjectId id, std::uint32_t partition, const ClusterView& view) {
  // Rendezvous hashing [Thaler, Ravishankar: Using name-based mappings to increase hit rates, 1998].
  PartitionOwner best;
  std::uint64_t highest = 0;
  const auto may_own = [](const ClusterView::Node& node) { return node.id != kFrontEndNode && !node.leaving; };
  const bool backends = std::any_of(view.nodes.begin(), view.nodes.end(), may_own);
  const std::uint64_t key = mix64(std::uint64_t{id.index()} << 32 | partition);
  for (const ClusterView::Node& node : view.nodes) {
    if (backends ? !may_own(node) : node.id != kFrontEndNode) continue;
    for (std::uint16_t core = 0; core < node.cores; ++core) {
      const std::uint64_t weight = mix64(key ^ mix64(std::uint64_t{to_number(node.id)} << 16 | core));
      if (best.node != kNoNode && weight <= highest) continue;
      highest = weight;
      best = {node.id, CoreIndex{core}};
    }
  }
  return best;
}

Coordinator::Coordinator(ObjectId id, std::uint32_t partitions, std::uint32_t epoch)
    : id_(id), epoch_(epoch), round_(std::uint64_t{epoch} << 32), collected_(epoch == 1), known_(epoch == 1), fresh_(partitions, epoch == 1) {
  auto first = std::make_shared<PartitionMap>();
  first->version = std::uint64_t{epoch} << 32;
  first->owners.resize(partitions);
  map_ = std::move(first);
}

void Coordinator::set_owner(const std::vector<std::uint32_t>& partitions, PartitionOwner owner) {
  // Copied: those who were told the old map may still read it.
  auto next = std::make_shared<PartitionMap>(*map_);
  for (const std::uint32_t partition : partitions) {
    next->owners[partition] = owner;
    fresh_[partition] = false;
    unsettled_.erase(partition);
    lost_since_.erase(partition);
  }
  ++next->version;
  map_ = std::move(next);
}

void Coordinator::end() {
  ended_ = true;
  end_.cancel();
  if (pause_ != nullptr) pause_->complete();
}

task<void> Coordinator::wait_for_hand_overs() {
  TimedCompletion pause(std::min(kAgain * (1 << std::min(failures_, 10)), kLongestAgain));
  pause_ = &pause;
  co_await pause;
  pause_ = nullptr;
}

Detached Coordinator::follow(std::shared_ptr<Coordinator> self) {
  while (!self->ended_) {
    const ClusterView view = cluster_view();
    if (self->under_way_ == 0) {
      // Also when all went well: what was tried more than once for it may still be on its way.
      if (!self->decided_.empty()) ++self->round_;
      self->decided_.clear();
      if (!self->collected_) {
        self->collected_ = co_await self->collect(&view);
        if (!self->collected_) ++self->failures_;
      }
    }
    // What is in doubt has been decided about in this round, so it is left alone until the next.
    if (self->collected_) co_await self->look_for_leases(&view);
    const bool may_decide = !self->ended_ && (self->collected_ || self->under_way_ != 0);
    if (may_decide && self->arrange(view)) {
      self->failures_ = 0;
      co_await wait_for_view_change(view.version, kQuiet, self->end_.token());
    } else {
      co_await self->wait_for_hand_overs();
    }
  }
}

task<bool> Coordinator::collect(const ClusterView* view) {
  if (!known_) {
    // The home before may have given something to a member of which this node has yet to hear. Members that come later have what this
    // one gives them.
    const bool complete = co_await has_all_members(view);
    if (!complete) co_return false;
  }
  std::vector<task<Result<std::vector<Held>>>> works;
  for (const ClusterView::Node& node : view->nodes) {
    works.push_back(kPartitionService.on(node.id).within(kHoldingsTimeout).call<&PartitionService::holdings>(id_, round_));
  }
  const auto answers = co_await when_all(std::move(works));
  auto found = std::make_shared<PartitionMap>(*map_);
  found->owners.assign(found->owners.size(), PartitionOwner{});
  // Whoever was lost in an earlier round may have carried out what was decided in it.
  lost_since_.clear();
  leases_.reset();
  std::set<std::uint32_t> unsettled;
  for (const Hold wanted : {Hold::frozen, Hold::live}) {  // who answers counts more than who keeps a copy
    for (std::size_t at = 0; at < answers.size(); ++at) {
      if (!answers[at]) {
        if (!is_member(view->nodes[at].id)) continue;  // what it had is missing, and so lost in time
        co_return false;
      }
      for (const Held& held : *answers[at]) {
        if (held.hold == Hold::adopting) co_return false;
        if (held.hold != wanted || held.partition >= found->owners.size()) continue;
        found->owners[held.partition] = {view->nodes[at].id, held.core};
        if (wanted == Hold::frozen) unsettled.insert(held.partition);
        if (wanted == Hold::live) unsettled.erase(held.partition);
      }
    }
  }
  ++found->version;
  map_ = std::move(found);
  unsettled_ = std::move(unsettled);
  find_fresh(*view, answers);
  known_ = true;
  co_return true;
}

void Coordinator::find_fresh(const ClusterView& view, const std::vector<Result<std::vector<Held>>>& answers) {
  for (const auto& [partition, target] : std::exchange(offered_, {})) {
    if (map_->owners[partition].node != kNoNode) continue;
    for (std::size_t at = 0; at < answers.size(); ++at) {
      if (view.nodes[at].id == target && answers[at]) fresh_[partition] = true;
    }
  }
}

task<void> Coordinator::look_for_leases(const ClusterView* view) {
  const auto has_no_owner = [view](const PartitionOwner& owner) { return owner.node == kNoNode || !is_in(*view, owner.node); };
  const bool missing = std::any_of(map_->owners.begin(), map_->owners.end(), has_no_owner);
  if (!missing || (leases_ && leases_->view == view->version && leases_->end <= platform::Clock::now())) co_return;
  const Fence fence = co_await find_fence();
  // Of a member that is not in the view nobody has asked what it has.
  const bool all_asked = std::all_of(fence.others.begin(), fence.others.end(), [view](NodeId node) { return is_in(*view, node); });
  if (all_asked) leases_ = Leases{view->version, platform::Clock::now() + fence.leases_end};
}

bool Coordinator::surely_lost(std::uint32_t partition, const ClusterView& view) {
  const platform::Instant now = platform::Clock::now();
  const auto [since, first] = lost_since_.emplace(partition, now);
  const bool by_word = leases_ && leases_->view == view.version && leases_->end <= now;
  return by_word || now - since->second > kLeaseEnds;
}

bool Coordinator::arrange(const ClusterView& view) {
  const auto count = static_cast<std::uint32_t>(map_->owners.size());
  if (chosen_view_ != view.version) {
    chosen_view_ = view.version;
    chosen_.clear();
    for (std::uint32_t partition = 0; partition < count; ++partition) chosen_.push_back(choose_owner(id_, partition, view));
    stays_.clear();
  }
  const platform::Instant now = platform::Clock::now();
  std::erase_if(stays_, [now](const auto& each) { return each.second <= now; });
  // What is made anew, or answers again where it is, takes no time: many with one call.
  std::map<std::pair<NodeId, CoreIndex>, std::vector<Adoption>> at_once;
  bool done = under_way_ == 0;
  for (std::uint32_t partition = 0; partition < count; ++partition) {
    const auto step = next_step(partition, view, &done);
    if (!step) continue;
    const auto& [target, adoption] = *step;
    if (adoption.from.node != kNoNode && adoption.from != target) {
      if (under_way_ < kMaxHandOvers) begin(target, {adoption});
      continue;
    }
    std::vector<Adoption>& together = at_once[{target.node, target.core}];
    together.push_back(adoption);
    if (together.size() == kMaxAdoptions) begin(target, std::exchange(together, {}));
  }
  for (auto& [target, adoptions] : at_once) {
    if (!adoptions.empty()) begin({target.first, target.second}, std::move(adoptions));
  }
  return done;
}

std::optional<std::pair<PartitionOwner, Adoption>> Coordinator::next_step(std::uint32_t partition, const ClusterView& view,
                                                                          bool* done) {
  if (decided_.contains(partition)) return std::nullopt;
  const PartitionOwner owner = map_->owners[partition];
  const bool stays = stays_.contains(partition);
  PartitionOwner target = chosen_[partition];
  Adoption adoption{partition, {}, false};
  if (owner.node != kNoNode && is_in(view, owner.node)) {
    lost_since_.erase(partition);
    if (stays) target = owner;
    // One that its owner keeps after all is adopted from itself, which makes it answer again.
    if (owner == target && !unsettled_.contains(partition)) return std::nullopt;
    adoption.from = owner;
  } else if (stays || (!fresh_[partition] && !surely_lost(partition, view))) {
    *done = false;
    return std::nullopt;
  }
  adoption.lost = adoption.from.node == kNoNode && !fresh_[partition];
  *done = false;
  return std::pair(target, adoption);
}

void Coordinator::begin(PartitionOwner target, std::vector<Adoption> adoptions) {
  ++under_way_;
  for (const Adoption& adoption : adoptions) decided_.insert(adoption.partition);
  hand_over(shared_from_this(), target, std::move(adoptions));
}

Detached Coordinator::hand_over(std::shared_ptr<Coordinator> self, PartitionOwner target, std::vector<Adoption> adoptions) {
  const auto codes = co_await kPartitionService.on(target.node, target.core)
                         .within(kAdoptTimeout)
                         .call<&PartitionService::adopt>(self->id_, self->round_, adoptions);
  self->conclude(target, adoptions, codes);
  const bool others_wait = self->under_way_ >= kMaxHandOvers;
  --self->under_way_;
  // After one that failed the pause is a whole one: the next may fail alike, such as of an object that is being destroyed.
  const bool all_done = self->under_way_ == 0 && (self->collected_ || self->ended_);
  if (self->pause_ != nullptr && (others_wait || all_done)) self->pause_->complete();
}

void Coordinator::conclude(PartitionOwner target, const std::vector<Adoption>& adoptions,
                           const Result<std::vector<Errc>>& codes) {
  if (codes.code() == Errc::moved) ended_ = true;  // there is a newer home
  if (!codes || codes->size() != adoptions.size()) {
    // It may have been carried out, or be carried out later; unless nothing ran of it, and so nothing is different.
    if (!codes && codes.error().is_refusal()) return doubt();
    for (const Adoption& adoption : adoptions) {
      if (fresh_[adoption.partition]) offered_[adoption.partition] = target.node;
      fresh_[adoption.partition] = false;
    }
    return doubt();
  }
  std::vector<std::uint32_t> adopted;
  for (std::size_t at = 0; at < adoptions.size(); ++at) {
    switch (const Errc code = (*codes)[at]) {
      case Errc::ok: adopted.push_back(adoptions[at].partition); break;
      case Errc::moved: ended_ = true; break;
      case Errc::too_large:
      case Errc::overloaded:
      case Errc::application_error:
      case Errc::malformed: leave_where_it_is(adoptions[at], code); break;
      // How far it went is not known, nor whether what it has asked of the old owner is still on its way.
      default: doubt(); break;
    }
  }
  set_owner(adopted, target);
}

void Coordinator::doubt() {
  if (std::exchange(collected_, false)) ++failures_;
}

void Coordinator::leave_where_it_is(const Adoption& adoption, Errc why) {
  const platform::Instant now = platform::Clock::now();
  if (adoption.from.node == kNoNode) {
    stays_[adoption.partition] = now + kAnewAgain;
    return;
  }
  // Its owner may have stopped answering for it.
  unsettled_.insert(adoption.partition);
  stays_[adoption.partition] = why == Errc::overloaded ? now + kBusyAgain : platform::Instant::max();
  const char* reason = why == Errc::too_large    ? "it is too large to move; use more partitions"
                       : why == Errc::overloaded ? "its calls have not ended"
                                                 : "its state does not travel";
  platform::write_log("ebb: partition " + std::to_string(adoption.partition) + " of object " + std::to_string(id_.index()) +
                      " stays where it is: " + reason);
}

}  // namespace ebb::detail
