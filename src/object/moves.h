// What a node keeps of homes on their way: those that it gives away, and states that have come for those that it is to be.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "ebb/async/task.h"
#include "ebb/base/ids.h"
#include "ebb/base/result.h"
#include "ebb/object/type.h"
#include "ebb/platform/platform.h"

namespace ebb::detail {

/// A home that this node gives away.
struct Given {
  CoreIndex core{};
  std::uint32_t epoch = 0;
  void* instance = nullptr;  ///< out of its slot
  const TypeDescriptor* type = nullptr;
  void* root = nullptr;      ///< which the instance is ended with, and before
  std::uint64_t number = 0;  ///< of this giving away among all of this node's; add_given() says it
  bool drained = false;      ///< no call is under way at it any more: its state is what all answers have said
};

/// Of a kind with one instance, its own calls' way or not: it has neither replicas nor partitions.
bool has_one_instance(const TypeDescriptor& type) noexcept;

/// How long a state waits for its home before the directory is asked whether it is still wanted.
inline constexpr platform::Duration kTakenLimit = std::chrono::minutes(1);

/// Its number.
std::uint64_t add_given(ObjectId id, Given given);
std::optional<Given> find_given(ObjectId id);
/// Whoever removes it from the list decides what becomes of it. `epoch`: whose home it was; a later one is another's to settle.
std::optional<Given> remove_given(ObjectId id, std::uint32_t epoch);
/// The same of one that was given and of no later one.
bool remove_given(ObjectId id, const Given& given);
/// From now on its state may be asked for again. False if it is not given away any more.
bool mark_drained(ObjectId id, const Given& given);

/// Place for a state that comes here, from before it is fetched. Any core.
class Room {
 public:
  explicit Room(std::uint64_t size);
  ~Room();
  Room(const Room&) = delete;
  Room& operator=(const Room&) = delete;
  /// False: too much is on its way to this node.
  explicit operator bool() const noexcept { return free_; }

 private:
  const std::uint64_t size_;
  bool free_ = false;
};

/// Keeps a state for the home of `epoch`. Errors: moved (one for a later epoch is here), no_such_object (it has ended here).
Result<void> keep_taken(ObjectId id, std::uint32_t epoch, std::vector<std::byte> state);
void discard_taken(ObjectId id);
/// A move may have failed after its state had come here: then the directory names another home, or an epoch that this state is
/// not for. While it names this one, the state is all that there is of the object.
task<void> discard_abandoned();
Detached discard_abandoned_later();

}  // namespace ebb::detail
