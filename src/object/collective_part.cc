#include "src/object/collective_part.h"

#include <algorithm>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "ebb/async/core.h"
#include "ebb/async/on_core.h"
#include "ebb/async/when_all.h"
#include "ebb/object/call_context.h"
#include "ebb/object/node_link.h"
#include "ebb/object/node_table.h"
#include "ebb/object/type.h"
#include "ebb/platform/translation_table.h"
#include "src/object/fan_out.h"
#include "src/object/in_turn.h"

namespace ebb::detail {
namespace {

/// What a core has to say.
struct Share {
  CoreIndex core{};
  bool took_part = false;
  Result<Bytes> result = Bytes();
};
struct Shared {
  Collective collective;
  CallOrigin origin;
  CoreIndex first{};  // of those that are asked
};
using Work = std::shared_ptr<const Shared>;

/// An instance that all cores of a node share counts once, and does it once.
bool is_anothers(ObjectId id, CoreIndex first) {
  const TypeDescriptor* type = NodeTable::instance().type_of(id);
  return type != nullptr && type->shared && Core::current().index() != first;
}

task<Result<Bytes>> wait_for_calls(ObjectId id, platform::Instant deadline, cancel_token token) {
  const bool ended = co_await NodeTable::instance().calls_ended(id, deadline, token);
  if (ended) co_return Bytes();
  if (token.is_cancelled()) co_return Error(Errc::cancelled, "nobody waits at the barrier any more");
  co_return Error(Errc::deadline_exceeded, "calls of object " + std::to_string(id.index()) + " on node " +
                                               std::to_string(to_number(this_node())) + " did not end in time");
}

/// What a core hears of the caller's giving up; its own, kept as long as something there may use it. None: nobody gives up.
using Cancellation = std::shared_ptr<cancel_source>;
cancel_token token_of(const Cancellation& cancellation) { return cancellation ? cancellation->token() : cancel_token(); }

/// On the core that is meant; in an event that can block.
task<Share> take_part(Work work, Cancellation cancellation) {
  const ObjectId id = work->collective.object;
  Share share{Core::current().index(), false, Bytes()};
  void* representative = platform::translate(id);
  if (representative == nullptr && work->collective.every_core) {
    std::exception_ptr thrown;
    try {
      representative = NodeTable::instance().miss(id);
    } catch (...) {
      thrown = std::current_exception();
    }
    if (thrown) {
      share.took_part = true;
      share.result = to_error(std::move(thrown));
      co_return share;
    }
  }
  if (representative == nullptr) co_return share;
  const bool anothers = is_anothers(id, work->first);
  const bool barrier = work->collective.work == CollectiveWork::barrier;
  if (anothers && !barrier) co_return share;
  CallOrigin origin = work->origin;
  origin.cancellation = cancellation.get();
  task<Result<Bytes>> doing = barrier ? wait_for_calls(id, origin.deadline, token_of(cancellation))
                                      : serve_call(id, kAnyCore, work->collective.method, work->collective.arguments, origin);
  share.result = co_await std::move(doing);
  // Calls are counted on each core, also those of an instance that they share.
  share.took_part = !anothers || !share.result;
  co_return share;
}

task<std::vector<Share>> ask_cores(Work work, std::vector<CoreIndex> cores, cancel_token token);

/// On the first of `cores`: its share, and those of the others.
task<std::vector<Share>> lead(Work work, std::vector<CoreIndex> cores, Cancellation cancellation) {
  std::vector<CoreIndex> others(cores.begin() + 1, cores.end());
  task<Share> own = take_part(work, cancellation);
  task<std::vector<Share>> below = ask_cores(work, std::move(others), token_of(cancellation));
  auto both = when_all(std::move(own), std::move(below));
  auto [mine, theirs] = co_await std::move(both);
  theirs.insert(theirs.begin(), std::move(mine));
  co_return std::move(theirs);
}

task<std::vector<Share>> ask_cores(Work work, std::vector<CoreIndex> cores, cancel_token token) {
  std::deque<CancelRelay> relays;  // which stay where they are
  std::vector<task<std::vector<Share>>> asked;
  for (std::vector<CoreIndex>& run : split<CoreIndex>(cores)) {
    const CoreIndex leader = run.front();
    Cancellation theirs = token.can_be_cancelled() ? relays.emplace_back(token, leader).source() : nullptr;
    auto there = [work, run, theirs]() { return lead(work, run, theirs); };
    asked.push_back(in_turn(leader, work->collective.object, std::move(there)));
  }
  std::vector<Share> shares;
  for (std::vector<Share>& each : co_await when_all(std::move(asked))) {
    std::move(each.begin(), each.end(), std::back_inserter(shares));
  }
  co_return shares;
}

std::vector<CoreIndex> cores_asked(const Collective& collective) {
  const std::uint64_t known = NodeTable::instance().cores_of(collective.object);
  std::vector<CoreIndex> cores;
  for (std::uint16_t core = 0; core < Core::count(); ++core) {
    if (collective.every_core || (known >> core & 1) != 0) cores.push_back(CoreIndex{core});
  }
  return cores;
}

Result<CollectiveAnswer> folded(std::vector<Share> shares, const Collective& collective) {
  CollectiveAnswer answer;
  answer.who.nodes = 1;
  std::vector<Bytes> to_fold;
  for (Share& share : shares) {
    if (!share.took_part) continue;
    // To the whole call, of which others have run, it is no refusal.
    if (!share.result) return std::move(share.result).error().as_answer();
    ++answer.who.representatives;
    if (collective.work == CollectiveWork::gather) {
      answer.gathered.push_back({this_node(), share.core, *std::move(share.result)});
    } else if (collective.work == CollectiveWork::fold) {
      to_fold.push_back(*std::move(share.result));
    }
  }
  if (to_fold.empty()) return answer;
  Result<Bytes> one = fold(collective.operation, std::move(to_fold));
  if (!one) return std::move(one).error();
  answer.folded = *std::move(one);
  return answer;
}

}  // namespace

task<Result<CollectiveAnswer>> own_part_here(Collective collective, NodeId caller, platform::Instant deadline, TraceContext trace,
                                             cancel_token token) {
  const TypeDescriptor* type = NodeTable::instance().type_of(collective.object);
  if (type != nullptr && type->interface_id != collective.interface_id) {
    co_return Error(Errc::interface_mismatch, "object " + std::to_string(collective.object.index()) + " is a " +
                                                  std::string(type->interface_name) + " on node " +
                                                  std::to_string(to_number(this_node())) + ", and not what the call takes it for");
  }
  std::vector<CoreIndex> cores = cores_asked(collective);
  if (cores.empty()) {
    CollectiveAnswer nobody;
    nobody.who.nodes = 1;
    co_return nobody;
  }
  const CoreIndex first = cores.front();
  const CallOrigin origin{caller, deadline, trace, nullptr};
  const Work work = std::make_shared<const Shared>(Shared{std::move(collective), origin, first});
  std::vector<Share> shares = co_await ask_cores(work, std::move(cores), std::move(token));
  co_return folded(std::move(shares), work->collective);
}

}  // namespace ebb::detail
