#include "ebb/object/home.h"

#include <algorithm>
#include <string>

#include "ebb/async/context.h"
#include "ebb/async/core.h"
#include "ebb/object/local_call.h"
#include "ebb/object/node_table.h"

namespace ebb::detail {
namespace {

std::string describe(ObjectId id) { return "object " + std::to_string(id.index()); }

task<Result<Home>> ask_directory(ObjectId id, const TypeDescriptor* type) {
  NodeTable& table = NodeTable::instance();
  const auto record = co_await table.lookup(id);
  if (!record) co_return record.error();
  if (record->interface_id != type->interface_id || record->policy != type->policy) {
    co_return Error(Errc::interface_mismatch,
                    describe(id) + " is a " + record->interface_name + " of the kind " + record->policy + ", not a " +
                        std::string(type->interface_name) + " of the kind " + std::string(type->policy));
  }
  table.enter(id, *type);
  table.learn_home(id, home_of(*record));
  co_return home_of(*record);
}

}  // namespace

task<Result<Home>> find_home(ObjectId id, const TypeDescriptor* type, std::uint32_t stale) {
  if (!id.valid()) {
    co_return Error(Errc::no_such_object, "this reference names no object; create or open one first");
  }
  if (const Home known = NodeTable::instance().home_of(id); known.epoch > stale) co_return known;
  co_return co_await ask_directory(id, type);
}

std::uint32_t require_home(ObjectId id, const TypeDescriptor& type) {
  const NodeId node = this_node();
  const CoreIndex core = Core::current().index();
  if (is_given_away(id)) {
    throw ErrorException(Error(Errc::moved, describe(id) + " is on its way to another home"));
  }
  Home home = NodeTable::instance().home_of(id);
  // What is known may be old, but never says that this core is a home which it never was.
  if (home.node != node || home.core != core) home = block_on(ask_directory(id, &type)).value();
  if (home.node == node && home.core == core) return home.epoch;
  throw ErrorException(Error(Errc::moved, describe(id) + " lives on node " + std::to_string(to_number(home.node)) +
                                              ", core " + std::to_string(to_number(home.core)) +
                                              "; ref::call finds it there"));
}

Result<void> may_wait_for_home(ObjectId id, const Home& home, const TypeDescriptor& type) {
  if (type.remade) return {};
  const std::string lost_with = home.node == kNoNode ? "an earlier cluster" : "node " + std::to_string(to_number(home.node));
  return Error(Errc::node_gone, describe(id) + " was lost with its home, " + lost_with +
                                    "; nothing ran. The kind remade_home would have been made anew");
}

/// On a home of this node, for a caller who may give up: what the method hears of that stays until it has ended.
static task<Result<Bytes>> call_here(Home home, ObjectId id, std::uint64_t method, Bytes arguments, platform::Instant deadline,
                                     TraceContext trace, cancel_token token) {
  cancel_source cancellation;
  const cancel_callback given_up(token, [&cancellation] { cancellation.cancel(); });
  const CallOrigin origin{this_node(), deadline, trace, &cancellation};
  co_return co_await serve_call(id, home.core, method, std::move(arguments), origin);
}

/// One attempt, at a home.
static task<Result<Bytes>> call_at(Home home, const TypeDescriptor* type, RemoteCall call, platform::Instant deadline,
                                   Bytes arguments) {
  OpenSpan span(call.trace);
  call.trace = span.trace();
  const ObjectId id = call.object;
  const std::uint64_t method = call.method;
  task<Result<Bytes>> work = home.node != this_node() ? call_elsewhere(std::move(call), std::move(arguments))
                             : call.cancellation.can_be_cancelled()
                                 ? call_here(home, id, method, std::move(arguments), deadline, span.trace(), call.cancellation)
                                 : serve_call(id, home.core, method, std::move(arguments),
                                              {this_node(), deadline, span.trace(), nullptr});
  Result<Bytes> answer = co_await std::move(work);
  const RemoteMethod* found = type->find(method);
  span.end(SpanKind::client, {method, type->interface_name, found == nullptr ? "" : found->name}, id, home.node, answer.code());
  co_return answer;
}

task<Result<Bytes>> call_home(ObjectId id, const TypeDescriptor* type, std::uint64_t method, CallOptions options,
                              Bytes arguments) {
  if (Result<void> wanted = still_wanted(options); !wanted) co_return std::move(wanted).error();
  const platform::Instant deadline = options.deadline(platform::Clock::now());
  options.not_after = options.own_deadline(platform::Clock::now());
  const JoinedToken joined(options);
  std::uint32_t stale = 0;
  for (int attempt = 0;; ++attempt) {
    const Result<Home> home = co_await find_home(id, type, stale);
    if (!home) co_return home.error();
    const bool known = home->epoch > stale;
    if (is_member(home->node)) {
      const platform::Duration left = deadline - platform::Clock::now();
      if (left <= platform::Duration::zero()) break;
      RemoteCall call{home->node, home->core, id, method, left, joined.token(), options.trace};
      Result<Bytes> answer = co_await call_at(*home, type, std::move(call), options.not_after, arguments);
      if (answer.code() != Errc::moved) co_return answer;
    } else if (const Result<void> wait = may_wait_for_home(id, *home, *type); !wait) {
      co_return wait.error();
    }
    stale = home->epoch;
    // A home that was news is worth an attempt at once; one that is known to fail is not.
    if (attempt == 0 && known) continue;
    if (!co_await pause_before_retry(attempt, deadline)) break;
    if (options.cancelled()) co_return Error(Errc::cancelled, "the caller cancelled the call; nothing ran");
  }
  co_return Error(Errc::deadline_exceeded, "no home of " + describe(id) + " could be reached in time; nothing ran");
}

}  // namespace ebb::detail
