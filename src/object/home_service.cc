// Homes on their way from one living node to another.
#include "src/object/home_service.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "ebb/async/core.h"
#include "ebb/async/on_core.h"
#include "ebb/async/sleep.h"
#include "ebb/base/node_local.h"
#include "ebb/object/home.h"
#include "ebb/object/node_table.h"
#include "ebb/platform/translation_table.h"

namespace ebb::detail {
namespace {

// How long calls under way may take to end before a home stays where it is, and how often that is looked at.
constexpr platform::Duration kGiveLimit = std::chrono::seconds(20);
constexpr platform::Duration kGiveLook = std::chrono::microseconds(200);
// How long a home that was given waits to hear that the move is done before it asks the directory, and a state that was taken
// for its home.
constexpr platform::Duration kGivenLimit = std::chrono::seconds(10);
constexpr platform::Duration kTakenLimit = std::chrono::minutes(1);
constexpr platform::Duration kAskAgain = std::chrono::seconds(1);
constexpr std::size_t kMaxTaken = 4096;
constexpr std::size_t kMaxTakenBytes = std::size_t{256} << 20;
// About so many states at once the directory is asked whether they are still wanted.
constexpr std::size_t kMaxAsked = 16;

struct Given {
  CoreIndex core{};
  std::uint32_t epoch = 0;
  void* instance = nullptr;  // out of its slot
  bool drained = false;      // no call is under way at it any more: its state is what all answers have said
};
struct Taken {
  std::uint32_t epoch = 0;
  std::vector<std::byte> state;
  platform::Instant expires;
};

/// The homes of this node that are on their way. Rarely used, so one lock for all.
struct Moves {
  std::mutex mutex;  // guards all below; never held across a wait
  std::map<ObjectId, Given> given;
  std::map<ObjectId, Taken> taken;
  std::size_t taken_bytes = 0;
};
NodeLocal<Moves> local_moves;
Moves& moves() { return *local_moves; }

std::optional<Given> find_given(ObjectId id) {
  const std::lock_guard guard(moves().mutex);
  const auto found = moves().given.find(id);
  if (found == moves().given.end()) return std::nullopt;
  return found->second;
}

/// Whoever removes it from the list decides what becomes of it. `epoch`: whose home it was; a later one is another's to settle.
std::optional<Given> remove_given(ObjectId id, std::uint32_t epoch) {
  const std::lock_guard guard(moves().mutex);
  const auto found = moves().given.find(id);
  if (found == moves().given.end() || found->second.epoch != epoch) return std::nullopt;
  const Given given = found->second;
  moves().given.erase(found);
  return given;
}

/// From now on its state may be asked for again. False if it is not given away any more.
bool mark_drained(ObjectId id, std::uint32_t epoch) {
  const std::lock_guard guard(moves().mutex);
  const auto found = moves().given.find(id);
  if (found == moves().given.end() || found->second.epoch != epoch) return false;
  found->second.drained = true;
  return true;
}

/// Nobody has said what became of the move out of `epoch`: makes this core the home again, in a new epoch, unless there is
/// another already. Meanwhile the object may have come back and be given away once more, from another core even.
Detached settle(ObjectId id, std::uint32_t epoch, const TypeDescriptor* type) {
  co_await sleep_for(kGivenLimit);
  for (;;) {
    const auto given = find_given(id);
    if (!given || given->epoch != epoch) co_return;
    NodeTable& table = NodeTable::instance();
    auto record = co_await table.directory().re_home(id, epoch, this_node(), given->core);
    const bool kept = record.has_value();
    // What is known here still names this core: a miss must not believe it once the instance is forgotten.
    if (record.code() == Errc::moved) record = co_await table.lookup(id);
    if (record || record.code() == Errc::no_such_object) {
      const auto mine = find_given(id);
      if (!mine || mine->epoch != epoch) co_return;
      if (record) table.learn_home(id, home_of(*record));
      if (!remove_given(id, epoch)) co_return;
      if (kept) {
        table.put_back(id, mine->instance);
      } else {
        type->end_representative(mine->instance, nullptr);
      }
      co_return;
    }
    co_await sleep_for(kAskAgain);
  }
}

/// The miss makes the instance, if this core is the object's home.
task<Result<void>> make_here(ObjectId id) {
  auto touch = [id]() -> Result<void> {
    try {
      NodeTable::instance().miss(id);
      return {};
    } catch (...) {
      return to_error(std::current_exception());
    }
  };
  co_return co_await on_core(Core::current().index(), touch);
}

/// Under the lock.
void discard_taken(Moves& all, std::map<ObjectId, Taken>::iterator each) {
  all.taken_bytes -= each->second.state.size();
  all.taken.erase(each);
}

/// A move may have failed after its state had come here: then the directory names another home, or an epoch that this state is
/// not for. While it names this one, the state is all that there is of the object.
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

}  // namespace

bool is_given_away(ObjectId id) { return find_given(id).has_value(); }

std::vector<std::byte> take_state(ObjectId id, std::uint32_t epoch, bool* found) {
  // A home that was dropped is still this one's to make: nobody else can be it, and a move makes it first.
  if (Bytes dropped; NodeTable::instance().take_dropped(id, Core::current().index(), &dropped)) {
    *found = true;
    return dropped;
  }
  const std::lock_guard guard(moves().mutex);
  const auto taken = moves().taken.find(id);
  *found = taken != moves().taken.end() && taken->second.epoch == epoch;
  if (!*found) return {};
  moves().taken_bytes -= taken->second.state.size();
  std::vector<std::byte> state = std::move(taken->second.state);
  moves().taken.erase(taken);
  return state;
}

task<Result<Parcel>> HomeService::give(ObjectId id, std::uint32_t epoch) {
  NodeTable& table = NodeTable::instance();
  const CoreIndex here = Core::current().index();
  const TypeDescriptor* type = table.type_of(id);
  if (const auto given = find_given(id); given && type != nullptr && given->epoch == epoch && given->core == here) {
    if (!given->drained) {
      co_return Error(Errc::overloaded, "object " + std::to_string(id.index()) + " is being moved already; calls of it end first");
    }
    co_return send_parcel(type->state.save(given->instance));
  }
  if (platform::translate(id) == nullptr) {
    // Nobody has touched it since it came here.
    if (Result<void> made = co_await make_here(id); !made) co_return std::move(made).error();
    type = table.type_of(id);
  }
  const Home home = table.home_of(id);
  if (type == nullptr || home.node != this_node() || home.core != here || home.epoch != epoch) {
    co_return Error(Errc::moved, "object " + std::to_string(id.index()) + " has no such home here");
  }
  if (!type->exclusive || type->serve != nullptr || type->state.save == nullptr) {
    co_return Error(Errc::invalid_argument, "the state of object " + std::to_string(id.index()) + ", a " +
                                                std::string(type->interface_name) + ", does not travel: it needs save() and "
                                                "restore()");
  }
  void* instance = table.take_out(id);
  if (instance == nullptr) co_return Error(Errc::moved, "object " + std::to_string(id.index()) + " ends here");
  {
    const std::lock_guard guard(moves().mutex);
    moves().given[id] = {here, epoch, instance};
  }
  const platform::Instant give_up = platform::Clock::now() + kGiveLimit;
  while (table.calls_under_way(id) != 0) {
    if (platform::Clock::now() > give_up) {
      if (remove_given(id, epoch)) table.put_back(id, instance);
      co_return Error(Errc::overloaded, "calls of object " + std::to_string(id.index()) + " have not ended for 20 s; it stays");
    }
    co_await sleep_for(kGiveLook);
  }
  if (!mark_drained(id, epoch)) co_return Error(Errc::moved, "object " + std::to_string(id.index()) + " has ended here meanwhile");
  auto state = send_parcel(type->state.save(instance));
  if (state) {
    settle(id, epoch, type);
  } else if (remove_given(id, epoch)) {
    table.put_back(id, instance);
  }
  co_return state;
}

task<Result<void>> HomeService::take(ObjectId id, std::uint32_t epoch, Parcel parcel) {
  auto fetched = co_await fetch_parcel(std::move(parcel));
  if (!fetched) co_return std::move(fetched).error();
  std::vector<std::byte> state = *std::move(fetched);
  co_await discard_abandoned();
  Moves& all = moves();
  const std::lock_guard guard(all.mutex);
  if (const auto found = all.taken.find(id); found != all.taken.end()) {
    if (found->second.epoch > epoch) co_return Error(Errc::moved, "a later state of the object is here already");
    discard_taken(all, found);
  }
  if (all.taken.size() >= kMaxTaken || all.taken_bytes + state.size() > kMaxTakenBytes) {
    co_return Error(Errc::overloaded, "too many objects are on their way to this node; try again later");
  }
  all.taken_bytes += state.size();
  all.taken[id] = {epoch, std::move(state), platform::Clock::now() + kTakenLimit};
  co_return Result<void>();
}

task<Result<void>> HomeService::arrive(ObjectId id) {
  co_return co_await make_here(id);
}

task<Result<void>> HomeService::forget(ObjectId id) {
  const TypeDescriptor* type = NodeTable::instance().type_of(id);
  const auto record = co_await NodeTable::instance().lookup(id);
  if (!record && record.code() != Errc::no_such_object) co_return record.error();
  const auto given = find_given(id);
  if (!given || type == nullptr) co_return Result<void>();
  if (record && record->epoch <= given->epoch) co_return Error(Errc::moved, "the directory names no other home yet");
  if (record) NodeTable::instance().learn_home(id, home_of(*record));
  if (const auto mine = remove_given(id, given->epoch)) type->end_representative(mine->instance, nullptr);
  co_return Result<void>();
}

task<Result<void>> migrate(ObjectId id, const TypeDescriptor* type, NodeId node, CoreIndex core) {
  if (id < kFirstDynamicObject) {
    co_return Error(Errc::invalid_argument, "the home of static object " + std::to_string(id.index()) + " stays on the front end");
  }
  auto from = co_await find_home(id, type, 0);
  if (from) from = co_await find_home(id, type, from->epoch);
  if (!from) co_return std::move(from).error();
  if (from->node == node && from->core == core) co_return Result<void>();
  if (!is_member(node)) {
    co_return Error(Errc::invalid_argument, "there is no node " + std::to_string(to_number(node)) + " to move an object to");
  }
  auto state = co_await kHomeService.on(from->node, from->core).call<&HomeService::give>(id, from->epoch);
  if (!state) co_return std::move(state).error();
  auto taken = co_await kHomeService.on(node, core).call<&HomeService::take>(id, from->epoch + 1, *std::move(state));
  // Without it the old home finds out by itself that nothing has changed.
  if (!taken) co_return taken;
  const auto moved = co_await NodeTable::instance().directory().re_home(id, from->epoch, node, core);
  if (!moved) co_return moved.error();
  NodeTable::instance().learn_home(id, home_of(*moved));
  // Neither is needed for what is promised: the old home asks the directory by itself, and the first call makes the new one.
  // But nobody may call for a long time.
  static_cast<void>(co_await kHomeService.on(node, core).call<&HomeService::arrive>(id));
  static_cast<void>(co_await kHomeService.on(from->node, from->core).call<&HomeService::forget>(id));
  co_return Result<void>();
}

}  // namespace ebb::detail
