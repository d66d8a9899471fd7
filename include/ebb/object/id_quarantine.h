// Ids of objects that were removed: which of them may name another object, and from when on. Part of a directory.
#pragma once

#include <deque>
#include <optional>
#include <unordered_set>

#include "ebb/base/ids.h"
#include "ebb/object/directory.h"

namespace ebb {

/// Not synchronized: its directory's lock guards it. Bounded by kMaxObjects, since an id is in it at most once.
class IdQuarantine {
 public:
  explicit IdQuarantine(IdReuse reuse) noexcept : reuse_(reuse) {}

  /// The object was removed, but nodes may still have parts of it.
  void removed(ObjectId id) { ending_.insert(id); }
  /// Whether that is so, and nobody has retired it.
  bool is_ending(ObjectId id) const { return ending_.contains(id); }
  /// No node has any: the grace begins. False if it was not removed, or had begun.
  bool retire(ObjectId id) {
    if (ending_.erase(id) == 0) return false;
    retired_.push_back({id, reuse_.clock()});
    return true;
  }
  /// The id that has been here longest, if its grace is over.
  std::optional<ObjectId> next() const {
    if (retired_.empty() || reuse_.clock() - retired_.front().since < reuse_.grace) return std::nullopt;
    return retired_.front().id;
  }
  /// next() names an object.
  void take() { retired_.pop_front(); }

 private:
  struct Retired {
    ObjectId id;
    platform::Instant since;
  };
  const IdReuse reuse_;
  std::unordered_set<ObjectId> ending_;
  std::deque<Retired> retired_;  // oldest first
};

}  // namespace ebb
