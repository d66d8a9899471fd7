// Another implementation for the representatives of an object, while calls come.
#include <string>
#include <utility>

#include "ebb/async/core.h"
#include "ebb/async/on_core.h"
#include "ebb/object/node_table.h"
#include "ebb/object/object.h"
#include "ebb/platform/translation_table.h"
#include "src/object/construction.h"

namespace ebb {
namespace {

using State = detail::ObjectEntry::State;
using detail::await_construction;
using detail::describe;

}  // namespace

task<Result<std::uint32_t>> NodeTable::swap(ObjectId id, const detail::TypeDescriptor* type, detail::Swap swap) {
  Entry* entry = find_or_add(id, *type);
  implement(id, *entry, swap);
  std::uint32_t replaced = 0;
  for (std::uint16_t core = 0; core < Core::count(); ++core) {
    auto work = [this, id, entry, implementation = swap.implementation] { return swap_here(id, entry, implementation); };
    const Result<bool> swapped = co_await on_core(CoreIndex{core}, work);
    if (!swapped) co_return swapped.error();
    if (*swapped) ++replaced;
  }
  if (entry->state.load(std::memory_order_acquire) >= State::destroyed) {
    co_return Error(Errc::no_such_object, describe(id) + " was destroyed");
  }
  co_return replaced;
}

void NodeTable::implement(ObjectId id, Entry& entry, detail::Swap swap) {
  Shard& shard = shard_of(id);
  const std::lock_guard guard(shard.mutex);
  Implemented& present = shard.implementations[&entry];
  if (swap.number < present.swap.number) return;
  present.swap = swap;
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
  return shard.implementations.at(&entry).swap.implementation;
}

void NodeTable::note_implemented(ObjectId id, const Entry& entry, const detail::Implementation* implementation) {
  Shard& shard = shard_of(id);
  const std::lock_guard guard(shard.mutex);
  shard.implementations.at(&entry).cores[Core::current().index()] = implementation;
}

bool NodeTable::wants(ObjectId id, const Entry& entry, const detail::Implementation* implementation) {
  Shard& shard = shard_of(id);
  const std::lock_guard guard(shard.mutex);
  const Implemented& present = shard.implementations.at(&entry);
  const auto found = present.cores.find(Core::current().index());
  const bool is_one = found == present.cores.end() ? implementation->own : found->second == implementation;
  return present.swap.implementation == implementation && !is_one;
}

Result<void> NodeTable::succeed(ObjectId id, Entry& entry, const detail::Implementation& implementation, void* old) {
  // The constructor may block: whoever needs the object waits for it meanwhile, and so does its end.
  const detail::ConstructionScope scope(id);
  platform::set_translation(id, nullptr);
  try {
    platform::set_translation(id, implementation.succeed(old, entry.root));
  } catch (...) {
    platform::set_translation(id, old);
    return detail::to_error(std::current_exception());
  }
  note_implemented(id, entry, &implementation);
  return {};
}

task<Result<bool>> NodeTable::swap_here(ObjectId id, Entry* entry, const detail::Implementation* implementation) {
  auto await_made = [id]() -> Result<void> {
    try {
      await_construction(id);
      return {};
    } catch (...) {
      return detail::to_error(std::current_exception());
    }
  };
  if (Result<void> made = co_await on_core(Core::current().index(), await_made); !made) co_return std::move(made).error();
  if (!co_await calls_ended(id, platform::Clock::now() + kSwapLimit)) {
    co_return Error(Errc::overloaded, "calls of " + describe(id) + " have followed each other without a pause for " +
                                          std::to_string(kSwapLimit / std::chrono::seconds(1)) +
                                          " s on a core; it keeps its implementation there");
  }
  // No co_await from here on: between two events nobody is in the old one.
  void* old = platform::translate(id);
  if (old == nullptr || !wants(id, *entry, implementation)) co_return false;
  // The object's end waits for that of the old one, whose destructor may wait and use the root.
  const detail::CallUnderWay ending(id);
  if (Result<void> made = succeed(id, *entry, *implementation, old); !made) co_return std::move(made).error();
  entry->type->end_representative(old, entry->root);
  co_return true;
}

}  // namespace ebb
