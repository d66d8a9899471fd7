// A node's own part of a collective call, carried out once however often it is asked for.
#include "src/object/collective_service.h"

#include <algorithm>
#include <string>

#include "ebb/async/core.h"
#include "ebb/async/sleep.h"
#include "ebb/object/node_link.h"
#include "ebb/object/node_table.h"
#include "ebb/platform/translation_table.h"
#include "src/object/closing.h"
#include "src/object/collective_part.h"

namespace ebb::detail {
namespace {

/// Origins whose forgotten numbers a core keeps apart before it forgets those that are no members any more.
constexpr std::size_t kMaxOrigins = 4096;

/// Which core of `origin` counted the number.
std::pair<NodeId, std::uint64_t> counter_of(NodeId origin, std::uint64_t number) { return {origin, number >> 48}; }

std::size_t size_of(const CollectiveAnswer& answer) {
  std::size_t bytes = answer.folded.size();
  for (const Gathered& each : answer.gathered) bytes += each.result.size();
  return bytes;
}

/// Before the origin of a part that nobody here waits for is asked whether it does, and between such questions: as long as it
/// waits, who asked may have been lost, and another node asks in its place when that has been declared gone.
constexpr platform::Duration kAskFirst = std::chrono::milliseconds(5);
constexpr platform::Duration kAskAgain = std::chrono::milliseconds(250);

}  // namespace

/// One who waits for a part, until it has ended or its own caller gives up. Stays where it is.
class CollectiveService::Asker {
 public:
  Asker(OwnPart own, const cancel_token& token) : own_(counted(std::move(own))), gave_up_(token, [part = own_] { leave(part); }) {}
  Asker(const Asker&) = delete;
  Asker& operator=(const Asker&) = delete;

 private:
  static OwnPart counted(OwnPart own) {
    ++own->askers;
    return own;
  }
  static void leave(const OwnPart& own) {
    if (--own->askers == 0 && !std::exchange(own->in_doubt, true)) {
      Core::current().call_after(kAskFirst, [own] { end_unless_wanted(own); });
    }
  }

  OwnPart own_;
  cancel_callback gave_up_;
};

CollectiveService& collective_service_here() {
  NodeTable::instance().enter(kCollectiveService.id(), kTypeDescriptor<CollectiveService>);
  return *kCollectiveService.operator->();
}

CollectiveService::Wanted::Wanted(std::uint64_t number) : number_(number) { kCollectiveService->wanted_.insert(number); }
CollectiveService::Wanted::~Wanted() {
  // It may have ended with the node before a call of this core.
  if (void* service = platform::translate(kCollectiveService.id())) static_cast<CollectiveService*>(service)->wanted_.erase(number_);
}

std::uint64_t CollectiveService::next_number() {
  return std::uint64_t{to_number(Core::current().index())} << 48 | ++last_number_;
}

task<Result<CollectiveAnswer>> CollectiveService::own_part(std::shared_ptr<const CollectiveRequest> request,
                                                           const call_context* context) {
  const Key key{request->origin, request->number};
  OwnPart own;
  if (const auto found = parts_.find(key); found != parts_.end()) {
    own = found->second;
  } else {
    const auto forgotten = forgotten_.find(counter_of(request->origin, request->number));
    if (forgotten != forgotten_.end() && request->number <= forgotten->second) {
      co_return Error(Errc::overloaded, "so many calls of every representative have reached node " +
                                            std::to_string(to_number(this_node())) +
                                            " that it does not remember whether it took part in this one");
    }
    if (parts_.size() - remembered_.size() >= kMaxCollectives) {
      co_return Error::refusal(Errc::overloaded, "a core of node " + std::to_string(to_number(this_node())) + " works on " +
                                                     std::to_string(kMaxCollectives) +
                                                     " calls of every representative; try again later");
    }
    own = std::make_shared<Own>(key, request->view);
    parts_[key] = own;
    note_depths();
    carry_out(own, request, context->deadline, context->trace);
  }
  if (!own->ended) {
    const Asker asker(own, context->cancellation);
    Completion<> ended;
    own->waiting.push_back(&ended);
    co_await ended;
  }
  co_return own->answer;
}

Detached CollectiveService::carry_out(OwnPart own, std::shared_ptr<const CollectiveRequest> request, platform::Instant deadline,
                                      TraceContext trace) {
  own->answer = co_await own_part_here(request->collective, request->origin, deadline, trace, own->cancellation.token());
  own->ended = true;
  for (Completion<>* each : std::exchange(own->waiting, {})) each->complete();
  const bool ran = request->collective.work != CollectiveWork::barrier || own->answer.code() != Errc::cancelled;
  kCollectiveService->ended(*own, ran);
}

task<bool> CollectiveService::may_be_wanted(OwnPart own) {
  const auto [origin, number] = own->key;
  const auto there = kCollectiveService.on(origin, CoreIndex{static_cast<std::uint16_t>(number >> 48)});
  const auto wanted = co_await there.within(kAskAgain).call<&CollectiveService::is_wanted>(number);
  if (wanted) co_return *wanted;
  // One that closes has given up all its calls.
  if (wanted.code() == Errc::unavailable || wanted.code() == Errc::cancelled) co_return false;
  co_return is_member(origin) || cluster_view_version() < own->view;
}

Detached CollectiveService::end_unless_wanted(OwnPart own) {
  while (own->askers == 0 && !own->ended) {
    const bool wanted = co_await may_be_wanted(own);
    if (own->askers != 0) break;
    if (!wanted || is_closing()) {
      own->cancellation.cancel();
      break;
    }
    co_await sleep_for(kAskAgain);
  }
  own->in_doubt = false;
}

void CollectiveService::ended(const Own& own, bool ran) {
  const auto found = parts_.find(own.key);
  if (!ran) {
    // A barrier whose asker was lost, for one: whoever asks in its place waits anew.
    parts_.erase(found);
    return note_depths();
  }
  found->second->bytes = own.answer ? size_of(*own.answer) : 0;
  remembered_bytes_ += found->second->bytes;
  remembered_.push_back(own.key);
  while (remembered_.size() > kRememberedCollectives || remembered_bytes_ > kRememberedBytes) forget_oldest();
  note_depths();
}

void CollectiveService::forget_oldest() {
  const Key key = remembered_.front();
  remembered_.pop_front();
  const auto found = parts_.find(key);
  remembered_bytes_ -= found->second->bytes;
  parts_.erase(found);
  if (forgotten_.size() >= kMaxOrigins) std::erase_if(forgotten_, [](const auto& each) { return !is_member(each.first.first); });
  std::uint64_t& highest = forgotten_[counter_of(key.first, key.second)];
  highest = std::max(highest, key.second);
}

}  // namespace ebb::detail
