// The policy's parts: where a core keeps its partitions, how a call finds one, and how the home's core gets a coordinator.

// gcc 12 takes a vector inside a coroutine's frame for something that was never allocated. Before the headers, since it is
// in one of them that it says so.
#pragma GCC diagnostic ignored "-Wfree-nonheap-object"

#include "src/object/partition.h"

#include <span>
#include <string>
#include <utility>

#include "ebb/async/context.h"
#include "ebb/async/core.h"
#include "ebb/async/on_core.h"
#include "ebb/object/every_partition.h"
#include "ebb/object/home.h"
#include "ebb/object/node_table.h"
#include "ebb/wire/buffer.h"

namespace ebb::detail {
namespace {

std::string describe(ObjectId id) { return "object " + std::to_string(id.index()); }
CoreIndex this_core() noexcept { return Core::current().index(); }
PartitionRoot* root_of(ObjectId id) noexcept { return static_cast<PartitionRoot*>(NodeTable::instance().root_of(id)); }

std::shared_ptr<Partition> live_here(ObjectId id, std::uint32_t partition) {
  PartitionRoot* root = root_of(id);
  if (root == nullptr) return nullptr;
  CorePartitions& mine = root->cores[to_number(this_core())];
  const auto found = mine.held.find(partition);
  return found == mine.held.end() || found->second->frozen ? nullptr : found->second;
}

[[noreturn]] void throw_moved(ObjectId id, std::uint32_t partition) {
  throw ErrorException(Error::refusal(Errc::moved, "partition " + std::to_string(partition) + " of " + describe(id) +
                                                       " is not on this core; ref::on_key finds it"));
}

}  // namespace

void* Partitioning::make_root(ObjectId, const PartitionType& type) {
  NodeTable::instance().enter(kPartitionService.id(), kTypeDescriptor<PartitionService>);
  return new PartitionRoot(type, Core::count());
}

void Partitioning::end_root(void* root) { delete static_cast<PartitionRoot*>(root); }

void* Partitioning::join(void* root) { return &static_cast<PartitionRoot*>(root)->cores[to_number(this_core())]; }

void Partitioning::leave(void* shared) {
  PartitionRoot& root = *static_cast<PartitionRoot*>(shared);
  if (root.home.load(std::memory_order_acquire) == this_core() && root.coordinator) {
    root.coordinator->end();
    root.coordinator.reset();
  }
  root.cores[to_number(this_core())] = CorePartitions();
}

// --- calls ---

struct CountedUse {
  std::shared_ptr<Partition> partition;
};

Partitioning::Use::Use(ObjectId id, const TypeDescriptor& type, std::uint32_t partition) {
  // The node's part is made by a miss like any other; what is in the slot is no instance.
  if (root_of(id) == nullptr) NodeTable::instance().miss(id, type);
  auto held = live_here(id, partition);
  if (!held) throw_moved(id, partition);
  ++held->calls;
  held_ = new CountedUse{std::move(held)};
}

Partitioning::Use::~Use() {
  auto* use = static_cast<CountedUse*>(held_);
  --use->partition->calls;
  delete use;
}

void* Partitioning::Use::instance() const noexcept { return static_cast<CountedUse*>(held_)->partition->instance; }

task<Result<Bytes>> Partitioning::serve(ObjectId id, void*, const RemoteMethod& method, Bytes arguments,
                                        ServedCaller caller) {
  const std::span<const std::byte> bytes = arguments;
  constexpr std::size_t kNumberBytes = sizeof(std::uint32_t);
  if (bytes.size() < kNumberBytes) {
    co_return Error(Errc::malformed, "a call of a partitioned object does not say which partition is meant; use ref::on_key");
  }
  wire::Reader reader(bytes.last(kNumberBytes));
  const auto partition = reader.number<std::uint32_t>();
  arguments.resize(arguments.size() - kNumberBytes);
  const TypeDescriptor* type = NodeTable::instance().type_of(id);
  if (type == nullptr) co_return Error(Errc::no_such_object, describe(id) + " was destroyed meanwhile");
  const Use use(id, *type, partition);
  co_return co_await method.invoke(use.instance(), std::move(arguments), caller.context);
}

// --- who has it ---

namespace {

/// Notes what the home told this core.
Result<Partitioning::Answer> keep(ObjectId id, std::uint32_t partition, PartitionMap map) {
  if (partition >= map.owners.size()) return Error(Errc::malformed, "the home of " + describe(id) + " has fewer partitions");
  const Partitioning::Answer answer{map.owners[partition], map.version};
  if (PartitionRoot* root = root_of(id)) {
    auto& kept = root->cores[to_number(this_core())].map;
    if (!kept || kept->version < map.version) kept = std::make_shared<PartitionMap>(std::move(map));
  }
  return answer;
}

/// Makes this node's part, if it has none, in an event that can block.
task<Result<void>> touch(ObjectId id, const TypeDescriptor* type) {
  auto miss = [id, type]() -> Result<void> {
    try {
      if (root_of(id) == nullptr) NodeTable::instance().miss(id, *type);
      return {};
    } catch (...) {
      return to_error(std::current_exception());
    }
  };
  co_return co_await on_core(this_core(), miss);
}

}  // namespace

CoreIndex Partitioning::owner_here(ObjectId id, std::uint32_t partition) noexcept {
  const PartitionRoot* root = root_of(id);
  if (root == nullptr) return kAnyCore;
  const PartitionMap* known = root->cores[to_number(this_core())].map.get();
  if (known == nullptr || partition >= known->owners.size()) return kAnyCore;
  const PartitionOwner& owner = known->owners[partition];
  return owner.node == this_node() ? owner.core : kAnyCore;
}

task<Result<Partitioning::Answer>> Partitioning::find_owner(ObjectId id, const TypeDescriptor* type, std::uint32_t partition,
                                                            std::uint64_t stale) {
  PartitionRoot* root = root_of(id);
  if (root != nullptr) {
    const auto known = root->cores[to_number(this_core())].map;
    if (known && known->version > stale && partition < known->owners.size()) {
      co_return Answer{known->owners[partition], known->version};
    }
  }
  if (root == nullptr) {
    if (Result<void> touched = co_await touch(id, type); !touched) co_return std::move(touched).error();
  }
  const auto home = co_await find_home(id, type, 0);
  if (!home) co_return home.error();
  if (!is_member(home->node)) {
    // Another home is on its way; asking the directory is how its place becomes known.
    static_cast<void>(co_await find_home(id, type, home->epoch));
    co_return Error::refusal(Errc::moved, describe(id) + " has no home at the moment");
  }
  auto map = co_await kPartitionService.on(home->node, home->core).call<&PartitionService::map>(id);
  if (!map) {
    // A node that leaves ends its own part before it is gone. Whether the object lives, the directory says.
    const bool ended = map.code() == Errc::no_such_object;
    if (ended || map.code() == Errc::moved) {
      const auto now = co_await find_home(id, type, home->epoch);
      if (ended && !now) co_return now.error();
    }
    // It is elsewhere by now, has not arranged the partitions yet, or is lost: another one will answer.
    const bool another = ended || map.code() == Errc::moved || map.code() == Errc::node_gone || map.code() == Errc::unavailable;
    if (another) co_return Error::refusal(Errc::moved, map.error().text());
    co_return std::move(map).error();
  }
  co_return keep(id, partition, *std::move(map));
}

Error failed_partition(std::size_t partition, const Error& error) {
  return Error(error.code(), "partition " + std::to_string(partition) + ": " + error.text());
}

void Partitioning::become_home(ObjectId id) {
  // The answer may be that it is not arranged yet; asking is what starts it.
  static_cast<void>(block_on(kPartitionService.on(this_node(), this_core()).call<&PartitionService::map>(id)));
}

}  // namespace ebb::detail
