// Homes on their way from one living node to another.
#include "src/object/home_service.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "ebb/async/core.h"
#include "ebb/async/on_core.h"
#include "ebb/async/sleep.h"
#include "ebb/object/home.h"
#include "ebb/object/node_table.h"
#include "ebb/platform/translation_table.h"
#include "src/object/mismatch.h"
#include "src/object/moves.h"
#include "src/object/state.h"

namespace ebb::detail {
namespace {

// How long calls under way may take to end before a home stays where it is, and how often that is looked at.
constexpr platform::Duration kGiveLimit = std::chrono::seconds(20);
constexpr platform::Duration kGiveLook = std::chrono::microseconds(200);
// How long a state may be on its way: a large one takes its time. A home that was given waits a little longer to hear that the
// move is done before it asks the directory; whoever moves it says so if it has failed.
constexpr platform::Duration kTravelLimit = std::chrono::seconds(8);
constexpr platform::Duration kTravelPerMebibyte = std::chrono::milliseconds(250);
constexpr platform::Duration kGivenRest = std::chrono::seconds(2);
constexpr platform::Duration kAskAgain = std::chrono::seconds(1);

platform::Duration travel_limit(const Parcel& state) {
  return kTravelLimit + kTravelPerMebibyte * static_cast<std::int64_t>(std::min<std::uint64_t>(state.size, kMaxParcel) >> 20);
}

/// Ends an instance of this core when another is the home. The object's end waits for that, since the root must outlive it; one that
/// has begun before ends the instance itself (forget_moves).
void end_given(ObjectId id, const Given& given) {
  if (NodeTable::instance().living_type_of(id) == nullptr) return;
  const CallUnderWay held(id);
  if (remove_given(id, given)) given.type->end_representative(given.instance, given.root);
}

/// Nobody says any more what becomes of the move out of `epoch`: makes this core, which is the one that gave it, the home again, in
/// a new epoch, unless there is another already. False if the directory does not answer. Meanwhile the object may have come back
/// and be given away once more, from another core even.
task<bool> settle(ObjectId id, std::uint32_t epoch) {
  const auto given = find_given(id);
  if (!given || given->epoch != epoch) co_return true;
  NodeTable& table = NodeTable::instance();
  auto record = co_await table.directory().re_home(id, epoch, this_node(), given->core);
  // What is known here still names this core: a miss must not believe it once the instance is forgotten.
  if (record.code() == Errc::moved) record = co_await table.lookup(id);
  if (!record && record.code() != Errc::no_such_object) co_return false;
  // Perhaps by an attempt whose answer was lost: nobody else gives this core the very next epoch.
  const bool kept = record && home_of(*record) == Home{this_node(), given->core, epoch + 1};
  const auto mine = find_given(id);
  if (!mine || mine->number != given->number) co_return true;
  if (record) table.learn_home(id, home_of(*record));
  if (!kept) {
    end_given(id, *mine);
    co_return true;
  }
  if (!remove_given(id, *mine)) co_return true;
  // The state may have been meant for another core of this node, and be here as one of the epoch that has just begun.
  discard_taken(id);
  table.put_back(id, mine->instance);
  co_return true;
}

// No co_await in the condition of a loop: gcc 12 ends the task there before it has ended.
Detached settle_at_last(ObjectId id, std::uint32_t epoch) {
  for (;;) {
    const bool settled = co_await settle(id, epoch);
    if (settled) co_return;
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

}  // namespace

/// What a given instance gives to take along.
static Result<std::optional<Parcel>> pack(const Given& given) {
  auto state = save_state(*given.type, given.instance);
  if (!state) return std::move(state).error();
  auto parcel = send_parcel(*std::move(state));
  if (!parcel) return std::move(parcel).error();
  return std::optional<Parcel>(*std::move(parcel));
}

/// This core's instance, out of its slot and on the list of those that are given away.
static task<Result<Given>> begin_to_give(ObjectId id, std::uint32_t epoch) {
  NodeTable& table = NodeTable::instance();
  // The directory would refuse, when the instance is out of its slot and could not come back either.
  if (epoch >= Home::kMaxEpoch) {
    co_return Error(Errc::resource_exhausted, describe(id) + " has moved 16,777,214 times, and stays where it is; create another one");
  }
  if (platform::translate(id) == nullptr) {
    // Nobody has touched it since it came here.
    if (Result<void> made = co_await make_here(id); !made) co_return std::move(made).error();
  }
  const TypeDescriptor* type = table.type_of(id);
  const Home home = table.home_of(id);
  const CoreIndex here = Core::current().index();
  if (type == nullptr || home.node != this_node() || home.core != here || home.epoch != epoch) {
    co_return Error(Errc::moved, describe(id) + " has no such home here");
  }
  if (!has_one_instance(*type) || type->state.save == nullptr) {
    co_return Error(Errc::invalid_argument, "the state of " + describe(id) + ", a " + std::string(type->interface_name) +
                                                ", does not travel: it needs save() and restore()");
  }
  Given given{here, epoch, table.take_out(id), type, table.root_of(id)};
  if (given.instance == nullptr) co_return Error(Errc::moved, describe(id) + " ends here");
  given.number = add_given(id, given);
  co_return given;
}

/// Back into its slot, though calls may be under way in it. Where the object ends meanwhile, its end waits for these and then ends
/// the instance (forget_moves).
static void stay(ObjectId id, const Given& given) {
  NodeTable& table = NodeTable::instance();
  if (table.living_type_of(id) != nullptr && remove_given(id, given)) table.put_back(id, given.instance);
}

task<Result<std::optional<Parcel>>> HomeService::give(ObjectId id, std::uint32_t epoch) {
  NodeTable& table = NodeTable::instance();
  if (const auto given = find_given(id); given && given->epoch == epoch && given->core == Core::current().index()) {
    if (!given->drained) co_return Error(Errc::moved, describe(id) + " is being moved already");
    co_return pack(*given);
  }
  const auto given = co_await begin_to_give(id, epoch);
  if (!given) co_return given.error();
  const platform::Instant give_up = platform::Clock::now() + kGiveLimit;
  while (table.calls_under_way(id) != 0) {
    if (platform::Clock::now() > give_up) {
      stay(id, *given);
      co_return std::optional<Parcel>();
    }
    co_await sleep_for(kGiveLook);
    if (const auto still = find_given(id); !still || still->number != given->number) break;
  }
  if (!mark_drained(id, *given)) co_return Error(Errc::moved, describe(id) + " has ended here, or is kept");
  auto state = pack(*given);
  if (state) {
    Core::current().call_after(travel_limit(**state) + kGivenRest, [id, epoch] { settle_at_last(id, epoch); });
  } else {
    stay(id, *given);
  }
  co_return state;
}

task<Result<void>> HomeService::keep(ObjectId id, std::uint32_t epoch) {
  const auto given = find_given(id);
  if (!given || given->epoch != epoch || given->core != Core::current().index()) co_return Result<void>();
  if (!given->drained) {
    // Nobody has its state.
    stay(id, *given);
  } else if (!co_await settle(id, epoch)) {
    co_return Error(Errc::unavailable, "the directory does not say whose home " + describe(id) + " is");
  }
  co_return Result<void>();
}

task<Result<void>> HomeService::take(ObjectId id, std::uint32_t epoch, Parcel parcel) {
  co_await discard_abandoned();
  const Room room(parcel.size);
  if (!room) co_return Error(Errc::overloaded, "too many objects are on their way to this node; try again later");
  auto state = co_await fetch_parcel(std::move(parcel));
  if (!state) co_return std::move(state).error();
  const Result<void> kept = keep_taken(id, epoch, *std::move(state));
  if (kept) Core::current().call_after(kTakenLimit + kAskAgain, [] { discard_abandoned_later(); });
  co_return kept;
}

task<Result<void>> HomeService::arrive(ObjectId id) {
  co_return co_await make_here(id);
}

task<Result<void>> HomeService::forget(ObjectId id) {
  const auto record = co_await NodeTable::instance().lookup(id);
  if (!record && record.code() != Errc::no_such_object) co_return record.error();
  const auto given = find_given(id);
  if (!given || given->core != Core::current().index()) co_return Result<void>();
  // Also if it is to be this core's again: it has yet to hear so (settle()), and the instance is all that there is.
  const bool here_again = record && home_of(*record) == Home{this_node(), given->core, given->epoch + 1};
  if (here_again || (record && record->epoch <= given->epoch)) co_return Error(Errc::moved, "the directory names no other home yet");
  if (record) NodeTable::instance().learn_home(id, home_of(*record));
  const auto mine = find_given(id);
  if (mine && mine->epoch == given->epoch) end_given(id, *mine);
  co_return Result<void>();
}

/// What has been given, to its new home.
static task<Result<void>> bring(ObjectId id, Home from, NodeId node, CoreIndex core, Parcel state) {
  const platform::Duration limit = travel_limit(state);
  const auto taken = co_await kHomeService.on(node, core).within(limit).call<&HomeService::take>(id, from.epoch + 1, std::move(state));
  if (!taken) co_return taken;
  const auto moved = co_await NodeTable::instance().directory().re_home(id, from.epoch, node, core);
  if (!moved) co_return moved.error();
  NodeTable::instance().learn_home(id, home_of(*moved));
  co_return Result<void>();
}

/// What an instance that is not there yet may be due to, and nobody need hear of. Everything else its handler or restore() threw.
static bool is_of_the_way(Errc code) noexcept {
  switch (code) {
    case Errc::moved:           // on, by somebody else
    case Errc::no_such_object:  // it has ended
    case Errc::node_gone:
    case Errc::deadline_exceeded:
    case Errc::cancelled:
    case Errc::overloaded:
    case Errc::unavailable:
      return true;
    default:
      return false;
  }
}

task<Result<void>> migrate(ObjectId id, const TypeDescriptor* type, NodeId node, CoreIndex core) {
  if (!id.valid()) co_return names_nothing();
  if (id < kFirstDynamicObject) {
    co_return Error(Errc::invalid_argument, "the home of static object " + std::to_string(id.index()) + " stays on the front end");
  }
  NodeTable::instance().enter(kHomeService.id(), kTypeDescriptor<HomeService>);  // one node by itself has nobody who did
  auto from = co_await find_home(id, type, 0);
  if (from) from = co_await find_home(id, type, from->epoch);
  if (!from) co_return std::move(from).error();
  if (from->node == node && from->core == core) co_return Result<void>();
  if (!has_core(node, core)) {
    co_return Error(Errc::invalid_argument, "there is no node " + std::to_string(to_number(node)) + " with a core " +
                                                std::to_string(to_number(core)) + " to move an object to");
  }
  const auto old = kHomeService.on(from->node, from->core);
  auto state = co_await old.call<&HomeService::give>(id, from->epoch);
  if (state && !*state) co_return Error(Errc::overloaded, "calls of " + describe(id) + " have not ended for 20 s; it stays");
  Result<void> moved = state ? Result<void>() : Result<void>(state.error());
  if (state) moved = co_await bring(id, *from, node, core, **std::move(state));
  if (!moved) {
    // It may have been given all the same, and would wait. That nobody else has become the home meanwhile is looked at there.
    const bool somebody_else = moved.code() == Errc::moved || moved.code() == Errc::no_such_object;
    if (!somebody_else) static_cast<void>(co_await old.call<&HomeService::keep>(id, from->epoch));
    co_return moved;
  }
  // Neither is needed for what is promised: the old home asks the directory by itself, and the first call makes the new one.
  // But nobody may call for a long time. The state stays there until its restore() has taken it.
  static_cast<void>(co_await old.call<&HomeService::forget>(id));
  const auto arrived = co_await kHomeService.on(node, core).call<&HomeService::arrive>(id);
  if (is_of_the_way(arrived.code())) co_return Result<void>();
  co_return arrived;
}

}  // namespace ebb::detail
