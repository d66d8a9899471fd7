#include "src/node/home_keeper.h"

#include <algorithm>
#include <tuple>
#include <utility>
#include <vector>

#include "ebb/async/when_all.h"
#include "ebb/base/hash.h"
#include "ebb/object/node_table.h"
#include "ebb/object/type.h"
#include "ebb/object/lease.h"
#include "src/node/system_objects.h"
#include "src/object/replica_service.h"

namespace ebb::detail {
namespace {

// How long a member may take to say how far its replica is; one that does not answer is not chosen.
constexpr platform::Duration kSealTimeout = std::chrono::seconds(5);

}  // namespace

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
  if (closed_ || waiting_.contains(member)) return;
  const platform::Instant lease_end = last_heard + kLeaseEnds;
  const TimerId timer = Core::current().call_at(lease_end, [this, member] {
    waiting_.erase(member);
    begin(member, true);
  });
  waiting_[member] = {lease_end, timer};
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
  Core::current().cancel(found->second.timer);
  waiting_.erase(found);
  begin(member, true);
}

void HomeKeeper::close() {
  closed_ = true;
  for (const auto& [member, waiting] : std::exchange(waiting_, {})) Core::current().cancel(waiting.timer);
  for (const auto& [member, timer] : std::exchange(second_look_, {})) Core::current().cancel(timer);
}

void HomeKeeper::begin(NodeId member, bool again) {
  if (closed_) return;
  scope_.spawn(make_anew(member));
  if (!again) return;
  second_look_[member] = Core::current().call_after(kSecondLook, [this, member] {
    second_look_.erase(member);
    begin(member, false);
  });
}

task<void> HomeKeeper::make_anew(NodeId member) {
  const std::string who = member == kNoNode ? "an earlier cluster" : "node " + std::to_string(to_number(member));
  if (const auto ended = co_await NodeTable::instance().directory().end_leases(member); !ended) {
    platform::write_log("ebb: ids that " + who + " held do not come back yet: " + ended.error().text());
  }
  ObjectId last;
  std::uint32_t lost = 0;
  for (;;) {
    const auto records = co_await NodeTable::instance().directory().list_at(member, last, kBatch);
    if (!records) {
      platform::write_log("ebb: the homes of " + who + " cannot be made anew: " + records.error().text());
      co_return;
    }
    if (records->empty()) break;
    last = records->back().id;
    std::vector<task<bool>> works;
    for (const ObjectRecord& record : *records) {
      const TypeDescriptor* type = TypeRegistration::find(record.interface_id);
      // Kinds without a home only remember who created them.
      if (type == nullptr || !type->exclusive) continue;
      if (type->remade) {
        works.push_back(make_anew(record));
      } else if (++lost <= kMaxReports) {
        platform::write_log("ebb: object " + std::to_string(record.id.index()) + ", a " + record.interface_name +
                            ", was lost with " + who);
      }
    }
    const auto made = co_await when_all(std::move(works));
    static_cast<void>(made);
    if (closed_) co_return;
  }
  if (lost > kMaxReports) {
    platform::write_log("ebb: " + std::to_string(lost - kMaxReports) + " more objects were lost with " + who);
  }
}

task<void> HomeKeeper::move_from(NodeId member) {
  ObjectId last;
  while (!closed_) {
    const auto records = co_await NodeTable::instance().directory().list_at(member, last, kBatch);
    // What has not moved is as if the node had died.
    if (!records || records->empty()) co_return;
    last = records->back().id;
    std::vector<task<void>> works;
    for (const ObjectRecord& record : *records) works.push_back(move(record));
    co_await when_all(std::move(works));
  }
}

task<void> HomeKeeper::move(ObjectRecord record) {
  const TypeDescriptor* type = TypeRegistration::find(record.interface_id);
  if (type == nullptr || !type->exclusive || type->state.save == nullptr) co_return;
  const Member target = choose_home(record.id, record.epoch + 1, Node::current()->members());
  const CoreIndex core{static_cast<std::uint16_t>(record.id.index() % target.cores)};
  if (type->caches) {
    static_cast<void>(co_await kNodeService.on(target.id).call<&NodeService::touch>(record.id, core));
  } else if (type->serve == nullptr) {
    const Result<void> moved = co_await migrate(record.id, type, target.id, core);
    if (!moved && moved.code() != Errc::no_such_object) {
      platform::write_log("ebb: object " + std::to_string(record.id.index()) + " stays on node " +
                          std::to_string(to_number(record.home)) + ", which leaves: " + moved.error().text());
    }
  }
}

/// The replica that has seen the most writes, where there are replicas; else a member that the object's id chooses.
task<Home> HomeKeeper::next_home(ObjectRecord record) {
  const std::uint32_t epoch = record.epoch + 1;
  const std::vector<Member> members = Node::current()->members();
  const TypeDescriptor* type = TypeRegistration::find(record.interface_id);
  if (type != nullptr && type->caches) {
    std::vector<task<Result<ReplicaState>>> works;
    for (const Member& member : members) {
      works.push_back(kReplicaService.on(member.id).within(kSealTimeout).call<&ReplicaService::seal>(record.id, epoch));
    }
    const auto states = co_await when_all(std::move(works));
    Home best;
    ReplicaState farthest;
    for (std::size_t at = 0; at < members.size(); ++at) {
      if (!states[at] || states[at]->epoch == 0 || members[at].leaving) continue;
      const ReplicaState& state = *states[at];
      if (std::tie(state.epoch, state.writes) < std::tie(farthest.epoch, farthest.writes)) continue;
      farthest = state;
      best = {members[at].id, state.core, epoch};
    }
    if (best.node != kNoNode) co_return best;
  }
  const Member chosen = choose_home(record.id, epoch, members);
  co_return Home{chosen.id, CoreIndex{static_cast<std::uint16_t>(record.id.index() % chosen.cores)}, epoch};
}

task<bool> HomeKeeper::make_anew(ObjectRecord record) {
  for (;;) {
    const Node* node = Node::current();
    if (node == nullptr || closed_) co_return false;
    const Home home = co_await next_home(record);
    const auto moved = co_await NodeTable::instance().directory().re_home(record.id, record.epoch, home.node, home.core);
    if (!moved) {
      // Destroyed, or already elsewhere: both are as good.
      if (moved.code() != Errc::no_such_object && moved.code() != Errc::moved) {
        platform::write_log("ebb: object " + std::to_string(record.id.index()) + " got no new home: " + moved.error().text());
      }
      co_return false;
    }
    record = *moved;
    // Lost in the meantime, and its homes perhaps looked at before this one was there: on to another.
    if (!is_member(home.node)) continue;
    // At once rather than at the next call; if this fails, that call makes it, or the loss of this home is the next to come.
    static_cast<void>(co_await kNodeService.on(home.node).call<&NodeService::make_home>(record.id, home.core));
    co_return true;
  }
}

}  // namespace ebb::detail
