#include "src/node/home_keeper.h"

#include <algorithm>
#include <tuple>
#include <utility>
#include <vector>

#include "ebb/async/sleep.h"
#include "ebb/async/when_all.h"
#include "ebb/base/hash.h"
#include "ebb/object/node_table.h"
#include "ebb/object/type.h"
#include "ebb/object/lease.h"
#include "src/node/caught.h"
#include "src/node/system_objects.h"
#include "src/object/moves.h"
#include "src/object/replica_service.h"

namespace ebb::detail {
namespace {

// How long a member may take to say how far its replica is before it is asked again. One that never answers is soon no member.
constexpr platform::Duration kSealTimeout = std::chrono::seconds(5);
constexpr platform::Duration kSealAgain = std::chrono::milliseconds(10);
// Homes that move away from a node at a time: more would wait for each other's states on their way, and answer nobody meanwhile.
constexpr std::size_t kMovesAtOnce = 8;
// How often a leaver is looked at that may become a home once more, at first and at least, as long as nothing says that it may not.
constexpr platform::Duration kComingLook = std::chrono::milliseconds(50);
constexpr platform::Duration kLongestComingLook = std::chrono::milliseconds(500);

}  // namespace

/// One more member whose homes are being made anew, as long as it lives.
class HomeKeeper::Making {
 public:
  explicit Making(HomeKeeper& keeper) noexcept : keeper_(keeper) { ++keeper_.making_; }
  ~Making() {
    if (--keeper_.making_ == 0) keeper_.wake_lookers();
  }
  Making(const Making&) = delete;
  Making& operator=(const Making&) = delete;

