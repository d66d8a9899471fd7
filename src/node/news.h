// The newest list of members, brought to each member with no more messages than it takes.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "ebb/async/completion.h"
#include "ebb/async/task.h"
#include "ebb/base/ids.h"
#include "ebb/base/result.h"

namespace ebb::detail {

/// At most one list is on its way to a member; changes that come meanwhile go together with the next one. So a thousand nodes
/// that join at once cost each member a few messages and not a thousand. One core.
class News {
 public:
  /// Brings a member, which has taken the list of that version before (0: none), the list as it is then; the version of that list,
  /// or why the member did not take it. What it throws counts as such a reason.
  using Tell = std::function<task<Result<std::uint64_t>>(NodeId, std::uint64_t)>;
  explicit News(Tell tell) : tell_(std::move(tell)) {}

  /// Waits until `member` has taken a list of `version` or newer, for two attempts at most: the one that may be under way, and
  /// one that begins later. The error is that of the last one.
  task<Result<void>> bring(NodeId member, std::uint64_t version);
  /// Whether a list is on its way there.
  bool under_way(NodeId member) const;
  /// It is no member any more.
  void forget(NodeId member) { readers_.erase(member); }

 private:
  struct Reader {
    std::uint64_t taken = 0;
    bool under_way = false;
    Result<void> last;
    std::vector<Completion<>*> waiting;  // for the end of the attempt under way; bounded by the joins under way
  };
  task<void> attempt(NodeId member, std::shared_ptr<Reader> reader);

  Tell tell_;
  std::map<NodeId, std::shared_ptr<Reader>> readers_;
};

}  // namespace ebb::detail
