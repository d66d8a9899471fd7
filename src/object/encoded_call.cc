// All attempts at one call, whatever way finds its object.
#include "ebb/object/encoded_call.h"

#include <algorithm>
#include <optional>
#include <string>

#include "ebb/async/core.h"
#include "ebb/async/sleep.h"
#include "ebb/object/home.h"
#include "ebb/object/local_call.h"
#include "ebb/object/node_link.h"
#include "ebb/object/partition_target.h"
#include "ebb/object/type.h"

namespace ebb::detail {
namespace {

std::string describe(ObjectId id) { return "object " + std::to_string(id.index()); }

/// Where an attempt goes.
struct Place {
  NodeId node = kNoNode;
  CoreIndex core = kAnyCore;
  std::uint64_t version = 0;  ///< of what is known about it; 0: there is no other place
};

/// Knows where the object of a call is.
class Route {
 public:
  /// By knowledge newer than `stale`, if there is any. A refusal: at the moment nowhere, but soon perhaps.
  virtual task<Result<Place>> find(std::uint64_t stale) const = 0;

 protected:
  ~Route() = default;
};

class FixedRoute final : public Route {
 public:
  FixedRoute(NodeId node, CoreIndex core) noexcept : place_{node, core, 0} {}
  task<Result<Place>> find(std::uint64_t) const override { co_return place_; }

 private:
  Place place_;
};

/// By the front end's word; as long as it says nothing, it may be one.
task<bool> may_be_member_by_now(NodeId node) {
  NodeLink* link = node_link();
  if (link == nullptr || node == kNoNode) co_return false;
  const auto fence = co_await link->fence();
  co_return !fence || std::find(fence->others.begin(), fence->others.end(), node) != fence->others.end();
}

class HomeRoute final : public Route {
 public:
  HomeRoute(ObjectId id, const TypeDescriptor* type) noexcept : id_(id), type_(type) {}
  task<Result<Place>> find(std::uint64_t stale) const override {
    Result<Home> home = co_await find_home(id_, type_, static_cast<std::uint32_t>(stale));
    if (home && !is_member(home->node)) {
      // It may have moved away before its node went; what is heard now is an older home at worst.
      const std::uint32_t gone = home->epoch;
      Result<Home> other = co_await find_home(id_, type_, gone);
      if (!other || other->epoch > gone) home = std::move(other);
    }
    if (!home) co_return std::move(home).error();
    if (is_member(home->node)) co_return Place{home->node, home->core, home->epoch};
    if (type_->remade) co_return Error::refusal(Errc::moved, describe(id_) + " has no home at the moment");
    // By an old list it may be a member that this node has yet to hear of.
    const bool unheard = co_await may_be_member_by_now(home->node);
    if (unheard) co_return Error::refusal(Errc::moved, describe(id_) + " has its home on a node that is not known here yet");
    if (!type_->exclusive) {
      co_return Error(Errc::node_gone, "node " + std::to_string(to_number(home->node)) + ", the home of " + describe(id_) +
                                           ", is gone; nothing ran. Its representatives elsewhere live on: call them with .on(node)");
    }
    const std::string lost_with = home->node == kNoNode ? "an earlier cluster" : "node " + std::to_string(to_number(home->node));
    co_return Error(Errc::node_gone, describe(id_) + " was lost with its home, " + lost_with +
                                         "; nothing ran. The kind remade_home would have been made anew");
  }

 private:
  ObjectId id_;
  const TypeDescriptor* type_;
};

class PartitionRoute final : public Route {
 public:
  PartitionRoute(ObjectId id, const TypeDescriptor* type, std::uint32_t partition) noexcept
      : id_(id), type_(type), partition_(partition) {}
  task<Result<Place>> find(std::uint64_t stale) const override {
    Result<Partitioning::Answer> known = co_await Partitioning::find_owner(id_, type_, partition_, stale);
    if (known && !is_member(known->owner.node)) known = co_await Partitioning::find_owner(id_, type_, partition_, known->version);
    if (!known) co_return std::move(known).error();
    const PartitionOwner owner = known->owner;
    if (is_member(owner.node)) co_return Place{owner.node, owner.core, known->version};
    co_return Error::refusal(Errc::moved, "partition " + std::to_string(partition_) + " of " + describe(id_) +
                                              " has no owner at the moment");
  }

 private:
  ObjectId id_;
  const TypeDescriptor* type_;
  std::uint32_t partition_;
};

/// A call while attempts at it are made.
struct Attempts {
  explicit Attempts(EncodedCall&& what)
      : call(std::move(what)),
        begun(platform::Clock::now()),
        deadline(call.options.deadline(begun)),
        own_deadline(call.options.own_deadline(begun)),
        joined(call.options) {}
  Attempts(const Attempts&) = delete;
  Attempts& operator=(const Attempts&) = delete;

