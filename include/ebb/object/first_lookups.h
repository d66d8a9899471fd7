// The directory is asked once for an object that a node meets, however many of its events need it at that moment.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <vector>

#include "ebb/async/completion.h"
#include "ebb/async/task.h"
#include "ebb/base/ids.h"
#include "ebb/base/result.h"
#include "ebb/object/directory.h"

namespace ebb {

class NodeTable;

namespace detail {

/// The look-ups of one node that are under way. Every core may call.
class FirstLookups {
 public:
  struct Answer {
    Result<ObjectRecord> record;
    bool own = false;  ///< false: another asked, before this one came, so that an object may be younger than the answer
  };
  /// NodeTable::lookup(id), or what one hears that is under way already. Waits; errors: those of the look-up.
  task<Answer> look_up(NodeTable& table, ObjectId id);

 private:
  /// Waits for the answer to another's question.
  struct Asker {
    CoreIndex core;
    std::optional<Result<ObjectRecord>> answer;  // empty if there was no memory for it
    Completion<> answered;
  };
  /// True: the caller is the one who asks.
  bool join(ObjectId id, Asker& asker);
  void tell(ObjectId id, const Result<ObjectRecord>& answer) noexcept;

  std::mutex mutex_;
  std::map<ObjectId, std::vector<Asker*>> under_way_;  // bounded as calls under way are
};

}  // namespace detail
}  // namespace ebb