 private:
  HomeKeeper& keeper_;
};

void HomeKeeper::wake_lookers() {
  for (TimedCompletion* each : lookers_) each->complete();
}

task<void> HomeKeeper::wait_for_homes(platform::Duration at_most) {
  TimedCompletion looker(at_most);
  lookers_.push_back(&looker);
  co_await looker;
  std::erase(lookers_, &looker);
}

Member choose_home(ObjectId object, std::uint32_t epoch, const std::vector<Member>& members) {
  // Rendezvous hashing [Thaler, Ravishankar: Using name-based mappings to increase hit rates, 1998].
  Member best;
  std::uint64_t highest = 0;
  const auto may_be_home = [](const Member& member) { return member.id != kFrontEndNode && !member.leaving; };
  const bool backends = std::any_of(members.begin(), members.end(), may_be_home);
  for (const Member& member : members) {
    if (backends ? !may_be_home(member) : member.id != kFrontEndNode) continue;
    const std::uint64_t weight =
        mix64(mix64(std::uint64_t{object.index()} << 32 | to_number(member.id)) + std::uint64_t{epoch} * 0x9e37'79b9'7f4a'7c15);
    if (best.id == kNoNode || weight > highest) {
      best = member;
      highest = weight;
    }
  }
  return best;
}

void HomeKeeper::gone(NodeId member, platform::Instant last_heard) {
  const platform::Instant lease_end = last_heard + kLeaseEnds;
  const auto [place, fresh] = waiting_.try_emplace(member, Waiting{lease_end, TimerId{}});
  if (!fresh || closed_) return;
  try {
    place->second.timer = Core::current().call_at(lease_end, [this, member] {
      waiting_.erase(member);
      begin(member);
    });
  } catch (...) {
    waiting_.erase(place);
    throw;
  }
}

platform::Duration HomeKeeper::leases_end() const {
  platform::Instant last = platform::Clock::now();
  const platform::Instant now = last;
  for (const auto& [member, waiting] : waiting_) last = std::max(last, waiting.lease_end);
  return last - now;
}

void HomeKeeper::ended(NodeId member) {
  const auto found = waiting_.find(member);
  if (found == waiting_.end()) return;
  try {
    begin(member);
  } catch (...) {
    return;  // at the end of its lease, then
  }
  Core::current().cancel(found->second.timer);
  waiting_.erase(found);
}

void HomeKeeper::close() {
  closed_ = true;
  wake_lookers();
  // Not waiting_: their leases end no earlier for that.
  for (const auto& [member, waiting] : waiting_) Core::current().cancel(waiting.timer);
  for (const auto& [member, look] : std::exchange(second_look_, {})) Core::current().cancel(look.timer);
}

void HomeKeeper::begin(NodeId member) {
  if (closed_) return;
  scope_.spawn(make_anew(member, 0));
  // A member may be lost, join again under its id, and be lost again within that time: then it is the last loss that counts.
  SecondLook& look = second_look_[member];
  if (look.timer != TimerId{}) Core::current().cancel(look.timer);
  look.timer = Core::current().call_after(kSecondLook, [this, member] {
    const std::uint64_t reported = second_look_.extract(member).mapped().reported;
    if (!closed_) scope_.spawn(make_anew(member, reported));
  });
}

/// Of those of one member.
struct HomeKeeper::Progress {
  const NodeId member;
  const std::uint64_t reported;
  bool leases_ended = false;
  ObjectId last{};         // up to which they have been looked at
  std::uint32_t lost = 0;  // that are not made anew
  Semaphore window{kBatch};
  Scope works{};

  std::string who() const { return member == kNoNode ? "an earlier cluster" : "node " + std::to_string(to_number(member)); }
};

task<bool> HomeKeeper::make_batch_anew(Progress* progress) {
  Directory& directory = NodeTable::instance().directory();
  if (!progress->leases_ended) {
    const auto ended = co_await directory.end_leases(progress->member);
    progress->leases_ended = true;
    if (!ended) platform::write_log("ebb: ids that " + progress->who() + " held do not come back yet: " + ended.error().text());
  }
  const auto records = co_await directory.list_at(progress->member, progress->last, kBatch);
  if (!records) {
    platform::write_log("ebb: the homes of " + progress->who() + " cannot be made anew: " + records.error().text());
    co_return false;
  }
  for (const ObjectRecord& record : *records) {
    if (const auto next = second_look_.find(progress->member); next != second_look_.end()) {
      next->second.reported = std::max(next->second.reported, record.created);
    }
    const TypeDescriptor* type = TypeRegistration::find(record.interface_id);
    // Kinds without a home only remember who created them.
    const bool has_home = type != nullptr && type->exclusive;
    if (has_home && type->remade) {
      // One whose on_lost() takes long keeps its place in the window, and no other from its own.
      Semaphore::Permit place = co_await progress->window.acquire();
      progress->works.spawn(make_anew(record, std::move(place)));
    } else if (has_home && record.created > progress->reported) {
      if (progress->lost < kMaxReports) {
        platform::write_log("ebb: object " + std::to_string(record.id.index()) + ", a " + record.interface_name +
                            ", was lost with " + progress->who());
      }
      ++progress->lost;
    }
    progress->last = record.id;
  }
  co_return !records->empty();
}

task<void> HomeKeeper::make_anew(NodeId member, std::uint64_t reported) {
  const Making making(*this);
  const platform::Instant give_up = platform::Clock::now() + kSecondLook;
  Progress progress{member, reported};
  int thrown = 0;  // in a row
  for (bool more = true; more && !closed_;) {
    try {
      if (thrown != 0) more = co_await pause_before_retry(thrown - 1, give_up);
      if (more) more = co_await make_batch_anew(&progress);
      thrown = 0;
    } catch (...) {
      if (thrown++ == 0) log_caught("homes of a node that was lost are not made anew yet");
    }
    if (thrown != 0) co_await yield();
  }
  co_await progress.works.join();
  if (!closed_ && progress.lost > kMaxReports) {
    platform::write_log("ebb: " + std::to_string(progress.lost - kMaxReports) + " more objects were lost with " + progress.who());
  }
}

task<void> HomeKeeper::move_from(NodeId member) {
  const platform::Instant give_up = platform::Clock::now() + NodeService::kDrainLimit;
  Semaphore window(kMovesAtOnce);
  platform::Duration pause = kComingLook;
  // Once more from the beginning, for what is created there, or made anew, while others move.
  for (bool again = true; again && !closed_ && is_member(member) && platform::Clock::now() < give_up;) {
    const bool come = co_await homes_come();
    if (come) co_await wait_for_homes(pause);
    if (come) pause = std::min(2 * pause, kLongestComingLook);
    const bool moved = co_await move_all(member, &window, give_up);
    again = come || moved;
  }
}

task<bool> HomeKeeper::move_all(NodeId member, Semaphore* window, platform::Instant give_up) {
  bool moved = false;
  ObjectId last;
  while (!closed_) {
    const auto records = co_await NodeTable::instance().directory().list_at(member, last, kBatch);
    // What has not moved is as if the node had died.
    if (!records || records->empty()) break;
    last = records->back().id;
    std::vector<task<bool>> works;
    for (const ObjectRecord& record : *records) works.push_back(move(record, window, give_up));
    for (const bool each : co_await when_all(std::move(works))) moved = moved || each;
  }
  co_return moved;
}

task<bool> HomeKeeper::homes_come() {
  if (making_ != 0 || closed_) co_return making_ != 0;
  std::vector<NodeId> ends;
  for (const auto& [member, waiting] : waiting_) ends.push_back(member);
  for (const NodeId member : ends) {
    ObjectId last;
    for (;;) {
      const auto records = co_await NodeTable::instance().directory().list_at(member, last, kBatch);
      if (!records || records->empty()) break;
      for (const ObjectRecord& record : *records) {
        const TypeDescriptor* type = TypeRegistration::find(record.interface_id);
        if (type != nullptr && type->caches) co_return true;
      }
      last = records->back().id;
    }
  }
  co_return making_ != 0;
}

task<bool> HomeKeeper::move(ObjectRecord record, Semaphore* window, platform::Instant give_up) {
  const TypeDescriptor* type = TypeRegistration::find(record.interface_id);
  const bool travels = type != nullptr && type->exclusive && type->state.save != nullptr && (type->caches || has_one_instance(*type));
  if (!travels) co_return false;
  const Semaphore::Permit permit = co_await window->acquire();
  // It may have waited long for its turn: until it was destroyed, or moved by others, or until it is too late.
  const auto present = co_await NodeTable::instance().directory().lookup(record.id);
  if (!present || present->home != record.home) co_return false;
  record.epoch = present->epoch;
  Result<void> moved;
  const bool late = platform::Clock::now() >= give_up;
  if (late) moved = Error(Errc::deadline_exceeded, "its turn did not come in time");
  for (int attempt = 0; !late && !closed_; ++attempt) {
    if (!is_member(record.home)) co_return false;  // it was lost meanwhile, and what it had is made anew, or said to be lost
    // Somewhere else each time: a member that has no room, or is lost, is not the only one.
    const Member target = choose_home(record.id, record.epoch + 1 + static_cast<std::uint32_t>(attempt), Node::current()->members());
    const CoreIndex core{static_cast<std::uint16_t>(record.id.index() % target.cores)};
    task<Result<void>> work = type->caches ? kNodeService.on(target.id).call<&NodeService::touch>(record.id, core)
                                           : migrate(record.id, type, target.id, core);
    moved = co_await std::move(work);
    if (moved || moved.code() == Errc::no_such_object) co_return moved && !type->caches;
    const bool again = moved.code() != Errc::too_large && moved.code() != Errc::application_error &&
                       co_await pause_before_retry(attempt, give_up);
    if (!again) break;
  }
  if (!moved) {
    platform::write_log("ebb: object " + std::to_string(record.id.index()) + " stays on node " +
                        std::to_string(to_number(record.home)) + ", which leaves: " + moved.error().text());
  }
  co_return false;
}

/// What `member` has, as soon as it says so; nothing, if it is lost before.
task<ReplicaState> HomeKeeper::seal(NodeId member, ObjectId object, std::uint32_t epoch) {
  while (!closed_ && is_member(member)) {
    const auto state = co_await kReplicaService.on(member).within(kSealTimeout).call<&ReplicaService::seal>(object, epoch);
    if (state) co_return *state;
    co_await sleep_for(kSealAgain);
  }
  co_return ReplicaState();
}

/// The replica that has seen the most writes, where there are replicas; else a member that the object's id chooses.
task<Home> HomeKeeper::next_home(ObjectRecord record) {
  const std::uint32_t epoch = record.epoch + 1;
  const std::vector<Member> members = Node::current()->members();
  const TypeDescriptor* type = TypeRegistration::find(record.interface_id);
  if (type != nullptr && type->caches) {
    std::vector<task<ReplicaState>> works;
    for (const Member& member : members) works.push_back(seal(member.id, record.id, epoch));
    const auto states = co_await when_all(std::move(works));
    Home best;
    std::tuple<std::uint32_t, std::uint64_t, bool> farthest;
    for (std::size_t at = 0; at < members.size(); ++at) {
      // A node that leaves is as good as any while it is there, but others stay.
      const std::tuple here(states[at].epoch, states[at].writes, !members[at].leaving);
      if (states[at].epoch == 0 || (best.node != kNoNode && here < farthest)) continue;
      farthest = here;
      best = {members[at].id, states[at].core, epoch};
    }
    if (best.node != kNoNode) co_return best;
  }
  const Member chosen = choose_home(record.id, epoch, members);
  co_return Home{chosen.id, CoreIndex{static_cast<std::uint16_t>(record.id.index() % chosen.cores)}, epoch};
}

/// One that leaves is the home only until it has left: what it has is to be elsewhere by then.
task<void> HomeKeeper::move_if_leaving(ObjectRecord record) {
  for (const Member& member : Node::current()->members()) {
    if (member.id != record.home || !member.leaving) continue;
    Semaphore window(1);
    co_await move(record, &window, platform::Clock::now() + NodeService::kDrainLimit);
  }
}

task<void> HomeKeeper::find_home(ObjectRecord* record, bool* placed) {
  while (!*placed) {
    const Node* node = Node::current();
    if (node == nullptr || closed_) co_return;
    const Home home = co_await next_home(*record);
    if (closed_) co_return;  // then it is not known who has replicas
    auto moved = co_await NodeTable::instance().directory().re_home(record->id, record->epoch, home.node, home.core);
    if (moved.code() == Errc::unavailable && !is_member(home.node)) continue;  // lost since it was chosen
    if (!moved) {
      // Destroyed, or already elsewhere: both are as good.
      if (moved.code() != Errc::no_such_object && moved.code() != Errc::moved) {
        platform::write_log("ebb: object " + std::to_string(record->id.index()) + " got no new home: " + moved.error().text());
      }
      co_return;
    }
    *record = *std::move(moved);
    // Lost in the meantime, and its homes perhaps looked at before this one was there: on to another.
    *placed = is_member(home.node);
  }
  // At once rather than at the next call; if this fails, that call makes it, or the loss of this home is the next to come.
  static_cast<void>(co_await kNodeService.on(record->home).call<&NodeService::make_home>(record->id, record->home_core));
  if (!closed_) co_await move_if_leaving(*record);
}

task<void> HomeKeeper::make_anew(ObjectRecord record, Semaphore::Permit) {
  const platform::Instant give_up = platform::Clock::now() + kSecondLook;
  bool placed = false;
  int thrown = 0;
  for (bool again = true; again && !closed_;) {
    try {
      if (thrown != 0) again = co_await pause_before_retry(thrown - 1, give_up);
      if (again) co_await find_home(&record, &placed);
      again = false;
    } catch (...) {
      if (thrown++ == 0) log_caught("the new home of an object whose node was lost is not there yet");
    }
    if (again) co_await yield();
  }
}

}  // namespace ebb::detail