  EncodedCall call;
  platform::Instant begun;
  platform::Instant deadline;
  platform::Instant own_deadline;
  JoinedToken joined;
};

/// On a core of this node, for a caller who may give up: what the method hears of that stays until it has ended.
task<Result<Bytes>> carry_out_here(CoreIndex core, const Attempts* attempts, TraceContext trace) {
  // An event of its own, as on another core: who calls in a loop leaves the core to others meanwhile.
  if (core == kAnyCore || core == Core::current().index()) co_await yield();
  const EncodedCall& call = attempts->call;
  cancel_source cancellation;
  const cancel_callback given_up(attempts->joined.token(), [&cancellation] { cancellation.cancel(); });
  const CallOrigin origin{this_node(), attempts->own_deadline, trace,
                          attempts->joined.token().can_be_cancelled() ? &cancellation : nullptr};
  Bytes arguments = call.arguments;
  co_return co_await serve_call(call.object, core, call.method.id, std::move(arguments), origin);
}

task<Result<Bytes>> attempt(Place place, Attempts* attempts) {
  EncodedCall& call = attempts->call;
  const bool here = place.node == this_node();
  const bool leaves = !here || (place.core != kAnyCore && place.core != Core::current().index());
  call.options.begin_trace_if(leaves && sampled_by_chance(call.object));  // once for all attempts
  OpenSpan span(call.options.trace);
  const platform::Duration left = attempts->deadline - platform::Clock::now();
  if (left <= platform::Duration::zero()) co_return Error(Errc::deadline_exceeded, "no time is left for the call; nothing ran");
  RemoteCall there{place.node, place.core, call.object, call.method.id, left, attempts->joined.token(), span.trace()};
  task<Result<Bytes>> work = here ? carry_out_here(place.core, attempts, span.trace())
                                  : call_elsewhere(std::move(there), Bytes(call.arguments));
  Result<Bytes> answer = co_await std::move(work);
  if (answer.code() == Errc::cancelled) answer = for_its_deadline(std::move(answer).error(), attempts->deadline);
  span.end(SpanKind::client, call.method, call.object, place.node, answer.code());
  if (!answer && answer.error().is_refusal()) co_return with_method(std::move(answer).error(), call.method);
  co_return answer;
}

/// It surely never got to a node.
template <class R>
bool never_began(const Result<R>& answer) {
  return !answer && answer.code() == Errc::node_gone && answer.error().is_refusal();
}

/// The place could not be looked up, which may be otherwise when there is time left: its own wait has a bound of its own.
bool is_yet_to_be_found(const Result<Place>& place) {
  return !place && (was_turned_away(place) || never_began(place) || place.code() == Errc::deadline_exceeded ||
                    place.code() == Errc::unavailable);
}

/// Nobody is there, or a node that leaves and, not having met the object of which it is the home, cannot say more than that it is
/// as good as gone. There may be another place, now or when this one has been given up.
bool has_left(const Result<Bytes>& answer, const Place& place) { return place.version != 0 && never_began(answer); }

Error too_late(const Error& refused) {
  if (refused.code() == Errc::overloaded) return refused;
  return Error(Errc::deadline_exceeded, "the call could not be carried out in time; nothing ran: " + refused.text());
}

/// The rule for all calls. `route` stays where it is.
task<Result<Bytes>> call_along(const Route* route, EncodedCall call) {
  if (Result<void> wanted = still_wanted(call.options); !wanted) co_return std::move(wanted).error();
  Attempts attempts(std::move(call));
  std::uint64_t stale = 0;
  for (int number = 0;; ++number) {
    Result<Place> place = co_await route->find(stale);
    if (!place && !is_yet_to_be_found(place)) co_return std::move(place).error();
    std::optional<Error> refused;
    bool at_once = false;
    if (!place) {
      refused = std::move(place).error();
    } else if (platform::Clock::now() >= attempts.deadline) {
      co_return Error(Errc::deadline_exceeded, describe(attempts.call.object) + " was not found in time; nothing ran");
    } else {
      Result<Bytes> answer = co_await attempt(*place, &attempts);
      const bool left = has_left(answer, *place);
      if (!left && (!was_turned_away(answer) || (answer.code() == Errc::moved && place->version == 0))) co_return answer;
      refused = std::move(answer).error();
      if (left || refused->code() == Errc::moved) {
        // What is found instead of old knowledge is worth an attempt at once; one that has failed before is not.
        at_once = number == 0 && place->version > stale;
        stale = place->version;
      }
    }
    if (at_once) continue;
    const bool again = co_await pause_before_retry(number, attempts.deadline);
    // The core may have come back to it late. It is too late first of all: tokens fire at the deadline too.
    const bool late = platform::Clock::now() >= attempts.deadline;
    if (!late && attempts.call.options.cancelled()) co_return Error(Errc::cancelled, "the caller cancelled the call; nothing ran");
    if (!again || late) co_return too_late(*refused);
  }
}

}  // namespace

task<Result<Bytes>> call_node(NodeId node, CoreIndex core, EncodedCall call) {
  const FixedRoute route(node, core);
  co_return co_await call_along(&route, std::move(call));
}

task<Result<Bytes>> call_home(const TypeDescriptor* type, EncodedCall call) {
  const HomeRoute route(call.object, type);
  co_return co_await call_along(&route, std::move(call));
}

task<Result<Bytes>> call_partition(const TypeDescriptor* type, std::uint32_t partition, EncodedCall call) {
  const PartitionRoute route(call.object, type, partition);
  co_return co_await call_along(&route, std::move(call));
}

Error undecodable_answer(const MethodLabel& method) {
  return Error(Errc::malformed, "the answer to \"" + std::string(method.name) + "\" of " + std::string(method.interface_name) +
                                    " does not decode; start all nodes from the same build");
}

}  // namespace ebb::detail
