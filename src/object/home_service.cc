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

struct Given {
  CoreIndex core{};
  std::uint32_t epoch = 0;
  void* instance = nullptr;  // out of its slot
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

/// Whoever removes it from the list decides what becomes of it.
std::optional<Given> remove_given(ObjectId id) {
  const std::lock_guard guard(moves().mutex);
  const auto found = moves().given.find(id);
  if (found == moves().given.end()) return std::nullopt;
  const Given given = found->second;
  moves().given.erase(found);
  return given;
}

/// Nobody has said what became of the move: makes this the home again, in a new epoch, unless it has another already.
Detached settle(ObjectId id, const TypeDescriptor* type) {
  co_await sleep_for(kGivenLimit);
  for (;;) {
    const auto given = find_given(id);
    if (!given) co_return;
    const auto kept = co_await NodeTable::instance().directory().re_home(id, given->epoch, this_node(), given->core);
    if (kept || kept.code() == Errc::moved || kept.code() == Errc::no_such_object) {
      const auto mine = remove_given(id);
      if (!mine) co_return;
      if (kept) {
        NodeTable::instance().learn_home(id, home_of(*kept));
        NodeTable::instance().put_back(id, mine->instance);
      } else {
        type->end_representative(mine->instance, nullptr);
      }
      co_return;
    }
    co_await sleep_for(kAskAgain);
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
  std::vector<std::byte> state = std::move(taken->second.state);
  moves().taken_bytes -= state.size();
  moves().taken.erase(taken);
  return state;
}

task<Result<Parcel>> HomeService::give(ObjectId id, std::uint32_t epoch) {
  NodeTable& table = NodeTable::instance();
  const CoreIndex here = Core::current().index();
  const TypeDescriptor* type = table.type_of(id);
  if (const auto given = find_given(id); given && type != nullptr && given->epoch == epoch && given->core == here) {
    co_return send_parcel(type->state.save(given->instance));
  }
  if (platform::translate(id) == nullptr) {
    // Nobody has touched it since it came here: the miss makes it, if this is its home.
    auto touch = [id]() -> Result<void> {
      try {
        NodeTable::instance().miss(id);
        return {};
      } catch (...) {
        return to_error(std::current_exception());
      }
    };
    if (Result<void> touched = co_await on_core(here, touch); !touched) co_return std::move(touched).error();
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
      if (remove_given(id)) table.put_back(id, instance);
      co_return Error(Errc::overloaded, "calls of object " + std::to_string(id.index()) + " have not ended for 20 s; it stays");
    }
    co_await sleep_for(kGiveLook);
  }
  auto state = send_parcel(type->state.save(instance));
  if (state) {
    settle(id, type);
  } else if (remove_given(id)) {
    table.put_back(id, instance);
  }
  co_return state;
}

task<Result<void>> HomeService::take(ObjectId id, std::uint32_t epoch, Parcel parcel) {
  auto fetched = co_await fetch_parcel(std::move(parcel));
  if (!fetched) co_return std::move(fetched).error();
  std::vector<std::byte> state = *std::move(fetched);
  const platform::Instant now = platform::Clock::now();
  Moves& all = moves();
  const std::lock_guard guard(all.mutex);
  for (auto each = all.taken.begin(); each != all.taken.end();) {
    if (each->second.expires < now || each->first == id) {
      all.taken_bytes -= each->second.state.size();
      each = all.taken.erase(each);
    } else {
      ++each;
    }
  }
  if (all.taken.size() >= kMaxTaken || all.taken_bytes + state.size() > kMaxTakenBytes) {
    co_return Error(Errc::overloaded, "too many objects are on their way to this node; try again later");
  }
  all.taken_bytes += state.size();
  all.taken[id] = {epoch, std::move(state), now + kTakenLimit};
  co_return Result<void>();
}

task<Result<void>> HomeService::forget(ObjectId id) {
  const TypeDescriptor* type = NodeTable::instance().type_of(id);
  const auto record = co_await NodeTable::instance().lookup(id);
  if (!record && record.code() != Errc::no_such_object) co_return record.error();
  const auto given = find_given(id);
  if (!given || type == nullptr) co_return Result<void>();
  if (record && record->epoch == given->epoch) co_return Error(Errc::moved, "the directory names no other home yet");
  if (record) NodeTable::instance().learn_home(id, home_of(*record));
  if (const auto mine = remove_given(id)) type->end_representative(mine->instance, nullptr);
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
  static_cast<void>(co_await kHomeService.on(from->node, from->core).call<&HomeService::forget>(id));
  co_return Result<void>();
}

}  // namespace ebb::detail
