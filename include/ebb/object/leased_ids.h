// Ids that nodes hold leases of and have not entered objects under. Part of a directory.
#pragma once

#include <bitset>
#include <cstdint>
#include <map>
#include <vector>

#include "ebb/base/ids.h"
#include "ebb/object/directory.h"

namespace ebb {

/// Not synchronized: its directory's lock guards it. Bounded by the ids that there are; a lease takes some 100 bytes until its
/// last id has been entered.
class LeasedIds {
 public:
  /// `lease.count` is at most Directory::kIdLease, and no id of it is leased.
  void grant(IdLease lease, NodeId holder) {
    Lease& entered = leases_[lease.first.index()];
    entered.holder = holder;
    entered.count = entered.left = lease.count;
  }

  /// Who holds the lease of `id`, if no object was entered under it; else kNoNode.
  NodeId holder_of(ObjectId id) const {
    const auto found = find(id);
    if (found == leases_.end() || found->second.entered[id.index() - found->first]) return kNoNode;
    return found->second.holder;
  }

  /// Whether `id` is part of a lease, entered or not.
  bool covers(ObjectId id) const { return find(id) != leases_.end(); }

  /// `id` names an object from now on. False: `holder` holds no lease of it, or had entered one.
  bool use(ObjectId id, NodeId holder) {
    const auto found = find(id);
    if (found == leases_.end() || found->second.holder != holder) return false;
    Lease& lease = found->second;
    const std::uint32_t at = id.index() - found->first;
    if (lease.entered[at]) return false;
    lease.entered.set(at);
    if (--lease.left == 0) leases_.erase(found);
    return true;
  }

  /// Ends the leases of `holder`; the ids of which that name nothing.
  std::vector<ObjectId> end(NodeId holder) {
    std::vector<ObjectId> free;
    for (auto next = leases_.begin(); next != leases_.end();) {
      if (next->second.holder != holder) {
        ++next;
        continue;
      }
      for (std::uint32_t at = 0; at < next->second.count; ++at) {
        if (!next->second.entered[at]) free.push_back(ObjectId(next->first + at));
      }
      next = leases_.erase(next);
    }
    return free;
  }

 private:
  struct Lease {
    NodeId holder = kNoNode;
    std::uint32_t count = 0;
    std::uint32_t left = 0;  // not entered
    std::bitset<Directory::kIdLease> entered;
  };
  using Leases = std::map<std::uint32_t, Lease>;  // by their first id

  template <class Map>
  static auto find_in(Map& leases, ObjectId id) {
    auto after = leases.upper_bound(id.index());
    if (after == leases.begin()) return leases.end();
    --after;
    return id.index() - after->first < after->second.count ? after : leases.end();
  }
  Leases::const_iterator find(ObjectId id) const { return find_in(leases_, id); }
  Leases::iterator find(ObjectId id) { return find_in(leases_, id); }

  Leases leases_;
};

}  // namespace ebb
