// The members a node knows, in one piece: every change of them goes through all, and every look at the cluster.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "ebb/base/ids.h"
#include "ebb/node.h"

namespace ebb::detail {

/// By id; at most one of each. Bounded by kMaxNodes. Iterators end with the next change.
class MemberTable {
 public:
  auto begin() const noexcept { return members_.begin(); }
  auto end() const noexcept { return members_.end(); }
  std::size_t size() const noexcept { return members_.size(); }

  /// nullptr: none.
  const Member* find(NodeId id) const noexcept {
    const auto place = std::lower_bound(members_.begin(), members_.end(), id, is_before);
    return place == members_.end() || place->id != id ? nullptr : &*place;
  }
  Member* find(NodeId id) noexcept { return const_cast<Member*>(static_cast<const MemberTable&>(*this).find(id)); }
  bool contains(NodeId id) const noexcept { return find(id) != nullptr; }
  /// In place of the one with its id, if there is one.
  void put(const Member& member) {
    const auto place = std::lower_bound(members_.begin(), members_.end(), member.id, is_before);
    if (place != members_.end() && place->id == member.id) {
      *place = member;
    } else {
      members_.insert(place, member);
    }
  }
  /// False: there was none.
  bool erase(NodeId id) {
    const Member* known = find(id);
    if (known == nullptr) return false;
    members_.erase(members_.begin() + (known - members_.data()));
    return true;
  }
  const std::vector<Member>& all() const noexcept { return members_; }

 private:
  static bool is_before(const Member& member, NodeId id) noexcept { return member.id < id; }
  std::vector<Member> members_;
};

}  // namespace ebb::detail
