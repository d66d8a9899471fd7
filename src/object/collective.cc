// The tree: who asks whom, what becomes of a node that is lost, and how answers meet.
#include "ebb/object/collective.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "ebb/async/when_all.h"
#include "ebb/object/encoded_call.h"
#include "ebb/object/node_link.h"
#include "ebb/object/node_table.h"
#include "ebb/object/everywhere.h"
#include "src/object/collective_part.h"
#include "src/object/collective_service.h"
#include "src/object/fan_out.h"

namespace ebb::detail {
namespace {

const FoldRegistration* first_fold = nullptr;

using Answer = Result<CollectiveAnswer>;

Error undecodable(NodeId node) {
  const std::string whose = node == kNoNode ? "an answer" : "the answer of node " + std::to_string(to_number(node));
  return Error(Errc::malformed, whose + " to a call of every representative does not decode; start all nodes from the same build");
}

/// Folds what `other` has into `all`, which keep the order of nodes.
void merge(CollectiveAnswer& all, CollectiveAnswer other, std::vector<Bytes>& to_fold) {
  all.who.nodes += other.who.nodes;
  all.who.representatives += other.who.representatives;
  all.who.lost.insert(all.who.lost.end(), other.who.lost.begin(), other.who.lost.end());
  std::move(other.gathered.begin(), other.gathered.end(), std::back_inserter(all.gathered));
  if (!other.folded.empty()) to_fold.push_back(std::move(other.folded));
}

Result<CollectiveAnswer> merged(std::vector<Answer> parts, const Collective& collective) {
  CollectiveAnswer all;
  std::vector<Bytes> to_fold;
  for (Answer& part : parts) {
    if (!part) return std::move(part).error();
    merge(all, *std::move(part), to_fold);
  }
  if (to_fold.empty()) return all;
  Result<Bytes> folded = fold(collective.operation, std::move(to_fold));
  if (!folded) return std::move(folded).error();
  all.folded = *std::move(folded);
  return all;
}

/// Where a node remembers a request: the same core, whoever asks it. Another for each object and each core that calls, so
/// that calls are spread; but the same for the next call, which finds all connections made.
CoreIndex core_of(const Stop& stop, const CollectiveRequest& request) {
  const std::uint64_t caller = to_number(request.origin) + (request.number >> 48);
  return CoreIndex{static_cast<std::uint16_t>((request.collective.object.index() + caller) % stop.cores)};
}

task<std::vector<Answer>> ask_all(std::shared_ptr<const CollectiveRequest> request, std::vector<Stop> stops, CallOptions options);

/// The first of `stops` and, through it, the others; without it, if it is lost.
task<Answer> ask(std::shared_ptr<const CollectiveRequest> request, std::vector<Stop> stops, CallOptions options) {
  const Stop child = stops.front();
  const std::vector<Stop> below(stops.begin() + 1, stops.end());
  const auto place = kCollectiveService.on(child.node, core_of(child, *request)).with_options(options);
  for (int attempt = 0;; ++attempt) {
    CollectiveRequest copy = *request;
    copy.below = below;
    auto parcel = co_await place.call<&CollectiveService::run>(std::move(copy));
    Errc code = parcel.code();
    if (parcel) {
      const auto bytes = co_await fetch_parcel(*std::move(parcel));
      if (bytes) {
        auto answer = wire::decode<Answer>(*bytes);
        if (!answer) co_return undecodable(child.node);
        co_return *std::move(answer);
      }
      code = bytes.code();
    }
    // These are never the method's own: what that answers is within the parcel.
    const bool maybe_lost =
        code == Errc::node_gone || code == Errc::unavailable || code == Errc::not_found || code == Errc::overloaded;
    if (!maybe_lost && !parcel) co_return std::move(parcel).error();
    // By an older list than the origin's it may be a member that this node has yet to hear of.
    if (!is_member(child.node) && cluster_view_version() >= request->view) break;
    // The connection was lost, or what was kept for us, or there was no room: the node lives, and remembers its part.
    const bool again = co_await pause_before_retry(attempt, options.not_after);
    if (!again) {
      co_return Error(Errc::deadline_exceeded, "node " + std::to_string(to_number(child.node)) +
                                                   " did not answer a call of every representative in time");
    }
  }
  CollectiveAnswer without;
  without.who.lost.push_back(child.node);
  std::vector<Answer> parts = co_await ask_all(request, below, options);
  parts.emplace_back(std::move(without));
  co_return merged(std::move(parts), request->collective);
}

task<std::vector<Answer>> ask_all(std::shared_ptr<const CollectiveRequest> request, std::vector<Stop> stops, CallOptions options) {
  std::vector<task<Answer>> asked;
  for (std::vector<Stop>& run : split<Stop>(stops)) asked.push_back(ask(request, std::move(run), options));
  co_return co_await when_all(std::move(asked));
}

/// To all at once, so that none waits for another; ends when all are on their way, which waits for room.
task<void> send_on(CollectiveRequest request, std::vector<Stop> stops, CallOptions options) {
  std::vector<task<Result<void>>> sends;
  for (std::vector<Stop>& run : split<Stop>(stops)) {
    const Stop child = run.front();
    CollectiveRequest copy = request;
    copy.below.assign(run.begin() + 1, run.end());
    const auto place = kCollectiveService.on(child.node, core_of(child, request)).with_options(options);
    sends.push_back(place.send<&CollectiveService::run>(std::move(copy)));
  }
  // Of a node that is lost nobody hears, and nobody asks for those below it.
  const std::vector<Result<void>> sent = co_await when_all(std::move(sends));
  static_cast<void>(sent);
}

std::vector<Stop> others_of(const ClusterView& view) {
  std::vector<Stop> stops;
  for (const ClusterView::Node& node : view.nodes) {
    if (node.id != this_node()) stops.push_back({node.id, std::max<std::uint16_t>(node.cores, 1)});
  }
  return stops;
}

/// A node's own part, and at the same time those of the nodes below it.
task<Answer> with_those_below(task<Answer> own, std::shared_ptr<const CollectiveRequest> request, CallOptions options) {
  task<std::vector<Answer>> below = ask_all(request, request->below, options);
  auto both = when_all(std::move(own), std::move(below));
  auto [mine, theirs] = co_await std::move(both);
  theirs.insert(theirs.begin(), std::move(mine));
  co_return merged(std::move(theirs), request->collective);
}

task<Answer> ask_everybody(std::shared_ptr<const CollectiveRequest> request, CallOptions options) {
  const JoinedToken joined(options);  // of this frame, which may outlive the caller's
  const Result<void> met = co_await NodeTable::instance().meet(request->collective.object, nullptr);
  if (!met) co_return met.error();
  task<Answer> own = own_part_here(request->collective, this_node(), options.not_after, options.trace, joined.token());
  Answer all = co_await with_those_below(std::move(own), request, options);
  if (all) {
    std::sort(all->who.lost.begin(), all->who.lost.end());
    std::sort(all->gathered.begin(), all->gathered.end(), [](const Gathered& a, const Gathered& b) {
      return std::pair(a.node, a.core) < std::pair(b.node, b.core);
    });
  }
  co_return all;
}

/// Of a request, beside its arguments and the nodes that it names; more than it takes.
constexpr std::size_t kRequestBytes = 256;

/// However many nodes there are, so that a cluster may grow.
Result<void> check_size(const Collective& collective) {
  constexpr std::size_t kMost = kMaxCallBytes - kRequestBytes - kMaxStops * (sizeof(NodeId) + sizeof(std::uint16_t));
  if (collective.arguments.size() <= kMost) return {};
  return Error(Errc::too_large, "the arguments of a call of every representative have " + std::to_string(collective.arguments.size()) +
                                    " bytes, of at most " + std::to_string(kMost) + "; nothing was sent, send them in parts");
}

/// Before anybody has it, this node included. Sets the deadline that holds on all nodes.
Result<void> prepare(const Collective& collective, CallOptions& options) {
  if (Result<void> fits = check_size(collective); !fits) return fits;
  if (Result<void> wanted = still_wanted(options); !wanted) return wanted;
  const platform::Instant now = platform::Clock::now();
  options.not_after = options.deadline(now);
  if (options.not_after - now <= kMaxRemoteTimeout) return {};
  return Error(Errc::invalid_argument, "a call of every representative may take an hour at most; nothing was sent");
}

CollectiveRequest begin(Collective collective, bool one_way) {
  const ClusterView view = cluster_view();
  return {this_node(), collective_service_here().next_number(), one_way, view.version, others_of(view), std::move(collective)};
}

/// Of a call that is made now; what it asks others is within it.
OpenSpan begin_span(ObjectId object, CallOptions& options) {
  options.begin_trace_if(sampled_by_chance(object));
  const OpenSpan span(options.trace);
  options.trace = span.trace();
  return span;
}

}  // namespace

Result<Bytes> fold(std::uint64_t operation, std::vector<Bytes> parts) {
  if (parts.size() == 1) return std::move(parts.front());
  const FoldOperation* found = FoldRegistration::find(operation);
  if (found != nullptr) {
    try {
      return found->fold(std::move(parts));
    } catch (...) {
      return to_error(std::current_exception()).as_answer();
    }
  }
  return Error(Errc::interface_mismatch, "node " + std::to_string(to_number(this_node())) +
                                             "'s program lacks the operation of a reduction; start all nodes from the same build");
}

Error undecodable_result(NodeId node) { return undecodable(node); }

Error incomplete(const participation& who) {
  return Error(Errc::node_gone, "node " + std::to_string(to_number(who.lost.front())) +
                                    (who.lost.size() == 1 ? std::string() : " and " + std::to_string(who.lost.size() - 1) + " more") +
                                    " did not live to answer a reduction");
}

FoldRegistration::FoldRegistration(const FoldOperation& operation) noexcept
    : operation_(operation), next_(std::exchange(first_fold, this)) {}

const FoldOperation* FoldRegistration::find(std::uint64_t id) noexcept {
  for (const FoldRegistration* each = first_fold; each != nullptr; each = each->next_) {
    if (each->operation_.id == id) return &each->operation_;
  }
  return nullptr;
}

task<Result<CollectiveAnswer>> run_collective(Result<Collective> collective, MethodLabel label, CallOptions options) {
  if (!collective) co_return std::move(collective).error();
  if (Result<void> ready = prepare(*collective, options); !ready) co_return std::move(ready).error();
  const JoinedToken joined(options);
  OpenSpan span = begin_span(collective->object, options);
  const auto request = std::make_shared<const CollectiveRequest>(begin(*std::move(collective), false));
  const CollectiveService::Wanted wanted(request->number);
  Answer answer = co_await until(ask_everybody(request, options), options.not_after, joined.token());
  span.end(SpanKind::client, label, request->collective.object, kNoNode, answer.code());
  if (!answer) co_return with_method(std::move(answer).error(), label).as_answer();
  co_return answer;
}

task<Result<void>> send_collective(Result<Collective> collective, MethodLabel label, CallOptions options) {
  if (!collective) co_return std::move(collective).error();
  if (Result<void> ready = prepare(*collective, options); !ready) co_return ready;
  const JoinedToken joined(options);
  const Result<void> met = co_await until(NodeTable::instance().meet(collective->object, nullptr), options.not_after, joined.token());
  if (!met) co_return with_method(met.error(), label).as_answer();
  if (Result<void> room = begin_own_send(); !room) co_return room;
  OpenSpan span = begin_span(collective->object, options);
  CollectiveRequest request = begin(*std::move(collective), true);
  run_own_send(own_part_here(request.collective, this_node(), options.not_after, options.trace, {}));
  std::vector<Stop> stops = std::exchange(request.below, {});
  const ObjectId object = request.collective.object;
  co_await send_on(std::move(request), std::move(stops), options);
  span.end(SpanKind::client, label, object, kNoNode, Errc::ok);
  co_return Result<void>();
}

// --- a node of the tree ---

task<Result<Parcel>> CollectiveService::run(const call_context& context, CollectiveRequest request) {
  if (request.below.size() > kMaxStops ||
      std::any_of(request.below.begin(), request.below.end(), [](const Stop& stop) { return stop.cores == 0; })) {
    co_return Error(Errc::malformed, "a call of every representative names nodes that cannot be");
  }
  CallOptions options;
  options.inherit_deadline(context);
  const auto shared = std::make_shared<CollectiveRequest>(std::move(request));
  if (shared->one_way) {
    std::vector<Stop> stops = std::exchange(shared->below, {});
    task<Answer> mine = own_part(shared, &context);
    task<void> others = send_on(*shared, std::move(stops), options);
    auto both = when_all(std::move(mine), std::move(others));
    const auto [own, told] = co_await std::move(both);
    static_cast<void>(told);
    if (!own) co_return own.error();
    co_return Parcel();
  }
  task<Answer> own = own_part(shared, &context);
  const Answer all = co_await with_those_below(std::move(own), shared, options);
  if (was_turned_away(all)) co_return all.error();
  co_return send_parcel(wire::encode(all));
}

}  // namespace ebb::detail
