// Partitions on their way: what owners do when the home tells them to take, to give, or to say what they have.
#include "src/object/partition_service.h"

#include <algorithm>
#include <exception>
#include <memory>
#include <string>
#include <utility>

#include "ebb/async/core.h"
#include "ebb/async/on_core.h"
#include "ebb/async/sleep.h"
#include "ebb/async/when_all.h"
#include "ebb/object/home.h"
#include "ebb/object/node_table.h"
#include "ebb/platform/translation_table.h"
#include "src/object/partition.h"
#include "src/object/state.h"

namespace ebb::detail {
namespace {

// How long calls under way may take to end before a partition stays where it is, and how often that is looked at.
constexpr platform::Duration kReleaseLimit = std::chrono::seconds(20);
constexpr platform::Duration kReleaseLook = std::chrono::microseconds(200);
constexpr platform::Duration kForgetTimeout = std::chrono::seconds(2);
constexpr platform::Duration kForgetAgain = std::chrono::milliseconds(10);

std::string describe(ObjectId id) { return "object " + std::to_string(id.index()); }
CoreIndex this_core() noexcept { return Core::current().index(); }

/// This core's part, made if it has not been touched; nullptr when the object is no partitioned one, or gone. Errors: what
/// else a miss ends with; then there may be a part another time.
task<Result<PartitionRoot*>> touched_root(ObjectId id) {
  auto touch = [id]() -> Result<void> {
    try {
      if (NodeTable::instance().root_of(id) == nullptr || platform::translate(id) == nullptr) NodeTable::instance().miss(id);
    } catch (const ErrorException& error) {
      const Errc code = error.error().code();
      if (code != Errc::no_such_object && code != Errc::interface_mismatch) return error.error();
    }
    return {};
  };
  if (Result<void> touched = co_await on_core(this_core(), touch); !touched) co_return std::move(touched).error();
  const TypeDescriptor* type = NodeTable::instance().type_of(id);
  if (type == nullptr || type->serve != &partitioned::serve) co_return nullptr;
  co_return static_cast<PartitionRoot*>(NodeTable::instance().root_of(id));
}

/// The same, where no part and no part at the moment are one.
task<PartitionRoot*> need_root(ObjectId id) {
  const Result<PartitionRoot*> root = co_await touched_root(id);
  co_return root ? *root : nullptr;
}

CorePartitions* part_here(ObjectId id) {
  const TypeDescriptor* type = NodeTable::instance().type_of(id);
  if (type == nullptr || type->serve != &partitioned::serve) return nullptr;
  auto* root = static_cast<PartitionRoot*>(NodeTable::instance().root_of(id));
  return root == nullptr ? nullptr : &root->cores[to_number(this_core())];
}

Error older(ObjectId id) { return Error(Errc::moved, "who has which partition of " + describe(id) + " has been decided anew"); }
void log_failure(ObjectId id, std::uint32_t partition, const std::string& text) {
  platform::write_log("ebb: partition " + std::to_string(partition) + " of " + describe(id) + " cannot be taken over: " + text);
}

Error gone(ObjectId id) { return Error(Errc::no_such_object, describe(id) + " is no partitioned object here"); }

/// Tells the old owner that it may forget its copy. Errors: moved (a new round began meanwhile), no_such_object (the object
/// has ended here, or there: no round will ever say so).
task<Errc> take_last_copy(ObjectId id, std::uint64_t round, Adoption adoption) {
  for (;;) {
    const auto forgotten = co_await kPartitionService.on(adoption.from.node, adoption.from.core)
                               .within(kForgetTimeout)
                               .call<&PartitionService::forget>(id, round, adoption.partition);
    if (forgotten || forgotten.code() == Errc::not_found) co_return Errc::ok;
    if (forgotten.code() == Errc::moved) co_return Errc::moved;
    if (forgotten.code() == Errc::no_such_object || part_here(id) == nullptr) co_return Errc::no_such_object;
    if (!is_member(adoption.from.node)) co_return Errc::ok;
    co_await sleep_for(kForgetAgain);
  }
}

/// An instance with the state that its old owner gave. Errors: what the constructor or restore() throws.
Result<std::shared_ptr<Partition>> make_from(const std::vector<std::byte>& state, ObjectId id, std::uint32_t partition,
                                             const PartitionType& kind, const TypeDescriptor& type) {
  try {
    auto made = std::make_shared<Partition>(kind, kind.make(id, partition, false));
    if (Result<void> restored = restore_state(type, made->instance, state); !restored) return std::move(restored).error();
    return made;
  } catch (...) {
    return to_error(std::current_exception()).as_answer();
  }
}

task<Errc> adopt_from(ObjectId id, std::uint64_t round, Adoption adoption, const PartitionType* kind) {
  const auto parcel = co_await kPartitionService.on(adoption.from.node, adoption.from.core)
                          .within(kReleaseLimit + kForgetTimeout)
                          .call<&PartitionService::release>(id, round, adoption.partition);
  if (!parcel) co_return parcel.code();
  if (!*parcel) co_return Errc::overloaded;
  const auto state = co_await fetch_parcel(**parcel);
  // The old owner still has the partition, whatever became of the parcel.
  if (!state) co_return Errc::unavailable;
  const TypeDescriptor* type = NodeTable::instance().type_of(id);
  if (type == nullptr) co_return Errc::no_such_object;
  auto made = make_from(*state, id, adoption.partition, *kind, *type);
  if (!made) {
    log_failure(id, adoption.partition, made.error().text());
    // Or it would answer nobody until the round is over, which others may make last.
    const auto kept = co_await kPartitionService.on(adoption.from.node, adoption.from.core)
                          .within(kForgetTimeout)
                          .call<&PartitionService::keep>(id, round, adoption.partition);
    static_cast<void>(kept);
    co_return made.code();
  }
  if (const Errc taken = co_await take_last_copy(id, round, adoption); taken != Errc::ok) co_return taken;
  // No wait from here: the old copy is gone, and this one answers.
  CorePartitions* mine = part_here(id);
  if (mine == nullptr) co_return Errc::no_such_object;
  mine->held[adoption.partition] = *std::move(made);
  co_return Errc::ok;
}

/// In an event that can block: so may a constructor, and on_lost().
task<Errc> make_anew(ObjectId id, Adoption adoption, const PartitionType* kind) {
  auto make = [id, adoption, kind] {
    return std::make_shared<Partition>(*kind, kind->make(id, adoption.partition, adoption.lost));
  };
  auto made = co_await on_core(this_core(), make);
  CorePartitions* mine = part_here(id);
  if (mine == nullptr) co_return Errc::no_such_object;
  mine->held[adoption.partition] = std::move(made);
  co_return Errc::ok;
}

task<Errc> adopt_one(ObjectId id, std::uint64_t round, Adoption adoption) {
  PartitionRoot* root = co_await need_root(id);
  CorePartitions* mine = part_here(id);
  if (root == nullptr || mine == nullptr || adoption.partition >= root->type.count) co_return Errc::no_such_object;
  if (round < mine->sealed) co_return Errc::moved;
  mine->sealed = round;
  if (mine->adopting.contains(adoption.partition)) co_return Errc::unavailable;  // an earlier attempt is still at it
  if (const auto held = mine->held.find(adoption.partition); held != mine->held.end()) {
    held->second->frozen.reset();
    co_return Errc::ok;
  }
  mine->adopting.insert(adoption.partition);
  Errc code = Errc::application_error;
  try {
    task<Errc> work = adoption.from.node == kNoNode ? make_anew(id, adoption, &root->type)
                                                    : adopt_from(id, round, adoption, &root->type);
    code = co_await std::move(work);
  } catch (...) {
    log_failure(id, adoption.partition, to_error(std::current_exception()).text());
  }
  if (CorePartitions* still = part_here(id)) still->adopting.erase(adoption.partition);
  co_return code;
}

/// Keeps calls from a partition that is to be given away; until its state has been given, every way out lets them in again.
class Freeze {
 public:
  Freeze(std::shared_ptr<Partition> partition, std::uint64_t round) : partition_(std::move(partition)), round_(round) {
    partition_->frozen = round_;
  }
  ~Freeze() {
    if (!given_ && lasts()) partition_->frozen.reset();
  }
  Freeze(const Freeze&) = delete;
  Freeze& operator=(const Freeze&) = delete;
  /// False when a later round has frozen it, or has its owner keep it.
  bool lasts() const noexcept { return partition_->frozen == round_; }
  const Partition& partition() const noexcept { return *partition_; }
  void given() noexcept { given_ = true; }

