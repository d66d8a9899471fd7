#include "ebb/object/node_table.h"

#include <algorithm>
#include <new>
#include <string>
#include <utility>

#include "ebb/async/context.h"
#include "ebb/async/core.h"
#include "ebb/async/on_core.h"
#include "ebb/async/sleep.h"
#include "ebb/base/node_local.h"
#include "ebb/object/static_object.h"
#include "ebb/platform/translation_table.h"

namespace ebb {
namespace {

using State = detail::ObjectEntry::State;

// How long, and how often, an object's end looks whether another event has finished its root.
constexpr platform::Duration kMaxRootWait = std::chrono::seconds(30);
constexpr platform::Duration kRootLook = std::chrono::microseconds(100);
constexpr std::size_t kKeptCounts = 256;
// How often calls under way are looked at: at first, and at most.
constexpr platform::Duration kFirstLook = std::chrono::microseconds(20);
constexpr platform::Duration kLongestLook = std::chrono::milliseconds(5);

std::uint64_t milliseconds_now() noexcept {
  return static_cast<std::uint64_t>(platform::Clock::now().time_since_epoch() / std::chrono::milliseconds(1));
}

std::string describe(ObjectId id) { return "object " + std::to_string(id.index()); }

[[noreturn]] void throw_gone(ObjectId id) {
  throw ErrorException(Error(Errc::no_such_object, describe(id) + " was destroyed; drop the references to it"));
}

[[noreturn]] void throw_recursive(ObjectId id) {
  throw ErrorException(Error(Errc::internal, "a constructor of " + describe(id) + " uses the object it is making"));
}

// The representatives that this core is constructing right now, with the events that wait for them: a constructor may
// block, and then another event of the core can miss on the same object. Bounded by the core's contexts.
struct Construction {
  ObjectId id;
  Context* maker;
  std::vector<Context*> waiting;
};
struct Constructions {
  std::array<std::vector<Construction>, kMaxCores> of_core;  // each used on its core only
};
detail::NodeLocal<Constructions> all_constructions;
std::vector<Construction>& constructions_here() {
  return all_constructions->of_core[to_number(Core::current().index())];
}

auto construction_of(ObjectId id) {
  std::vector<Construction>& constructions = constructions_here();
  return std::find_if(constructions.begin(), constructions.end(), [id](const auto& each) { return each.id == id; });
}

// Waits until no event of this core constructs its representative of `id`.
void await_construction(ObjectId id) {
  const std::vector<Construction>& constructions = constructions_here();
  while (!constructions.empty()) {
    const auto running = construction_of(id);
    if (running == constructions.end()) return;
    if (running->maker == &Context::current()) throw_recursive(id);
    if (!Context::can_block()) {
      throw ErrorException(
          Error(Errc::overloaded, describe(id) + " is being made on this core, and this event cannot wait for it"));
    }
    running->waiting.push_back(&Context::current());
    Context::block();
  }
}

// Registers the construction for its lifetime and then wakes who waited, whether it succeeded or threw.
class ConstructionScope {
 public:
  explicit ConstructionScope(ObjectId id) : id_(id) { constructions_here().push_back({id, &Context::current(), {}}); }
  ~ConstructionScope() {
    const auto mine = construction_of(id_);
    const std::vector<Context*> waiting = std::move(mine->waiting);
    constructions_here().erase(mine);
    for (Context* context : waiting) context->resume();
  }
  ConstructionScope(const ConstructionScope&) = delete;
  ConstructionScope& operator=(const ConstructionScope&) = delete;

