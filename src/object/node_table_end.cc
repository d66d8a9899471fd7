// How a node ends what it has of an object, and forgets it.
#include <algorithm>
#include <utility>

#include "ebb/async/core.h"
#include "ebb/async/on_core.h"
#include "ebb/async/sleep.h"
#include "ebb/object/node_table.h"
#include "ebb/platform/translation_table.h"
#include "src/object/construction.h"

namespace ebb {
namespace {

using State = detail::ObjectEntry::State;
using detail::await_construction;
using detail::describe;

// How long, and how often, an object's end looks whether another event has finished its root.
constexpr platform::Duration kMaxRootWait = std::chrono::seconds(30);
constexpr platform::Duration kRootLook = std::chrono::microseconds(100);

std::uint64_t milliseconds_now() noexcept {
  return static_cast<std::uint64_t>(platform::Clock::now().time_since_epoch() / std::chrono::milliseconds(1));
}

}  // namespace

task<Result<void>> NodeTable::end(ObjectId id, const detail::TypeDescriptor* type, platform::Duration calls_limit) {
  // Also an object that this node has not met: an event that found it in the directory just before must not enter it
  // as a living one.
  Entry* entry = find_or_add(id, *type);
  const platform::Instant give_up = platform::Clock::now() + kMaxRootWait;
  for (;;) {
    {
      const std::lock_guard guard(shard_of(id).mutex);
      const State state = entry->state.load(std::memory_order_acquire);
      if (state >= State::destroyed) co_return Error(Errc::no_such_object, describe(id) + " was destroyed already");
      if (state != State::making) {
        entry->state.store(State::destroyed, std::memory_order_release);
        break;
      }
    }
    if (platform::Clock::now() > give_up) {
      co_return Error(Errc::overloaded, "the root of " + describe(id) + " is still being made; its parts on this node stay");
    }
    co_await sleep_for(kRootLook);
  }
  bool ended = true;
  for (std::uint16_t core = 0; core < Core::count(); ++core) {
    // Every core is asked, not only those whose bit is set: one may be between its check of the state and its bit.
    auto work = [this, id, entry, type, calls_limit] { return end_here(id, entry, type, calls_limit); };
    if (!co_await on_core(CoreIndex{core}, work)) ended = false;
  }
  entry->cores.store(0, std::memory_order_relaxed);
  if (!ended) {
    co_return Error(Errc::deadline_exceeded, "calls of " + describe(id) + " have not ended for " +
                                                 std::to_string(calls_limit / std::chrono::milliseconds(1)) +
                                                 " ms; it is gone, but what they use stays in memory");
  }
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

/// On one core: no access finds the representative any more, and when the calls under way have ended it ends too.
task<bool> NodeTable::end_here(ObjectId id, Entry* entry, const detail::TypeDescriptor* type, platform::Duration calls_limit) {
  // The representative, unless it could end at once. In an event of its own, which can block: so may a destructor.
  auto take = [this, id, entry, type]() -> void* {
    await_construction(id);
    void* representative = platform::translate(id);
    platform::set_translation(id, nullptr);
    if (representative != nullptr) {
      misses_here().representatives(-1);
    } else {
      representative = take_parked(id, *entry);
    }
    if (representative == nullptr || calls_under_way(id) != 0) return representative;
    type->end_representative(representative, entry->root);
    return nullptr;
  };
  void* representative = co_await on_core(Core::current().index(), take);
  if (!co_await calls_ended(id, platform::Clock::now() + calls_limit)) {
    cancel_calls(id);
    const platform::Duration cancel_limit = std::min(calls_limit, kCancelLimit);
    if (!co_await calls_ended(id, platform::Clock::now() + cancel_limit)) co_return false;
  }
  if (representative == nullptr) co_return true;
  auto finish = [representative, entry, type] { type->end_representative(representative, entry->root); };
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
      if (entry == nullptr || entry->state.load(std::memory_order_acquire) >= State::destroyed) continue;
      static_cast<void>(co_await end(ObjectId(static_cast<std::uint32_t>(page * kPageSlots + slot)), entry->type));
    }
  }
}

}  // namespace ebb
