#include "src/node/member_changes.h"

#include <algorithm>
#include <functional>
#include <string>
#include <utility>

namespace ebb::detail {
namespace {

Error malformed(const char* what) { return Error(Errc::malformed, std::string("a difference between member lists ") + what); }

bool is_possible(const Member& member) { return member.id != kNoNode && member.cores != 0 && member.cores <= kMaxCores; }

bool are_apart(const MemberDifference& difference) {
  const auto is_present = [&difference](NodeId id) {
    const auto before = [](const Member& member, NodeId wanted) { return member.id < wanted; };
    const auto place = std::lower_bound(difference.present.begin(), difference.present.end(), id, before);
    return place != difference.present.end() && place->id == id;
  };
  return std::none_of(difference.gone.begin(), difference.gone.end(), is_present);
}

}  // namespace

void MemberChanges::note(NodeId id, std::uint64_t version) noexcept {
  try {
    changes_.push_back({version, id});
  } catch (...) {
    changes_.clear();
    complete_since_ = version;
  }
  if (changes_.size() <= kMostChanges) return;
  complete_since_ = changes_.front().version;
  changes_.pop_front();
}

std::optional<MemberDifference> MemberChanges::between(std::uint64_t since, std::uint64_t version,
                                                       const MemberTable& present) const {
  // A node that has taken no list yet has version 0, as the front end has that knows itself alone.
  if (since == 0 || since < complete_since_ || since >= version) return std::nullopt;
  const auto is_before = [](std::uint64_t wanted, const Change& change) { return wanted < change.version; };
  std::vector<NodeId> ids;
  for (auto at = std::upper_bound(changes_.begin(), changes_.end(), since, is_before); at != changes_.end(); ++at) {
    ids.push_back(at->id);
  }
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  MemberDifference difference{since, version, static_cast<std::uint32_t>(present.size()), {}, {}};
  for (const NodeId id : ids) {
    if (const Member* member = present.find(id)) {
      difference.present.push_back(*member);
    } else {
      difference.gone.push_back(id);
    }
  }
  return difference;
}

Result<void> check(const MemberDifference& difference) {
  const auto& [since, version, size, present, gone] = difference;
  if (size > kMaxNodes || present.size() > kMaxNodes || gone.size() > kMaxNodes) {
    return Error(Errc::too_large, "a difference between member lists is longer than a cluster may be");
  }
  if (since == 0 || since >= version) return malformed("leads from no list to a newer one");
  if (!std::all_of(present.begin(), present.end(), is_possible)) return malformed("names an impossible member");
  const auto not_before = [](const Member& a, const Member& b) { return a.id >= b.id; };
  const bool ordered = std::adjacent_find(present.begin(), present.end(), not_before) == present.end() &&
                       std::adjacent_find(gone.begin(), gone.end(), std::greater_equal<>()) == gone.end();
  if (!ordered || !are_apart(difference)) return malformed("names a node twice");
  const auto stays = [](NodeId id) { return id == kFrontEndNode || id == kNoNode; };
  if (std::any_of(gone.begin(), gone.end(), stays)) return malformed("lacks the front end");
  return {};
}

Result<Changes> changes_by(const MemberDifference& difference, const MemberTable& known, std::uint64_t version, NodeId self) {
  if (version < difference.since) {
    return Error(Errc::not_found, "a difference counts from member list " + std::to_string(difference.since) + ", not known here");
  }
  Changes changes;
  std::size_t size = known.size();
  if (const Member* own = known.find(self)) changes.own_leaves = own->leaving;
  for (const Member& member : difference.present) {
    const Member* before = known.find(member.id);
    if (before == nullptr) ++size;
    if (member.id == self) {
      changes.own_is_listed = true;
      changes.own_leaves = member.leaving;
    } else if (before == nullptr || *before != member) {
      changes.come.push_back(member);
    }
  }
  for (const NodeId id : difference.gone) {
    if (id == self || !known.contains(id)) continue;
    changes.gone.push_back(id);
    --size;
  }
  // Whoever has this node on no list, or another list under that version, is not understood by differences.
  if (size != difference.size) return Error(Errc::not_found, "a difference belongs to another member list than is known");
  return changes;
}

}  // namespace ebb::detail