 private:
  ObjectId id_;
};

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

task<Result<ObjectRecord>> NodeTable::lookup(ObjectId id) {
  if (id >= kFirstDynamicObject) co_return co_await directory_->lookup(id);
  auto record = detail::StaticRegistration::find(id);
  if (record) co_return *std::move(record);
  co_return Error(Errc::no_such_object, "this program has no static object with the id " + std::to_string(id.index()) +
                                            "; start all nodes from the same build");
}

NodeTable::Entry* NodeTable::find(ObjectId id) const noexcept {
  if (!id.valid()) return nullptr;
  // Acquire pairs with the release of find_or_add's exchanges: who sees the pointer sees what it points to.
  const Page* page = pages_[id.index() / kPageSlots].load(std::memory_order_acquire);
  if (page == nullptr) return nullptr;
  Entry* entry = (*page)[id.index() % kPageSlots].load(std::memory_order_acquire);
  return entry == nullptr || forgotten(*entry) ? nullptr : entry;
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

NodeTable::Entry* NodeTable::find_or_add(ObjectId id, const detail::TypeDescriptor& type,
                                         const detail::Implementation* implementation) {
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
    if (implementation != nullptr) implement(id, *fresh, implementation);
    if (!slot.compare_exchange_strong(entry, fresh.get(), std::memory_order_acq_rel)) {
      if (implementation != nullptr) forget_implementation(id, fresh.get());
      continue;
    }
    if (entry == nullptr) known_.fetch_add(1, std::memory_order_relaxed);
    return fresh.release();
  }
  return entry;
}

// The entry of an object that exists under `type` (nullptr: any that this program has), by asking the directory if this
// node has not met it.
NodeTable::Entry& NodeTable::known(ObjectId id, const detail::TypeDescriptor* type) {
  if (!id.valid()) {
    throw ErrorException(Error(Errc::no_such_object, "this reference names no object; create or open one first"));
  }
  const auto require_same = [id, &type](std::uint64_t interface_id, std::string_view interface_name) {
    if (interface_id == type->interface_id) return;
    throw ErrorException(Error(Errc::interface_mismatch, describe(id) + " is a " + std::string(interface_name) +
                                                             ", not a " + std::string(type->interface_name)));
  };
  Entry* entry = find(id);
  if (entry == nullptr) {
    const ObjectRecord record = block_on(lookup(id)).value();
    if (type == nullptr) type = detail::TypeRegistration::find(record.interface_id);
    if (type == nullptr) {
      throw ErrorException(Error(Errc::interface_mismatch, describe(id) + " is a " + record.interface_name +
                                                               ", which this node's program does not have; start all "
                                                               "nodes from the same build"));
    }
    require_same(record.interface_id, record.interface_name);
    const detail::Implementation* implementation = nullptr;
    if (record.implementation != 0) {
      implementation = detail::ImplementationRegistration::find(record.implementation);
      if (implementation == nullptr || implementation->interface_id != record.interface_id) {
        throw ErrorException(Error(Errc::interface_mismatch, describe(id) + " was swapped to an implementation that this "
                                                             "node's program does not have; start all nodes from the same build"));
      }
    }
    Entry& added = *find_or_add(id, *type, implementation);
    learn_home(id, ebb::home_of(record));
    return added;
  }
  if (type != nullptr) require_same(entry->type->interface_id, entry->type->interface_name);
  return *entry;
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
  if (entry == nullptr) return;
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
  const CoreIndex here = Core::current().index();
  Shard& shard = shard_of(id);
  for (;;) {
    if (entry.state.load(std::memory_order_acquire) == State::ready) return;
    {
      std::unique_lock guard(shard.mutex);
      const State state = entry.state.load(std::memory_order_acquire);
      if (state == State::ready) return;
      if (state >= State::destroyed) throw_gone(id);
      if (state == State::known) {
        entry.root = &Context::current();
        entry.state.store(State::making, std::memory_order_relaxed);
        break;
      }
      if (entry.root == &Context::current()) throw_recursive(id);
      if (!Context::can_block()) {
        throw ErrorException(Error(Errc::overloaded, "the root of " + describe(id) +
                                                         " is being made, and this event cannot wait for it"));
      }
      shard.waiters.push_back({&entry, here, &Context::current()});
    }
    Context::block();
  }
  // This event makes the root. A constructor may block; whoever comes meanwhile waits above.
  void* root = nullptr;
  try {
    root = entry.type->make_root(id);
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

void* NodeTable::miss(ObjectId id, const detail::TypeDescriptor& type) { return make(id, known(id, &type)); }

void* NodeTable::miss(ObjectId id) { return make(id, known(id, nullptr)); }

void* NodeTable::make(ObjectId id, Entry& entry) {
  const State state = entry.state.load(std::memory_order_acquire);
  if (state >= State::destroyed) throw_gone(id);
  if (entry.type->make_root != nullptr && state != State::ready) need_root(id, entry);
  await_construction(id);
  // Another event of this core may have made it while this one waited.
  if (void* made = platform::translate(id)) return made;
  if (entry.state.load(std::memory_order_acquire) >= State::destroyed) throw_gone(id);

  const ConstructionScope scope(id);
  const detail::Implementation* other = implementation_of(id, entry);
  void* representative = other != nullptr ? other->make(entry.root) : entry.type->make_representative(id, entry.root);
  platform::set_translation(id, representative);
  // Release: an observer of the bit on another core may send work here, and finds the slot by this core's own order.
  entry.cores.fetch_or(std::uint64_t{1} << to_number(Core::current().index()), std::memory_order_release);
  return representative;
}

std::uint64_t NodeTable::cores_of(ObjectId id) const noexcept {
  const Entry* entry = find(id);
  if (entry == nullptr || entry->state.load(std::memory_order_acquire) == State::ended) return 0;
  return entry->cores.load(std::memory_order_acquire);
}

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

task<Result<std::uint32_t>> NodeTable::swap(ObjectId id, const detail::TypeDescriptor* type,
                                            const detail::Implementation* implementation) {
  Entry* entry = find_or_add(id, *type);
  implement(id, *entry, implementation);
  std::uint32_t replaced = 0;
  for (std::uint16_t core = 0; core < Core::count(); ++core) {
    auto work = [this, id, entry, implementation] { return swap_here(id, entry, implementation); };
    const Result<bool> swapped = co_await on_core(CoreIndex{core}, work);
    if (!swapped) co_return swapped.error();
    if (*swapped) ++replaced;
  }
  if (entry->state.load(std::memory_order_acquire) >= State::destroyed) {
    co_return Error(Errc::no_such_object, describe(id) + " was destroyed");
  }
  co_return replaced;
}

void NodeTable::implement(ObjectId id, Entry& entry, const detail::Implementation* implementation) {
  Shard& shard = shard_of(id);
  const std::lock_guard guard(shard.mutex);
  shard.implementations[&entry] = implementation;
  entry.swapped.store(true, std::memory_order_release);
}

void NodeTable::forget_implementation(ObjectId id, const Entry* entry) {
  Shard& shard = shard_of(id);
  const std::lock_guard guard(shard.mutex);
  shard.implementations.erase(entry);
}

const detail::Implementation* NodeTable::implementation_of(ObjectId id, const Entry& entry) {
  if (!entry.swapped.load(std::memory_order_acquire)) return nullptr;
  Shard& shard = shard_of(id);
  const std::lock_guard guard(shard.mutex);
  return shard.implementations.at(&entry);
}

task<Result<bool>> NodeTable::swap_here(ObjectId id, Entry* entry, const detail::Implementation* implementation) {
  auto await_made = [id] { await_construction(id); };
  co_await on_core(Core::current().index(), await_made);
  const platform::Instant give_up = platform::Clock::now() + kSwapLimit;
  for (platform::Duration pause = kFirstLook; calls_under_way(id) != 0; pause = std::min(2 * pause, kLongestLook)) {
    if (platform::Clock::now() > give_up) {
      co_return Error(Errc::overloaded, "calls of " + describe(id) + " have followed each other without a pause for " +
                                            std::to_string(kSwapLimit / std::chrono::seconds(1)) +
                                            " s on a core; it keeps its implementation there");
    }
    co_await sleep_for(pause);
  }
  // No wait from here on: between two events nobody is in the old one.
  void* old = platform::translate(id);
  if (old == nullptr) co_return false;
  void* fresh = implementation->succeed(old, entry->root);
  platform::set_translation(id, fresh);
  entry->type->end_representative(old, entry->root);
  co_return true;
}

bool NodeTable::ends_unseen(ObjectId id) const noexcept {
  const Entry* entry = find(id);
  return entry == nullptr || (entry->type->ends_unseen && !entry->swapped.load(std::memory_order_acquire));
}

std::vector<ObjectId> NodeTable::objects_with_calls() const {
  std::vector<ObjectId> busy;
  for (const auto& [id, count] : calls_[to_number(Core::current().index())].under_way) {
    if (count != 0 && id >= kFirstDynamicObject) busy.push_back(id);
  }
  return busy;
}

std::uint32_t NodeTable::calls_under_way(ObjectId id) const noexcept {
  const auto& calls = calls_[to_number(Core::current().index())].under_way;
  const auto found = calls.find(id);
  return found == calls.end() ? 0 : found->second;
}

task<bool> NodeTable::calls_ended(ObjectId id, platform::Instant limit) const {
  for (platform::Duration pause = kFirstLook; calls_under_way(id) != 0; pause = std::min(2 * pause, kLongestLook)) {
    if (platform::Clock::now() > limit) co_return false;
    co_await sleep_for(pause);
  }
  co_return true;
}

void NodeTable::link(detail::ServedContext& context) noexcept {
  detail::ServedContext*& first = calls_[to_number(Core::current().index())].contexts;
  context.next = first;
  if (first != nullptr) first->previous = &context;
  first = &context;
}

void NodeTable::unlink(detail::ServedContext& context) noexcept {
  detail::ServedContext*& first = calls_[to_number(Core::current().index())].contexts;
  (context.previous != nullptr ? context.previous->next : first) = context.next;
  if (context.next != nullptr) context.next->previous = context.previous;
}

void NodeTable::cancel_calls(ObjectId id) {
  // Those who wait for a token are resumed later, so no call ends meanwhile.
  for (detail::ServedContext* each = calls_[to_number(Core::current().index())].contexts; each != nullptr; each = each->next) {
    if (each->id() == id) each->cancel();
  }
}

detail::CallUnderWay::CallUnderWay(ObjectId id) : id_(id) {
  count_ = ++NodeTable::instance().calls_[to_number(Core::current().index())].under_way[id];
}

detail::CallUnderWay::~CallUnderWay() {
  auto& calls = NodeTable::instance().calls_[to_number(Core::current().index())].under_way;
  const auto mine = calls.find(id_);
  // Few are kept at zero, so that calls of the same objects need not allocate.
  if (--mine->second == 0 && calls.size() > kKeptCounts) calls.erase(mine);
}

void* NodeTable::take_out(ObjectId id) {
  Entry* entry = find(id);
  void* representative = platform::translate(id);
  if (entry == nullptr || representative == nullptr) return nullptr;
  platform::set_translation(id, nullptr);
  entry->cores.fetch_and(~(std::uint64_t{1} << to_number(Core::current().index())), std::memory_order_relaxed);
  return representative;
}

void NodeTable::put_back(ObjectId id, void* representative) {
  Entry* entry = find(id);
  if (entry->state.load(std::memory_order_acquire) >= State::destroyed) {
    return entry->type->end_representative(representative, entry->root);
  }
  platform::set_translation(id, representative);
  entry->cores.fetch_or(std::uint64_t{1} << to_number(Core::current().index()), std::memory_order_release);
}

void NodeTable::drop_here(ObjectId id) {
  if (void* representative = take_out(id)) {
    const Entry* entry = find(id);
    entry->type->end_representative(representative, entry->root);
  }
}

task<void> NodeTable::drop_caches() {
  std::vector<ObjectId> cached;
  for_each([&cached](ObjectId id, const detail::TypeDescriptor& type, std::uint64_t) {
    if (type.caches) cached.push_back(id);
    return true;
  });
  for (std::uint16_t core = 0; core < Core::count() && !cached.empty(); ++core) {
    auto drop = [this, cached] {
      for (const ObjectId id : cached) drop_here(id);
    };
    co_await on_core(CoreIndex{core}, std::move(drop));
  }
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
