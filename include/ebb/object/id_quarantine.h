// Ids of objects that were removed: which of them may name another object, and from when on. Part of a directory.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_set>
#include <vector>

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

  /// At most `most` ids in a row whose grace is over, of the kLookedAt that have been here longest; without those that are
  /// `is_leased`. None where fewer than kLeastRun are in a row: who gets so few might as well ask for each.
  template <class IsLeased>
  IdLease next_run(std::uint32_t most, IsLeased is_leased) const {
    std::vector<std::uint32_t> ready;
    const platform::Instant now = reuse_.clock();
    for (std::size_t at = 0; at < std::min(kLookedAt, retired_.size()) && now - retired_[at].since >= reuse_.grace; ++at) {
      if (!is_leased(retired_[at].id)) ready.push_back(retired_[at].id.index());
    }
    std::sort(ready.begin(), ready.end());
    IdLease longest, run;
    for (const std::uint32_t id : ready) {
      if (run.count == 0 || run.count == most || id != run.first.index() + run.count) run = {ObjectId(id), 0};
      ++run.count;
      if (run.count > longest.count) longest = run;
    }
    return longest.count < kLeastRun ? IdLease{} : longest;
  }
  /// next_run() was leased.
  void take(IdLease run) {
    const auto behind = retired_.begin() + static_cast<std::ptrdiff_t>(std::min(kLookedAt, retired_.size()));
    const auto in_run = [run](const Retired& each) { return each.id.index() - run.first.index() < run.count; };
    retired_.erase(std::remove_if(retired_.begin(), behind, in_run), behind);
  }
  /// How many wait here, or may be given out.
  std::uint32_t retired() const noexcept { return static_cast<std::uint32_t>(retired_.size()); }

 private:
  static constexpr std::size_t kLookedAt = 4096;
  static constexpr std::uint32_t kLeastRun = 8;
  struct Retired {
    ObjectId id;
    platform::Instant since;
  };
  const IdReuse reuse_;
  std::unordered_set<ObjectId> ending_;
  std::deque<Retired> retired_;  // oldest first
};

}  // namespace ebb