 private:
  const std::shared_ptr<Partition> partition_;
  const std::uint64_t round_;
  bool given_ = false;
};

}  // namespace

task<std::size_t> partitions_here() {
  std::size_t count = 0;
  for (std::uint16_t core = 0; core < Core::count(); ++core) {
    auto look = [] {
      std::size_t here = 0;
      NodeTable::instance().for_each([&here](ObjectId id, const TypeDescriptor&, std::uint64_t) {
        if (const CorePartitions* mine = part_here(id)) here += mine->held.size() + mine->adopting.size();
        return true;
      });
      return here;
    };
    count += co_await on_core(CoreIndex{core}, look);
  }
  co_return count;
}

task<Result<PartitionMap>> PartitionService::map(ObjectId id) {
  const CallUnderWay call(id);  // the object's end waits: what is asked below is asked of its parts
  const Result<PartitionRoot*> touched = co_await touched_root(id);
  if (!touched) co_return Error(Errc::moved, "at the moment nobody arranges the partitions of " + describe(id) + ": " + touched.error().text());
  PartitionRoot* const root = *touched;
  if (root == nullptr) co_return gone(id);
  const TypeDescriptor* type = NodeTable::instance().type_of(id);
  auto home = co_await find_home(id, type, 0);
  const auto is_here = [](const Home& each) { return each.node == this_node() && each.core == this_core(); };
  if (home && !is_here(*home)) home = co_await find_home(id, type, home->epoch);
  if (!home) co_return std::move(home).error();
  if (!is_here(*home)) co_return Error(Errc::moved, describe(id) + " lives on node " + std::to_string(to_number(home->node)));
  require_lease();
  const bool present = root->home.load(std::memory_order_acquire) == this_core() && root->coordinator &&
                       root->coordinator->epoch() == home->epoch;
  if (!present) {
    if (const auto former = std::move(root->coordinator)) {
      spawn_on_when_room(root->home.load(std::memory_order_acquire), [former] { former->end(); });
    }
    root->coordinator = std::make_shared<Coordinator>(id, root->type.count, home->epoch);
    root->home.store(this_core(), std::memory_order_release);
    root->coordinator->start();
  }
  const auto map = root->coordinator->map();
  if (map == nullptr) co_return Error(Errc::moved, "the partitions of " + describe(id) + " are being arranged");
  co_return *map;
}

task<Result<std::vector<Errc>>> PartitionService::adopt(ObjectId id, std::uint64_t round, std::vector<Adoption> adoptions) {
  std::vector<task<Errc>> works;
  if (adoptions.size() > partitioned::kMaxPartitions) co_return Error(Errc::too_large, "more partitions than an object has");
  for (const Adoption& adoption : adoptions) works.push_back(adopt_one(id, round, adoption));
  co_return co_await when_all(std::move(works));
}

task<Result<std::optional<Parcel>>> PartitionService::release(ObjectId id, std::uint64_t round, std::uint32_t partition) {
  const platform::Instant give_up = platform::Clock::now() + kReleaseLimit;
  CorePartitions* mine = part_here(id);
  if (mine == nullptr) co_return gone(id);
  if (round < mine->sealed) co_return older(id);
  mine->sealed = round;
  const auto found = mine->held.find(partition);
  if (found == mine->held.end()) {
    co_return Error(Errc::not_found, "partition " + std::to_string(partition) + " of " + describe(id) + " is not here");
  }
  Freeze freeze(found->second, round);
  while (freeze.partition().calls != 0) {
    if (platform::Clock::now() > give_up) co_return std::optional<Parcel>();
    co_await sleep_for(kReleaseLook);
    mine = part_here(id);
    if (mine == nullptr) co_return gone(id);
    if (round < mine->sealed || !freeze.lasts()) co_return older(id);
  }
  auto state = save_state(*NodeTable::instance().type_of(id), freeze.partition().instance);
  if (!state) co_return std::move(state).error();
  auto parcel = send_parcel(*std::move(state));
  if (!parcel) co_return std::move(parcel).error();
  freeze.given();
  co_return std::optional<Parcel>(*std::move(parcel));
}

Result<void> PartitionService::keep(ObjectId id, std::uint64_t round, std::uint32_t partition) {
  CorePartitions* mine = part_here(id);
  if (mine == nullptr) return gone(id);
  const auto found = mine->held.find(partition);
  if (found != mine->held.end() && found->second->frozen == round) found->second->frozen.reset();
  return {};
}

Result<void> PartitionService::forget(ObjectId id, std::uint64_t round, std::uint32_t partition) {
  CorePartitions* mine = part_here(id);
  if (mine == nullptr) return gone(id);
  const auto found = mine->held.find(partition);
  if (found == mine->held.end()) {
    // Whoever asks again, since the first answer was lost, has the last copy, and keeps it whatever has been decided meanwhile.
    const auto given = mine->forgotten.find(partition);
    if (given != mine->forgotten.end() && given->second == round) return {};
  }
  if (round < mine->sealed) return older(id);
  if (found == mine->held.end()) return Error(Errc::not_found, "it is forgotten already");
  // One that answers again was adopted back from itself by a later decision.
  if (!found->second->frozen) return older(id);
  mine->held.erase(found);
  mine->forgotten[partition] = round;
  return {};
}

task<Result<std::vector<Held>>> PartitionService::holdings(ObjectId id, std::uint64_t round) {
  // Also where there is none yet: what was decided before must not make one later.
  const Result<PartitionRoot*> root = co_await touched_root(id);
  if (!root) co_return root.error();
  std::vector<Held> all;
  for (std::uint16_t core = 0; core < Core::count(); ++core) {
    auto look = [id, round]() -> Result<std::vector<Held>> {
      CorePartitions* mine = part_here(id);
      std::vector<Held> here;
      if (mine == nullptr) return here;
      if (round < mine->sealed) return older(id);
      mine->sealed = round;
      for (const auto& [partition, held] : mine->held) {
        here.push_back({partition, this_core(), held->frozen ? Hold::frozen : Hold::live});
      }
      for (const std::uint32_t partition : mine->adopting) here.push_back({partition, this_core(), Hold::adopting});
      return here;
    };
    auto here = co_await on_core(CoreIndex{core}, look);
    if (!here) co_return std::move(here).error();
    all.insert(all.end(), here->begin(), here->end());
  }
  co_return all;
}

}  // namespace ebb::detail
