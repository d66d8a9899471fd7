// The directory is asked once for an object that a node meets, however many of its events need it at that moment.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <vector>

#include "ebb/async/completion.h"
#include "ebb/base/ids.h"
#include "ebb/base/result.h"
#include "ebb/object/directory.h"

namespace ebb::detail {

/// The look-ups of one node that are under way. Every core may call.
class FirstLookups {
 public:
  /// What the directory said; empty: look at the table again.
  using Answer = std::optional<Result<ObjectRecord>>;
  /// One event that needs an object, while it does.
  struct Asker {
    CoreIndex core;
    Answer answer;
    Completion<> answered;
  };
  /// True: nobody asks, and the caller has to; all who join until it tells wait for it. False: wait for `asker.answered`.
  bool join(ObjectId id, Asker& asker);
  /// Ends what the caller's join() began. What the node learns must be in the table before, so that whoever comes now finds it.
  void tell(ObjectId id, const Answer& answer) noexcept;

 private:
  std::mutex mutex_;
  std::map<ObjectId, std::vector<Asker*>> under_way_;  // bounded as calls under way are
};

}  // namespace ebb::detail
