#include "src/object/moves.h"

#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "ebb/async/core.h"
#include "ebb/async/on_core.h"
#include "ebb/base/node_local.h"
#include "ebb/object/home.h"
#include "ebb/object/node_table.h"
#include "ebb/object/partitioned.h"
#include "src/object/state.h"

namespace ebb::detail {
namespace {

constexpr std::size_t kMaxTaken = 4096;
constexpr std::size_t kMaxTakenBytes = std::size_t{256} << 20;
// About so many states at once the directory is asked whether they are still wanted.
constexpr std::size_t kMaxAsked = 16;

struct Taken {
  std::uint32_t epoch = 0;
  std::vector<std::byte> state;
  platform::Instant expires;
};

/// The homes of this node that are on their way. Rarely used, so one lock for all.
struct Moves {
  std::mutex mutex;  // guards all below; never held across a wait
  std::map<ObjectId, Given> given;
  std::uint64_t given_so_far = 0;
  std::map<ObjectId, Taken> taken;
  std::size_t taken_bytes = 0;
};
NodeLocal<Moves> local_moves;
Moves& moves() { return *local_moves; }

/// Under the lock.
void discard_taken(Moves& all, std::map<ObjectId, Taken>::iterator each) {
  all.taken_bytes -= each->second.state.size();
  all.taken.erase(each);
}

/// The state that this core's home of `epoch` begins with; false: there is none.
bool take_state(ObjectId id, std::uint32_t epoch, std::vector<std::byte>* state) {
  // A home that was dropped is still this one's to make: nobody else can be it, and a move makes it first.
  if (NodeTable::instance().take_dropped(id, Core::current().index(), state)) return true;
  const std::lock_guard guard(moves().mutex);
  const auto taken = moves().taken.find(id);
  if (taken == moves().taken.end() || taken->second.epoch != epoch) return false;
  *state = std::move(taken->second.state);
  moves().taken_bytes -= state->size();
  moves().taken.erase(taken);
  return true;
}

}  // namespace

bool has_one_instance(const TypeDescriptor& type) noexcept {
  return type.exclusive && !type.caches && type.serve != &partitioned::serve;
}

std::uint64_t add_given(ObjectId id, Given given) {
  const std::lock_guard guard(moves().mutex);
  given.number = ++moves().given_so_far;
  moves().given[id] = given;
  return given.number;
}

std::optional<Given> find_given(ObjectId id) {
  const std::lock_guard guard(moves().mutex);
  const auto found = moves().given.find(id);
  if (found == moves().given.end()) return std::nullopt;
  return found->second;
}

std::optional<Given> remove_given(ObjectId id, std::uint32_t epoch) {
  const std::lock_guard guard(moves().mutex);
  const auto found = moves().given.find(id);
  if (found == moves().given.end() || found->second.epoch != epoch) return std::nullopt;
  const Given given = found->second;
  moves().given.erase(found);
  return given;
}

bool remove_given(ObjectId id, const Given& given) {
  const std::lock_guard guard(moves().mutex);
  const auto found = moves().given.find(id);
  if (found == moves().given.end() || found->second.number != given.number) return false;
  moves().given.erase(found);
  return true;
}

bool mark_drained(ObjectId id, const Given& given) {
  const std::lock_guard guard(moves().mutex);
  const auto found = moves().given.find(id);
  if (found == moves().given.end() || found->second.number != given.number) return false;
  found->second.drained = true;
  return true;
}

void discard_taken(ObjectId id) {
  const std::lock_guard guard(moves().mutex);
  if (const auto found = moves().taken.find(id); found != moves().taken.end()) discard_taken(moves(), found);
}

Room::Room(std::uint64_t size) : size_(size) {
  const std::lock_guard guard(moves().mutex);
  free_ = moves().taken.size() < kMaxTaken && size_ <= kMaxTakenBytes && moves().taken_bytes + size_ <= kMaxTakenBytes;
  if (free_) moves().taken_bytes += size_;
}

Room::~Room() {
  const std::lock_guard guard(moves().mutex);
  if (free_) moves().taken_bytes -= size_;
}

Result<void> keep_taken(ObjectId id, std::uint32_t epoch, std::vector<std::byte> state) {
  Moves& all = moves();
  const NodeTable& table = NodeTable::instance();
  // Under the lock: what comes before the end is found by forget_moves().
  const std::lock_guard guard(all.mutex);
  if (table.type_of(id) != nullptr && table.living_type_of(id) == nullptr) {
    return Error(Errc::no_such_object, "object " + std::to_string(id.index()) + " has ended here meanwhile");
  }
  if (const auto found = all.taken.find(id); found != all.taken.end()) {
    if (found->second.epoch > epoch) return Error(Errc::moved, "a later state of the object is here already");
    discard_taken(all, found);
  }
  all.taken_bytes += state.size();
  all.taken[id] = {epoch, std::move(state), platform::Clock::now() + kTakenLimit};
  return {};
}

task<void> discard_abandoned() {
  const platform::Instant now = platform::Clock::now();
  std::vector<std::pair<ObjectId, std::uint32_t>> old;
  {
    const std::lock_guard guard(moves().mutex);
    for (const auto& [id, taken] : moves().taken) {
      if (taken.expires < now && old.size() < kMaxAsked) old.emplace_back(id, taken.epoch);
    }
  }
  for (const auto& [id, epoch] : old) {
    const auto record = co_await NodeTable::instance().directory().lookup(id);
    if (!record && record.code() != Errc::no_such_object) co_return;
    const bool ours = record && record->epoch == epoch && record->home == this_node();
    const std::lock_guard guard(moves().mutex);
    const auto found = moves().taken.find(id);
    if (found == moves().taken.end() || found->second.epoch != epoch) continue;
    if (ours) {
      found->second.expires = platform::Clock::now() + kTakenLimit;
    } else {
      discard_taken(moves(), found);
    }
  }
}

Detached discard_abandoned_later() { co_await discard_abandoned(); }

bool is_given_away(ObjectId id) { return find_given(id).has_value(); }

bool restore_home(ObjectId id, std::uint32_t epoch, const TypeDescriptor& type, void* instance) {
  std::vector<std::byte> state;
  if (!take_state(id, epoch, &state)) return false;
  if (const Result<void> restored = restore_state(type, instance, state); !restored) {
    // It is all that there is of the object.
    static_cast<void>(keep_taken(id, epoch, std::move(state)));
    throw ErrorException(restored.error());
  }
  return true;
}

task<void> forget_moves(ObjectId id) {
  discard_taken(id);
  const auto given = find_given(id);
  if (!given || !remove_given(id, given->epoch)) co_return;
  auto end = [given = *given] { given.type->end_representative(given.instance, given.root); };
  co_await on_core(given->core, end);
}

}  // namespace ebb::detail
