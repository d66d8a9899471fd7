// Which members changed when, so that those who know an older list can be told of the difference alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "ebb/base/ids.h"
#include "ebb/base/result.h"
#include "ebb/node.h"
#include "src/node/member_table.h"
#include "src/node/system_objects.h"

namespace ebb::detail {

/// What a list, or the difference to one, says that a node does not know yet.
struct Changes {
  std::vector<Member> come;  // or have changed
  std::vector<NodeId> gone;
  bool own_is_listed = false;
  bool own_leaves = false;
};

/// The changes that made the last kMostChanges lists. Written and read under the guard of the list itself.
class MemberChanges {
 public:
  /// Whoever knows an older list gets the whole one: that is no longer then than the difference would be.
  static constexpr std::size_t kMostChanges = kMaxNodes;

  /// `id` came, changed or went: that made the list of `version`, which is one more than that of the change before. Without memory
  /// for it all that is known of older lists is forgotten.
  void note(NodeId id, std::uint64_t version) noexcept;
  /// What makes the list of `version`, whose members are `present`, of the one of `since`; none if that is too old, or no older.
  std::optional<MemberDifference> between(std::uint64_t since, std::uint64_t version, const MemberTable& present) const;

 private:
  struct Change {
    std::uint64_t version;
    NodeId id;
  };
  std::deque<Change> changes_;  // by version
  std::uint64_t complete_since_ = 0;
};

/// Whether a difference that came from another node can be one. malformed, too_large.
Result<void> check(const MemberDifference& difference);

/// What a node that knows `known`, the list of `version`, and is `self`, learns of a checked difference; not_found: it knows none
/// of the lists to which that belongs, and needs the whole one.
Result<Changes> changes_by(const MemberDifference& difference, const MemberTable& known, std::uint64_t version, NodeId self);

}  // namespace ebb::detail
