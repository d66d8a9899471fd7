// How a node ends what it has of an object, and forgets it.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "ebb/async/core.h"
#include "ebb/async/on_core.h"
#include "ebb/async/sleep.h"
#include "ebb/async/when_all.h"
#include "ebb/object/home.h"
#include "ebb/object/node_table.h"
#include "ebb/object/object.h"
#include "ebb/platform/translation_table.h"
#include "src/object/construction.h"
#include "src/object/in_turn.h"
#include "src/object/mismatch.h"

namespace ebb {
namespace {

using State = detail::ObjectEntry::State;
using detail::await_construction;
using detail::describe;

// How often an object's end looks whether another event has finished, with the root or the end: at first, and at least.
constexpr platform::Duration kFirstLook = std::chrono::microseconds(100);
constexpr platform::Duration kLongestLook = std::chrono::milliseconds(5);

std::uint64_t milliseconds_now() noexcept {
  return static_cast<std::uint64_t>(platform::Clock::now().time_since_epoch() / std::chrono::milliseconds(1));
}

platform::Duration cancel_limit(platform::Duration calls_limit) noexcept {
  return std::min(calls_limit, NodeTable::kCancelLimit);
}

Error not_ended(ObjectId id, platform::Duration calls_limit) {
  return Error(Errc::deadline_exceeded, "calls of " + describe(id) + " have not ended for " +
                                            std::to_string(calls_limit / std::chrono::milliseconds(1)) +
                                            " ms; it is gone, but what they use stays in memory");
}

}  // namespace

task<Result<void>> NodeTable::end(ObjectId id, const detail::TypeDescriptor* type, platform::Duration calls_limit) {
  // Also an object that this node has not met: an event that found it in the directory just before must not enter it
  // as a living one.
  Entry* entry = find_or_add(id, *type);
  if (entry->type->interface_id != type->interface_id) co_return detail::mismatch(id, entry->type->interface_name, *type);
  const Result<bool> begun = co_await begin_end(id, entry, calls_limit);
  if (!begun) co_return begun.error();
  if (!*begun) co_return Result<void>();
  Result<void> ended = co_await end_parts(id, entry, type, calls_limit);
  if (!ended) {
    const std::lock_guard guard(shard_of(id).mutex);
    entry->state.store(State::unended, std::memory_order_release);
    co_return ended;
  }
  // An instance on its way elsewhere, which is to end before the root too.
  if (type->exclusive) co_await detail::forget_moves(id);
  // Only now: until a core has been asked, an event of it that saw the object alive may be making a representative.
  if (void* root = std::exchange(entry->root, nullptr)) {
    auto end_root = [type, root] { type->end_root(root); };
    co_await on_core(Core::current().index(), end_root);
  }
  if (entry->dropped.load(std::memory_order_acquire)) forget_dropped(id);
  bury(id, entry);
  co_await free_forgotten();
  co_return Result<void>();
}

task<Result<bool>> NodeTable::begin_end(ObjectId id, Entry* entry, platform::Duration calls_limit) {
  const platform::Instant begun = platform::Clock::now();
  bool waited = false;
  // Found anew each time: what has ended meanwhile may be forgotten.
  for (platform::Duration pause = kFirstLook;; pause = std::min(2 * pause, kLongestLook), entry = find(id)) {
    if (entry == nullptr) co_return false;
    State state = State::ended;
    {
      const std::lock_guard guard(shard_of(id).mutex);
      state = entry->state.load(std::memory_order_acquire);
      if (state == State::known || state == State::ready || (state == State::unended && !waited)) {
        entry->state.store(State::destroyed, std::memory_order_release);
        co_return true;
      }
    }
    if (state == State::ended && waited) co_return false;
    if (state == State::ended) co_return Error(Errc::no_such_object, describe(id) + " was destroyed already");
    if (state == State::unended) co_return not_ended(id, calls_limit);
    const platform::Duration spent = platform::Clock::now() - begun;
    if (state == State::making && spent > detail::kMaxConstruction) {
      co_return Error(Errc::overloaded, "the root of " + describe(id) + " is still being made; its parts on this node stay");
    }
    // Another end waits as long for calls.
    if (state == State::destroyed && spent > calls_limit + cancel_limit(calls_limit)) co_return not_ended(id, calls_limit);
    waited = state == State::destroyed;
    co_await sleep_for(pause);
  }
}

/// The representatives; those that have not ended are parked.
task<Result<void>> NodeTable::end_parts(ObjectId id, Entry* entry, const detail::TypeDescriptor* type,
                                        platform::Duration calls_limit) {
  // On all cores before any of them waits, so that none goes on answering; and every core, not only those whose bit is set: one
  // may be between its check of the state and its bit.
  std::vector<task<Result<Hidden>>> hides;
  for (std::uint16_t core = 0; core < Core::count(); ++core) {
    auto hide = [this, id, entry]() -> Result<Hidden> {
      try {
        return hide_here(id, *entry);
      } catch (...) {
        return detail::to_error(std::current_exception());
      }
    };
    hides.push_back(detail::in_turn(CoreIndex{core}, id, hide));
  }
  const std::vector<Result<Hidden>> hidden = co_await when_all(std::move(hides));
  Result<void> outcome;
  std::vector<task<bool>> ends;
  for (std::uint16_t core = 0; core < Core::count(); ++core) {
    if (!hidden[core]) outcome = hidden[core].error();
    if (!hidden[core] || (hidden[core]->representative == nullptr && !hidden[core]->busy)) continue;
    auto end = [this, id, entry, type, representative = hidden[core]->representative, calls_limit] {
      return end_here(id, entry, type, representative, calls_limit);
    };
    ends.push_back(on_core(CoreIndex{core}, end));
  }
  for (const bool ended : co_await when_all(std::move(ends))) {
    if (!ended) outcome = not_ended(id, calls_limit);
  }
  entry->cores.store(0, std::memory_order_relaxed);
  co_return outcome;
}

/// On one core, in an event that can block: no access finds the representative any more.
NodeTable::Hidden NodeTable::hide_here(ObjectId id, Entry& entry) {
  await_construction(id);
  void* representative = platform::translate(id);
  platform::set_translation(id, nullptr);
  if (representative != nullptr) {
    misses_here().representatives(-1);
  } else {
    representative = take_parked(id, entry);
  }
  return {representative, calls_under_way(id) != 0};
}

/// On one core: when the calls under way have ended the representative ends too.
task<bool> NodeTable::end_here(ObjectId id, Entry* entry, const detail::TypeDescriptor* type, void* representative,
                               platform::Duration calls_limit) {
  bool ended = co_await calls_ended(id, platform::Clock::now() + calls_limit);
  if (!ended) {
    cancel_calls(id);
    ended = co_await calls_ended(id, platform::Clock::now() + cancel_limit(calls_limit));
  }
  if (representative == nullptr) co_return ended;
  if (!ended) {
    park(id, *entry, representative);
    co_return false;
  }
  auto finish = [representative, entry, type] { type->end_representative(representative, entry->root); };
  // In an event of its own, which can block: so may a destructor.
  co_await on_core(Core::current().index(), finish);
  co_return true;
}

bool NodeTable::forgotten(const Entry& entry) const noexcept {
  if (entry.state.load(std::memory_order_acquire) != State::ended) return false;
  return milliseconds_now() - entry.cores.load(std::memory_order_relaxed) >= std::uint64_t(forget_after_ / std::chrono::milliseconds(1));
}

void NodeTable::bury(ObjectId id, Entry* entry) {
  const std::lock_guard guard(buried_mutex_);
  entry->cores.store(milliseconds_now(), std::memory_order_relaxed);
  entry->state.store(State::ended, std::memory_order_release);
  buried_.push_back({id, std::unique_ptr<Entry>(entry)});
}

task<void> NodeTable::free_forgotten() {
  std::vector<Buried> old;
  {
    const std::lock_guard guard(buried_mutex_);
    if (freeing_ || buried_.size() < kFewest || !forgotten(*buried_[kFewest - 1].entry)) co_return;
    freeing_ = true;
    while (!buried_.empty() && old.size() < kMost && forgotten(*buried_.front().entry)) {
      old.push_back(std::move(buried_.front()));
      buried_.pop_front();
    }
  }
  for (const Buried& each : old) {
    auto& slot = (*pages_[each.id.index() / kPageSlots].load(std::memory_order_acquire))[each.id.index() % kPageSlots];
    Entry* mine = each.entry.get();
    if (slot.compare_exchange_strong(mine, nullptr, std::memory_order_acq_rel)) known_.fetch_sub(1, std::memory_order_relaxed);
    forget_implementation(each.id, each.entry.get());
  }
  // An event that found one of them before may still look at it; when its core answers, it has ended or seen the end.
  for (std::uint16_t core = 0; core < Core::count(); ++core) {
    auto pass = [] {};
    co_await on_core(CoreIndex{core}, pass);
  }
  const std::lock_guard guard(buried_mutex_);
  freeing_ = false;
}

bool NodeTable::ends_unseen(ObjectId id) const noexcept {
  const Entry* entry = find(id);
  return entry == nullptr || (entry->type->ends_unseen && !entry->swapped.load(std::memory_order_acquire));
}

task<void> NodeTable::clear() {
  for (std::size_t page = kPages; page-- > 0;) {
    Page* slots = pages_[page].load(std::memory_order_acquire);
    if (slots == nullptr) continue;
    for (std::size_t slot = kPageSlots; slot-- > 0;) {
      Entry* entry = (*slots)[slot].load(std::memory_order_acquire);
      // What could not end before cannot now; what another event ends is waited for.
      if (entry == nullptr || entry->state.load(std::memory_order_acquire) > State::destroyed) continue;
      const ObjectId id(static_cast<std::uint32_t>(page * kPageSlots + slot));
      static_cast<void>(co_await end(id, entry->type));
      // A fixed id names the same object again when cores run once more in this process.
      if (id < kFirstDynamicObject && (*slots)[slot].compare_exchange_strong(entry, nullptr, std::memory_order_acq_rel)) {
        known_.fetch_sub(1, std::memory_order_relaxed);
      }
    }
  }
}

}  // namespace ebb
