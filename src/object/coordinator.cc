// Who has which partition: follows the membership and moves what has to move.
#include <algorithm>
#include <string>
#include <utility>

#include "ebb/async/core.h"
#include "ebb/async/sleep.h"
#include "ebb/async/when_all.h"
#include "ebb/base/hash.h"
#include "ebb/object/lease.h"
#include "src/object/partition.h"

namespace ebb::detail {
namespace {

// The pause after an attempt that has left something to do, and after one that has not unless the membership changes.
constexpr platform::Duration kAgain = std::chrono::milliseconds(10);
constexpr platform::Duration kQuiet = std::chrono::seconds(10);
// How long one core may take to adopt what it is given, and a node to say what it has.
constexpr platform::Duration kAdoptTimeout = std::chrono::seconds(40);
constexpr platform::Duration kHoldingsTimeout = std::chrono::seconds(5);
// Partitions that are given to a core with one call.
constexpr std::size_t kMaxAdoptions = 64;

bool is_in(const ClusterView& view, NodeId node) {
  return std::any_of(view.nodes.begin(), view.nodes.end(), [node](const auto& each) { return each.id == node; });
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
    : id_(id), epoch_(epoch), round_(std::uint64_t{epoch} << 32), collected_(epoch == 1), fresh_(partitions, epoch == 1) {
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

Detached Coordinator::follow(std::shared_ptr<Coordinator> self) {
  while (!self->ended_) {
    const ClusterView view = cluster_view();
    if (!self->collected_) self->collected_ = co_await self->collect(&view);
    if (self->collected_ && self->arranged_view_ != view.version && !self->ended_) {
      const bool done = co_await self->arrange(&view);
      // Also when all went well: what was tried more than once for it may still be on its way.
      ++self->round_;
      if (done && self->collected_) {
        self->arranged_view_ = view.version;
        self->ready_ = true;
        co_await wait_for_view_change(view.version, kQuiet);
        continue;
      }
    }
    co_await sleep_for(kAgain);
  }
}

task<bool> Coordinator::collect(const ClusterView* view) {
  std::vector<task<Result<std::vector<Held>>>> works;
  for (const ClusterView::Node& node : view->nodes) {
    works.push_back(kPartitionService.on(node.id).within(kHoldingsTimeout).call<&PartitionService::holdings>(id_, round_));
  }
  const auto answers = co_await when_all(std::move(works));
  auto found = std::make_shared<PartitionMap>(*map_);
  found->owners.assign(found->owners.size(), PartitionOwner{});
  // Whoever was lost in an earlier round may have carried out what was decided in it.
  lost_since_.clear();
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
  arranged_view_ = 0;
  co_return true;
}

bool Coordinator::surely_lost(std::uint32_t partition) {
  const platform::Instant now = platform::Clock::now();
  const auto [since, first] = lost_since_.emplace(partition, now);
  return now - since->second > kLeaseEnds;
}

task<bool> Coordinator::arrange(const ClusterView* view) {
  if (tried_view_ != view->version) too_large_.clear();
  tried_view_ = view->version;
  std::map<std::pair<NodeId, CoreIndex>, std::vector<Adoption>> wanted;
  bool complete = true;
  for (std::uint32_t partition = 0; partition < map_->owners.size(); ++partition) {
    const PartitionOwner owner = map_->owners[partition];
    const PartitionOwner target = choose_owner(id_, partition, *view);
    Adoption adoption{partition, {}, false};
    if (owner.node != kNoNode && is_in(*view, owner.node)) {
      lost_since_.erase(partition);
      // One that its owner keeps after all is adopted from itself, which makes it answer again.
      if (owner == target && ready_ && !unsettled_.contains(partition)) continue;
      if (too_large_.contains(partition)) continue;
      adoption.from = owner;
    } else if (!fresh_[partition]) {
      if (!surely_lost(partition)) {
        complete = false;
        continue;
      }
      adoption.lost = true;
    }
    wanted[{target.node, target.core}].push_back(adoption);
  }
  std::vector<task<bool>> works;
  for (auto& [target, adoptions] : wanted) {
    const PartitionOwner owner{target.first, target.second};
    for (std::size_t at = 0; at < adoptions.size(); at += kMaxAdoptions) {
      const auto first = adoptions.begin() + static_cast<std::ptrdiff_t>(at);
      const auto last = first + static_cast<std::ptrdiff_t>(std::min(kMaxAdoptions, adoptions.size() - at));
      works.push_back(hand_over(owner, std::vector<Adoption>(first, last)));
    }
  }
  for (const bool done : co_await when_all(std::move(works))) complete = complete && done;
  co_return complete;
}

task<bool> Coordinator::hand_over(PartitionOwner target, std::vector<Adoption> adoptions) {
  const auto codes = co_await kPartitionService.on(target.node, target.core)
                         .within(kAdoptTimeout)
                         .call<&PartitionService::adopt>(id_, round_, adoptions);
  if (codes.code() == Errc::moved) ended_ = true;  // there is a newer home
  if (!codes || codes->size() != adoptions.size()) {
    // It may have been carried out, or be carried out later.
    for (const Adoption& adoption : adoptions) fresh_[adoption.partition] = false;
    collected_ = false;
    co_return false;
  }
  std::vector<std::uint32_t> adopted;
  for (std::size_t at = 0; at < adoptions.size(); ++at) {
    const Errc code = (*codes)[at];
    if (code == Errc::ok) adopted.push_back(adoptions[at].partition);
    if (code == Errc::moved) ended_ = true;
    if (code == Errc::too_large) {
      too_large_.insert(adoptions[at].partition);
      platform::write_log("ebb: partition " + std::to_string(adoptions[at].partition) + " of object " +
                          std::to_string(id_.index()) + " is too large to move and stays where it is; use more partitions");
    }
    // How far it went is not known, nor whether what it has asked of the old owner is still on its way.
    if (code != Errc::ok && code != Errc::too_large) collected_ = false;
  }
  set_owner(adopted, target);
  co_return adopted.size() == adoptions.size();
}

}  // namespace ebb::detail
