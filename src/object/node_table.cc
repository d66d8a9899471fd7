#include "ebb/object/node_table.h"

#include <algorithm>
#include <string>
#include <utility>

#include "ebb/async/context.h"
#include "ebb/async/core.h"
#include "ebb/async/on_core.h"
#include "ebb/base/node_local.h"
#include "ebb/platform/translation_table.h"
#include "src/object/construction.h"
#include "src/object/mismatch.h"

namespace ebb {
namespace {

using State = detail::ObjectEntry::State;
using detail::await_construction;
using detail::ConstructionScope;
using detail::describe;
using detail::throw_recursive;
using detail::throw_stuck;

[[noreturn]] void throw_gone(ObjectId id) { throw ErrorException(detail::destroyed(id)); }

}  // namespace

NodeTable& NodeTable::instance() {
  static detail::NodeLocal<NodeTable> table;
  return *table;
}

NodeTable::NodeTable() : directory_(make_memory_directory()) {}

NodeTable::~NodeTable() {
  for (const Buried& each : buried_) {
    auto& slot = (*pages_[each.id.index() / kPageSlots].load(std::memory_order_relaxed))[each.id.index() % kPageSlots];
    Entry* mine = each.entry.get();
    slot.compare_exchange_strong(mine, nullptr, std::memory_order_relaxed);
  }
  for (const auto& slot : pages_) {
    Page* page = slot.load(std::memory_order_relaxed);
    if (page == nullptr) continue;
    for (const auto& entry : *page) delete entry.load(std::memory_order_relaxed);
    delete page;
  }
}

NodeTable::Entry* NodeTable::find(ObjectId id) const noexcept {
  if (!id.valid()) return nullptr;
  // Acquire pairs with the release of find_or_add's exchanges: who sees the pointer sees what it points to.
  const Page* page = pages_[id.index() / kPageSlots].load(std::memory_order_acquire);
  if (page == nullptr) return nullptr;
  Entry* entry = (*page)[id.index() % kPageSlots].load(std::memory_order_acquire);
  return entry == nullptr || forgotten(*entry) ? nullptr : entry;
}

NodeTable::Entry* NodeTable::find_or_add(ObjectId id, const detail::TypeDescriptor& type, detail::Swap swap) {
  auto& page_slot = pages_[id.index() / kPageSlots];
  Page* page = page_slot.load(std::memory_order_acquire);
  if (page == nullptr) {
    auto fresh = std::make_unique<Page>();
    if (page_slot.compare_exchange_strong(page, fresh.get(), std::memory_order_acq_rel)) page = fresh.release();
  }
  auto& slot = (*page)[id.index() % kPageSlots];
  Entry* entry = slot.load(std::memory_order_acquire);
  while (entry == nullptr || forgotten(*entry)) {
    auto fresh = std::make_unique<Entry>(type);
    if (swap.implementation != nullptr) implement(id, *fresh, swap);
    if (!slot.compare_exchange_strong(entry, fresh.get(), std::memory_order_acq_rel)) {
      if (swap.implementation != nullptr) forget_implementation(id, fresh.get());
      continue;
    }
    if (entry == nullptr) known_.fetch_add(1, std::memory_order_relaxed);
    return fresh.release();
  }
  return entry;
}

void* NodeTable::root_of(ObjectId id) const noexcept {
  const Entry* entry = find(id);
  return entry != nullptr && entry->state.load(std::memory_order_acquire) == State::ready ? entry->root : nullptr;
}

Home NodeTable::home_of(ObjectId id) const noexcept {
  const Entry* entry = find(id);
  const std::uint64_t packed = entry == nullptr ? 0 : entry->home.load(std::memory_order_relaxed);
  return {NodeId(static_cast<std::uint32_t>(packed)), CoreIndex(static_cast<std::uint16_t>(packed >> 32 & 0xff)),
          static_cast<std::uint32_t>(packed >> 40)};
}

void NodeTable::learn_home(ObjectId id, Home home) noexcept {
  static_assert(kMaxCores <= 256, "a home's core is packed into a byte");
  Entry* entry = find(id);
  // Others tell it, and what they tell has been checked by nobody.
  if (entry == nullptr || to_number(home.core) >= kMaxCores) return;
  const std::uint64_t packed = std::uint64_t{home.epoch} << 40 | std::uint64_t{to_number(home.core)} << 32 | to_number(home.node);
  std::uint64_t known = entry->home.load(std::memory_order_relaxed);
  while (known >> 40 < home.epoch && !entry->home.compare_exchange_weak(known, packed, std::memory_order_relaxed)) {
  }
}

const detail::TypeDescriptor* NodeTable::type_of(ObjectId id) const noexcept {
  const Entry* entry = find(id);
  return entry == nullptr ? nullptr : entry->type;
}

const detail::TypeDescriptor* NodeTable::living_type_of(ObjectId id) const noexcept {
  const Entry* entry = find(id);
  return entry == nullptr || entry->state.load(std::memory_order_acquire) >= State::destroyed ? nullptr : entry->type;
}

void NodeTable::need_root(ObjectId id, Entry& entry) {
  Shard& shard = shard_of(id);
  Context* const me = &Context::current();
  for (;;) {
    if (entry.state.load(std::memory_order_acquire) == State::ready) return;
    bool over = false;
    TimerId limit;
    {
      std::unique_lock guard(shard.mutex);
      const State state = entry.state.load(std::memory_order_acquire);
      if (state == State::ready) return;
      if (state >= State::destroyed) throw_gone(id);
      if (state == State::known) {
        entry.root = me;
        entry.state.store(State::making, std::memory_order_relaxed);
        break;
      }
      if (entry.root == me) throw_recursive(id);
      if (!Context::can_block()) {
        throw ErrorException(Error::refusal(Errc::overloaded, "the root of " + describe(id) +
                                                                  " is being made, and this event cannot wait for it"));
      }
      limit = Core::current().call_after(detail::kMaxConstruction, [&shard, me, &over] {
        {
          const std::lock_guard still(shard.mutex);
          // Who does not wait any more is being woken, and does not look at `over`.
          if (std::erase_if(shard.waiters, [me](const Waiter& each) { return each.context == me; }) == 0) return;
        }
        over = true;
        me->resume();
      });
      shard.waiters.push_back({&entry, Core::current().index(), me});
    }
    Context::block();
    if (over) throw_stuck(id);
    Core::current().cancel(limit);
  }
  // This event makes the root. A constructor may block; whoever comes meanwhile waits above.
  void* root = nullptr;
  try {
    root = entry.type->make_root(id);
    if (entry.type->shared) {
      try {
        restore_dropped(id, entry, kAnyCore, root);
      } catch (...) {
        entry.type->end_root(root);
        throw;
      }
    }
  } catch (...) {
    finish_root(id, entry, State::known, nullptr);
    throw;
  }
  finish_root(id, entry, State::ready, root);
}

// Publishes the outcome and wakes who waited for it.
void NodeTable::finish_root(ObjectId id, Entry& entry, Entry::State state, void* root) {
  Shard& shard = shard_of(id);
  std::vector<Waiter> woken;
  {
    const std::lock_guard guard(shard.mutex);
    entry.root = root;
    entry.state.store(state, std::memory_order_release);
    const auto mine = std::partition(shard.waiters.begin(), shard.waiters.end(),
                                     [&entry](const Waiter& waiter) { return waiter.entry != &entry; });
    woken.assign(mine, shard.waiters.end());
    shard.waiters.erase(mine, shard.waiters.end());
  }
  const CoreIndex here = Core::current().index();
  for (const Waiter& waiter : woken) {
    Context* context = waiter.context;
    if (waiter.core == here) {
      context->resume();
    } else {
      detail::spawn_on_when_room(waiter.core, [context] { context->resume(); });
    }
  }
}

void* NodeTable::miss(ObjectId id, const detail::TypeDescriptor& type) { return counted_miss(id, &type); }

void* NodeTable::miss(ObjectId id) { return counted_miss(id, nullptr); }

void* NodeTable::counted_miss(ObjectId id, const detail::TypeDescriptor* type) {
  detail::MissCounters& counters = misses_here();
  bool timed = counters.begin();
  Entry* met = find(id);
  const bool waits = met == nullptr || (met->type->make_root != nullptr && met->state.load(std::memory_order_relaxed) != State::ready);
  timed = timed || waits;
  const platform::Instant start = timed ? platform::Clock::now() : platform::Instant();
  try {
    void* representative = make(id, known(id, met, type));
    if (timed) counters.took(platform::Clock::now() - start, waits);
    return representative;
  } catch (...) {
    counters.failed();
    if (timed) counters.took(platform::Clock::now() - start, waits);
    throw;
  }
}

void* NodeTable::make(ObjectId id, Entry& entry) {
  // Before the root: an event that makes, or drops, what it needs here would wait for itself.
  await_construction(id);
  const State state = entry.state.load(std::memory_order_acquire);
  if (state >= State::destroyed) throw_gone(id);
  if (entry.type->make_root != nullptr && state != State::ready) {
    need_root(id, entry);
    await_construction(id);
  }
  // Another event of this core may have made it while this one waited.
  if (void* made = platform::translate(id)) {
    misses_here().found();
    return made;
  }
  if (entry.state.load(std::memory_order_acquire) >= State::destroyed) throw_gone(id);

  const ConstructionScope scope(id);
  void* representative = nullptr;
  if (entry.dropped.load(std::memory_order_acquire)) representative = bring_back(id, entry);
  if (representative == nullptr) {
    const detail::Implementation* other = implementation_of(id, entry);
    representative = other != nullptr ? other->make(entry.root) : entry.type->make_representative(id, entry.root);
    if (representative == nullptr) {
      throw ErrorException(Error(Errc::internal, describe(id) + " got no representative: on_miss() of its kind, " +
                                                     std::string(entry.type->policy) + ", gave nullptr; have it make one, or throw"));
    }
    if (other != nullptr) note_implemented(id, entry, other);
    if (entry.dropped.load(std::memory_order_acquire)) {
      try {
        restore_dropped(id, entry, Core::current().index(), representative);
      } catch (...) {
        entry.type->end_representative(representative, entry.root);
        throw;
      }
    }
  }
  platform::set_translation(id, representative);
  misses_here().representatives(1);
  // Release: an observer of the bit on another core may send work here, and finds the slot by this core's own order.
  entry.cores.fetch_or(std::uint64_t{1} << to_number(Core::current().index()), std::memory_order_release);
  return representative;
}

ObjectCounts NodeTable::counts() const noexcept {
  ObjectCounts all;
  all.known = known_objects();
  for (const CoreCalls& core : calls_) core.misses.add_to(all);
  return all;
}

std::uint64_t NodeTable::cores_of(ObjectId id) const noexcept {
  const Entry* entry = find(id);
  if (entry == nullptr || entry->state.load(std::memory_order_acquire) == State::ended) return 0;
  return entry->cores.load(std::memory_order_acquire);
}

}  // namespace ebb
