// Representatives that go while their object lives: of idle ones, of caches whose lease has ended, of homes that move.
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ebb/async/core.h"
#include "ebb/async/on_core.h"
#include "ebb/object/node_link.h"
#include "ebb/object/node_table.h"
#include "ebb/object/object.h"
#include "ebb/platform/translation_table.h"
#include "src/object/construction.h"
#include "src/object/mismatch.h"
#include "src/object/moves.h"
#include "src/object/state.h"

namespace ebb {
namespace {

using State = detail::ObjectEntry::State;
using detail::await_construction;
using detail::ConstructionScope;
using detail::describe;

Error not_droppable(ObjectId id, const detail::TypeDescriptor& type) {
  const std::string what = describe(id) + " of the kind " + std::string(type.policy);
  if (!detail::has_one_instance(type)) {
    return Error(Errc::invalid_argument, what + " cannot be dropped: what it has here is in use as long as it lives");
  }
  return Error(Errc::invalid_argument, what + " would lose its state; give its class save() and restore()");
}

}  // namespace

task<Result<std::uint32_t>> NodeTable::drop(ObjectId id, const detail::TypeDescriptor* type) {
  if (!id.valid()) co_return detail::names_nothing();
  Entry* entry = find(id);
  if (entry == nullptr) co_return std::uint32_t{0};
  if (entry->type->interface_id != type->interface_id) co_return detail::mismatch(id, entry->type->interface_name, *type);
  if (type->exclusive && !type->caches && (!detail::has_one_instance(*type) || type->state.save == nullptr)) {
    co_return not_droppable(id, *type);
  }
  // Whoever needs the part that all cores call waits until it is known whether that goes.
  bool whole = false;
  {
    const std::lock_guard guard(shard_of(id).mutex);
    const State state = entry->state.load(std::memory_order_acquire);
    if (state >= State::destroyed) co_return detail::destroyed(id);
    if (state == State::making) co_return Error(Errc::overloaded, describe(id) + " is being made; drop it later");
    whole = type->shared && state == State::ready;
    if (whole) entry->state.store(State::making, std::memory_order_relaxed);
  }
  std::uint32_t dropped = 0;
  bool busy = false;
  Result<void> outcome;
  for (std::uint16_t core = 0; core < Core::count() && outcome; ++core) {
    auto work = [this, id, entry, type]() -> Result<Dropped> {
      try {
        return drop_idle_here(id, *entry, *type);
      } catch (...) {
        return detail::to_error(std::current_exception());
      }
    };
    const Result<Dropped> here = co_await on_core(CoreIndex{core}, work);
    if (!here) outcome = here.error();
    if (here && *here == Dropped::gone) ++dropped;
    if (here && *here == Dropped::busy) busy = true;
  }
  if (whole) {
    auto finish = [this, id, entry, type, goes = !busy && outcome]() -> Result<void> { return drop_whole(id, *entry, *type, goes); };
    const Result<void> finished = co_await on_core(Core::current().index(), finish);
    if (outcome) outcome = finished;
  }
  if (!outcome) co_return outcome.error();
  co_return dropped;
}

NodeTable::Dropped NodeTable::drop_idle_here(ObjectId id, Entry& entry, const detail::TypeDescriptor& type) {
  await_construction(id);
  // The home of what is replicated has the one state that counts.
  if (calls_under_way(id) != 0 || (type.caches && is_home_here(id))) return Dropped::busy;
  // From here on whoever needs it waits; a destructor that does gets an error.
  const ConstructionScope scope(id);
  void* representative = take_out(id);
  if (representative == nullptr) return Dropped::absent;
  if (!type.shared && !type.caches && type.state.save != nullptr) {
    try {
      keep_state(id, entry, Core::current().index(), type.state.save(representative));
    } catch (...) {
      put_back(id, representative);
      throw;
    }
  }
  type.end_representative(representative, entry.root);
  return Dropped::gone;
}

Result<void> NodeTable::drop_whole(ObjectId id, Entry& entry, const detail::TypeDescriptor& type, bool goes) {
  // save() or a destructor that uses the object gets an error instead of waiting for itself.
  const ConstructionScope scope(id);
  void* root = entry.root;
  Result<void> saved;
  if (goes && type.state.save != nullptr) {
    try {
      keep_state(id, entry, kAnyCore, type.state.save(root));
    } catch (...) {
      saved = detail::to_error(std::current_exception());
      goes = false;
    }
  }
  if (goes) {
    type.end_root(root);
    finish_root(id, entry, State::known, nullptr);
  } else {
    finish_root(id, entry, State::ready, root);
  }
  return saved;
}

void NodeTable::keep_state(ObjectId id, Entry& entry, CoreIndex core, Bytes state) {
  Shard& shard = shard_of(id);
  const std::lock_guard guard(shard.mutex);
  shard.dropped[{id, core}] = std::move(state);
  entry.dropped.store(true, std::memory_order_release);
}

bool NodeTable::take_dropped(ObjectId id, CoreIndex core, Bytes* state) {
  const Entry* entry = find(id);
  if (entry == nullptr || !entry->dropped.load(std::memory_order_acquire)) return false;
  Shard& shard = shard_of(id);
  const std::lock_guard guard(shard.mutex);
  const auto kept = shard.dropped.find({id, core});
  if (kept == shard.dropped.end()) return false;
  *state = std::move(kept->second);
  shard.dropped.erase(kept);
  return true;
}

void NodeTable::restore_dropped(ObjectId id, Entry& entry, CoreIndex core, void* made) {
  Bytes state;
  if (!entry.dropped.load(std::memory_order_acquire) || !take_dropped(id, core, &state)) return;
  const Result<void> restored = detail::restore_state(*entry.type, made, state);
  if (restored) return;
  keep_state(id, entry, core, std::move(state));  // it is all that there is; the next access tries again
  throw ErrorException(restored.error());
}

void NodeTable::forget_dropped(ObjectId id) {
  Shard& shard = shard_of(id);
  const std::lock_guard guard(shard.mutex);
  shard.dropped.erase(shard.dropped.lower_bound({id, CoreIndex{0}}), shard.dropped.upper_bound({id, kAnyCore}));
}

void* NodeTable::take_out(ObjectId id) {
  Entry* entry = find(id);
  void* representative = platform::translate(id);
  if (entry == nullptr || representative == nullptr) return nullptr;
  platform::set_translation(id, nullptr);
  misses_here().representatives(-1);
  entry->cores.fetch_and(~(std::uint64_t{1} << to_number(Core::current().index())), std::memory_order_relaxed);
  return representative;
}

void NodeTable::put_back(ObjectId id, void* representative) {
  Entry* entry = find(id);
  if (entry->state.load(std::memory_order_acquire) >= State::destroyed) {
    // By another core at this very moment: a call that goes on in it must find it.
    if (calls_under_way(id) != 0) return park(id, *entry, representative);
    return entry->type->end_representative(representative, entry->root);
  }
  platform::set_translation(id, representative);
  misses_here().representatives(1);
  entry->cores.fetch_or(std::uint64_t{1} << to_number(Core::current().index()), std::memory_order_release);
}

void NodeTable::drop_here(ObjectId id) {
  if (void* representative = take_out(id)) {
    const Entry* entry = find(id);
    entry->type->end_representative(representative, entry->root);
  }
}

bool NodeTable::is_home_here(ObjectId id) const noexcept {
  const Home home = home_of(id);
  return home.epoch != 0 && home.node == this_node() && home.core == Core::current().index();
}

void NodeTable::park(ObjectId id, Entry& entry, void* representative) {
  Shard& shard = shard_of(id);
  const std::lock_guard guard(shard.mutex);
  shard.parked[{id, Core::current().index()}] = representative;
  entry.dropped.store(true, std::memory_order_release);
}

void* NodeTable::take_parked(ObjectId id, const Entry& entry) {
  if (!entry.dropped.load(std::memory_order_acquire)) return nullptr;
  Shard& shard = shard_of(id);
  const std::lock_guard guard(shard.mutex);
  const auto mine = shard.parked.find({id, Core::current().index()});
  if (mine == shard.parked.end()) return nullptr;
  void* representative = mine->second;
  shard.parked.erase(mine);
  return representative;
}

void* NodeTable::bring_back(ObjectId id, const Entry& entry) {
  if (!entry.type->caches) return nullptr;
  // With the lease this is still the home: another would have been made only after this node had been declared gone.
  detail::require_lease();
  return take_parked(id, entry);
}

void NodeTable::drop_caches() {
  const std::uint64_t here = std::uint64_t{1} << to_number(Core::current().index());
  std::vector<ObjectId> cached;
  for_each([&cached, here](ObjectId id, const detail::TypeDescriptor& type, std::uint64_t cores) {
    if (type.caches && (cores & here) != 0) cached.push_back(id);
    return true;
  });
  struct Taken {
    Taken(ObjectId which, void* what) : id(which), representative(what), held(std::in_place, which) {}
    ObjectId id;
    void* representative;
    std::optional<detail::CallUnderWay> held;  // the object's end waits for it
  };
  // All are out of sight before the first one ends: a destructor may wait, and meanwhile other events run.
  std::deque<Taken> taken;
  for (const ObjectId id : cached) {
    void* representative = take_out(id);
    if (representative == nullptr) continue;
    // Nobody may see it without the lease, but no answered write may go with it either: with the lease it comes back.
    if (is_home_here(id)) {
      park(id, *find(id), representative);
    } else {
      taken.emplace_back(id, representative);
    }
  }
  for (Taken& each : taken) {
    each.held.reset();
    const Entry* entry = find(each.id);
    entry->type->end_representative(each.representative, entry->root);
  }
}

}  // namespace ebb
